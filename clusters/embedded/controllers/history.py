"""ControllerRevisions: the templates that a DaemonSet or StatefulSet has had (k8s.io/kubernetes/pkg/controller/history)."""

from __future__ import annotations

from clusters.embedded.client import Client, Object
from clusters.embedded.controllers.template_hash import template_hash
from clusters.embedded.errors import ApiError
from kubeobjects import meta

RESOURCE = "controllerrevisions.apps"
HASH_LABEL = "controller-revision-hash"


def data_of(owner: Object) -> Object:
    """What a revision keeps of its owner: a patch that puts the template back."""
    return {"spec": {"template": {**owner["spec"]["template"], "$patch": "replace"}}}


def hash_of(revision: Object) -> str:
    return (revision["metadata"].get("labels") or {}).get(HASH_LABEL, "")


class History:
    """The revisions of one kind of owner."""

    def __init__(self, client: Client):
        self._client = client

    async def sync(self, owner: Object, known: list[Object]) -> tuple[Object, list[Object]]:
        """(the revision of the owner's current template, all others by number), the current one made or renumbered as needed."""
        wanted = data_of(owner)
        ordered = sorted(known, key=lambda each: (each["revision"], each["metadata"]["name"]))
        highest = ordered[-1]["revision"] if ordered else 0
        current = next((each for each in reversed(ordered) if each["data"] == wanted), None)
        if current is None:
            current = await self._create(owner, wanted, highest + 1)
        elif current["revision"] < highest:
            # An old template has come back: its revision becomes the newest.
            current = await self._client.update(RESOURCE, {**current, "revision": highest + 1})
        return current, [each for each in ordered if each["metadata"]["uid"] != current["metadata"]["uid"]]

    async def _create(self, owner: Object, data: Object, number: int) -> Object:
        metadata = owner["metadata"]
        collisions = (owner.get("status") or {}).get("collisionCount")
        digest = template_hash(owner["spec"]["template"], collisions)
        annotations = {
            name: value
            for name, value in (metadata.get("annotations") or {}).items()
            if name != "kubectl.kubernetes.io/last-applied-configuration"
        }
        body: Object = {
            "apiVersion": "apps/v1",
            "kind": "ControllerRevision",
            "metadata": {
                "name": f"{metadata['name']}-{digest}",
                "namespace": metadata["namespace"],
                "labels": {**((owner["spec"]["template"].get("metadata") or {}).get("labels") or {}), HASH_LABEL: digest},
                "ownerReferences": [meta.owner_reference(owner)],
            },
            "data": data,
            "revision": number,
        }
        if annotations:
            body["metadata"]["annotations"] = annotations
        try:
            return await self._client.create(RESOURCE, body, metadata["namespace"])
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            # The cache had not seen it yet, or it belongs to an owner of the same name that is gone: the next look decides.
            found = await self._client.get(RESOURCE, body["metadata"]["name"], metadata["namespace"])
            if (meta.controller_of(found) or {}).get("uid") == metadata["uid"]:
                return found
            raise

    async def truncate(self, owner: Object, old: list[Object], in_use: set[str]) -> None:
        """Deletes the oldest revisions beyond revisionHistoryLimit that no Pod carries any more."""
        limit = owner["spec"].get("revisionHistoryLimit", 10)
        free = [each for each in old if hash_of(each) not in in_use]
        for each in free[: max(0, len(free) - limit)]:
            try:
                await self._client.delete(RESOURCE, each["metadata"]["name"], each["metadata"]["namespace"], uid=each["metadata"]["uid"])
            except ApiError as error:
                if error.code != 404:
                    raise
