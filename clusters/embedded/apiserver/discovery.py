"""What the server serves, told in the aggregated form (apidiscovery.k8s.io/v2) and in the older one list a group version."""

from __future__ import annotations

import hashlib
from functools import cache

from clusters.embedded.apiserver import aggregated as others
from clusters.embedded.resources import Resource, Subresource, built_in, custom
from kubeobjects import Object

AGGREGATED = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList"
_METRICS = "metrics.k8s.io"
# Served by the metrics API that stands beside the API server; nothing of it is stored.
_METRICS_RESOURCES = (
    Resource(_METRICS, "v1beta1", "nodes", "NodeMetrics", "", False, ("get", "list")),
    Resource(_METRICS, "v1beta1", "pods", "PodMetrics", "", True, ("get", "list")),
)


def _groups() -> dict[str, dict[str, list[Resource]]]:
    """Group → version → resources, in the order of preference."""
    found: dict[str, dict[str, list[Resource]]] = {}
    for resource in (*built_in(), *_METRICS_RESOURCES, *custom()):
        found.setdefault(resource.group, {}).setdefault(resource.version, []).append(resource)
    return found


def etag(body: bytes) -> str:
    return '"' + hashlib.sha256(body).hexdigest().upper() + '"'


# Aggregated discovery


def _response_kind(group: str, version: str, kind: str) -> Object:
    return {"group": group, "version": version, "kind": kind}


def _verbs(resource: Resource) -> list[str]:
    """What may be done; objects of a definition that ends are only shown and deleted."""
    if resource.custom is not None and resource.custom.terminating:
        return [each for each in resource.verbs if each not in ("create", "update", "patch")]
    return list(resource.verbs)


def _own_kind(resource: Resource, kind: str) -> Object:
    """A kind of the resource's own version, which only custom resources spell out."""
    if resource.custom is None:
        return _response_kind("", "", kind)
    return _response_kind(resource.group, resource.version, kind)


def _aggregated_resource(resource: Resource) -> Object:
    row: Object = {
        "resource": resource.plural,
        "responseKind": _own_kind(resource, resource.kind),
        "scope": "Namespaced" if resource.namespaced else "Cluster",
        "singularResource": resource.singular,
        "verbs": _verbs(resource),
    }
    if resource.short_names:
        row["shortNames"] = list(resource.short_names)
    if resource.categories:
        row["categories"] = list(resource.categories)
    if resource.subresources:
        row["subresources"] = [
            {
                "subresource": each.name,
                "responseKind": _response_kind(each.group, each.version, each.kind) if each.version else _own_kind(resource, each.kind),
                "verbs": list(each.verbs),
            }
            for each in resource.subresources
        ]
    return row


def aggregated(*, core: bool) -> Object:
    """The answer of /api (`core`) or /apis to a client that accepts the aggregated form."""
    items: list[Object] = []
    for group, versions in _groups().items():
        if (group == "") is not core:
            continue
        listed = [
            {"version": version, "resources": [_aggregated_resource(each) for each in resources], "freshness": "Current"}
            for version, resources in versions.items()
        ]
        items.append({"metadata": {"name": group} if group else {}, "versions": listed})
    if not core:
        for group, served in others.versions().items():
            told = [{"version": each.version, "resources": others.resources(each), "freshness": "Current"} for each in served]
            items = [each for each in items if each["metadata"] != {"name": group}]
            items.append({"metadata": {"name": group}, "versions": told})
    return {"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items}


# The older form


def versions(address: str) -> Object:
    """The answer of /api."""
    served = [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]
    return {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": served}


def _by_name() -> dict[str, list[str]]:
    """Group → versions, those of aggregated APIs last."""
    return {name: list(versions) for name, versions in _groups().items()} | {
        name: [each.version for each in versions] for name, versions in others.versions().items()
    }


def _group(name: str, versions_of: list[str]) -> Object:
    listed = [{"groupVersion": f"{name}/{version}", "version": version} for version in versions_of]
    return {"name": name, "versions": listed, "preferredVersion": listed[0]}


def group_list() -> Object:
    """The answer of /apis."""
    groups = [_group(name, versions_of) for name, versions_of in _by_name().items() if name]
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}


def group(name: str) -> Object | None:
    """The answer of /apis/{group}."""
    versions_of = _by_name().get(name)
    return {"kind": "APIGroup", "apiVersion": "v1", **_group(name, versions_of)} if name and versions_of else None


def _subresource_row(resource: Resource, subresource: Subresource) -> Object:
    row: Object = {"name": f"{resource.plural}/{subresource.name}", "singularName": "", "namespaced": resource.namespaced}
    if subresource.version:
        row |= {"group": subresource.group, "version": subresource.version} if subresource.group else {"version": subresource.version}
    return row | {"kind": subresource.kind, "verbs": list(subresource.verbs)}


def resource_list(group_name: str, version: str) -> Object | None:
    """The answer of /api/v1 and /apis/{group}/{version}."""
    resources = _groups().get(group_name, {}).get(version)
    if resources is None:
        return None
    rows: list[Object] = []
    for resource in resources:
        row: Object = {
            "name": resource.plural,
            "singularName": resource.singular,
            "namespaced": resource.namespaced,
            "kind": resource.kind,
            "verbs": _verbs(resource),
        }
        if resource.short_names:
            row["shortNames"] = list(resource.short_names)
        if resource.categories:
            row["categories"] = list(resource.categories)
        rows.append(row)
        rows.extend(_subresource_row(resource, each) for each in resource.subresources)
    group_version = f"{group_name}/{version}" if group_name else version
    head: Object = {"kind": "APIResourceList"} | ({"apiVersion": "v1"} if group_name else {})
    return head | {"groupVersion": group_version, "resources": sorted(rows, key=lambda row: row["name"])}


@cache
def version() -> Object:
    """The answer of /version: which Kubernetes the cluster behaves as."""
    import platform
    import sys

    machine = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
    return {
        "major": "1",
        "minor": "36",
        "emulationMajor": "1",
        "emulationMinor": "36",
        "minCompatibilityMajor": "1",
        "minCompatibilityMinor": "35",
        "gitVersion": "v1.36.2",
        "gitCommit": "0" * 40,
        "gitTreeState": "clean",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "go1.26.6",
        "compiler": "gc",
        "platform": f"{sys.platform}/{machine}",
    }
