"""What a learner's machine tells: the standing, and nothing that the learner wrote or the cluster printed besides."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from lab_checks.classroom import report
from lab_checks.engine import course
from lab_checks.engine.progress import Progress
from tests.classroom.served import row, told

EXERCISE = "03-pending/moved-in"


def test_answers_diagnoses_and_the_cluster_are_never_told(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    progress.start(EXERCISE, 1, "uid-of-a-cluster", {"objects": {"secret/db": "zebra-in-the-baseline"}})
    progress.answer(EXERCISE, reason="zebra-in-an-answer", diagnosis={"cause": "zebra-in-a-cause", "evidence": "zebra-in-evidence"})
    progress.record(EXERCISE, 1, "failed", "the probe of 10.244.1.7 is refused: password=zebra-Stripes-7", 0)
    progress.hint(EXERCISE)
    found = report.of(tmp_path, "Mira")
    text = json.dumps(found)
    assert "zebra" not in text
    assert "uid-of-a-cluster" not in text
    (only,) = found["exercises"]
    assert only["headline"] == "the probe of <address-1> is refused: password=<secret-1>"
    assert (only["state"], only["hints"], only["checks"]) == ("failed", 1, 1)


def test_a_report_is_the_whole_standing_and_the_class_takes_it_as_it_is(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    keys = [each.key for each in course.load().exercises[:3]]
    for key in keys:
        progress.start(key, 1, "", {})
    progress.record(keys[0], 1, "passed", "all is well", 1)
    found = report.of(tmp_path, "Mira")
    assert [each["exercise"] for each in found["exercises"]] == keys
    assert found["of"] == len(course.load().exercises)
    assert report.checked(json.loads(json.dumps(found))) == found


def test_what_was_said_of_an_earlier_start_is_not_told_of_a_new_one(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    progress.start(EXERCISE, 1, "", {})
    progress.record(EXERCISE, 1, "failed", "the taint is gone", 0)
    progress.start(EXERCISE, 1, "", {})
    (only,) = report.of(tmp_path, "Mira")["exercises"]
    assert (only["state"], only["headline"]) == ("started", "")
    assert [each["headline"] for each in only["failures"]] == ["the taint is gone"]


def test_a_report_stays_within_what_a_class_takes(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    progress.start(EXERCISE, 1, "", {})
    for number in range(report.MOST_FAILURES * 3):
        progress.record(EXERCISE, 1, "failed", f"{number} " + "is not what was expected " * 100, 0)
    (only,) = report.checked(report.of(tmp_path, "Mira"))["exercises"]
    assert len(only["failures"]) == report.MOST_FAILURES
    assert {len(each["headline"]) for each in only["failures"]} == {report.LONGEST}
    assert len(only["headline"]) == report.LONGEST


BAD: dict[str, tuple[Any, str]] = {
    "list": ([], "no report"),
    "empty": ({}, "no report"),
    "no time": ({**told("Mira"), "at": None}, "no time"),
    "not a number": ({**told("Mira"), "at": float("nan")}, "no time"),
    "no name": (told(""), "needs a name"),
    "blank name": (told(" \u200b\n"), "needs a name"),
    "long name": (told("M" * 81), "at most 80 characters"),
    "row": (told("Mira", 7), "exercise 1 of the report has no row"),
    "passed": (told("Mira", row("a"), {**row("b"), "passed": "yes"}), "exercise 2 of the report has no passed"),
    "started": (told("Mira", row("a", started="long ago")), "no started"),
    "last_start": (told("Mira", row("a", last_start=[])), "no last_start"),
    "half a check": (told("Mira", row("a", checks=0.5)), "no checks"),
    "failures": (told("Mira", row("a", failures=[{"headline": 7}])), "no failures"),
    "too many": (told("Mira", *(row(f"a{number}") for number in range(report.MOST_EXERCISES + 1))), "at most 200"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_report_is_refused_with_the_reason(kind: str) -> None:
    body, reason = BAD[kind]
    with pytest.raises(ValueError, match=reason):
        report.checked(body)


def test_nothing_but_a_report_is_kept_of_what_was_sent() -> None:
    found = report.checked(told("  Mira\tKern ", row("a", "one\r\nline\x07", notes="x", kubeconfig="y")) | {"environment": "z"})
    assert found["name"] == "Mira Kern"
    assert found["exercises"][0]["headline"] == "one line"
    assert found == report.checked(found)
    assert not {"notes", "kubeconfig", "environment"} & {*found, *found["exercises"][0]}
