"""PATCH: from a content type and a body to the function that makes the new object from the old one."""

from __future__ import annotations

from typing import Any

from clusters.embedded.apiserver import steps
from clusters.embedded.apiserver.registry import Transform
from clusters.embedded.errors import ApiError, bad_request
from clusters.embedded.resources import Resource

Object = dict[str, Any]

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
APPLY = "application/apply-patch+yaml"
TYPES = (JSON, MERGE, STRATEGIC, APPLY)


def unsupported(content_type: str) -> ApiError:
    accepted = ", ".join(TYPES)
    return ApiError(
        415,
        "UnsupportedMediaType",
        f"the body of the request was in an unknown format - accepted media types include: {accepted}",
    )


def body_kind(resource: Resource, subresource: str) -> tuple[str, str]:
    """(apiVersion, kind) of what a request to `resource/subresource` carries."""
    found = resource.subresource(subresource) if subresource else None
    if found is None or not found.version:
        return resource.api_version, found.kind if found and found.kind else resource.kind
    return (f"{found.group}/{found.version}" if found.group else found.version), found.kind


def transform(content_type: str, patch: Any, resource: Resource, subresource: str = "") -> Transform:
    """The function that applies `patch`. Raises ApiError 400 for a body that is no such patch, 415 for another content type."""
    api_version, kind = body_kind(resource, subresource)
    if content_type == JSON:
        if not isinstance(patch, list):
            raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type jsonpatch.Patch")
        return lambda old: steps.json_patch(old, patch)
    if not isinstance(patch, dict):
        raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
    if content_type == MERGE:
        return lambda old: steps.merge_patch(old, patch)
    if content_type == STRATEGIC:
        return lambda old: steps.strategic_merge(old, patch, api_version, kind)
    raise unsupported(content_type)
