"""A cluster of plain objects that guards can look at: an API of lists, a baseline taken off it, and a context over both."""

from __future__ import annotations

import copy
from typing import Any, cast

from kubeobjects import Object
from lab_checks.engine import baseline, course
from lab_checks.engine.api import Api
from lab_checks.engine.audit import Deed, Deeds
from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.engine.verdict import Stop, Verdict

GPU = "nvidia.com/gpu"


class Lists:
    """Answers `list` and `get` from objects in memory, by plural kind."""

    def __init__(self, **objects: list[Object]):
        self.objects = objects

    def list(self, kind: str, namespace: str | None = None) -> list[Object]:
        found = self.objects.get(kind, [])
        return [each for each in found if namespace in (None, each["metadata"].get("namespace"))]

    def raw(self, path: str, *, accept: str = "") -> Object | None:
        """Nothing is discovered here: these objects are not a whole cluster."""
        return None

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        return next((each for each in self.list(kind, namespace) if each["metadata"]["name"] == name), None)


def node(name: str, product: str = "", count: int = 0, **labels: str) -> Object:
    cards = {f"{GPU}.present": "true", f"{GPU}.product": product, f"{GPU}.count": str(count)} if product else {}
    return {
        "kind": "Node",
        "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name, **cards, **labels}},
        "spec": {"taints": [{"key": GPU, "value": "present", "effect": "NoSchedule"}] if product else []},
        "status": {"allocatable": {"cpu": "4", "memory": "8Gi", GPU: str(count)}},
    }


def deployment(name: str = "api", *, gpus: int = 1, **spec: Any) -> Object:
    resources = {"requests": {"cpu": "100m", "memory": "96Mi"}, "limits": {"memory": "192Mi", **({GPU: str(gpus)} if gpus else {})}}
    return {
        "kind": "Deployment",
        "metadata": {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "annotations": {"deployment.kubernetes.io/revision": "1"}},
        "spec": {
            "replicas": 1,
            "selector": {"matchLabels": {"app": name}},
            "template": {"spec": {"containers": [{"name": "server", "image": "server:v1", "resources": resources}], **spec}},
        },
    }


def replica_set(owner: Object) -> Object:
    name = f"{owner['metadata']['name']}-1"
    reference = {"kind": "Deployment", "name": owner["metadata"]["name"], "uid": owner["metadata"]["uid"], "controller": True}
    annotations = {"deployment.kubernetes.io/revision": "1"}
    metadata = {"name": name, "namespace": NAMESPACE, "uid": f"uid-{name}", "ownerReferences": [reference], "annotations": annotations}
    return {"kind": "ReplicaSet", "metadata": metadata}


def pod_of(owner: Object, **spec: Any) -> Object:
    """The Pod that the Deployment's ReplicaSet makes, `spec` laid over its template."""
    above = replica_set(owner)["metadata"]
    reference = {"kind": "ReplicaSet", "name": above["name"], "uid": above["uid"], "controller": True}
    labels = dict(owner["spec"]["selector"]["matchLabels"])
    return {
        "kind": "Pod",
        "metadata": {
            "name": f"{above['name']}-x", "namespace": NAMESPACE, "uid": f"uid-{above['name']}-x", "labels": labels, "ownerReferences": [reference],
        },
        "spec": {**copy.deepcopy(owner["spec"]["template"]["spec"]), "nodeName": "a100", **spec},
        "status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]},
    }  # fmt: skip


def context(before: Lists, now: Lists | None = None, deeds: tuple[Deed, ...] = ()) -> Context:
    """What a guard is given where the cluster was `before` at the start and is `now` at the check."""
    exercise = course.load().lab("03-pending").exercise("moved-in")
    taken = baseline.take(cast(Api, before), [NAMESPACE])
    # These objects are no whole cluster that could be discovered.
    taken["objects"] = {kind: {_key(each): each for each in objects} for kind, objects in before.objects.items()}
    return Context(cast(Api, now or before), exercise, taken, {}, lambda: Deeds(True, deeds))


def _key(obj: Object) -> str:
    return "/".join(filter(None, (obj["metadata"].get("namespace"), obj["metadata"]["name"])))


def said(guard: Any, *arguments: Any) -> str:
    """What a guard says; empty where it finds nothing."""
    try:
        guard(*arguments)
    except Stop as stop:
        verdict: Verdict = stop.verdict
        return "\n".join(verdict.lines())
    return ""
