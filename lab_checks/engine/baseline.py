"""The cluster as it was when an exercise began: what guards hold the present against.

Taken after the broken start is laid. Plain JSON, kept with the attempt.
"""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import rollout
from lab_checks.engine.api import Api

WORKLOADS = ("deployments", "statefulsets", "daemonsets", "jobs")
RULES = ("resourcequotas", "limitranges", "services", "networkpolicies")

# Labels that say what a node is: a learner who changes them changes what is true.
TRUTHS = ("nvidia.com/", "kubernetes.io/", "node-role.kubernetes.io/")


def node_rules(node: Object) -> Object:
    """What people set on a node: labels, taints, whether it is cordoned, and the faults injected by annotation."""
    metadata, spec = node["metadata"], node["spec"]
    return {
        "labels": dict(metadata.get("labels") or {}),
        "taints": [
            {key: taint[key] for key in ("key", "value", "effect") if key in taint}
            for taint in spec.get("taints") or []
            if not taint["key"].startswith("node.kubernetes.io/")
        ],
        "unschedulable": bool(spec.get("unschedulable")),
        "faults": {key: value for key, value in (metadata.get("annotations") or {}).items() if key.startswith("gpu.ai-lab.dev/")},
    }


def take(api: Api, namespaces: list[str]) -> Object:
    """Nodes, and per namespace the workloads, Pods, quotas, limits and Services with what identifies and sizes them."""
    found: Object = {"nodes": {node["metadata"]["name"]: node_rules(node) for node in api.list("nodes")}, "namespaces": {}}
    for namespace in [*namespaces, "kube-system"]:
        here: Object = {}
        for kind in WORKLOADS:
            here[kind] = {
                each["metadata"]["name"]: {
                    "uid": each["metadata"]["uid"],
                    "replicas": each["spec"].get("replicas"),
                    "template": each["spec"]["template"]["spec"],
                }
                for each in api.list(kind, namespace)
            }
        for kind in RULES:
            here[kind] = {
                each["metadata"]["name"]: {"uid": each["metadata"]["uid"], "spec": each["spec"]} for each in api.list(kind, namespace)
            }
        here["pods"] = {
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
        found["namespaces"][namespace] = here
    return found
