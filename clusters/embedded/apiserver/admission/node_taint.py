"""TaintNodesByCondition: a node that is new is not ready yet (plugin/pkg/admission/nodetaint). The node lifecycle controller clears it."""

from __future__ import annotations

from clusters.embedded.apiserver.admission.request import AdmissionRequest

_NOT_READY = {"key": "node.kubernetes.io/not-ready", "effect": "NoSchedule"}


def admit(request: AdmissionRequest) -> None:
    if request.resource.name != "nodes" or request.subresource or request.operation != "CREATE" or request.object is None:
        return
    spec = request.object.setdefault("spec", {})
    taints = spec.get("taints") or []
    if not any(each.get("key") == _NOT_READY["key"] and each.get("effect") == _NOT_READY["effect"] for each in taints):
        spec["taints"] = [*taints, dict(_NOT_READY)]
