"""From stored CustomResourceDefinitions to the resources that are served."""

from __future__ import annotations

import re
from typing import Any

from clusters.embedded.apiserver.customresources.kind import Kind
from clusters.embedded.resources import Resource, Subresource
from kubeobjects import Object

RESOURCE = "customresourcedefinitions.apiextensions.k8s.io"
FINALIZER = "customresourcecleanup.apiextensions.k8s.io"
_VERBS = ("delete", "deletecollection", "get", "list", "patch", "create", "update", "watch")
_PART_VERBS = ("get", "patch", "update")
_VERSION = re.compile(r"v(\d+)(?:(alpha|beta)(\d+))?")


def condition(definition: Object, kind: str) -> Object | None:
    conditions = (definition.get("status") or {}).get("conditions") or []
    return next((each for each in conditions if each["type"] == kind), None)


def is_true(definition: Object, kind: str) -> bool:
    return (condition(definition, kind) or {}).get("status") == "True"


def preference(version: str) -> tuple[Any, ...]:
    """Sorts versions, the preferred one first: v2, v1, v1beta2, v1alpha1, and then others by name (pkg/version)."""
    found = _VERSION.fullmatch(version)
    if found is None:
        return (1, version)
    stage = {None: 0, "beta": 1, "alpha": 2}[found[2]]
    return 0, stage, -int(found[1]), -int(found[3] or 0)


def served(definition: Object) -> list[Resource]:
    """The resources of one definition, the preferred version first; none before its names are accepted."""
    if not is_true(definition, "Established"):
        return []
    terminating = is_true(definition, "Terminating")
    versions = sorted((each for each in definition["spec"]["versions"] if each.get("served")), key=lambda each: preference(each["name"]))
    return [_resource(definition, version, terminating) for version in versions]


def _resource(definition: Object, version: Object, terminating: bool) -> Resource:
    spec, names = definition["spec"], definition["status"]["acceptedNames"]
    subresources = version.get("subresources") or {}
    parts = []
    if subresources.get("status") is not None:
        parts.append(Subresource("status", "", "", names["kind"], _PART_VERBS))
    if subresources.get("scale") is not None:
        parts.append(Subresource("scale", "autoscaling", "v1", "Scale", _PART_VERBS))
    return Resource(
        group=spec["group"],
        version=version["name"],
        plural=names["plural"],
        kind=names["kind"],
        singular=names.get("singular", ""),
        namespaced=spec["scope"] == "Namespaced",
        verbs=_VERBS,
        short_names=tuple(names.get("shortNames") or ()),
        categories=tuple(names.get("categories") or ()),
        subresources=tuple(parts),
        custom=Kind(definition, version, terminating=terminating),
    )
