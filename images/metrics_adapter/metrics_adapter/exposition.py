"""Prometheus' text format: a page of /metrics flows in, its samples come out (https://prometheus.io/docs/instrumenting/exposition_formats/)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

_SAMPLE = re.compile(r"^([a-zA-Z_:][\w:]*)(?:\{(.*)\})?\s+(\S+)(?:\s+\S+)?\s*(?:#.*)?$")
_LABEL = re.compile(r'\s*([a-zA-Z_]\w*)\s*=\s*"((?:[^"\\]|\\.)*)"\s*,?')
_ESCAPED = re.compile(r"\\(.)")
_MEANT = {"n": "\n", '"': '"', "\\": "\\"}
# What a histogram's or a summary's samples are called beside its own name.
_SUFFIXES = ("_bucket", "_count", "_sum", "_total", "_created")


@dataclass(frozen=True)
class Sample:
    """`kind` is the metric's type (gauge, counter, histogram, summary, untyped)."""

    name: str
    labels: dict[str, str] = field(hash=False)
    value: float
    kind: str


def parse(text: str) -> list[Sample]:
    """The samples of a page. Lines that are none are left out, as a scraper must not fail on one metric of many."""
    kinds: dict[str, str] = {}
    found: list[Sample] = []
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = (*line.split(None, 3), "", "", "")[:4]
            kinds[name] = kind.strip()
            continue
        match = None if line.startswith("#") else _SAMPLE.match(line)
        if match is None:
            continue
        try:
            value = float(match[3])
        except ValueError:
            continue
        labels = {name: _ESCAPED.sub(lambda each: _MEANT.get(each[1], each[1]), told) for name, told in _LABEL.findall(match[2] or "")}
        found.append(Sample(match[1], labels, value, _kind(match[1], kinds)))
    return found


def _kind(name: str, kinds: dict[str, str]) -> str:
    if name in kinds:
        return kinds[name]
    for suffix in _SUFFIXES:
        if name.endswith(suffix) and name.removesuffix(suffix) in kinds:
            return kinds[name.removesuffix(suffix)]
    return "untyped"
