"""PATCH: from a content type and a body to the function that makes the new object from the old one."""

from __future__ import annotations

from typing import Any

import orjson

from clusters.embedded.apiserver.patch import merge, strategic
from clusters.embedded.apiserver.registry import Transform
from clusters.embedded.errors import ApiError, bad_request
from clusters.embedded.resources import Resource
from kubeobjects import Object

JSON = "application/json-patch+json"
MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
APPLY = "application/apply-patch+yaml"
TYPES = (JSON, MERGE, STRATEGIC, APPLY)


def unsupported() -> ApiError:
    """For any other content type: the router refuses it before a handler could say which it takes (go-restful)."""
    return ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type")


def not_for_custom() -> ApiError:
    """For a strategic merge patch of a custom resource, whose schema has no merge strategies."""
    accepted = ", ".join((JSON, MERGE, APPLY))
    why = f"the body of the request was in an unknown format - accepted media types include: {accepted}"
    return ApiError(415, "UnsupportedMediaType", why)


def body_kind(resource: Resource, subresource: str) -> tuple[str, str]:
    """(apiVersion, kind) of what a request to `resource/subresource` carries."""
    found = resource.subresource(subresource) if subresource else None
    if found is None or not found.version:
        return resource.api_version, found.kind if found and found.kind else resource.kind
    return (f"{found.group}/{found.version}" if found.group else found.version), found.kind


def transform(content_type: str, patch: Any, resource: Resource, subresource: str = "") -> Transform:
    """The function that applies `patch`; it raises ApiError 400 for a body that is no such patch."""
    api_version, kind = body_kind(resource, subresource)

    # What is wrong with a patch is only said where there is something to patch.
    def as_operations(old: Object) -> Object:
        if not isinstance(patch, list):
            raise bad_request("error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp")
        # The library is imported where it is needed: only a few commands send such patches.
        from clusters.embedded.apiserver.patch import json_patch

        return json_patch.apply(old, patch)

    def as_fields(old: Object) -> Object:
        if not isinstance(patch, dict):
            raise bad_request("json: cannot unmarshal array into Go value of type map[string]interface {}")
        return merge.apply(old, patch) if content_type == MERGE else strategic.merge(old, patch, api_version, kind)

    return as_operations if content_type == JSON else as_fields


def keep_last_applied(merged: Object, applied: Object, manager: str) -> None:
    """After kubectl's server-side apply the annotation of its client-side apply says what was applied now (lastappliedupdater.go).

    Only where there is such an annotation already: who changes back to client-side apply then finds it true.
    """
    annotations = merged["metadata"].get("annotations") or {}
    if manager != "kubectl" or _LAST_APPLIED not in annotations:
        return
    metadata = {key: value for key, value in applied["metadata"].items() if key != "managedFields"}
    if metadata.get("annotations"):
        metadata["annotations"] = {key: value for key, value in metadata["annotations"].items() if key != _LAST_APPLIED}
    text = orjson.dumps({**applied, "metadata": metadata}, option=orjson.OPT_SORT_KEYS | orjson.OPT_APPEND_NEWLINE).decode()
    for character in "<>&":
        # Go's encoder writes what has a meaning in HTML as escapes.
        text = text.replace(character, f"\\u{ord(character):04x}")
    merged["metadata"]["annotations"] = {**annotations, _LAST_APPLIED: text}
