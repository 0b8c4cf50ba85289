"""How fairly the interview is scored: answers of every class, held against the verdict that a fair interviewer would give.

The answers are data (`tests/interview/evaluation/`): strong, terse and non-native ones should pass; wrong, reversed, stuffed and dangerous ones, and an
honest "I do not know", should not. Every third answer of a class is `kept`: nobody looks at it while the scorer is tuned. Those in `blind/` are by an
author who had seen neither the points of a question nor their patterns; their wrong answers are mostly right but for one sentence.
"""

from __future__ import annotations

import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import yaml

ANSWERS = Path(__file__).resolve().parent.parent / "tests" / "interview" / "evaluation"


BLIND = ANSWERS / "blind"


@dataclass
class Row:
    """One class of answers: how many there are, how many passed, and how many of each are kept."""

    should: str = ""
    answers: int = 0
    passed: int = 0
    kept: int = 0
    kept_passed: int = 0
    milliseconds: list[float] = field(default_factory=list)


def measure(folder: Path = ANSWERS) -> dict[str, Row]:
    """Scores every answer of a folder; the rows by class, in the order of the data."""
    from lab_checks.interview import questions, rubric

    found: dict[str, Row] = defaultdict(Row)
    for path in sorted(folder.glob("*.yaml")):
        question = questions.find(path.stem)
        for answer in yaml.safe_load(path.read_text()):
            row = found[answer["class"]]
            began = time.perf_counter()
            passed = rubric.score(question, answer["text"]).passed
            row.milliseconds.append((time.perf_counter() - began) * 1000)
            row.should = answer["should"]
            row.answers += 1
            row.passed += passed
            row.kept += bool(answer.get("kept"))
            row.kept_passed += passed and bool(answer.get("kept"))
    return dict(found)


def told() -> list[str]:
    """The figures of both sets of answers, as lines of text."""
    return [
        "answers by an author who knew the points:",
        *lines(measure()),
        "answers by an author who did not (blind):",
        *lines(measure(BLIND)),
    ]


def lines(found: dict[str, Row]) -> list[str]:
    """The rows as a table, and the two figures that matter."""
    text = [f"{'class':<12}{'should':<8}{'answers':>8}{'passed':>8}{'share':>8}{'kept':>8}{'share':>8}"]
    for name, row in found.items():
        kept = f"{row.kept_passed / row.kept:>8.0%}" if row.kept else f"{'':>8}"
        text.append(f"{name:<12}{row.should:<8}{row.answers:>8}{row.passed:>8}{row.passed / row.answers:>8.0%}{row.kept:>8}{kept}")
    for should, what in (("pass", "right answers that pass"), ("refuse", "wrong, dangerous or empty answers that pass")):
        text.append(f"{what}: {share(found, should):.0%} (of those kept: {share(found, should, kept=True):.0%})")
    times = sorted(each for row in found.values() for each in row.milliseconds)
    passed = sum(row.kept_passed for row in found.values())
    right = sum(row.kept_passed for row in found.values() if row.should == "pass")
    text.append(
        f"of the kept answers that pass, right ones: {right / max(1, passed):.0%}; an answer takes {times[len(times) // 2]:.0f} ms (median)"
    )
    return text


def share(found: dict[str, Row], should: str, *, kept: bool = False) -> float:
    """The share of the answers with that verdict due that pass, from 0 to 1."""
    rows = [row for row in found.values() if row.should == should]
    if kept:
        return sum(row.kept_passed for row in rows) / max(1, sum(row.kept for row in rows))
    return sum(row.passed for row in rows) / max(1, sum(row.answers for row in rows))
