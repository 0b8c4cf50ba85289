"""`metadata.generation`: which kinds have one, and what makes it advance."""

from __future__ import annotations

from kubeobjects import Object
from kubeobjects.equality import same

# Generation counts changes of the spec. Kinds without a spec count any change outside metadata.
_BY_SPEC = {
    ("v1", "Pod"),
    ("v1", "ReplicationController"),
    ("apps/v1", "Deployment"),
    ("apps/v1", "ReplicaSet"),
    ("apps/v1", "DaemonSet"),
    ("apps/v1", "StatefulSet"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
    ("policy/v1", "PodDisruptionBudget"),
    ("networking.k8s.io/v1", "Ingress"),
    ("networking.k8s.io/v1", "IngressClass"),
    ("networking.k8s.io/v1", "NetworkPolicy"),
    ("apiextensions.k8s.io/v1", "CustomResourceDefinition"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicy"),
    ("admissionregistration.k8s.io/v1", "ValidatingAdmissionPolicyBinding"),
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicy"),
    ("admissionregistration.k8s.io/v1", "MutatingAdmissionPolicyBinding"),
    ("flowcontrol.apiserver.k8s.io/v1", "FlowSchema"),
    ("flowcontrol.apiserver.k8s.io/v1", "PriorityLevelConfiguration"),
    ("resource.k8s.io/v1", "DeviceClass"),
    ("resource.k8s.io/v1", "ResourceSlice"),
}
_BY_CONTENT = {
    ("discovery.k8s.io/v1", "EndpointSlice"),
    ("scheduling.k8s.io/v1", "PriorityClass"),
    ("admissionregistration.k8s.io/v1", "ValidatingWebhookConfiguration"),
    ("admissionregistration.k8s.io/v1", "MutatingWebhookConfiguration"),
}
# Beside the content: a Deployment's annotations (its controller copies them), an EndpointSlice's labels.
_METADATA = {("apps/v1", "Deployment"): "annotations", ("discovery.k8s.io/v1", "EndpointSlice"): "labels"}


def start(obj: Object) -> None:
    identity = (obj.get("apiVersion", ""), obj.get("kind", ""))
    if identity in _BY_SPEC or identity in _BY_CONTENT:
        obj["metadata"]["generation"] = 1
    else:
        obj["metadata"].pop("generation", None)


def advance(new: Object, old: Object, *, subresource: str = "") -> None:
    """Takes the generation of `old`, one more where what it counts has changed; metadata written with the status does not count."""
    identity = (new.get("apiVersion", ""), new.get("kind", ""))
    generation = old["metadata"].get("generation")
    if generation is None:
        new["metadata"].pop("generation", None)
        return
    if identity in _BY_CONTENT:
        ignored = {"metadata", "status"}
        changed = not same({k: v for k, v in new.items() if k not in ignored}, {k: v for k, v in old.items() if k not in ignored})
    else:
        changed = identity in _BY_SPEC and not same(new.get("spec"), old.get("spec"))
    field = _METADATA.get(identity)
    if field and not subresource and not same(new["metadata"].get(field), old["metadata"].get(field)):
        changed = True
    new["metadata"]["generation"] = generation + changed
