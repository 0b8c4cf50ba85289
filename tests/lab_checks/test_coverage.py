"""docs/coverage.md names labs and exercises that there are, and leaves no exercise out."""

from __future__ import annotations

import re

import pytest

from lab_checks.engine import course
from tests.conftest import ROOT

ROWS = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "coverage.md").read_text().splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| statement"))
]
OPEN = re.compile(r"open: lab (0[6-9]|1[0-2])")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_every_statement_leads_to_a_lab_or_is_said_to_be_open(row: list[str]) -> None:
    statement, where = row
    assert statement
    for place in where.split(", "):
        if not OPEN.fullmatch(place):
            course.load().find(place)


def test_every_exercise_is_there_for_a_statement() -> None:
    named = {place for _, where in ROWS for place in where.split(", ")}
    assert [each.key for each in course.load().exercises if each.key not in named] == []


def test_the_guide_is_there_whole() -> None:
    assert len(ROWS) >= 45
