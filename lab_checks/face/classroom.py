"""For instructors: one machine's standing as JSON, and many of them read together.

`machine(session)` goes out (`ai-lab check --all --json`), a list of such reports comes in, and `summary` says who is stuck where, since when, and which
wrong way is the common one. Nothing here looks at a cluster.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from kubeobjects import Object
from lab_checks.classroom.report import rows_of, wrong
from lab_checks.classroom.summary import by_exercise, by_learner
from lab_checks.engine import course, learner

if TYPE_CHECKING:
    from lab_checks.engine.course import Lab
    from lab_checks.engine.session import Session


# Rises when a report of this version says something that an earlier one cannot read.
FORMAT = 1
_MADE = "a report is what `ai-lab check --all --json` prints"


class NotAReport(ValueError):
    """A file that holds no report; the message names it, with the reason."""


def rows(session: Session, lab: Lab | None = None) -> list[Object]:
    """Every exercise of the course, or of one lab, and how it stands with this learner."""
    return rows_of(session.progress, lab.exercises if lab is not None else course.load().exercises)


def machine(session: Session) -> Object:
    """This machine's report: who (see `learner`), when, and every exercise; times are seconds since the epoch.

    What verdicts quote of the cluster is masked, as it is for an assistant; the learner's own name is what the report is for.
    """
    found = rows(session)
    return {
        "format": FORMAT,
        "learner": learner.name(session.state),
        "machine": learner.account(),
        "at": time.time(),
        "exercises": found,
        "passed": sum(row["passed"] for row in found),
        "of": len(found),
    }


def read_all(places: Iterable[Path]) -> tuple[list[Object], list[NotAReport]]:
    """The reports of these files, and of every .json file in these folders; and what could not be read, each with its reason.

    Learners of the same name are told apart by their files' names.
    """
    found: list[tuple[Path, Object]] = []
    problems = []
    for place in places:
        try:
            for path in _files(place):
                try:
                    if path != place and path.is_fifo():
                        raise NotAReport(f"{path}: it is no file; {_MADE}")
                    found.append((path, read(path)))
                except NotAReport as problem:
                    problems.append(problem)
        except NotAReport as problem:
            problems.append(problem)
    names = Counter(report["learner"] for _, report in found)
    for path, report in found:
        if names[report["learner"]] > 1:
            report["learner"] += f" ({path.stem})"
    return [report for _, report in found], problems


def _files(place: Path) -> list[Path]:
    """The file itself, or a folder's .json files in order. Raises NotAReport where there are none."""
    try:
        if not place.is_dir():
            return [place]
        files = sorted(path for path in place.iterdir() if path.suffix == ".json")
    except OSError as problem:
        raise NotAReport(f"{place}: {problem.strerror}") from None
    if not files:
        raise NotAReport(f"{place} holds no .json file; each learner's machine makes one: ai-lab check --all --json > NAME.json")
    return files


def read(path: Path) -> Object:
    """The report in a file. Raises NotAReport."""
    try:
        if path.is_dir():
            raise NotAReport(f"{path}: it is a folder; {_MADE}")
        raw = path.read_bytes()
    except OSError as problem:
        raise NotAReport(f"{path}: {problem.strerror}; {_MADE}") from None
    try:
        return _report(raw, path.stem)
    except NotAReport as problem:
        raise NotAReport(f"{path}: {problem}; {_MADE}") from None


def _report(raw: bytes, stem: str) -> Object:
    if not raw.strip():
        raise NotAReport("it is empty")
    try:
        data = json.loads(raw)
    except UnicodeDecodeError:
        raise NotAReport("it is not text") from None
    except json.JSONDecodeError as problem:
        raise NotAReport(f"it is not JSON (line {problem.lineno}: {problem.msg})") from None
    except (ValueError, RecursionError):
        raise NotAReport("it is not JSON") from None
    if not isinstance(data, dict) or not isinstance(data.get("exercises"), list):
        raise NotAReport("it is JSON, and no report")
    if data.get("format", FORMAT) != FORMAT:
        raise NotAReport(f"another version of ai-lab made it (format {data['format']!s:.20}; this one reads {FORMAT})")
    for number, row in enumerate(data["exercises"], 1):
        missing = wrong(row)
        if missing:
            raise NotAReport(
                f"exercise {number} of it has no {missing} that can be read: it is no report, or another version of ai-lab made it"
            )
    name = data.get("learner", stem)
    # A report comes from a learner's machine: what it says is shown on one line, and no longer than a name.
    return {**data, "learner": learner.plain(name if isinstance(name, str) else "") or stem}


def to_json(reports: list[Object]) -> Object:
    return {
        "exercises": [asdict(each) for each in by_exercise(reports)],
        "learners": [asdict(each) for each in by_learner(reports)],
    }
