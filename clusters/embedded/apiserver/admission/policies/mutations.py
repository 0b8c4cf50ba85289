"""One mutation of a policy over one object: an apply configuration or a JSON patch that an expression gives (policy/mutating/patch)."""

from __future__ import annotations

from typing import Any

import jsonpatch

from clusters.embedded import decoding, schema
from clusters.embedded.apiserver import conversion, defaulting
from clusters.embedded.apiserver.admission.policies.inputs import Failed, Inputs
from clusters.embedded.apiserver.admission.request import AdmissionRequest
from clusters.embedded.apiserver.patch import apply as server_side
from clusters.embedded.apiserver.patch import fieldset, json_patch, typed
from clusters.embedded.errors import ApiError, internal
from clusters.embedded.schema import Type
from kubeobjects import Object


def apply(mutation: Object, inputs: Inputs, request: AdmissionRequest) -> Object:
    """The request's object after the mutation. Raises Failed, or ApiError 500 for a patch that makes what is no object of the kind."""
    assert request.object is not None
    obj = conversion.to_served(request.resource, request.object)
    if mutation["patchType"] == "JSONPatch":
        changed = _patched(obj, mutation["jsonPatch"]["expression"], inputs)
    else:
        changed = _merged(obj, mutation["applyConfiguration"]["expression"], inputs)
    defaulting.apply(changed)
    return changed


def _patched(obj: Object, text: str, inputs: Inputs) -> Object:
    operations = _operations(text, inputs)
    try:
        patched = json_patch.apply(obj, operations)
    except ApiError:
        if _fails_a_test(obj, operations):
            return obj
        raise Failed("JSON Patch: the patch does not fit the object") from None
    try:
        decoded, problems = decoding.decode(patched, obj["apiVersion"], obj["kind"])
    except decoding.DecodeError as error:
        raise internal(error.why) from None
    if problems:
        raise internal(f"strict decoding error: {', '.join(problems)}")
    return decoded


def _operations(text: str, inputs: Inputs) -> list[Object]:
    from clusters.embedded.cel import message_literals

    found = inputs.evaluate(text.strip(), messages=True)
    if not isinstance(found, list):
        raise Failed("type mismatch: JSONPatchType.expression should evaluate to array")
    operations = []
    for each in found:
        if message_literals.type_of(each) != "JSONPatch":
            kind = typed.go_value(each)
            raise Failed(f"type mismatch: JSONPatchType.expression should evaluate to array of JSONPatch, got element of {kind}")
        operation = {key: value for key, value in each.items() if key in ("op", "path", "from")}
        if "value" in each:
            operation["value"] = _plain(each["value"])
        operations.append(operation)
    return operations


def _fails_a_test(obj: Object, operations: list[Object]) -> bool:
    """A patch of which a `test` does not hold is left out; that is no failure."""
    try:
        jsonpatch.JsonPatch(operations).apply(obj)
    except jsonpatch.JsonPatchTestFailed:
        return True
    except (jsonpatch.JsonPatchException, jsonpatch.JsonPointerException, TypeError, ValueError):
        return False
    return False


def _plain(value: Any) -> Any:
    from clusters.embedded.cel import message_literals

    try:
        return message_literals.plain(value)
    except message_literals.WrongType as error:
        raise Failed(f"type mismatch: {error}") from None


def _merged(obj: Object, text: str, inputs: Inputs) -> Object:
    from clusters.embedded.cel import message_literals

    found = inputs.evaluate(text.strip(), messages=True)
    if message_literals.type_of(found) != "Object":
        raise Failed(
            f"unsupported return type from ApplyConfiguration expression: {message_literals.type_of(found) or typed.go_value(found)}"
        )
    api_version, kind = obj["apiVersion"], obj["kind"]
    wanted = schema.get().find(api_version, kind)
    patch = {**_plain(found), "apiVersion": api_version, "kind": kind}
    if wanted is not None:
        if problems := typed.problems(patch, wanted):
            told = problems[0] if len(problems) == 1 else "errors:\n" + "\n".join(f"  {line}" for line in problems)
            raise Failed(f"error applying patch: failed to convert patch object to typed object: {told}")
        if atomic := _atomics(patch, wanted, ""):
            why = f"may not mutate atomic arrays, maps or structs: {', '.join(atomic)}"
            raise Failed(f"error applying patch: invalid ApplyConfiguration: {why}")
    merged = server_side.merged(obj, patch, wanted)
    try:
        return decoding.decode(merged, api_version, kind, strict=False)[0]
    except decoding.DecodeError as error:
        raise Failed(error.why) from None


def _atomics(value: Any, wanted: Type | None, at: str) -> list[str]:
    """The places that could only be replaced as a whole: who names some of their fields would lose the others."""
    found: list[str] = []
    if isinstance(value, dict) and wanted is not None:
        if fieldset.shape(value, wanted) == "leaf":
            found.append(at)
        for name in sorted(value):
            found += _atomics(value[name], fieldset.below(f"f:{name}", wanted), f"{at}.{name}")
    elif isinstance(value, list) and wanted is not None:
        if fieldset.shape(value, wanted) == "leaf":
            found.append(at)
        for index, each in enumerate(value):
            found += _atomics(each, wanted.items, f"{at}[{index}]")
    return found
