"""RFC 6902, by the jsonpatch library, with the API server's answers to what cannot be applied."""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer

from clusters.embedded import meta
from clusters.embedded.errors import ApiError, bad_request

Object = dict[str, Any]

# jsonpatch.go gives up above this many operations (maxJSONPatchOperations).
_MOST_OPERATIONS = 10000


def apply(original: Object, patch: list[Any]) -> Object:
    """`original` with the operations applied; 400 for what is no JSON patch, 422 for one that does not fit the object."""
    if len(patch) > _MOST_OPERATIONS:
        raise ApiError(
            413, "RequestEntityTooLarge", f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, got {len(patch)}"
        )
    try:
        result = jsonpatch.JsonPatch(patch).apply(meta.copy(original))
    except (jsonpatch.InvalidJsonPatch, TypeError, AttributeError) as error:
        raise bad_request(f"error decoding patch: {error}") from None
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException):
        raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request") from None
    if not isinstance(result, dict):
        raise ApiError(422, "Invalid", "the server rejected our request due to an error in our request")
    return result
