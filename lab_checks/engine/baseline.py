"""The cluster as it was when an exercise began: what guards hold the present against.

Taken after the broken start was created. Plain JSON, kept with the attempt: `objects` is the whole cluster, `pods` who ran where.
"""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import rollout, snapshot
from lab_checks.engine.api import Api
from lab_checks.engine.snapshot import node_rules

WORKLOADS = ("deployments", "statefulsets", "daemonsets", "jobs")
RULES = ("resourcequotas", "limitranges", "services", "networkpolicies")

# Labels that say what a node is: a learner who changes them changes what is true.
TRUTHS = ("nvidia.com/", "kubernetes.io/", "node-role.kubernetes.io/")


def take(api: Api, namespaces: list[str]) -> Object:
    """Nodes, and per namespace the workloads, Pods, quotas, limits and Services with what identifies and sizes them."""
    found: Object = {
        "objects": snapshot.take(api),
        "nodes": {node["metadata"]["name"]: node_rules(node) for node in api.list("nodes")},
        "namespaces": {},
    }
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
