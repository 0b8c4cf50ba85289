"""Metrics in Prometheus' text form (version 0.0.4), as client_golang writes them: families by name, a help and a type line each. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True)
class Family:
    """One metric: `samples` are (labels, value); with `moment`, in milliseconds since 1970, when they were taken."""

    name: str
    kind: str
    about: str
    samples: tuple[tuple[Mapping[str, str], float], ...]
    moment: int | None = None


def _number(value: float) -> str:
    """As Go's strconv writes a float64 in its shortest form."""
    if abs(value) < 1e6:
        return str(int(value)) if value == int(value) else repr(value)
    shortest = next(text for digits in range(18) if float(text := f"{value:.{digits}e}") == value)
    mantissa, _, exponent = shortest.partition("e")
    return f"{mantissa}e{exponent[0]}{int(exponent[1:]):02d}"


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


def render(families: Iterable[Family]) -> bytes:
    """The page. A family without samples is left out."""
    lines: list[str] = []
    for family in sorted(families, key=lambda each: each.name):
        if not family.samples:
            continue
        lines += [f"# HELP {family.name} {family.about}", f"# TYPE {family.name} {family.kind}"]
        stamp = f" {family.moment}" if family.moment is not None else ""
        for labels, value in family.samples:
            named = ",".join(f'{name}="{_escaped(labels[name])}"' for name in sorted(labels))
            lines.append(f"{family.name}{{{named}}} {_number(value)}{stamp}" if named else f"{family.name} {_number(value)}{stamp}")
    return "".join(f"{line}\n" for line in lines).encode()
