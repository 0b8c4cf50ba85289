"""What a check of the Pod Security Standards found, and how the containers that it is about are named."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kubeobjects import Object


@dataclass(frozen=True)
class Finding:
    """`reason` names the check in a few words; `detail` names what broke it and how, or is empty."""

    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.reason} ({self.detail})" if self.detail else self.reason


def containers(spec: Object) -> list[Object]:
    """Every container of a Pod: those that set it up, its own, those added to look at it."""
    return [*(spec.get("initContainers") or []), *(spec.get("containers") or []), *(spec.get("ephemeralContainers") or [])]


def security(holder: Object) -> Object:
    """The securityContext of a Pod's spec or of a container; empty where it has none."""
    found: Object = holder.get("securityContext") or {}
    return found


def quoted(items: Iterable[str]) -> str:
    return ", ".join(f'"{item}"' for item in items)


def counted(one: str, many: str, items: Sequence[Any]) -> str:
    """The word for so many things."""
    return one if len(items) == 1 else many


def named(names: Sequence[str], what: str = "container") -> str:
    """`container "a"`, `containers "a", "b"`."""
    return f"{counted(what, what + 's', names)} {quoted(names)}"


def setters(spec: Object, pod_is_bad: bool, bad: Sequence[str]) -> str:
    """Who set it: `pod`, `container "a"`, `pod and containers "a", "b"`."""
    return " and ".join((["pod"] if pod_is_bad else []) + ([named(bad)] if bad else []))


def where(spec: Object, is_bad: Callable[[Object], bool]) -> list[str]:
    """The names of the containers that are bad."""
    return [container["name"] for container in containers(spec) if is_bad(container)]


def in_user_namespace(spec: Object) -> bool:
    return spec.get("hostUsers") is False
