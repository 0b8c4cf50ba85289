"""The test before and after a class: ten open questions each, of the interview's bank, on the same themes, and none of them twice.

Answers are scored by the interview's rubric, without a network. Results are kept under the state folder, with the answers; what goes to an
instructor holds no answer.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from lab_checks import whole_file
from lab_checks.engine.store import StoreError
from lab_checks.interview import questions, rubric
from lab_checks.interview.questions import Question
from lab_checks.interview.rubric import Result

PRE, POST = WHICH = ("pre", "post")
# The class shares one seed unless somebody chooses another: its learners then answer the same questions.
SEED = "1"
FORMAT = 1
_DATA = Path(__file__).with_name("knowledge_test.toml")
_KEPT = ("format", "test", "seed", "at", "questions", "answers")
_ROW = {"question": str, "theme": str, "passed": bool, "points": int, "of": int, "words": int}


@cache
def themes() -> Mapping[str, int]:
    """How many questions each of the two tests asks of each area."""
    found: dict[str, int] = tomllib.loads(_DATA.read_text(encoding="utf-8"))["themes"]
    return found


def draw(which: str, seed: str) -> tuple[Question, ...]:
    """The ten questions of `which` (PRE or POST), in the order of their themes; the same ones for the same seed.

    Each question of a theme draws a number. The first are asked before, the next ones after.
    """
    found: list[Question] = []
    for theme, count in themes().items():
        drawn = sorted((each for each in questions.load() if each.area == theme), key=lambda each: _number(seed, each))
        begin = WHICH.index(which) * count
        found += drawn[begin : begin + count]
    return tuple(found)


def _number(seed: str, question: Question) -> bytes:
    return hashlib.sha256(f"knowledge test/{seed}/{question.id}".encode()).digest()


def judge(asked: tuple[Question, ...], answers: list[str]) -> tuple[Result, ...]:
    """What the answers are worth, in the order of the questions; a question without an answer is judged as unanswered."""
    given = [*answers, *[""] * len(asked)][: len(asked)]
    return tuple(rubric.score(question, answer) for question, answer in zip(asked, given, strict=True))


def record(which: str, seed: str, at: float, results: tuple[Result, ...], answers: list[str]) -> dict[str, Any]:
    """A taken test as it is kept; `at` is in seconds since the epoch."""
    rows = [
        {
            "question": each.question.id,
            "theme": each.question.area,
            "passed": each.passed,
            "points": 0 if each.copied or each.heap else len(each.found),
            "of": len(each.question.points),
            "words": each.words,
        }
        for each in results
    ]
    return {"format": FORMAT, "test": which, "seed": seed, "at": at, "questions": rows, "answers": answers}


def _path(state: Path, which: str) -> Path:
    return state / "teach" / f"test-{which}.json"


def keep(state: Path, taken: dict[str, Any]) -> Path:
    """Keeps a taken test in place of an earlier one, for this account only. Raises OSError."""
    path = _path(state, taken["test"])
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole_file.write(path, json.dumps(taken, indent=1))
    return path


def kept(state: Path, which: str) -> dict[str, Any] | None:
    """The test that was taken last; None where none was. Raises StoreError where it cannot be read."""
    path = _path(state, which)
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise StoreError(
            f"{path} cannot be read: {problem.strerror}", f"make it readable, or take the test again: ai-lab teach test {which} --again"
        ) from None
    except (ValueError, RecursionError):
        data = None
    if not _whole(data, which):
        raise StoreError(f"{path} is damaged", f"move it away, and take the test again: mv {path} {path}.old; ai-lab teach test {which}")
    return dict(data)


def _whole(data: Any, which: str) -> bool:
    return (
        isinstance(data, dict)
        and all(name in data for name in _KEPT)
        and (data["format"], data["test"]) == (FORMAT, which)
        and isinstance(data["seed"], str)
        and isinstance(data["at"], int | float)
        and isinstance(data["questions"], list)
        and all(isinstance(row, dict) and all(isinstance(row.get(name), kind) for name, kind in _ROW.items()) for row in data["questions"])
    )


def by_theme(taken: dict[str, Any]) -> dict[str, dict[str, int]]:
    """For each theme: answers that would do and how many were asked for, points named and how many there were."""
    found: dict[str, dict[str, int]] = {}
    for row in taken["questions"]:
        sums = found.setdefault(row["theme"], {"passed": 0, "questions": 0, "points": 0, "of": 0})
        sums["passed"] += row["passed"]
        sums["questions"] += 1
        sums["points"] += row["points"]
        sums["of"] += row["of"]
    return found


def total(taken: dict[str, Any]) -> dict[str, int]:
    """The same over all themes."""
    rows = by_theme(taken).values()
    return {name: sum(row[name] for row in rows) for name in ("passed", "questions", "points", "of")}


def share(sums: dict[str, int]) -> float:
    """The named share of the points, from 0 to 1."""
    return sums["points"] / sums["of"] if sums["of"] else 0.0


def comparable(pre: dict[str, Any] | None, post: dict[str, Any] | None) -> bool:
    """Whether both were taken, of one seed: with two seeds a question may have been asked twice."""
    return pre is not None and post is not None and pre["seed"] == post["seed"]


def exported(learner: str, pre: dict[str, Any] | None, post: dict[str, Any] | None) -> dict[str, Any]:
    """What an instructor gets: both tests without their answers, by theme and in all. `gain` is the change of the named share of points, from -1 to 1."""
    tests = {name: taken and _without_answers(taken) for name, taken in ((PRE, pre), (POST, post))}
    gain = round(share(total(post)) - share(total(pre)), 3) if pre and post and comparable(pre, post) else None
    return {"format": FORMAT, "learner": learner, **tests, "comparable": comparable(pre, post), "gain": gain}


def _without_answers(taken: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in taken.items() if name not in ("format", "answers")} | {
        "themes": by_theme(taken),
        "total": total(taken),
    }
