"""DefaultTolerationSeconds: a Pod stays five minutes on a node that is not ready or cannot be reached, unless it says otherwise."""

from __future__ import annotations

from clusters.embedded.apiserver.admission.request import AdmissionRequest

_SECONDS = 300
_TAINTS = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")


def admit(request: AdmissionRequest) -> None:
    if request.resource.name != "pods" or request.subresource or request.object is None:
        return
    spec = request.object.setdefault("spec", {})
    given = spec.get("tolerations") or []
    missing = [
        taint
        for taint in _TAINTS
        if not any(each.get("key") in (taint, None, "") and each.get("effect") in ("NoExecute", None, "") for each in given)
    ]
    if missing:
        spec["tolerations"] = [
            *given,
            *({"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": _SECONDS} for taint in missing),
        ]
