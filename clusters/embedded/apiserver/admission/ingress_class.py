"""DefaultIngressClass: an Ingress that names no class gets the default one."""

from __future__ import annotations

from clusters.embedded.apiserver.admission.request import AdmissionRequest

_INGRESS_CLASSES = "ingressclasses.networking.k8s.io"
_CLASS_ANNOTATION = "kubernetes.io/ingress.class"
_DEFAULT_CLASS = "ingressclass.kubernetes.io/is-default-class"


def admit(request: AdmissionRequest) -> None:
    if request.resource.name != "ingresses.networking.k8s.io" or request.operation != "CREATE" or request.object is None:
        return
    spec = request.object.setdefault("spec", {})
    annotations = request.object["metadata"].get("annotations") or {}
    if spec.get("ingressClassName") is not None or _CLASS_ANNOTATION in annotations:
        return
    classes = request.reader.list(_INGRESS_CLASSES)
    defaults = [each["metadata"] for each in classes if (each["metadata"].get("annotations") or {}).get(_DEFAULT_CLASS) == "true"]
    if defaults:
        spec["ingressClassName"] = max(defaults, key=lambda metadata: metadata.get("creationTimestamp", ""))["name"]
