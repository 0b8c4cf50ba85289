"""Binds a Pod's claims before the Pod itself (the VolumeBinding plugin's PreBind).

A claim that got a volume has the volume reserved for it; a claim that is to be provisioned is told the node. Then the
volume controllers do their part, and the Pod waits for them.
"""

from __future__ import annotations

import asyncio

from clusters.embedded.client import Client, Object
from clusters.embedded.informer import InformerFactory
from clusters.embedded.scheduler.plugins import volumes
from clusters.embedded.scheduler.plugins.volumebinding import Binding
from kubeobjects import meta

# VolumeBindingArgs.bindTimeoutSeconds.
_TIMEOUT = 600.0


class VolumeBindingError(Exception):
    """The Pod's claims could not be bound: in time, or because a claim or the Pod has gone."""


class VolumeBinder:
    def __init__(self, client: Client, informers: InformerFactory):
        self._client = client
        self._claims = informers("persistentvolumeclaims")
        self._pods = informers("pods")
        self._changed = asyncio.Event()
        self._claims.on_change(lambda old, new: self._changed.set())
        self._pods.on_change(lambda old, new: self._changed.set() if new is None else None)

    async def bind(self, pod: Object, binding: Binding, node: str) -> None:
        """Returns when every claim is bound. Raises ApiError, and VolumeBindingError at once where a claim or the Pod goes, else after ten minutes."""
        for claim, volume in binding.static:
            await self._client.patch("persistentvolumes", volume["metadata"]["name"], {"spec": {"claimRef": _reference(claim)}})
        told: dict[str, Object] = {}
        for claim in binding.provision:
            metadata = claim["metadata"]
            body = {"metadata": {"annotations": {volumes.SELECTED_NODE: node}}}
            told[meta.key(claim)] = await self._client.patch("persistentvolumeclaims", metadata["name"], body, metadata["namespace"])
        claims = [meta.key(claim) for claim, _ in binding.static] + list(told)
        try:
            async with asyncio.timeout(_TIMEOUT):
                while not all(self._is_bound(key, told.get(key)) for key in claims):
                    if self._pods.by_key(meta.key(pod)) is None:
                        raise VolumeBindingError(f'binding volumes: pod does not exist any more: pod "{pod["metadata"]["name"]}" not found')
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise VolumeBindingError("binding volumes: context deadline exceeded") from None

    def _is_bound(self, key: str, told: Object | None) -> bool:
        """`told` is the claim as it was told its node, None for one that got a volume that was there."""
        claim = self._claims.by_key(key)
        if claim is None:
            raise VolumeBindingError(f'binding volumes: failed to check provisioning pvc: persistentvolumeclaims "{key}" not found')
        if told is None:
            return volumes.is_bound(claim)
        mine, seen = told["metadata"], claim["metadata"]
        if mine["uid"] == seen["uid"] and int(seen["resourceVersion"]) < int(mine["resourceVersion"]):
            # What the watch brought last is from before the node was written.
            return False
        # Another claim of the same name, or one that its provisioner gave back: the Pod has to be placed anew (checkBindings).
        if not seen.get("annotations"):
            raise VolumeBindingError(f'binding volumes: selectedNode annotation reset for PVC "{seen["name"]}"')
        if seen["annotations"].get(volumes.SELECTED_NODE) != mine["annotations"][volumes.SELECTED_NODE]:
            raise VolumeBindingError(f'binding volumes: provisioning failed for PVC "{seen["name"]}"')
        return volumes.is_bound(claim)


def _reference(claim: Object) -> Object:
    metadata = claim["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "name": metadata["name"],
        "namespace": metadata["namespace"],
        "uid": metadata["uid"],
        "resourceVersion": metadata["resourceVersion"],
    }
