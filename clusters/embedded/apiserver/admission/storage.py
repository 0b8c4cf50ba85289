"""DefaultStorageClass and StorageObjectInUseProtection."""

from __future__ import annotations

from clusters.embedded.apiserver.admission.request import AdmissionRequest, Object

_CLASSES = "storageclasses.storage.k8s.io"
_DEFAULT = ("storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class")
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"
_FINALIZERS = {"persistentvolumeclaims": "kubernetes.io/pvc-protection", "persistentvolumes": "kubernetes.io/pv-protection"}


def admit(request: AdmissionRequest) -> None:
    if request.operation != "CREATE" or request.subresource or request.object is None:
        return
    finalizer = _FINALIZERS.get(request.resource.name)
    if finalizer is None:
        return
    metadata = request.object["metadata"]
    if finalizer not in (metadata.get("finalizers") or []):
        metadata["finalizers"] = [*(metadata.get("finalizers") or []), finalizer]
    if request.resource.name == "persistentvolumeclaims":
        _default_class(request, request.object)


def _default_class(request: AdmissionRequest, claim: Object) -> None:
    """A claim that names no class (an empty name is one) gets the default: the newest, by name among equals."""
    spec = claim.setdefault("spec", {})
    if spec.get("storageClassName") is not None or _CLASS_ANNOTATION in (claim["metadata"].get("annotations") or {}):
        return
    defaults = [
        each
        for each in request.reader.list(_CLASSES)
        if any((each["metadata"].get("annotations") or {}).get(key) == "true" for key in _DEFAULT)
    ]
    if defaults:
        defaults.sort(key=lambda each: each["metadata"]["name"])
        defaults.sort(key=lambda each: each["metadata"].get("creationTimestamp", ""), reverse=True)
        spec["storageClassName"] = defaults[0]["metadata"]["name"]
