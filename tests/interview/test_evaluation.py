"""The answers with which the scorer is measured are complete and say what they should be worth."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.interview import BLIND, Row, lines, measure, share
from lab_checks.authoring.commands import interview_figures
from lab_checks.engine import paths
from lab_checks.interview import questions, rubric

# Some thousand answers are scored once for all tests here: minutes, where other tests run beside it.
pytestmark = pytest.mark.timeout(1800)

# What is reached on the answers that nobody tuned on, less a little: by an author who knew the points, and by one who did not.
RIGHT = 0.75
WRONG = 0.11
BLIND_RIGHT = 0.92
BLIND_WRONG = 0.24
FILES = sorted(Path(__file__).with_name("evaluation").glob("*.yaml"))
BLIND_FILES = sorted(BLIND.glob("*.yaml"))
SENTENCES = Path(__file__).with_name("sentences")
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


@pytest.mark.parametrize("path", BLIND_FILES, ids=lambda path: path.stem)
def test_a_blind_author_answered_every_question(path: Path) -> None:
    questions.find(path.stem)
    rows = yaml.safe_load(path.read_text())
    counted = Counter(row["class"] for row in rows)
    assert len(rows) >= 20
    assert set(counted) == set(SHOULD)
    assert all(row["should"] == SHOULD[row["class"]] for row in rows)
    kept = sum(bool(row.get("kept")) for row in rows)
    assert len(rows) // 4 <= kept <= len(rows) // 2


def test_every_question_has_its_answers() -> None:
    assert {path.name for path in FILES} == {f"{each.id}.yaml" for each in questions.load()}
    assert len(BLIND_FILES) >= 18


@pytest.fixture(scope="module")
def found() -> dict[str, Row]:
    return measure()


@pytest.fixture(scope="module")
def blind() -> dict[str, Row]:
    return measure(BLIND)


def test_the_figures_do_not_fall_unnoticed(found: dict[str, Row], blind: dict[str, Row]) -> None:
    """The aim is 0.95 and 0.03."""
    assert share(found, "pass", kept=True) >= RIGHT
    assert share(found, "refuse", kept=True) <= WRONG
    assert share(blind, "pass", kept=True) >= BLIND_RIGHT
    assert share(blind, "refuse", kept=True) <= BLIND_WRONG
    assert found["unknown"].passed == blind["unknown"].passed == 0


def _sentences(name: str) -> dict[str, Any]:
    read: dict[str, Any] = yaml.safe_load((SENTENCES / f"{name}.yaml").read_text())
    return read


def test_what_breaks_something_alarms_where_it_is_planned_and_not_where_it_is_only_named() -> None:
    """Read without the rest of an answer; the question is any."""
    question = questions.find("limits-only")

    def alarms(text: str) -> bool:
        return any(each.red for each in rubric.score(question, text).flags)

    acts = _sentences("acts")
    assert sum(map(alarms, acts["planned"])) >= 0.9 * len(acts["planned"])
    assert sum(map(alarms, acts["mentioned"])) <= 0.05 * len(acts["mentioned"])


def test_a_statement_turned_round_is_noticed_and_the_statement_itself_is_not() -> None:
    facts = [(questions.find(key), rows) for key, rows in _sentences("facts").items()]
    assert {question.id for question, _ in facts} == {each.id for each in questions.load()}
    false = [bool(rubric.score(question, text).flags) for question, rows in facts for text in rows["not_so"]]
    true = [bool(rubric.score(question, text).flags) for question, rows in facts for text in rows["so"]]
    assert sum(false) >= 0.8 * len(false)
    assert sum(true) <= 0.03 * len(true)


def test_the_figures_are_told_by_class(found: dict[str, Row]) -> None:
    told = "\n".join(lines(found))
    assert all(name in told for name in SHOULD)
    assert "right answers that pass" in told


def test_without_a_checkout_the_figures_say_where_they_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(paths, "root", lambda: tmp_path)
    assert "only in a checkout" in interview_figures()[0]
