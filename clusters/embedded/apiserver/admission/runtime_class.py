"""RuntimeClass: the class a Pod names has to exist, and brings its overhead and placement along."""

from __future__ import annotations

from clusters.embedded.apiserver.admission.request import AdmissionRequest
from kubeobjects.equality import same


def admit(request: AdmissionRequest) -> None:
    if request.resource.name != "pods" or request.subresource or request.operation != "CREATE" or request.object is None:
        return
    spec = request.object.setdefault("spec", {})
    name = spec.get("runtimeClassName")
    if not name:
        if spec.get("overhead"):
            raise request.forbid("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
        return
    found = request.reader.get("runtimeclasses.node.k8s.io", name)
    if found is None:
        raise request.forbid(f'pod rejected: RuntimeClass "{name}" not found')
    overhead = (found.get("overhead") or {}).get("podFixed")
    if overhead:
        if spec.get("overhead") and not same(spec["overhead"], overhead):
            raise request.forbid("pod rejected: Pod's Overhead doesn't match RuntimeClass's defined Overhead")
        spec["overhead"] = dict(overhead)
    elif spec.get("overhead"):
        raise request.forbid("pod rejected: Pod Overhead set without corresponding RuntimeClass defined Overhead")
    scheduling = found.get("scheduling") or {}
    for key, value in (scheduling.get("nodeSelector") or {}).items():
        own = spec.setdefault("nodeSelector", {})
        if own.get(key, value) != value:
            shown = f"{key}={value}"
            raise request.forbid(
                f"pod rejected: conflict: runtimeClass.scheduling.nodeSelector[{shown}]; pod.spec.nodeSelector[{key}={own[key]}]"
            )
        own[key] = value
    for toleration in scheduling.get("tolerations") or []:
        if toleration not in (spec.get("tolerations") or []):
            spec.setdefault("tolerations", []).append(toleration)
