"""What the API server warns of when it takes an object: valid, and probably not what was meant (the registries' WarningsOnCreate).

A defaulted, valid object flows in; the texts of its Warning headers come out.
"""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.object_warnings import pods, quantities
from clusters.embedded.apiserver.validation import content
from clusters.embedded.apiserver.validation.field import Path, quote
from clusters.embedded.resources import custom_kind
from kubeobjects import Object
from kubeobjects import quantity as amounts

Warnings = list[str]

_TEMPLATE = Path("spec", "template")
_JOB_TEMPLATE = Path("spec", "jobTemplate", "spec", "template")
_INGRESS_CLASS = "kubernetes.io/ingress.class"
_DEPRECATED_CLASS = "volume.beta.kubernetes.io/storage-class"
_OF_HOSTNAMES = "metadata.name: this is used in {}, which can result in surprising behavior; a DNS label is recommended: "
_POD_NAMES = "Pod names and hostnames"
# What a quota can bound both ways: by requests and by limits.
_IN_QUOTAS = ("cpu", "memory", "ephemeral-storage")


def of(obj: Object) -> Warnings:
    """The warnings for an object that is created."""
    custom = custom_kind(obj)
    if custom is not None:
        return custom.warnings(obj, None)
    found = _KINDS.get((obj["apiVersion"], obj["kind"]))
    return found(obj) if found is not None else []


def of_update(obj: Object, old: Object) -> Warnings:
    """The warnings for an object that is replaced: only a change of the spec is worth them (generation)."""
    custom = custom_kind(obj)
    if custom is not None:
        return custom.warnings(obj, old)
    if obj["metadata"].get("generation") == old["metadata"].get("generation") and "generation" in obj["metadata"]:
        return []
    return of(obj)


def _hostname(obj: Object, used: str) -> Warnings:
    why = content.dns_label(obj["metadata"].get("name", ""))
    return [f"{_OF_HOSTNAMES.format(used)}[{' '.join(why)}]"] if why else []


def _pod(obj: Object) -> Warnings:
    return _hostname(obj, "the Pod's hostname") + pods.of(obj.get("spec") or {}, obj["metadata"], Path())


def _template(owner: Object, path: Path) -> Warnings:
    template = owner.get("template") or {}
    return pods.of(template.get("spec") or {}, template.get("metadata") or {}, path)


def _named_workload(obj: Object) -> Warnings:
    return _hostname(obj, _POD_NAMES) + _template(obj.get("spec") or {}, _TEMPLATE)


def _daemon_set(obj: Object) -> Warnings:
    return _template(obj.get("spec") or {}, _TEMPLATE)


def _stateful_set(obj: Object) -> Warnings:
    spec = obj.get("spec") or {}
    found = _template(spec, _TEMPLATE)
    for index, claim in enumerate(spec.get("volumeClaimTemplates") or []):
        found += quantities.of_claim(claim.get("spec") or {}, Path("spec", "volumeClaimTemplates")[index])
    if (spec.get("revisionHistoryLimit") or 0) < 0:
        why = "a negative value retains all historical revisions; a value >= 0 is recommended"
        found.append(f"spec.revisionHistoryLimit: {why}")
    return found


def _cron_job(obj: Object) -> Warnings:
    job = ((obj.get("spec") or {}).get("jobTemplate") or {}).get("spec") or {}
    return _hostname(obj, _POD_NAMES) + _template(job, _JOB_TEMPLATE)


def _claim(obj: Object) -> Warnings:
    deprecated = 'deprecated since v1.8; use "storageClassName" attribute instead'
    found = [f"metadata.annotations[{_DEPRECATED_CLASS}]: {deprecated}"] if _annotated(obj, _DEPRECATED_CLASS) else []
    return found + quantities.of_claim(obj.get("spec") or {}, Path("spec"))


def _annotated(obj: Object, name: str) -> bool:
    return name in (obj["metadata"].get("annotations") or {})


def _volume(obj: Object) -> Warnings:
    spec = obj.get("spec") or {}
    found: Warnings = []
    if _annotated(obj, _DEPRECATED_CLASS):
        found.append(f'metadata.annotations[{_DEPRECATED_CLASS}]: deprecated since v1.8; use "storageClassName" attribute instead')
    if spec.get("persistentVolumeReclaimPolicy") == "Recycle":
        why = "The Recycle reclaim policy is deprecated. Instead, the recommended approach is to use dynamic provisioning."
        found.append(f"spec.persistentVolumeReclaimPolicy: {why}")
    terms = ((spec.get("nodeAffinity") or {}).get("required") or {}).get("nodeSelectorTerms") or []
    where = Path("spec", "nodeAffinity", "required", "nodeSelectorTerms")
    return found + [each for index, term in enumerate(terms) for each in pods.of_node_term(term, where[index], values=False)]


def _service(obj: Object) -> Warnings:
    spec = obj.get("spec") or {}
    kind, addresses = spec.get("type"), spec.get("externalIPs")
    headless = kind == "ClusterIP" and spec.get("clusterIP") == "None"
    found: Warnings = []
    if headless:
        ignored = {"spec.loadBalancerIP": spec.get("loadBalancerIP"), "spec.externalIPs": addresses}
        found += [f"{name} is ignored for headless services" for name, value in ignored.items() if value]
        if spec.get("sessionAffinity") != "None":
            found.append("spec.SessionAffinity is ignored for headless services")
    if addresses and not headless and kind != "ExternalName":
        found.append("spec.externalIPs is deprecated and may no longer be implemented in some clusters")
    if addresses and kind == "ExternalName":
        found.append('spec.externalIPs is ignored when spec.type is "ExternalName"')
    if spec.get("externalName") and kind != "ExternalName":
        found.append('spec.externalName is ignored when spec.type is not "ExternalName"')
    return found


def _ingress(obj: Object) -> Warnings:
    if not _annotated(obj, _INGRESS_CLASS) or (obj.get("spec") or {}).get("ingressClassName") is not None:
        return []
    return [f"annotation {quote(_INGRESS_CLASS)} is deprecated, please use 'spec.ingressClassName' instead"]


def _endpoint_slice(obj: Object) -> Warnings:
    return ["spec.addressType: FQDN endpoints are deprecated"] if obj.get("addressType") == "FQDN" else []


def _resource_slice(obj: Object) -> Warnings:
    driver = (obj.get("spec") or {}).get("driver", "")
    if driver == driver.lower():
        return []
    return [f"spec.driver: driver names should be lowercase; {quote(driver)} contains uppercase characters"]


def _resource_quota(obj: Object) -> Warnings:
    hard = (obj.get("spec") or {}).get("hard") or {}
    found: Warnings = []
    for name in _IN_QUOTAS:
        request = f"requests.{name}" if f"requests.{name}" in hard or name == "ephemeral-storage" else name
        limit = f"limits.{name}"
        if request in hard and limit in hard and amounts.parse(hard[request]) > amounts.parse(hard[limit]):
            found.append(f"ResourceQuota {request} ({hard[request]}) should be less than {limit} ({hard[limit]})")
    return found


def _runtime_class(obj: Object) -> Warnings:
    labels = (obj.get("scheduling") or {}).get("nodeSelector") or {}
    return [f"scheduling.nodeSelector: {pods.DEPRECATED_LABELS[each]}" for each in sorted(labels) if each in pods.DEPRECATED_LABELS]


_KINDS: dict[tuple[str, str], Callable[[Object], Warnings]] = {
    ("v1", "Pod"): _pod,
    ("v1", "ReplicationController"): _named_workload,
    ("apps/v1", "Deployment"): _named_workload,
    ("apps/v1", "ReplicaSet"): _named_workload,
    ("apps/v1", "DaemonSet"): _daemon_set,
    ("apps/v1", "StatefulSet"): _stateful_set,
    ("batch/v1", "Job"): _named_workload,
    ("batch/v1", "CronJob"): _cron_job,
    ("v1", "PersistentVolumeClaim"): _claim,
    ("v1", "PersistentVolume"): _volume,
    ("v1", "Service"): _service,
    ("v1", "ResourceQuota"): _resource_quota,
    ("networking.k8s.io/v1", "Ingress"): _ingress,
    ("discovery.k8s.io/v1", "EndpointSlice"): _endpoint_slice,
    ("resource.k8s.io/v1", "ResourceSlice"): _resource_slice,
    ("node.k8s.io/v1", "RuntimeClass"): _runtime_class,
}
