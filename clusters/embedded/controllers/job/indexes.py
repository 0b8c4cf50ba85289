"""Completion indexes of Indexed Jobs: `0-2,5` in a status, sets of numbers here."""

from __future__ import annotations

from collections.abc import Iterable

from clusters.embedded.client import Object

ANNOTATION = "batch.kubernetes.io/job-completion-index"


def parse(text: str | None) -> set[int]:
    found: set[int] = set()
    for part in (text or "").split(","):
        first, _, last = part.partition("-")
        if first:
            found.update(range(int(first), int(last or first) + 1))
    return found


def render(indexes: Iterable[int]) -> str:
    """The shortest form: runs of three or more, and pairs too, are written as ranges when they are consecutive."""
    runs: list[list[int]] = []
    for each in sorted(indexes):
        if runs and each == runs[-1][1] + 1:
            runs[-1][1] = each
        else:
            runs.append([each, each])
    parts = []
    for first, last in runs:
        if first == last:
            parts.append(str(first))
        elif last == first + 1:
            parts += [str(first), str(last)]
        else:
            parts.append(f"{first}-{last}")
    return ",".join(parts)


def index_of(pod: Object) -> int | None:
    try:
        return int((pod["metadata"].get("annotations") or {})[ANNOTATION])
    except (KeyError, ValueError):
        return None


def is_indexed(job: Object) -> bool:
    return job["spec"].get("completionMode") == "Indexed"
