"""Which objects a controller's selector makes its own: adopting, keeping and letting go (controller.ControllerRefManager)."""

from __future__ import annotations

from clusters.embedded.client import Client, Object
from clusters.embedded.errors import ApiError
from kubeobjects import meta, selectors


async def claim(client: Client, resource: str, owner: Object, candidates: list[Object], matches: selectors.Matcher) -> list[Object]:
    """The candidates that `owner` controls, after adopting orphans that match and releasing its own that do not."""
    claimed = []
    for each in candidates:
        reference = meta.controller_of(each)
        fits = matches(each["metadata"].get("labels") or {})
        if reference is not None:
            if reference["uid"] != owner["metadata"]["uid"]:
                continue
            if fits:
                claimed.append(each)
            elif not meta.is_deleting(owner):
                await _release(client, resource, owner, each)
        elif fits and not meta.is_deleting(owner) and not meta.is_deleting(each):
            adopted = await _adopt(client, resource, owner, each)
            if adopted is not None:
                claimed.append(adopted)
    return claimed


async def _adopt(client: Client, resource: str, owner: Object, obj: Object) -> Object | None:
    metadata = obj["metadata"]
    references = [*(metadata.get("ownerReferences") or []), meta.owner_reference(owner)]
    body = {"metadata": {"uid": metadata["uid"], "ownerReferences": references}}
    return await _patch(client, resource, metadata, body)


async def _release(client: Client, resource: str, owner: Object, obj: Object) -> None:
    metadata = obj["metadata"]
    references = [each for each in metadata.get("ownerReferences") or [] if each["uid"] != owner["metadata"]["uid"]]
    await _patch(client, resource, metadata, {"metadata": {"uid": metadata["uid"], "ownerReferences": references or None}})


async def _patch(client: Client, resource: str, metadata: Object, body: Object) -> Object | None:
    try:
        return await client.patch(resource, metadata["name"], body, metadata.get("namespace"))
    except ApiError as error:
        if error.code in (404, 422):
            # Gone, or another object of that name by now: nobody's to keep.
            return None
        raise
