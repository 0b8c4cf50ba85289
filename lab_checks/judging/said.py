"""What programs in Pods say of themselves in forms that several labs read: metrics in Prometheus' text format, the load generator's lines.

The format of metrics is described at https://prometheus.io/docs/instrumenting/exposition_formats/.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from kubeobjects import Object
from lab_checks.engine.observe import moment

MIB = 2**20
_SAMPLE = re.compile(r"^([A-Za-z_:][\w:]*)(?:\{(.*)\})? (\S+)$", re.M)
_LABEL = re.compile(r'(\w+)="([^"]*)"')


def samples(page: str, name: str = "") -> list[tuple[dict[str, str], float]]:
    """(labels, value) of each sample on a page of metrics that has this name."""
    return [(dict(_LABEL.findall(labels)), float(value)) for found, labels, value in _SAMPLE.findall(page) if found == name]


def total(page: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that carry these labels; 0 where there is none."""
    return sum(value for have, value in samples(page, name) if labels.items() <= have.items())


def resident_mib(page: str) -> float:
    """What a program has in memory now, in MiB; 0 where its page does not tell."""
    return total(page, "process_resident_memory_bytes") / MIB


def peak_mib(page: str) -> float:
    """The most that a program ever had in memory, in MiB; 0 where its page does not tell."""
    return total(page, "process_peak_resident_memory_bytes") / MIB


def counted(log: str) -> Iterator[tuple[str, dict[str, int], Object]]:
    """(timestamp, how often which outcome, the row) of each second that a load generator's log tells of; its other lines are left out.

    The timestamp is what `kubectl logs --timestamps` puts before a line, empty where there is none.
    """
    for line in log.splitlines():
        stamp, brace, text = line.partition("{")
        try:
            row = json.loads(brace + text)
            outcomes = {str(name): int(count) for name, count in row.get("outcomes", {}).items()}
        except (ValueError, TypeError, AttributeError):
            continue
        if "at" in row or outcomes:
            yield stamp.strip(), outcomes, row


@dataclass(frozen=True)
class Second:
    """What came back in the second that ended at `until` (seconds since the epoch): answers by status or failure, good answers by model version."""

    until: float
    ok: int
    outcomes: dict[str, int] = field(default_factory=dict)
    models: dict[str, int] = field(default_factory=dict)

    @property
    def errors(self) -> int:
        return sum(self.outcomes.values()) - self.ok

    @property
    def silent(self) -> bool:
        """Whether requests ended in this second and none of them well."""
        return not self.ok and self.errors > 0


def seconds(log: str) -> list[Second]:
    """The seconds in a load generator's log that was read with timestamps; what is no line of a second is left out."""
    found = []
    for stamp, outcomes, row in counted(log):
        try:
            found.append(Second(moment(stamp), int(row["ok"]), outcomes, dict(row.get("models") or {})))
        except (ValueError, KeyError, TypeError):
            continue
    return found
