"""The provisioner behind the class `standard`, as kind has it: a folder on the node for each claim (rancher.io/local-path)."""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.controllers.volume.binder import (
    CLAIMS,
    CLASSES,
    PROVISIONED_BY,
    PROVISIONER,
    SELECTED_NODE,
    VOLUMES,
    annotations_of,
    class_of,
)
from clusters.embedded.errors import ApiError
from kubeobjects import meta

LOCAL_PATH = "rancher.io/local-path"
FOLDER = "/var/local-path-provisioner"
_SUPPORTED = {"ReadWriteOnce", "ReadWriteOncePod"}

PROVISIONING = 'External provisioner is provisioning volume for claim "{claim}"'
SUCCEEDED = "Successfully provisioned volume {volume}"
FAILED = 'failed to provision volume with StorageClass "{storage_class}": {why}'
ACCESS_MODES = "NodePath only supports ReadWriteOnce and ReadWriteOncePod (1.22+) access modes"
NO_NODE = "configuration error, no node was specified"


def refusal(claim: Object) -> str:
    """Why this provisioner cannot serve the claim, or nothing."""
    if not set(claim["spec"].get("accessModes") or []) <= _SUPPORTED:
        return ACCESS_MODES
    return "" if SELECTED_NODE in annotations_of(claim) else NO_NODE


def volume_for(claim: Object, storage_class: Object) -> Object:
    """The volume of a claim: a folder inside the node that the scheduler chose."""
    metadata, node = claim["metadata"], annotations_of(claim)[SELECTED_NODE]
    name = f"pvc-{metadata['uid']}"
    expression = {"key": "kubernetes.io/hostname", "operator": "In", "values": [node]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name, "annotations": {"local.path.provisioner/selected-node": node, PROVISIONED_BY: LOCAL_PATH}},
        "spec": {
            "accessModes": claim["spec"]["accessModes"],
            "capacity": {"storage": claim["spec"]["resources"]["requests"]["storage"]},
            "claimRef": {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            },
            "hostPath": {"path": f"{FOLDER}/{name}_{metadata['namespace']}_{metadata['name']}", "type": "DirectoryOrCreate"},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [expression]}]}},
            "persistentVolumeReclaimPolicy": storage_class.get("reclaimPolicy", "Delete"),
            "storageClassName": storage_class["metadata"]["name"],
            "volumeMode": claim["spec"].get("volumeMode", "Filesystem"),
        },
    }


class LocalPathProvisioner(Controller):
    """Keys are `claim <namespace>/<name>` and `volume <name>`."""

    name = "rancher.io/local-path"

    def __init__(self, context: Context):
        super().__init__(context)
        self._claims = self.informers(CLAIMS)
        self._volumes = self.informers(VOLUMES)
        self._classes = self.informers(CLASSES)
        self._claims.on_change(lambda old, new: self.queue.add(f"claim {meta.key(new)}") if new else None)
        self._volumes.on_change(lambda old, new: self.queue.add(f"volume {new['metadata']['name']}") if new else None)

    async def reconcile(self, key: str) -> None:
        kind, _, name = key.partition(" ")
        if kind == "claim":
            claim = self._claims.by_key(name)
            if claim is not None and not claim["spec"].get("volumeName") and annotations_of(claim).get(PROVISIONER) == LOCAL_PATH:
                await self._provision(claim)
        else:
            volume = self._volumes.by_key(name)
            if volume is not None:
                await self._reclaim(volume)

    async def _provision(self, claim: Object) -> None:
        storage_class = self._classes.get(class_of(claim))
        name = f"pvc-{claim['metadata']['uid']}"
        if storage_class is None or meta.is_deleting(claim) or self._volumes.get(name) is not None:
            return
        await self.events.event(claim, "Normal", "Provisioning", PROVISIONING.format(claim=meta.key(claim)))
        why = refusal(claim)
        if why:
            message = FAILED.format(storage_class=storage_class["metadata"]["name"], why=why)
            await self.events.event(claim, "Warning", "ProvisioningFailed", message)
            return
        try:
            await self.client.create(VOLUMES, volume_for(claim, storage_class))
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            return
        await self.events.event(claim, "Normal", "ProvisioningSucceeded", SUCCEEDED.format(volume=name))

    async def _reclaim(self, volume: Object) -> None:
        """A volume that was made here goes with its claim, unless its class says that it is to be retained."""
        if annotations_of(volume).get(PROVISIONED_BY) != LOCAL_PATH or meta.is_deleting(volume):
            return
        if (volume.get("status") or {}).get("phase") == "Released" and volume["spec"].get("persistentVolumeReclaimPolicy") == "Delete":
            try:
                await self.client.delete(VOLUMES, volume["metadata"]["name"], uid=volume["metadata"]["uid"])
            except ApiError as error:
                if error.code != 404:
                    raise
