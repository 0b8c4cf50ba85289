"""What an instructor reads off the reports of many machines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kubeobjects import Object
from lab_checks.engine.session import Session
from lab_checks.face import classroom


def row(exercise: str, *, passed: bool = False, started: float | None = 100.0, last: float | None = None, **failures: int) -> Object:
    return {
        "exercise": exercise, "passed": passed, "checks": sum(failures.values()) + passed, "hints": 0, "started": started, "last_check": last,
        "failures": [{"headline": headline, "times": times} for headline, times in failures.items()],
    }  # fmt: skip


def report(learner: str, *rows: Object) -> Object:
    return {"learner": learner, "exercises": list(rows)}


def test_the_common_wrong_way_is_the_one_that_most_learners_met_and_not_the_one_tried_most() -> None:
    reports = [
        report("ann", row("03/taint", untainted=9, scaled=1)),
        report("ben", row("03/taint", scaled=1)),
        report("eve", row("03/taint", passed=True, scaled=2)),
    ]
    (found,) = classroom.by_exercise(reports)
    assert (found.common, found.common_learners) == ("scaled", 3)
    assert (found.passed, found.begun) == (1, 3)


def test_who_is_stuck_longest_comes_first_and_who_never_began_is_not_stuck() -> None:
    reports = [
        report("ann", row("03/taint", started=300.0)),
        report("ben", row("03/taint", started=200.0)),
        report("eve", row("03/taint", started=None)),
    ]
    (found,) = classroom.by_exercise(reports)
    assert [each.learner for each in found.stuck] == ["ben", "ann"]
    assert found.begun == 2


def test_a_learner_works_on_what_was_checked_last() -> None:
    mine = report(
        "ann", row("a", passed=True), row("b", started=500.0, last=510.0), row("c", started=505.0, last=900.0), row("d", started=None)
    )
    (found,) = classroom.by_learner([mine])
    assert (found.passed, found.of, found.at) == (1, 4, "c")


def test_reports_are_read_from_a_folder(tmp_path: Path) -> None:
    (tmp_path / "ann.json").write_text(json.dumps({"exercises": [row("a")]}))
    (tmp_path / "ben.json").write_text(json.dumps(report("ben@desk", row("a", passed=True))))
    reports, problems = classroom.read_all([tmp_path])
    assert [each["learner"] for each in reports] == ["ann", "ben@desk"]
    assert problems == []


def test_machines_of_one_image_are_told_apart_by_their_files(tmp_path: Path) -> None:
    for name in ("desk1", "desk2"):
        (tmp_path / f"{name}.json").write_text(json.dumps(report("lab@image", row("a"))))
    assert [each["learner"] for each in classroom.read_all([tmp_path])[0]] == ["lab@image (desk1)", "lab@image (desk2)"]


BAD = {
    "garbage": (b"# README", "not JSON"),
    "empty": (b"", "empty"),
    "list": (b"[]", "no report"),
    "object": (b"{}", "no report"),
    "null": (b'{"exercises": null}', "no report"),
    "rows": (b'{"exercises": [7]}', "exercise 1"),
    "fields": (b'{"exercises": [{"exercise": "a", "passed": "yes"}]}', "passed"),
    "binary": (bytes(range(128, 256)) * 9, "not text"),
    "deep": (b"[" * 100_000, "not JSON"),
    "later": (json.dumps({"format": 99, "exercises": []}).encode(), "another version"),
}


@pytest.mark.parametrize("kind", BAD)
def test_what_is_no_report_is_refused_by_name_with_the_reason(kind: str, tmp_path: Path) -> None:
    raw, reason = BAD[kind]
    path = tmp_path / "notes.json"
    path.write_bytes(raw)
    with pytest.raises(classroom.NotAReport, match=r"notes\.json.*ai-lab check --all --json") as refused:
        classroom.read(path)
    assert reason in str(refused.value)


def test_bad_files_do_not_end_the_report_of_the_good_ones(tmp_path: Path) -> None:
    (tmp_path / "ann.json").write_text(json.dumps(report("ann", row("a", passed=True))))
    (tmp_path / "folder.json").mkdir()
    (tmp_path / "gone.json").symlink_to(tmp_path / "nowhere")
    for kind, (raw, _) in BAD.items():
        (tmp_path / f"{kind}.json").write_bytes(raw)
    reports, problems = classroom.read_all([tmp_path])
    assert [each["learner"] for each in reports] == ["ann"]
    assert len(problems) == len(BAD) + 2


def test_a_folder_without_reports_says_how_one_is_made(tmp_path: Path) -> None:
    reports, problems = classroom.read_all([tmp_path])
    assert reports == []
    assert "ai-lab check --all --json" in str(problems[0])


def test_what_a_verdict_quotes_of_the_cluster_is_masked_in_the_report(tmp_path: Path) -> None:
    session = Session(tmp_path)
    key = next(exercise.key for exercise, _ in session.standings())
    session.progress.record(key, 1, "failed", "the probe of 10.244.1.7 is refused: password=zebra-Stripes-7", 0)
    failures = next(row for row in classroom.machine(session)["exercises"] if row["exercise"] == key)["failures"]
    assert failures == [{"headline": "the probe of <address-1> is refused: password=<secret-1>", "times": 1}]
