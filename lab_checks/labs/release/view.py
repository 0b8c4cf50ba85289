"""Lab 08-release: a picture from the learner's own cluster: which version answered clients, and when requests failed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_checks.engine import observe
from lab_checks.face import pictures
from lab_checks.judging.said import Second, seconds
from lab_checks.labs.release import clients

if TYPE_CHECKING:
    from lab_checks.engine.api import Api

Span = tuple[str, float, float, str]
_COLOURS = {"v1": pictures.BLUE, "v2": pictures.GREEN, "v3": pictures.ORANGE}
_FAILED = "some failed"
# Seconds without an answer of a version after which it counts as gone.
_PAUSE = 2.5


def spans(rows: list[Second]) -> list[Span]:
    """From when to when each version answered, and requests failed: seconds since the first row, in the order in which they began."""
    found: list[Span] = []
    for row in rows:
        at = row.until - rows[0].until
        seen = [name for name, count in row.models.items() if count] + [_FAILED] * bool(row.errors)
        for name in seen:
            number = next((place for place, each in enumerate(found) if each[0] == name and at - each[2] <= _PAUSE), None)
            if number is None:
                found.append((name, max(0.0, at - 1), at, _COLOURS.get(name, pictures.RED if name == _FAILED else pictures.GREY)))
            else:
                found[number] = (name, found[number][1], at, found[number][3])
    return found


def show_answers(api: Api, namespace: str = "ai-platform") -> None:
    """Draws which version answered the clients, and when requests of theirs failed."""
    pods = [pod for pod in api.list("pods", namespace, labels=f"app={clients.CLIENT}") if observe.is_ready(pod)]
    rows = seconds(api.log(pods[0], timestamps=True)) if pods else []
    found = spans(rows)
    if not found:
        print(f"{clients.CLIENT} has not counted anything yet: start an exercise first")
        return
    for name, since, until, _colour in found:
        print(f"{name:<12}{since:5.0f} s to {until:.0f} s")
    _show(pictures.timeline("What the on-call tooling got", found))


def _show(html: str) -> None:
    from IPython.display import display
    from ipywidgets import HTML

    display(HTML(html))  # type: ignore[no-untyped-call]
