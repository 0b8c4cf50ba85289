"""The API versions that other servers answer, as APIServices name them: what discovery shows of them, and which paths go to them.

A process serves one cluster: what `aggregation.py` finds here is what the pipeline forwards.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from clusters.embedded.resources import built_in
from kubeobjects import Object


@dataclass
class Aggregated:
    """One APIService with a Service. `rows` are the resources of its APIResourceList, once it has answered."""

    name: str
    group: str
    version: str
    service: Object
    insecure: bool
    bundle: str
    priority: tuple[int, int]
    available: bool = False
    rows: list[Object] = field(default_factory=list)


_served: dict[tuple[str, str], Aggregated] = {}


def serve(found: Sequence[Aggregated]) -> None:
    """Forwards what these answer, and nothing else any more. Groups of the API server's own are never given away."""
    global _served
    own = {each.group for each in built_in()}
    _served = {(each.group, each.version): each for each in found if each.group not in own}


def served() -> list[Aggregated]:
    """Those of highest priority first (spec.groupPriorityMinimum, spec.versionPriority)."""
    return sorted(_served.values(), key=lambda each: (-each.priority[0], each.group, -each.priority[1], each.version))


def find(path: str) -> Aggregated | None:
    """Who answers `path`, such as /apis/custom.metrics.k8s.io/v1beta2/namespaces; None where it is the API server itself."""
    if not _served:
        return None
    parts = path.strip("/").split("/")
    return _served.get((parts[1], parts[2])) if len(parts) > 2 and parts[0] == "apis" else None


def versions() -> dict[str, list[Aggregated]]:
    """Group → the versions that have answered, in the order of preference."""
    found: dict[str, list[Aggregated]] = {}
    for each in served():
        if each.available:
            found.setdefault(each.group, []).append(each)
    return found


def resources(of: Aggregated) -> list[Object]:
    """The resources in the form of aggregated discovery (ConvertGroupVersionIntoToDiscovery): each subresource below its parent."""

    def kind(row: Object) -> Object:
        return {"group": row.get("group") or of.group, "version": row.get("version") or of.version, "kind": row.get("kind", "")}

    found: dict[str, Object] = {}
    for row in sorted(of.rows, key=lambda each: "/" in each["name"]):
        name, _, subresource = row["name"].partition("/")
        shown = found.setdefault(
            name,
            {
                "resource": name,
                "responseKind": {"group": "", "version": "", "kind": ""} if subresource else kind(row),
                "scope": "Namespaced" if row.get("namespaced") else "Cluster",
                "singularResource": row.get("singularName", ""),
                "verbs": [] if subresource else row.get("verbs") or [],
            },
        )
        if subresource:
            part = {"subresource": subresource, "responseKind": kind(row), "verbs": row.get("verbs") or []}
            shown.setdefault("subresources", []).append(part)
        else:
            shown |= {key: row[key] for key in ("shortNames", "categories") if row.get(key)}
    return list(found.values())
