"""How cells write labels, lists and ages."""

from __future__ import annotations

from datetime import datetime

from clusters.embedded.apiserver.tables import durations
from kubeobjects import Object, selectors

_SHOWN = 3


def age(obj: Object, now: datetime) -> str:
    return durations.since(obj["metadata"].get("creationTimestamp"), now)


def label_map(labels: dict[str, str] | None) -> str:
    return ",".join(f"{key}={value}" for key, value in sorted((labels or {}).items())) or "<none>"


def label_selector(selector: Object | None) -> str:
    """metav1.FormatLabelSelector."""
    return selectors.text_of(selector) or "<none>"


def clipped(items: list[str], total: int | None = None) -> str:
    """The first three, and how many more there are; empty for none."""
    count = len(items) if total is None else total
    shown = ",".join(items[:_SHOWN])
    return f"{shown} + {count - _SHOWN} more..." if count > _SHOWN else shown
