"""Whether a body is what the request says it is: kind, fields of the schema, options. The words are the API server's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from clusters.embedded import schema
from clusters.embedded.apiserver.patch import typed
from clusters.embedded.decoding import DecodeError
from clusters.embedded.errors import ApiError, FieldError, bad_request, invalid
from kubeobjects import Object

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
_MODES = ("Ignore", "Warn", "Strict")


def option(name: str, value: str, known: Sequence[str]) -> ApiError:
    listed = ", ".join(f'"{each}"' for each in known)
    why = f'Unsupported value: "{value}": supported values: {listed}'
    return invalid("PatchOptions", "meta.k8s.io", "", [FieldError(name, "FieldValueNotSupported", why)])


def too_long_manager(manager: str) -> ApiError:
    why = "Too long: may not be more than 128 bytes"
    return invalid("PatchOptions", "meta.k8s.io", "", [FieldError("fieldManager", "FieldValueTooLong", why)])


def manager_required() -> ApiError:
    why = "Required value: is required for apply patch"
    return invalid("PatchOptions", "meta.k8s.io", "", [FieldError("fieldManager", "FieldValueRequired", why)])


def whole_number(name: str, text: str) -> int:
    """An int64 of a query; `name` is told where it is not empty. Raises ApiError 400."""
    shown = f" ({name})" if name else ""
    if not _WHOLE_NUMBER.fullmatch(text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax{shown}')
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range{shown}')
    return int(text)


def warning_header(text: str) -> str:
    """An RFC 7234 warning as net.NewWarningHeader writes it; control characters cannot be in a header."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'


def check_kind(body: Object, api_version: str, kind: str) -> None:
    """Raises ApiError 400 where the body says that it is something else; fills in what it does not say."""
    for name in ("apiVersion", "kind"):
        if name in body and not isinstance(body[name], str):
            why = f"json: cannot unmarshal into Go struct field .{name} of type string"
            raise bad_request(f"couldn't get version/kind; json parse error: {why}")
    if not isinstance(body.get("metadata") or {}, dict):
        raise bad_request(
            f'{kind} in version "{api_version.rpartition("/")[2]}" cannot be handled as a {kind}: json: cannot unmarshal '
            f"into Go struct field {kind}.metadata of type v1.ObjectMeta"
        )
    actual_version, actual_kind = body.setdefault("apiVersion", api_version), body.setdefault("kind", kind)
    if body.get("metadata") is None:
        body.pop("metadata", None)
    if actual_version != api_version:
        raise bad_request(f"the API version in the data ({actual_version}) does not match the expected API version ({api_version})")
    if actual_kind != kind:
        version = api_version.rpartition("/")[2]
        why = f"converting ({actual_kind}) to ({kind}): unknown conversion"
        raise bad_request(f'{actual_kind} in version "{version}" cannot be handled as a {kind}: {why}')


def _mode(query: Mapping[str, str]) -> str:
    mode = query.get("fieldValidation", "") or "Warn"
    if mode not in _MODES:
        raise option("fieldValidation", mode, _MODES)
    return mode


def decode(body: Object, duplicates: list[str], api_version: str, kind: str, query: Mapping[str, str], warnings: list[str]) -> Object:
    """The body pruned to the schema. What strict decoding does not like is an error (400), a warning, or nothing, by fieldValidation."""
    mode = _mode(query)
    pruned, unknown = schema.get().decode(body, api_version, kind, mode != "Ignore")
    _complain([*duplicates, *unknown], api_version, kind, mode, warnings)
    return pruned


def _complain(problems: list[str], api_version: str, kind: str, mode: str, warnings: list[str]) -> None:
    if problems and mode == "Strict":
        version = api_version.rpartition("/")[2]
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: strict decoding error: {", ".join(problems)}')
    if mode == "Warn":
        warnings.extend(problems)


def check_applied(body: Object, duplicates: list[str], api_version: str, kind: str, query: Mapping[str, str], warnings: list[str]) -> None:
    """An apply configuration. What is not in the schema is refused in every mode, in the words of the typed conversion of managedFields."""
    wanted = schema.get().find(api_version, kind)
    found = typed.problems(body, wanted) if wanted is not None else []
    metadata = body.get("metadata") or {}
    group_version = api_version if "/" in api_version else f"/{api_version}"
    named = f"({metadata.get('namespace') or ''}/{metadata.get('name') or ''}; {group_version}, Kind={kind})"
    # Without a reason, as upstream; with 400 where upstream has 500, since it is the client that is wrong.
    if found:
        told = found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {line}" for line in found)
        raise ApiError(400, "", f"failed to create typed patch object {named}: {told}")
    try:
        schema.get().decode(body, api_version, kind, unstructured=True)
    except DecodeError as error:
        raise ApiError(400, "", f"failed to convert new object {named} to proper version: {error.why}") from None
    _complain(duplicates, api_version, kind, _mode(query), warnings)


def decode_patched(
    patched: Object, patch: Any, strategic: bool, api_version: str, kind: str, query: Mapping[str, str], warnings: list[str]
) -> Object:
    """The result of a patch, pruned to the schema. Strict errors and wrong types are told as an invalid value of `patch` (422)."""
    mode = _mode(query)
    try:
        pruned, problems = schema.get().decode(patched, api_version, kind, mode != "Ignore", unstructured=strategic)
    except DecodeError as error:
        raise invalid_patch(_patch_value(patched, patch, strategic, error.why)) from None
    if problems and mode == "Strict":
        raise invalid_patch(_patch_value(patched, patch, strategic, f"strict decoding error: {', '.join(problems)}"))
    if mode == "Warn":
        warnings.extend(problems)
    return pruned


def _patch_value(patched: Object, patch: Any, strategic: bool, why: str) -> str:
    # A strategic merge shows the patch in Go's %+v form, the other patches show the object that they made.
    shown = typed.go_value(patch) if strategic else json.dumps(patched, ensure_ascii=False, separators=(",", ":"))
    return f"Invalid value: {json.dumps(shown, ensure_ascii=False)}: {why}"


def invalid_patch(why: str) -> ApiError:
    cause = {"reason": "FieldValueInvalid", "message": why, "field": "patch"}
    return ApiError(422, "Invalid", f' "" is invalid: patch: {why}', {"causes": [cause]})
