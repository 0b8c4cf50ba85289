"""The cluster as it was when an exercise began: what guards hold the present against.

Taken after the broken start was created. Plain JSON, kept with the attempt: `objects` is the whole cluster, `pods` who ran where.
"""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import rollout, snapshot
from lab_checks.engine.api import Api
from lab_checks.engine.snapshot import node_rules


def take(api: Api, namespaces: list[str]) -> Object:
    """The whole cluster, the rules of its nodes, and the Pods of these namespaces and of kube-system: `pods[namespace][name]`."""
    return {
        "objects": snapshot.take(api),
        "nodes": {node["metadata"]["name"]: node_rules(node) for node in api.list("nodes")},
        "pods": {namespace: _pods(api, namespace) for namespace in [*namespaces, "kube-system"]},
    }


def _pods(api: Api, namespace: str) -> Object:
    return {
        each["metadata"]["name"]: {
            "uid": each["metadata"]["uid"],
            "node": each["spec"].get("nodeName", ""),
            "labels": each["metadata"].get("labels") or {},
            "owner": next((owner["name"] for owner in each["metadata"].get("ownerReferences") or [] if owner.get("controller")), ""),
        }
        for each in api.list("pods", namespace)
        # One that is going, or was refused, is nothing that a learner could keep.
        if "deletionTimestamp" not in each["metadata"] and not rollout.refused(each)
    }
