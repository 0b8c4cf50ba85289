"""PersistentVolumes and claims: who gets which, and what becomes of a volume when its claim is gone.

Follows pkg/controller/volume/persistentvolume. In: claims, volumes and storage classes. Out: bindings, phases, and events on claims.
"""

from __future__ import annotations

from clusters.embedded import volume_match
from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.context import Context, Controller
from kubeobjects import meta

CLAIMS, VOLUMES, CLASSES = "persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"

BIND_COMPLETED = "pv.kubernetes.io/bind-completed"
BOUND_BY_CONTROLLER = "pv.kubernetes.io/bound-by-controller"
PROVISIONED_BY = "pv.kubernetes.io/provisioned-by"
SELECTED_NODE = "volume.kubernetes.io/selected-node"
PROVISIONER = "volume.kubernetes.io/storage-provisioner"
_PROVISIONER_BETA = "volume.beta.kubernetes.io/storage-provisioner"

WAITING = "waiting for first consumer to be created before binding"
WAITING_FOR_POD = "waiting for pod {pods} to be scheduled"
NO_VOLUMES = "no persistent volumes available for this claim and no storage class is set"
CLASS_NOT_FOUND = 'storageclass.storage.k8s.io "{name}" not found'
EXTERNAL = (
    "Waiting for a volume to be created either by the external provisioner '{provisioner}' or manually by the system administrator. "
    "If volume creation is delayed, please verify that the provisioner is running and correctly registered."
)
TAKEN = 'volume "{name}" already bound to a different claim.'
LOST = "Bound claim has lost its PersistentVolume. Data on the volume is lost!"


def annotations_of(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("annotations") or {}


def class_of(claim: Object) -> str:
    return claim["spec"].get("storageClassName") or ""


def waits_for_consumer(claim: Object, storage_class: Object | None) -> bool:
    """Whether the claim is left alone until the scheduler has chosen a node for its first Pod."""
    return (
        storage_class is not None
        and storage_class.get("volumeBindingMode") == "WaitForFirstConsumer"
        and SELECTED_NODE not in annotations_of(claim)
    )


class PersistentVolumeController(Controller):
    """Keys are `claim <namespace>/<name>` and `volume <name>`."""

    name = "persistentvolume-controller"

    def __init__(self, context: Context):
        super().__init__(context)
        self._claims = self.informers(CLAIMS)
        self._volumes = self.informers(VOLUMES)
        self._classes = self.informers(CLASSES)
        self._pods = self.informers("pods")
        self._claims.on_change(self._claim_changed)
        self._volumes.on_change(self._volume_changed)
        self._classes.on_change(lambda old, new: self._look_at_pending())

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        claim = new or old or {}
        self.queue.add(f"claim {meta.key(claim)}")
        if claim["spec"].get("volumeName"):
            self.queue.add(f"volume {claim['spec']['volumeName']}")

    def _volume_changed(self, old: Object | None, new: Object | None) -> None:
        volume = new or old or {}
        self.queue.add(f"volume {volume['metadata']['name']}")
        reference = volume["spec"].get("claimRef")
        if reference:
            self.queue.add(f"claim {reference['namespace']}/{reference['name']}")
        else:
            self._look_at_pending()

    def _look_at_pending(self) -> None:
        for claim in self._claims.list():
            if not claim["spec"].get("volumeName"):
                self.queue.add(f"claim {meta.key(claim)}")

    async def reconcile(self, key: str) -> None:
        kind, _, name = key.partition(" ")
        if kind == "claim":
            claim = self._claims.by_key(name)
            if claim is not None:
                await self._sync_claim(claim)
        else:
            volume = self._volumes.by_key(name)
            if volume is not None:
                await self._sync_volume(volume)

    async def _sync_claim(self, claim: Object) -> None:
        volume_name = claim["spec"].get("volumeName")
        if not volume_name:
            await self._find_volume(claim)
            return
        volume = self._volumes.get(volume_name)
        if BIND_COMPLETED in annotations_of(claim):
            if volume is None:
                await self._lose(claim)
            elif volume_match.is_reserved_for(volume, claim):
                await self._bind(claim, volume)
            return
        if volume is None:
            await self._set_pending(claim)
        elif not volume["spec"].get("claimRef") or volume_match.is_reserved_for(volume, claim):
            await self._bind(claim, volume)
        else:
            await self.events.event(claim, "Warning", "FailedBinding", TAKEN.format(name=volume_name))
            await self._set_pending(claim)

    async def _find_volume(self, claim: Object) -> None:
        if meta.is_deleting(claim):
            return
        name = class_of(claim)
        storage_class = self._classes.get(name) if name else None
        waiting = waits_for_consumer(claim, storage_class)
        reserved = [each for each in self._volumes.list() if each["spec"].get("claimRef") and volume_match.is_reserved_for(each, claim)]
        volume = volume_match.match(claim, reserved if waiting else self._volumes.list())
        if volume is not None:
            await self._bind(claim, volume)
            return
        await self._set_pending(claim)
        if waiting:
            await self._say_waiting(claim)
        elif name and storage_class is None:
            await self.events.event(claim, "Warning", "ProvisioningFailed", CLASS_NOT_FOUND.format(name=name))
        elif storage_class is None or storage_class["provisioner"] == "kubernetes.io/no-provisioner":
            await self.events.event(claim, "Normal", "FailedBinding", NO_VOLUMES)
        else:
            await self._ask_provisioner(claim, storage_class["provisioner"])

    async def _say_waiting(self, claim: Object) -> None:
        users = [
            pod["metadata"]["name"]
            for pod in self._pods.list(claim["metadata"]["namespace"])
            if claim["metadata"]["name"] in claims_of(pod) and not pods.is_terminal(pod)
        ]
        if users:
            await self.events.event(claim, "Normal", "WaitForPodScheduled", WAITING_FOR_POD.format(pods=",".join(sorted(users))))
        else:
            await self.events.event(claim, "Normal", "WaitForFirstConsumer", WAITING)

    async def _ask_provisioner(self, claim: Object, provisioner: str) -> None:
        metadata = claim["metadata"]
        if annotations_of(claim).get(PROVISIONER) != provisioner:
            body = {"metadata": {"annotations": {PROVISIONER: provisioner, _PROVISIONER_BETA: provisioner}}}
            await self.client.patch(CLAIMS, metadata["name"], body, metadata["namespace"])
        await self.events.event(claim, "Normal", "ExternalProvisioning", EXTERNAL.format(provisioner=provisioner))

    async def _set_pending(self, claim: Object) -> None:
        if (claim.get("status") or {}).get("phase") != "Pending":
            await self.update_status(CLAIMS, claim, {**(claim.get("status") or {}), "phase": "Pending"})

    async def _lose(self, claim: Object) -> None:
        if (claim.get("status") or {}).get("phase") == "Lost":
            return
        await self.update_status(CLAIMS, claim, {"phase": "Lost"})
        await self.events.event(claim, "Warning", "ClaimLost", LOST)

    async def _bind(self, claim: Object, volume: Object) -> None:
        """Volume first, then claim: whatever is interrupted is finished at the next look."""
        metadata = claim["metadata"]
        reference = volume["spec"].get("claimRef") or {}
        if reference.get("uid") != metadata["uid"]:
            changed = meta.copy(volume)
            if not reference:
                changed["metadata"].setdefault("annotations", {})[BOUND_BY_CONTROLLER] = "yes"
            changed["spec"]["claimRef"] = {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "name": metadata["name"],
                "namespace": metadata["namespace"],
                "uid": metadata["uid"],
                "resourceVersion": metadata["resourceVersion"],
            }
            volume = await self.client.update(VOLUMES, changed)
        await self._set_phase(volume, "Bound")
        if claim["spec"].get("volumeName") != volume["metadata"]["name"] or BIND_COMPLETED not in annotations_of(claim):
            changed = meta.copy(claim)
            marks = changed["metadata"].setdefault("annotations", {})
            if not changed["spec"].get("volumeName"):
                marks[BOUND_BY_CONTROLLER] = "yes"
            marks[BIND_COMPLETED] = "yes"
            changed["spec"]["volumeName"] = volume["metadata"]["name"]
            claim = await self.client.update(CLAIMS, changed)
        status = {
            "phase": "Bound",
            "accessModes": volume["spec"]["accessModes"],
            "capacity": {"storage": volume["spec"]["capacity"]["storage"]},
        }
        if {name: (claim.get("status") or {}).get(name) for name in status} != status:
            await self.update_status(CLAIMS, claim, {**(claim.get("status") or {}), **status})

    async def _sync_volume(self, volume: Object) -> None:
        reference = volume["spec"].get("claimRef")
        if not reference:
            await self._set_phase(volume, "Available")
            return
        claim = self._claims.get(reference["name"], reference["namespace"])
        if not reference.get("uid"):
            # Reserved by name for a claim that may still come.
            await self._set_phase(volume, "Available")
        elif claim is None or claim["metadata"]["uid"] != reference["uid"]:
            await self._set_phase(volume, "Released")
        elif claim["spec"].get("volumeName") == volume["metadata"]["name"]:
            await self._set_phase(volume, "Bound")

    async def _set_phase(self, volume: Object, phase: str) -> None:
        status = volume.get("status") or {}
        if status.get("phase") != phase:
            await self.update_status(VOLUMES, volume, {**status, "phase": phase, "lastPhaseTransitionTime": meta.now()})


def claims_of(pod: Object) -> set[str]:
    """The names of the claims that the Pod's volumes use."""
    found = set()
    for each in pod["spec"].get("volumes") or []:
        if each.get("persistentVolumeClaim"):
            found.add(each["persistentVolumeClaim"]["claimName"])
        elif each.get("ephemeral"):
            found.add(f"{pod['metadata']['name']}-{each['name']}")
    return found
