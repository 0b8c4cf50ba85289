"""Lab 06-observe: pages of /metrics, read as a scraper reads them. The text of a page comes in, families and sums of samples come out."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import named, see
from lab_checks.engine.verdict import wait

_SUFFIX = re.compile(r"_(?:bucket|count|sum|total|created)$")


@dataclass(frozen=True)
class Page:
    """The families of metrics on a page, by name: `model_requests` for the samples of model_requests_total."""

    families: dict[str, Metric]

    def samples(self, name: str, **labels: str) -> Iterator[Sample]:
        """The samples of that name that carry these labels; a value that ends in `*` stands for all that begin so."""
        for each in self.families.get(family(name), Metric(name, "", "untyped")).samples:
            if each.name == name and all(_fits(each.labels.get(key, ""), value) for key, value in labels.items()):
                yield each

    def sum(self, name: str, **labels: str) -> float:
        return sum(each.value for each in self.samples(name, **labels))


def _fits(value: str, wanted: str) -> bool:
    return value.startswith(wanted[:-1]) if wanted.endswith("*") else value == wanted


def family(name: str) -> str:
    """The family that a sample's name belongs to, as people write it: with or without labels and the endings that histograms and counters add."""
    return _SUFFIX.sub("", name.partition("{")[0].strip())


def read(text: str) -> Page:
    return Page({family(each.name): each for each in text_string_to_metric_families(text)})


def of(ctx: Context, pod: Object, port: int = 8080) -> Page:
    """What a Pod says on /metrics; not yet while it does not answer."""
    found = ctx.api.through("pods", f"{pod['metadata']['name']}:{port}", pod["metadata"]["namespace"], "metrics")
    if not found:
        raise wait(f"{named(pod)} does not answer on /metrics", see(pod, "port", port), next=f"kubectl -n {ctx.namespace} get pods")
    return read(found)
