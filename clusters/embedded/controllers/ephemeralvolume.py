"""Generic ephemeral volumes: a claim for each, made for its Pod and gone with it (pkg/controller/volume/ephemeral)."""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.errors import ApiError
from kubeobjects import meta

_CLAIMS = "persistentvolumeclaims"
NOT_OURS = 'PVC "{name}" was not created for the pod'


class EphemeralVolumeController(Controller):
    name = "ephemeral_volume"

    def __init__(self, context: Context):
        super().__init__(context)
        self._claims = self.informers(_CLAIMS)
        self._pods = self.informers("pods")
        self._pods.on_change(self._pod_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is not None and any(each.get("ephemeral") for each in new["spec"].get("volumes") or []):
            self.enqueue(new)

    async def reconcile(self, key: str) -> None:
        pod = self._pods.by_key(key)
        if pod is None or not pods.is_active(pod):
            return
        for volume in pod["spec"].get("volumes") or []:
            if volume.get("ephemeral"):
                await self._ensure(pod, volume)

    async def _ensure(self, pod: Object, volume: Object) -> None:
        namespace = pod["metadata"]["namespace"]
        name = f"{pod['metadata']['name']}-{volume['name']}"
        present = self._claims.get(name, namespace)
        if present is not None:
            if (meta.controller_of(present) or {}).get("uid") != pod["metadata"]["uid"]:
                await self.events.event(pod, "Warning", "EphemeralVolumeFailed", NOT_OURS.format(name=f"{namespace}/{name}"))
            return
        template = volume["ephemeral"]["volumeClaimTemplate"]
        wanted = template.get("metadata") or {}
        metadata: Object = {"name": name, "namespace": namespace, "ownerReferences": [meta.owner_reference(pod)]}
        metadata |= {field: wanted[field] for field in ("labels", "annotations") if wanted.get(field)}
        body = {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": template["spec"]}
        try:
            await self.client.create(_CLAIMS, meta.copy(body), namespace)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
