"""Which program monitors a cluster: Prometheus itself where the nodes have its image, else the course's metrics scraper.

Both run from the same manifests, `manifests/base/monitoring`, and answer the same queries; the image's name is all that differs, and the one place
that says which images they are is `manifests/base/monitoring-by-prometheus/kustomization.yaml`.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from typing import Any

import yaml

from kubeobjects import Object
from lab_checks.engine import paths
from lab_checks.engine.api import Api


@cache
def images() -> tuple[str, str]:
    """(the scraper's image, Prometheus' image), each with its tag."""
    written: Any = yaml.safe_load((paths.root() / "manifests/base/monitoring-by-prometheus/kustomization.yaml").read_text())
    (row,) = written["images"]
    deployments: Iterable[Any] = yaml.safe_load_all((paths.root() / "manifests/base/monitoring/deployment.yaml").read_text())
    (ours,) = (each["spec"]["template"]["spec"]["containers"][0]["image"] for each in deployments if each["kind"] == "Deployment")
    return ours, f"{row['newName']}:{row['newTag']}"


def chosen(api: Api, manifests: str) -> str:
    """Rendered manifests with Prometheus in the scraper's place where every node that takes Pods has its image. A node tells of its 50 largest."""
    ours, theirs = images()
    if ours not in manifests or not all(_has(node, theirs) for node in api.list("nodes") if _takes_pods(node)):
        return manifests
    return manifests.replace(f"image: {ours}", f"image: {theirs}")


def _has(node: Object, image: str) -> bool:
    return any(image in (each.get("names") or []) for each in node.get("status", {}).get("images") or [])


def _takes_pods(node: Object) -> bool:
    """Whether the Deployment, which tolerates nothing, could land there."""
    taints = node["spec"].get("taints") or []
    return not node["spec"].get("unschedulable") and not any(taint["effect"] != "PreferNoSchedule" for taint in taints)
