"""The summary of a piece of log: lines and their kinds in, a few sentences out. What is said of each kind is in `advice.toml`."""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

_ADVICE: dict[str, dict[str, str]] = tomllib.loads(Path(__file__).with_name("advice.toml").read_text())
_CLOCK = re.compile(r"\b(\d{2}:\d{2}:\d{2})\b")
_QUOTE = 120


@dataclass(frozen=True)
class Labelled:
    """A line with its kind and how sure that is (0 to 1)."""

    line: str
    kind: str
    score: float


def counts(lines: Sequence[Labelled]) -> dict[str, int]:
    """How many lines of each kind, most first."""
    return dict(Counter(each.kind for each in lines).most_common())


def summarise(lines: Sequence[Labelled]) -> str:
    """What happened, what to look at first, and a line that shows it."""
    return " ".join(_sentences(lines))


def _sentences(lines: Sequence[Labelled]) -> Iterator[str]:
    times = [clock[1] for each in lines if (clock := _CLOCK.search(each.line))]
    span = f" between {times[0]} and {times[-1]}" if len(times) > 1 and times[0] != times[-1] else f" at {times[0]}" if times else ""
    yield f"{len(lines)} log line{'s' if len(lines) != 1 else ''}{span}."
    found = counts(lines)
    problems = {kind: count for kind, count in found.items() if kind != "routine"}
    if not problems:
        yield "All of it is routine: nothing here asks for action."
        return
    worst = next(iter(problems))
    yield f"Most of what is wrong is {_ADVICE[worst]['about']} ({problems[worst]} line{'s' if problems[worst] != 1 else ''})."
    clearest = max((each for each in lines if each.kind == worst), key=lambda each: each.score)
    quoted = clearest.line.strip()
    yield f'Clearest line: "{quoted if len(quoted) <= _QUOTE else quoted[: _QUOTE - 1] + "…"}".'
    others = [f"{_ADVICE[kind]['about']} ({count})" for kind, count in problems.items() if kind != worst]
    if others:
        yield f"Also seen: {', '.join(others)}."
    yield _ADVICE[worst]["next"]


def tokens(text: str) -> list[str]:
    """The pieces in which a summary is streamed: words with the space before them."""
    return re.findall(r"\s*\S+", text)
