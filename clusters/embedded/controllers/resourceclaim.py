"""Claims of Pods: made from templates, reserved for as long as their Pods run, and given back afterwards (pkg/controller/resourceclaim)."""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.errors import ApiError
from kubeobjects import meta, resourceclaims

_CLAIMS, _TEMPLATES = "resourceclaims.resource.k8s.io", "resourceclaimtemplates.resource.k8s.io"
_POD, _CLAIM = "pod:", "claim:"
# A name of 63 characters, less a hyphen and five random ones.
_LONGEST_BASE = 57

FAILED = "PodResourceClaim {entry}: {error}"
NO_TEMPLATE = 'resource claim template "{name}": resourceclaimtemplate.resource.k8s.io "{name}" not found'


class _CreationError(Exception):
    """A claim could not be made; the message is the event's."""


def is_done(pod: Object) -> bool:
    """The Pod needs no devices any more: it has ended, or was deleted before it had a node."""
    return pods.is_terminal(pod) or (meta.is_deleting(pod) and not pod["spec"].get("nodeName"))


class ResourceClaimController(Controller):
    name = "resource_claim"

    def __init__(self, context: Context):
        super().__init__(context)
        self._claims = self.informers(_CLAIMS)
        self._templates = self.informers(_TEMPLATES)
        self._pods = self.informers("pods")
        # Claims made here, by the uid of their Pod, which the informer may not show yet: none is made twice.
        self._made: dict[str, list[Object]] = {}
        self._pods.on_change(self._pod_changed)
        self._claims.on_change(self._claim_changed)
        self._templates.on_change(self._template_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        pod = new or old or {}
        if not pod["spec"].get("resourceClaims"):
            return
        if new is None:
            self._made.pop(pod["metadata"]["uid"], None)
        if new is None or is_done(new):
            for name in resourceclaims.names(pod):
                self.queue.add(f"{_CLAIM}{pod['metadata']['namespace']}/{name}")
        if new is not None and not meta.is_deleting(new):
            self.queue.add(f"{_POD}{meta.key(new)}")

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        claim = new or old or {}
        if new is not None:
            self.queue.add(f"{_CLAIM}{meta.key(new)}")
        for pod in self._pods.list(claim["metadata"]["namespace"]):
            if claim["metadata"]["name"] in resourceclaims.names(pod):
                self._pod_changed(pod, pod)

    def _template_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            return
        name = new["metadata"]["name"]
        for pod in self._pods.list(new["metadata"]["namespace"]):
            if any(each.get("resourceClaimTemplateName") == name for each in pod["spec"].get("resourceClaims") or []):
                self._pod_changed(pod, pod)

    async def reconcile(self, key: str) -> None:
        if key.startswith(_POD):
            await self._sync_pod(key.removeprefix(_POD))
        else:
            await self._sync_claim(key.removeprefix(_CLAIM))

    async def _sync_pod(self, key: str) -> None:
        pod = self._pods.by_key(key)
        if pod is None or meta.is_deleting(pod) or is_done(pod):
            return
        made: list[Object] = []
        for entry in pod["spec"].get("resourceClaims") or []:
            try:
                name = await self._ensure(pod, entry)
            except _CreationError as error:
                await self.events.event(pod, "Warning", "FailedResourceClaimCreation", FAILED.format(entry=entry["name"], error=error))
                raise
            if name:
                made.append({"name": entry["name"], "resourceClaimName": name})
        if made:
            await self._record(pod, made)
        elif pod["spec"].get("nodeName"):
            await self._reserve_all(pod)

    async def _ensure(self, pod: Object, entry: Object) -> str | None:
        """The name of the claim that was made for the entry, or found where its Pod did not say so yet; None where all is well."""
        if not resourceclaims.is_from_template(entry):
            return None
        try:
            name = resourceclaims.claim_name(pod, entry)
        except resourceclaims.NotCreatedError:
            pass
        else:
            present = self._claims.get(name, pod["metadata"]["namespace"]) if name else None
            if not name or (present is not None and resourceclaims.is_for_pod(pod, present)):
                return None
        found = self._orphan(pod, entry["name"])
        return (found or await self._create(pod, entry))["metadata"]["name"]

    def _orphan(self, pod: Object, entry: str) -> Object | None:
        """The claim of the entry that exists already, made before its name could be written into the Pod's status."""
        known = self._claims.list(pod["metadata"]["namespace"])
        made = self._made.get(pod["metadata"]["uid"], [])
        for claim in [*known, *made]:
            annotations = claim["metadata"].get("annotations") or {}
            if resourceclaims.is_for_pod(pod, claim) and annotations.get(resourceclaims.POD_CLAIM_ANNOTATION) == entry:
                return claim
        return None

    async def _create(self, pod: Object, entry: Object) -> Object:
        namespace, template_name = pod["metadata"]["namespace"], entry["resourceClaimTemplateName"]
        template = self._templates.get(template_name, namespace)
        if template is None:
            raise _CreationError(NO_TEMPLATE.format(name=template_name))
        wanted = template["spec"].get("metadata") or {}
        owner = {"apiVersion": "v1", "kind": "Pod", "name": pod["metadata"]["name"], "uid": pod["metadata"]["uid"], "controller": True}
        metadata: Object = {
            "generateName": generate_name(pod["metadata"]["name"], entry["name"]),
            "namespace": namespace,
            "ownerReferences": [owner],
            "annotations": {**(wanted.get("annotations") or {}), resourceclaims.POD_CLAIM_ANNOTATION: entry["name"]},
        }
        if wanted.get("labels"):
            metadata["labels"] = wanted["labels"]
        body = {"apiVersion": "resource.k8s.io/v1", "kind": "ResourceClaim", "metadata": metadata, "spec": template["spec"]["spec"]}
        try:
            claim = await self.client.create(_CLAIMS, meta.copy(body), namespace)
        except ApiError as error:
            raise _CreationError(f"create ResourceClaim : {error}") from None
        self._made.setdefault(pod["metadata"]["uid"], []).append(claim)
        return claim

    async def _record(self, pod: Object, made: list[Object]) -> None:
        metadata = pod["metadata"]
        body = {"metadata": {"uid": metadata["uid"]}, "status": {"resourceClaimStatuses": made}}
        try:
            await self.client.patch("pods", metadata["name"], body, metadata["namespace"], subresource="status", type="strategic")
        except ApiError as error:
            if error.code != 404:
                raise

    async def _reserve_all(self, pod: Object) -> None:
        """A Pod that came to its node without the scheduler still gets its claims, where they have devices."""
        for name in resourceclaims.names(pod):
            claim = self._claims.get(name, pod["metadata"]["namespace"])
            if claim is None or resourceclaims.allocation(claim) is None or resourceclaims.is_reserved_for(pod, claim):
                continue
            body = meta.copy(claim)
            body["status"]["reservedFor"] = [*resourceclaims.reserved_for(claim), resourceclaims.consumer(pod)]
            await self.client.update(_CLAIMS, body, subresource="status")

    async def _sync_claim(self, key: str) -> None:
        claim = self._claims.by_key(key)
        if claim is None:
            return
        reserved = resourceclaims.reserved_for(claim)
        remaining = [each for each in reserved if await self._still_needs(each, claim)]
        protected = resourceclaims.FINALIZER in (claim["metadata"].get("finalizers") or [])
        if len(remaining) < len(reserved):
            await self._release(claim, remaining)
        elif protected and meta.is_deleting(claim) and not remaining:
            await self._release(claim, [])
        if not remaining:
            await self._delete_unused(claim)

    async def _still_needs(self, consumer: Object, claim: Object) -> bool:
        if consumer.get("apiGroup") or consumer.get("resource") != "pods":
            return True
        namespace = claim["metadata"]["namespace"]
        pod = self._pods.get(consumer["name"], namespace)
        if pod is None:
            # The informer may be late, and a Pod that is just being placed must not lose its devices.
            try:
                pod = await self.client.get("pods", consumer["name"], namespace)
            except ApiError as error:
                if error.code != 404:
                    raise
                return False
        return pod["metadata"]["uid"] == consumer["uid"] and not is_done(pod)

    async def _release(self, claim: Object, remaining: list[Object]) -> None:
        """Keeps the reservations that remain; with the last one go the devices, and the finalizer that protected them."""
        body = meta.copy(claim)
        status = body.setdefault("status", {})
        status.pop("reservedFor", None)
        if remaining:
            status["reservedFor"] = remaining
        finalizers = body["metadata"].get("finalizers") or []
        if not remaining and resourceclaims.FINALIZER in finalizers:
            status.pop("allocation", None)
        if status != (claim.get("status") or {}):
            body = meta.copy(await self.client.update(_CLAIMS, body, subresource="status"))
        finalizers = body["metadata"].get("finalizers") or []
        if resourceclaims.FINALIZER in finalizers and resourceclaims.allocation(body) is None:
            body["metadata"]["finalizers"] = [each for each in finalizers if each != resourceclaims.FINALIZER]
            await self.client.update(_CLAIMS, body)

    async def _delete_unused(self, claim: Object) -> None:
        """A claim that was made for one Pod goes once that Pod is done, though the Pod itself may stay for long."""
        owner = meta.controller_of(claim)
        if owner is None or (owner.get("apiVersion"), owner.get("kind")) != ("v1", "Pod"):
            return
        metadata = claim["metadata"]
        pod = self._pods.get(owner["name"], metadata["namespace"])
        if pod is not None and (pod["metadata"]["uid"] != owner["uid"] or is_done(pod)) and not meta.is_deleting(claim):
            try:
                await self.client.delete(_CLAIMS, metadata["name"], metadata["namespace"], uid=metadata["uid"])
            except ApiError as error:
                if error.code != 404:
                    raise


def generate_name(pod: str, entry: str) -> str:
    """`POD-ENTRY-`; both parts are shortened in proportion where they are too long for a name."""
    base = f"{pod}-{entry}-"
    if len(base) <= _LONGEST_BASE:
        return base
    return "-".join(part[: len(part) * _LONGEST_BASE // len(base)] for part in (pod, entry))
