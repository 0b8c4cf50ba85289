"""Validation of Nodes and Namespaces (core/validation)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import addresses, field, metadata, placement, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_NODE_IMMUTABLE = ("providerID", "podCIDR", "podCIDRs")


def namespace(obj: Object) -> Errors:
    found: Errors = []
    path = Path("spec", "finalizers")
    for name in (obj.get("spec") or {}).get("finalizers") or []:
        found += metadata.label_name(name, path)
        found += metadata.standard_finalizer(name, path)
    return found


def node(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    # The path is that of the original, which looks for taints in the metadata.
    found = placement.taints(spec.get("taints") or [], Path("metadata", "taints"))
    ranges, path = spec.get("podCIDRs") or [], Path("spec", "podCIDRs")
    for index, each in enumerate(ranges):
        found += values.cidr(each, path[index])
    families = {":" in each for each in ranges if addresses.is_cidr(each)}
    if len(ranges) > 1 and (len(families) < 2 or len(ranges) > 2):
        found.append(field.invalid(path, ranges, "may specify no more than one CIDR for each IP family"))
    return found


def node_update(new: Object, old: Object) -> Errors:
    """Labels, annotations, taints and `unschedulable` may change; what the cloud and the kubelet own may be set once."""
    found: Errors = []
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    for name in _NODE_IMMUTABLE:
        if before.get(name) and spec.get(name) != before.get(name):
            why = f'node updates may not change {name} except from "" to valid'
            found.append(field.forbidden(Path("spec", name), why))
    return found
