"""RFC 6902, by the jsonpatch library, with the API server's answers to what cannot be applied."""

from __future__ import annotations

from typing import Any

import jsonpatch
import jsonpointer
import orjson

from clusters.embedded.errors import ApiError, bad_request
from kubeobjects import Object, meta

# jsonpatch.go gives up above this many operations (maxJSONPatchOperations).
_MOST_OPERATIONS = 10000
# As many bytes `copy` may add to an object (JSONPatchMaxCopyBytes): it could double it with each operation.
_MOST_COPIED = 3 * 1024 * 1024


def apply(original: Object, patch: list[Any]) -> Object:
    """`original` with the operations applied; 400 for what is no JSON patch, 422 for one that does not fit the object."""
    if len(patch) > _MOST_OPERATIONS:
        raise ApiError(
            413, "RequestEntityTooLarge", f"The allowed maximum operations in a JSON patch is {_MOST_OPERATIONS}, got {len(patch)}"
        )
    odd = [each for each in patch if not isinstance(each, dict)]
    if odd:
        kind = {str: "string", list: "array", bool: "bool"}.get(type(odd[0]), "number")
        raise bad_request(f"error decoding patch: json: cannot unmarshal {kind} into Go value of type handlers.jsonPatchOp")
    try:
        result = _applied(meta.copy(original), patch)
    except (jsonpatch.JsonPatchException, jsonpointer.JsonPointerException, TypeError, AttributeError, ValueError, RecursionError):
        raise _rejected() from None
    if not isinstance(result, dict):
        raise _rejected()
    return result


def _applied(result: Any, patch: list[Any]) -> Any:
    # Reads all operations before the first is applied: one that is none refuses the patch.
    jsonpatch.JsonPatch(patch)
    copied = 0
    for operation in patch:
        if operation.get("op") == "copy":
            copied += len(orjson.dumps(jsonpointer.resolve_pointer(result, operation["from"])))
            if copied > _MOST_COPIED:
                raise _rejected()
        result = jsonpatch.JsonPatch([operation]).apply(result, in_place=True)
    return result


def _rejected() -> ApiError:
    """What does not fit: the real server gives no reason."""
    return ApiError(422, "Invalid", "the server rejected our request due to an error in our request")
