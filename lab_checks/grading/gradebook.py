"""What graded submissions are worth, and the files that say so: JSON, CSV, JUnit XML, and the columns of nbgrader's and LTI's gradebooks."""

from __future__ import annotations

import csv
import io
import json
import tomllib
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kubeobjects import meta
from lab_checks import spreadsheet, whole_file
from lab_checks.engine.course import Course, Exercise, Lab, UnknownName
from lab_checks.grading.rooms import NOT_REACHED, Graded, Marked

FORMAT = 1
NAMES = ("results.json", "results.csv", "junit.xml", "nbgrader.csv", "lti.csv")
# nbgrader.plugins.export.CsvExportPlugin
NBGRADER = (
    "assignment", "duedate", "timestamp", "student_id", "last_name", "first_name", "email", "raw_score", "late_submission_penalty", "score", "max_score",
)  # fmt: skip
# The members of a Score in LTI's Assignment and Grade Services 2.0, and the line item that it is posted to.
LTI = ("lineItem", "userId", "scoreGiven", "scoreMaximum", "activityProgress", "gradingProgress", "timestamp", "comment")


class BadWeights(ValueError):
    """A file of weights that cannot be used; the message says why."""


@dataclass(frozen=True)
class Weights:
    """What an exercise weighs: its own weight, else its lab's, else `default`. With `partial`, what is solved in part earns that part."""

    own: Mapping[str, float] = field(default_factory=dict)
    default: float = 1.0
    partial: bool = False

    def of(self, exercise: Exercise) -> float:
        return self.own.get(exercise.key, self.own.get(exercise.lab, self.default))

    def points(self, mark: Marked) -> float:
        earned = 1.0 if mark.passed else mark.credit if self.partial else 0.0
        return round(self.of(mark.exercise) * min(1.0, max(0.0, earned)), 4)

    def most(self, lab: Lab) -> float:
        return round(sum(self.of(each) for each in lab.exercises), 4)


def weights(path: Path, course: Course, partial: bool) -> Weights:
    """The weights in a TOML file: `default = 1`, and a table `[weights]` of labs and exercises. Raises BadWeights."""
    try:
        told = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise BadWeights(f"{path}: {problem.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise BadWeights(f"{path}: {problem}") from None
    own: dict[str, float] = {}
    rows = told.get("weights", {})
    if strange := sorted(told.keys() - {"weights", "default"}):
        raise BadWeights(f'{path}: there is no "{strange[0]}"; there are default and [weights]')
    if not isinstance(rows, dict):
        raise BadWeights(f"{path}: weights is a table of labs and exercises")
    for name, value in (*rows.items(), ("default", told.get("default", 1))):
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
            raise BadWeights(f'{path}: "{name}" weighs {value!r}; a weight is a number from 0 on')
    for name, value in rows.items():
        try:
            lab, exercise = course.find(name)
        except UnknownName as problem:
            raise BadWeights(f"{path}: {problem}") from None
        own[exercise.key if exercise else lab.id] = float(value)
    return Weights(own, float(told.get("default", 1)), partial)


def score(graded: Graded, weights: Weights) -> tuple[float, float]:
    """(points, the most there are)."""
    lab = graded.submission.lab
    return round(sum(weights.points(each) for each in graded.marks), 4), weights.most(lab) if lab else 0.0


def told(graded: Graded) -> str:
    """How a run ended, for people."""
    if graded.ended:
        return f"{graded.ended}: {graded.words}"
    return f"all {graded.cells} cells ran" + (f", {len(graded.errors)} failed" if graded.errors else "")


def to_json(found: Sequence[Graded], weights: Weights, at: float, isolation: str) -> dict[str, Any]:
    """Everything; `isolation` says what kept submissions apart. Times are in seconds."""
    rows = []
    for each in found:
        points, most = score(each, weights)
        rows.append(
            {
                "learner": each.submission.learner,
                "file": each.submission.path.name,
                "lab": each.submission.lab.id if each.submission.lab else None,
                "ended": each.ended or None,
                "words": told(each),
                "seconds": each.seconds,
                "cells": each.cells,
                "ran": each.ran,
                "failed_cells": list(each.errors),
                "points": points,
                "of": most,
                "exercises": [
                    {
                        "exercise": mark.exercise.key,
                        "verdict": mark.outcome,
                        "headline": mark.headline,
                        "weight": weights.of(mark.exercise),
                        "points": weights.points(mark),
                        "credit": mark.credit,
                        "hints": mark.hints,
                    }
                    for mark in each.marks
                ],
            }
        )
    return {"format": FORMAT, "graded_at": meta.format_seconds(at), "isolation": isolation, "submissions": rows}


def _cell(value: Any) -> Any:
    return spreadsheet.text(value) if isinstance(value, str) else value


def _csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    said = io.StringIO()
    writer = csv.writer(said, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([[_cell(value) for value in row] for row in rows])
    return said.getvalue()


def to_csv(found: Sequence[Graded], weights: Weights) -> str:
    """A row for each submission and exercise."""
    head = ("learner", "lab", "exercise", "verdict", "points", "weight", "hints", "headline", "run")
    rows = [
        (
            each.submission.learner,
            mark.exercise.lab,
            mark.exercise.id,
            mark.outcome,
            weights.points(mark),
            weights.of(mark.exercise),
            mark.hints,
            mark.headline,
            told(each),
        )
        for each in found
        for mark in each.marks
    ]
    return _csv(head, rows)


def to_nbgrader(found: Sequence[Graded], weights: Weights) -> str:
    """The columns that `nbgrader export` writes, a row for each submission: the lab is the assignment, the learner the student.

    The time is when the file was changed last, in UTC.
    """
    rows = []
    for each in found:
        if each.submission.lab is not None:
            points, most = score(each, weights)
            changed = each.submission.changed
            handed_in = meta.format_seconds(changed).replace("T", " ").removesuffix("Z") if changed else ""
            rows.append((each.submission.lab.id, "", handed_in, each.submission.learner, "", "", "", points, 0.0, points, most))
    return _csv(NBGRADER, rows)


def to_lti(found: Sequence[Graded], weights: Weights, at: float) -> str:
    """The members of a Score (LTI Assignment and Grade Services), a row for each submission."""
    rows = []
    for each in found:
        if each.submission.lab is not None:
            points, most = score(each, weights)
            passed = sum(mark.passed for mark in each.marks)
            comment = f"{passed} of {len(each.marks)} exercises passed; {told(each)}"
            # One whose run was ended early was graded as far as it came; a person looks at it.
            progress = "PendingManual" if each.ended else "FullyGraded"
            rows.append(
                (each.submission.lab.id, each.submission.learner, points, most, "Submitted", progress, meta.format_seconds(at), comment)
            )
    return _csv(LTI, rows)


def _plain(text: str) -> str:
    """Text that XML 1.0 can hold."""
    return "".join(
        each if each in "\t\n" or " " <= each <= "\ud7ff" or "\ue000" <= each <= "\ufffd" or each > "\uffff" else "?" for each in text
    )


def to_junit(found: Sequence[Graded], weights: Weights) -> str:
    """JUnit XML: a suite for each submission, a case for each exercise. What was not reached is skipped; a run that was ended is an error of its own."""
    root = ET.Element("testsuites", name="ai-lab grade")
    for each in found:
        cases = [*each.marks]
        ended = bool(each.ended)
        suite = ET.SubElement(
            root,
            "testsuite",
            name=_plain(f"{each.submission.learner}: {each.submission.lab.id if each.submission.lab else each.submission.path.name}"),
            tests=str(len(cases) + ended),
            failures=str(sum(not mark.passed and mark.outcome != NOT_REACHED for mark in cases)),
            errors=str(int(ended)),
            skipped=str(sum(mark.outcome == NOT_REACHED for mark in cases)),
            time=str(each.seconds),
        )
        for mark in cases:
            case = ET.SubElement(
                suite, "testcase", classname=_plain(f"{each.submission.learner}.{mark.exercise.lab}"), name=mark.exercise.id
            )
            if mark.outcome == NOT_REACHED:
                ET.SubElement(case, "skipped", message=_plain(mark.headline))
            elif not mark.passed:
                failure = ET.SubElement(case, "failure", type=mark.outcome, message=_plain(mark.headline))
                failure.text = f"{weights.points(mark):g} of {weights.of(mark.exercise):g} points"
        if ended:
            case = ET.SubElement(suite, "testcase", classname=_plain(each.submission.learner), name="the run")
            ET.SubElement(case, "error", type=each.ended, message=_plain(each.words))
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def write(folder: Path, found: Sequence[Graded], weights: Weights, at: float, isolation: str) -> None:
    """All five files, for the instructor only. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = (
        json.dumps(to_json(found, weights, at, isolation), indent=1) + "\n",
        to_csv(found, weights),
        to_junit(found, weights),
        to_nbgrader(found, weights),
        to_lti(found, weights, at),
    )
    for name, text in zip(NAMES, texts, strict=True):
        whole_file.write(folder / name, text)
