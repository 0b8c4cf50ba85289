"""Which PersistentVolume satisfies a claim (k8s.io/component-helpers/storage/volume, FindMatchingVolume).

Used by the volume binder for claims that are bound at once and by the scheduler for claims that wait for their first consumer.
"""

from __future__ import annotations

from kubeobjects import Object, meta, node_selection, quantity, selectors


def _claim_class(claim: Object) -> str:
    return claim["spec"].get("storageClassName") or ""


def match(claim: Object, volumes: list[Object], node: Object | None = None) -> Object | None:
    """The volume already reserved for `claim`, else the smallest free one that satisfies it; None where there is none.

    With `node`, only volumes that the node can reach count. Without, volumes of any node do.
    """
    wanted = quantity.parse(((claim["spec"].get("resources") or {}).get("requests") or {}).get("storage", "0"))
    selector = claim["spec"].get("selector")
    admits = selectors.from_object(selector) if selector else None
    best: Object | None = None
    for volume in volumes:
        spec = volume["spec"]
        capacity = quantity.parse((spec.get("capacity") or {}).get("storage", "0"))
        if (spec.get("volumeMode") or "Filesystem") != (claim["spec"].get("volumeMode") or "Filesystem") or meta.is_deleting(volume):
            continue
        if node is not None and not node_selection.selector_matches((spec.get("nodeAffinity") or {}).get("required"), node):
            continue
        if capacity < wanted:
            continue
        reference = spec.get("claimRef")
        if reference:
            if is_reserved_for(volume, claim):
                return volume
            continue
        if (volume.get("status") or {}).get("phase", "Available") not in ("Available", "Pending"):
            continue
        if admits is not None and not admits(volume["metadata"].get("labels") or {}):
            continue
        if (spec.get("storageClassName") or "") != _claim_class(claim):
            continue
        if not set(claim["spec"].get("accessModes") or []) <= set(spec.get("accessModes") or []):
            continue
        if best is None or capacity < quantity.parse(best["spec"]["capacity"]["storage"]):
            best = volume
    return best


def is_reserved_for(volume: Object, claim: Object) -> bool:
    """Whether the volume's claimRef names this claim: by name, and by uid where it has one."""
    reference = volume["spec"].get("claimRef") or {}
    metadata = claim["metadata"]
    return (
        reference.get("name") == metadata["name"]
        and reference.get("namespace") == metadata["namespace"]
        and reference.get("uid", metadata["uid"]) == metadata["uid"]
    )
