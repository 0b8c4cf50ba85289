"""Claims of a Pod, as the volume plugins see them."""

from __future__ import annotations

from collections.abc import Iterator

from clusters.embedded.client import Object

# `volume.kubernetes.io/selected-node` tells the provisioner on which node a claim is first used.
SELECTED_NODE = "volume.kubernetes.io/selected-node"
NO_PROVISIONER = "kubernetes.io/no-provisioner"
BIND_COMPLETED = "pv.kubernetes.io/bind-completed"


def claim_names(pod: Object) -> Iterator[tuple[str, bool]]:
    """(name of the claim, whether it is a generic ephemeral volume's own) for each volume of the Pod that uses a claim."""
    for volume in pod["spec"].get("volumes") or []:
        if volume.get("persistentVolumeClaim"):
            yield volume["persistentVolumeClaim"]["claimName"], False
        elif volume.get("ephemeral"):
            yield f"{pod['metadata']['name']}-{volume['name']}", True


def is_own_claim(pod: Object, old: Object | None, new: Object | None) -> bool:
    """A claim of the Pod that is new or has changed: other claims do not wake it."""
    if new is None:
        return False
    metadata = new["metadata"]
    return metadata["namespace"] == pod["metadata"]["namespace"] and metadata["name"] in [name for name, _ in claim_names(pod)]


def is_bound(claim: Object) -> bool:
    """The binder has finished with the claim, not only written down which volume it is to get."""
    return bool(claim["spec"].get("volumeName")) and BIND_COMPLETED in (claim["metadata"].get("annotations") or {})


def class_of(claim: Object) -> str:
    legacy = (claim["metadata"].get("annotations") or {}).get("volume.beta.kubernetes.io/storage-class")
    return legacy if legacy is not None else claim["spec"].get("storageClassName") or ""


def waits_for_first_consumer(claim: Object, storage_class: Object | None) -> bool:
    return storage_class is not None and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
