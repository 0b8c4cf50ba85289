"""What targets serve: Prometheus' text format, read by `prometheus_client`. https://prometheus.io/docs/instrumenting/exposition_formats/"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from prometheus_client.parser import text_string_to_metric_families

# What is asked for: the format that every target can write. OpenMetrics counts as an answer in the same words where nothing else is served.
ACCEPT = "text/plain;version=0.0.4;q=1,*/*;q=0.1"


class InvalidExposition(ValueError):
    """A page that is no exposition; the message says what was found."""


@dataclass(frozen=True)
class Page:
    """`samples` are (name, labels, value, time in milliseconds or None); `metadata` has type and help by the name of the metric."""

    samples: list[tuple[str, Mapping[str, str], float, int | None]] = field(default_factory=list)
    metadata: dict[str, tuple[str, str]] = field(default_factory=dict)


def read(text: str) -> Page:
    """Raises InvalidExposition."""
    page = Page()
    try:
        for family in text_string_to_metric_families(text):
            if family.type != "unknown" or family.documentation:
                # The library takes `_total` off a counter's name; the page and Prometheus have it.
                name = family.samples[0].name if family.type == "counter" and family.samples else family.name
                page.metadata[name] = (family.type, family.documentation)
            for sample in family.samples:
                time = None if sample.timestamp is None else round(float(sample.timestamp) * 1000)
                page.samples.append((sample.name, sample.labels, float(sample.value), time))
    except (ValueError, KeyError, IndexError, AttributeError, TypeError) as error:
        raise InvalidExposition(f"not in Prometheus' text format: {error}") from None
    return page
