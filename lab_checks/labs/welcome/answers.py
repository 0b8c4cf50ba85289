"""Lab 00-welcome: reading what a learner answered, in whatever form it was typed, and judging a sheet of answers one by one."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Seen, fail, idle


@dataclass(frozen=True)
class Wrong:
    """Why an answer does not hold: the words for it, what was looked at, what the question means, and where to look."""

    headline: str
    seen: tuple[Seen, ...] = ()
    expected: str = ""
    next: str = ""


Judge = Callable[[Any], Wrong | None]

BLANK: tuple[Any, ...] = ("", None, [], {})


def names(value: object) -> frozenset[str]:
    """Names out of a list, or out of a text with commas or blanks between them; `node/a` is a."""
    parts = value if isinstance(value, list | tuple | set | frozenset) else re.split(r"[\s,;]+", str(value))
    return frozenset(str(each).strip().rpartition("/")[2] for each in parts if str(each).strip())


def number(value: object) -> float | None:
    """The number in `4`, `"4 s"`, `"133Mi"` or `"33 %"`; None where there is none."""
    if isinstance(value, bool):
        return None
    found = re.fullmatch(r"\s*~?\s*(\d+(?:[.,]\d+)?)\s*(?:s|sec|seconds?|mib?|%|percent|gpus?)?\s*", str(value), re.I)
    return float(found.group(1).replace(",", ".")) if found else None


def percent(value: object) -> float | None:
    """`33`, `"33 %"`, `"1/3"` and `0.33` in percent; None where that is no number."""
    share = re.fullmatch(r"\s*(\d+)\s*/\s*([1-9]\d*)\s*", str(value))
    if share:
        return 100 * int(share.group(1)) / int(share.group(2))
    found = number(value)
    if found is not None and 0 < found < 1 and "%" not in str(value):
        return 100 * found
    return found


def flat(text: object) -> str:
    return re.sub(r"[^a-z0-9]+", "", str(text).lower())


def judged(ctx: Context, judges: Mapping[str, Judge], start: str) -> None:
    """Ends the check at the first answer that does not hold, or that is not there; `start` is a first command to look with."""
    given = {name: ctx.answers.get(name) for name in judges}
    there = [name for name, value in given.items() if value not in BLANK]
    if not there:
        raise idle(
            "nothing has been answered yet", expected=f"answers to {', '.join(judges)}, read off the cluster", next=start,
        )  # fmt: skip
    right = 0
    for name in there:
        wrong = judges[name](given[name])
        if wrong:
            raise fail(
                f"{name}: {wrong.headline}",
                Seen(f"answer {name}", "", str(given[name])[:120]),
                *wrong.seen,
                expected=wrong.expected,
                next=wrong.next,
                credit=0.9 * right / len(judges),
            )
        right += 1
    if missing := [name for name in judges if name not in there]:
        raise idle(
            f"{right} of {len(judges)} answers hold; not answered yet: {', '.join(missing)}",
            expected="every row of the sheet, read off the cluster",
            next=f'lab.answer("{ctx.exercise.id}", {missing[0]}=…)',
            credit=0.9 * right / len(judges),
        )
