"""Small ways to write what dynamic resource allocation is about: slices, classes, claims."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clusters.embedded.scheduler.structured import Allocator, Taken
from kubeobjects import Object

from .conftest import make_node

DRIVER = "gpu.example.com"
PLAIN = {"metadata": {"name": "gpu"}, "spec": {"selectors": [{"cel": {"expression": f'device.driver == "{DRIVER}"'}}]}}


def gpu(name: str, **more: Any) -> Object:
    """A device. `model`, `memory` and `version` stand for attributes and capacity of that name; the rest goes in as it is."""
    device: Object = {"name": name, "attributes": {}, "capacity": {}}
    for key, kind in (("model", "string"), ("index", "int"), ("version", "version"), ("healthy", "bool")):
        if key in more:
            device["attributes"][key] = {kind: more.pop(key)}
    if "memory" in more:
        device["capacity"]["memory"] = {"value": more.pop("memory")}
    return device | more


def slice_of(
    *devices: Object, name: str = "slice", node: str | None = "n1", pool: str = "n1", generation: int = 1, count: int = 1, **spec: Any
) -> Object:
    place = {"nodeName": node} if node else {}
    spec = {"driver": DRIVER, "pool": {"name": pool, "generation": generation, "resourceSliceCount": count}, **place, **spec}
    if devices:
        spec["devices"] = list(devices)
    return {"metadata": {"name": name}, "spec": spec}


def ask(name: str = "gpu", *expressions: str, **more: Any) -> Object:
    """A request for one device of class `gpu` that the expressions select; `more` goes into `exactly`."""
    exactly: Object = {"deviceClassName": "gpu", "allocationMode": "ExactCount", "count": 1, **more}
    if exactly["allocationMode"] == "All":
        del exactly["count"]
    if expressions:
        exactly["selectors"] = [{"cel": {"expression": each}} for each in expressions]
    return {"name": name, "exactly": exactly}


def either(name: str, **alternatives: Object) -> Object:
    """A request with `firstAvailable`: what `ask` gives, by name, best first."""
    return {"name": name, "firstAvailable": [{**each["exactly"], "name": key} for key, each in alternatives.items()]}


def claim_of(*requests: Object, name: str = "claim", **devices: Any) -> Object:
    return {
        "metadata": {"name": name, "namespace": "lab", "uid": f"uid-{name}", "resourceVersion": "1"},
        "spec": {"devices": {"requests": list(requests), **devices}},
        "status": {},
    }


def allocate(
    slices: Iterable[Object], *claims: Object, node: Object | None = None, classes: Iterable[Object] = (PLAIN,), taken: Taken | None = None
) -> list[Object] | None:
    by_name = {each["metadata"]["name"]: each for each in classes}
    return Allocator(by_name.get, slices, taken or Taken()).allocate(node or make_node("n1"), list(claims))


def given(allocations: list[Object] | None) -> list[list[str]] | None:
    """`request=device` for each claim."""
    if allocations is None:
        return None
    return [[f"{each['request']}={each['device']}" for each in one["devices"]["results"]] for one in allocations]
