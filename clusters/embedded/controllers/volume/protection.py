"""Claims that Pods use and volumes that claims hold stay until they are free (pkg/controller/volume/pvcprotection, pvprotection)."""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.controllers.volume.binder import CLAIMS, VOLUMES, claims_of
from clusters.embedded.errors import ApiError
from kubeobjects import meta

CLAIM_FINALIZER = "kubernetes.io/pvc-protection"
VOLUME_FINALIZER = "kubernetes.io/pv-protection"


class _Protection(Controller):
    """Sees to it that objects carry the finalizer, and takes it from those that are deleted and no longer in use."""

    resource: str
    finalizer: str

    def __init__(self, context: Context):
        super().__init__(context)
        self._objects = self.watch(self.resource)

    def in_use(self, obj: Object) -> bool:
        raise NotImplementedError

    async def reconcile(self, key: str) -> None:
        obj = self._objects.by_key(key)
        if obj is None:
            return
        finalizers = obj["metadata"].get("finalizers") or []
        if not meta.is_deleting(obj):
            wanted = finalizers if self.finalizer in finalizers else [*finalizers, self.finalizer]
        elif self.in_use(obj):
            return
        else:
            wanted = [each for each in finalizers if each != self.finalizer]
        if wanted == finalizers:
            return
        metadata = obj["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": wanted or None}}
        try:
            await self.client.patch(self.resource, metadata["name"], body, metadata.get("namespace"))
        except ApiError as error:
            if error.code != 404:
                raise


class ClaimProtectionController(_Protection):
    name = "persistentvolumeclaim-protection-controller"
    resource = CLAIMS
    finalizer = CLAIM_FINALIZER

    def __init__(self, context: Context):
        super().__init__(context)
        self._pods = self.informers("pods")
        self._pods.on_change(self._pod_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        """The end of a Pod may set its claims free."""
        if old is not None and (new is None or pods.is_terminal(new)):
            for name in claims_of(old):
                self.queue.add(f"{old['metadata']['namespace']}/{name}")

    def in_use(self, obj: Object) -> bool:
        users = self._pods.list(obj["metadata"]["namespace"])
        return any(obj["metadata"]["name"] in claims_of(pod) and pod["spec"].get("nodeName") and not pods.is_terminal(pod) for pod in users)


class VolumeProtectionController(_Protection):
    name = "persistentvolume-protection-controller"
    resource = VOLUMES
    finalizer = VOLUME_FINALIZER

    def in_use(self, obj: Object) -> bool:
        return (obj.get("status") or {}).get("phase") == "Bound"
