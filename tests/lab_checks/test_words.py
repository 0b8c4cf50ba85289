"""The words of the labs' own checks: each that is named is there, and each that is there is named."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import pytest

import lab_checks.labs
from lab_checks.engine import course
from lab_checks.engine.course import Exercise, Lab
from lab_checks.engine.verdict import Outcome
from lab_checks.judging import words

_CALL = re.compile(r"words\.(?:fail|wait|idle)\(\s*ctx, \"([\w-]+)\"")


@pytest.mark.parametrize("lab", course.load().labs, ids=lambda each: each.id)
def test_the_words_that_are_named_are_the_words_that_are_there(lab: Lab) -> None:
    folder = Path(lab_checks.labs.__path__[0]) / lab.module
    named = {name for path in folder.glob("*.py") for name in _CALL.findall(path.read_text())}
    # A name that is chosen in the code stands there in quotes; one that a table of the lab chooses stands behind its key.
    code = "\n".join(path.read_text() for path in folder.glob("*.py"))
    chosen = {name for path in folder.glob("*.yaml") for name in re.findall(r"\{words: ([\w-]+)", path.read_text())}
    there = set(lab.exercises[0].words)
    assert named | chosen <= there
    assert [name for name in there - named - chosen if f'"{name}"' not in code] == []


def test_what_a_check_hands_over_is_filled_in() -> None:
    row = {"says": "{count} GPUs in {namespace}", "expected": "1", "next": "{reset}; -p '{{}}'"}
    exercise = Exercise(lab="01-gpu-nodes", id="x", title="", goal="", words={"two": row})
    told = words.fail(SimpleNamespace(exercise=exercise, namespace="ai-platform"), "two", count=2, credit=0.5).verdict  # type: ignore[arg-type]
    assert (told.outcome, told.headline, told.next) == (Outcome.FAILED, "2 GPUs in ai-platform", "ai-lab reset 01-gpu-nodes/x; -p '{}'")
    assert told.credit == 0.5
