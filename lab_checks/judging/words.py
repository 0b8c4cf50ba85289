"""What a lab's own checks say: the words are in its `lab.toml`, and a check names them.

    [words.two-gpus]
    says = "the Pod asks for {count} GPUs and uses one"
    expected = "1: a device that is held and not used is a device that nobody else gets"
    next = "set the limit to 1"

    raise words.fail(ctx, "two-gpus", see(pod, "limits", count), count=count)

`{namespace}`, `{exercise}` (its id) and `{reset}` (the command) are filled in beside what the check hands over; a brace that is meant is written twice.
"""

from __future__ import annotations

from collections.abc import Callable

from lab_checks.engine import verdict
from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Seen, Stop


def fail(ctx: Context, name: str, /, *seen: Seen, credit: float = 0.0, **fill: object) -> Stop:
    """`raise words.fail(…)` ends the check as failed. Raises KeyError for a name that the lab does not have."""
    return _told(verdict.fail, ctx, name, seen, credit, fill)


def wait(ctx: Context, name: str, /, *seen: Seen, credit: float = 0.0, **fill: object) -> Stop:
    """`raise words.wait(…)` ends the check as not yet: the cluster is still moving. Raises KeyError."""
    return _told(verdict.wait, ctx, name, seen, credit, fill)


def idle(ctx: Context, name: str, /, *seen: Seen, credit: float = 0.0, **fill: object) -> Stop:
    """`raise words.idle(…)` ends the check as not yet: nothing was done, and waiting changes nothing. Raises KeyError."""
    return _told(verdict.idle, ctx, name, seen, credit, fill)


def _told(end: Callable[..., Stop], ctx: Context, name: str, seen: tuple[Seen, ...], credit: float, fill: dict[str, object]) -> Stop:
    row = ctx.exercise.words[name]
    known = {"namespace": ctx.namespace, "exercise": ctx.exercise.id, "reset": f"ai-lab reset {ctx.exercise.key}", **fill}
    says, expected, then = (row.get(key, "").format_map(known) for key in ("says", "expected", "next"))
    return end(says, *seen, expected=expected, next=then, credit=credit)
