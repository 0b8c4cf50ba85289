"""The answers with which the scorer is measured are complete and say what they should be worth."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from lab_checks.interview import questions

FILES = sorted(Path(__file__).with_name("evaluation").glob("*.yaml"))
SHOULD = {
    "strong": "pass", "terse": "pass", "non-native": "pass", "wrong": "refuse", "reversed": "refuse", "stuffed": "refuse", "dangerous": "refuse",
    "unknown": "refuse",
}  # fmt: skip


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_question_has_answers_of_every_class(path: Path) -> None:
    questions.find(path.stem)
    rows = yaml.safe_load(path.read_text())
    counted = Counter(row["class"] for row in rows)
    assert len(rows) >= 40
    assert set(counted) == set(SHOULD)
    assert all(row["should"] == SHOULD[row["class"]] for row in rows)
    assert all(row["missing"] for row in rows if row["should"] == "refuse")
    assert all(sum(bool(row.get("kept")) for row in rows if row["class"] == name) == count // 3 for name, count in counted.items())
