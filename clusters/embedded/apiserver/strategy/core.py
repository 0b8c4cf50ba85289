"""Strategies of Pods, Namespaces, volumes and DaemonSets, and of status updates of every kind."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.strategy.context import Context
from kubeobjects import Object, meta, qos
from kubeobjects.equality import same

# Subresources that write one part of a Pod's spec, with the lists of containers that they may touch.
PARTS_OF_POD = {"ephemeralcontainers": ("ephemeralContainers",), "resize": ("containers", "initContainers")}
_DATA_SOURCES = {("PersistentVolumeClaim", ""), ("VolumeSnapshot", "snapshot.storage.k8s.io")}
_TEMPLATE_GENERATION = "deprecated.daemonset.template.generation"


# Metadata that a status update does not write, by kind.
_KEPT_METADATA = {
    "Pod": ("ownerReferences",),
    "Deployment": ("labels",),
    "ResourceClaim": ("labels", "annotations", "finalizers", "ownerReferences"),
}


def keep_all_but_status(new: Object, old: Object) -> None:
    """A status update writes status and leaves the rest, apart from metadata that every update may change."""
    for name in old.keys() - {"metadata", "status"}:
        new[name] = old[name]
    for name in new.keys() - old.keys() - {"metadata", "status"}:
        del new[name]
    for kept in _KEPT_METADATA.get(new["kind"], ()):
        new["metadata"].pop(kept, None)
        if kept in old["metadata"]:
            new["metadata"][kept] = old["metadata"][kept]
    if new["kind"] == "Pod":
        status = new.setdefault("status", {})
        status.setdefault("qosClass", (old.get("status") or {}).get("qosClass") or qos.qos_class(new["spec"]))


def keep_all_but_part(new: Object, old: Object, subresource: str) -> None:
    """`ephemeralcontainers` writes those; `resize` writes the resources and resize policies of containers."""
    spec = meta.copy(old["spec"])
    for name in PARTS_OF_POD[subresource]:
        wanted = new.get("spec", {}).get(name)
        if subresource == "ephemeralcontainers":
            spec.pop(name, None)
            if wanted:
                spec[name] = wanted
            continue
        by_name = {each.get("name"): each for each in wanted or []}
        for container in spec.get(name) or []:
            if container["name"] in by_name:
                for field in ("resources", "resizePolicy"):
                    if field in by_name[container["name"]]:
                        container[field] = by_name[container["name"]][field]
    new["spec"] = spec
    new["status"] = old.get("status", {})


def create_pod(obj: Object, _: Context) -> None:
    spec = obj["spec"]
    obj["status"] = {"phase": "Pending", "qosClass": qos.qos_class(spec)}
    if spec.get("schedulingGates"):
        obj["status"]["conditions"] = [
            {
                "type": "PodScheduled",
                "status": "False",
                "reason": "SchedulingGated",
                "message": "Scheduling is blocked due to non-empty scheduling gates",
                "lastProbeTime": None,
                "lastTransitionTime": meta.now(),
            }
        ]


def create_namespace(obj: Object, _: Context) -> None:
    spec = obj.setdefault("spec", {})
    if "kubernetes" not in (spec.get("finalizers") or []):
        spec["finalizers"] = [*(spec.get("finalizers") or []), "kubernetes"]
    obj["metadata"].setdefault("labels", {})["kubernetes.io/metadata.name"] = obj["metadata"]["name"]
    obj["status"] = {"phase": "Active"}


def update_namespace(new: Object, old: Object, _: Context) -> None:
    new["spec"] = {**new.get("spec", {}), "finalizers": (old.get("spec") or {}).get("finalizers") or []}


def create_persistent_volume(obj: Object, _: Context) -> None:
    obj["status"] = {"phase": "Pending", "lastPhaseTransitionTime": meta.now()}


def create_claim(obj: Object, _: Context) -> None:
    spec = obj["spec"]
    # Either field names the source; the older one knows two kinds, and drops others without a word (pkg/api/persistentvolumeclaim).
    source, reference = spec.get("dataSource"), spec.get("dataSourceRef")
    if source is not None and reference is None:
        if (source.get("kind"), source.get("apiGroup") or "") in _DATA_SOURCES:
            spec["dataSourceRef"] = dict(source)
        else:
            del spec["dataSource"]
    elif reference is not None and source is None and not reference.get("namespace"):
        spec["dataSource"] = dict(reference)


def create_daemon_set(obj: Object, _: Context) -> None:
    annotations = obj["metadata"].get("annotations") or {}
    obj["metadata"]["annotations"] = {**annotations, _TEMPLATE_GENERATION: "1"}


def update_daemon_set(new: Object, old: Object, _: Context) -> None:
    count = (old["metadata"].get("annotations") or {}).get(_TEMPLATE_GENERATION, "1")
    if not same(new["spec"].get("template"), old["spec"].get("template")):
        count = str(int(count) + 1) if count.isdigit() else "1"
    annotations = new["metadata"].get("annotations") or {}
    new["metadata"]["annotations"] = {**annotations, _TEMPLATE_GENERATION: count}


CREATE: dict[tuple[str, str], Callable[[Object, Context], None]] = {
    ("v1", "Pod"): create_pod,
    ("v1", "Namespace"): create_namespace,
    ("v1", "PersistentVolume"): create_persistent_volume,
    ("v1", "PersistentVolumeClaim"): create_claim,
    ("apps/v1", "DaemonSet"): create_daemon_set,
}
UPDATE: dict[tuple[str, str], Callable[[Object, Object, Context], None]] = {
    ("v1", "Namespace"): update_namespace,
    ("apps/v1", "DaemonSet"): update_daemon_set,
}
