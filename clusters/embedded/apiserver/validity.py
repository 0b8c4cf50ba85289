"""Whether a body is what the request says it is: kind, fields of the schema, options. The words are the API server's."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from clusters.embedded import schema
from clusters.embedded.errors import ApiError, FieldError, bad_request, invalid

Object = dict[str, Any]

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
    try:
        return int(text)
    except ValueError:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax ({name})') from None


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
    problems = [*duplicates, *unknown]
    if problems and mode == "Strict":
        version = api_version.rpartition("/")[2]
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: strict decoding error: {", ".join(problems)}')
    if mode == "Warn":
        warnings.extend(problems)
    return pruned


def decode_applied(
    body: Object, duplicates: list[str], api_version: str, kind: str, query: Mapping[str, str], warnings: list[str]
) -> Object:
    """An apply configuration. Unknown fields are refused in every mode, in the words of the typed conversion of managedFields."""
    pruned, unknown = schema.get().decode(body, api_version, kind, True)
    if unknown:
        metadata = body.get("metadata") or {}
        where = f"{metadata.get('namespace') or ''}/{metadata.get('name') or ''}"
        paths = [_typed_path(body, text.partition('"')[2].rpartition('"')[0], api_version, kind) for text in unknown]
        lines = [f"{path}: field not declared in schema" for path in paths]
        told = lines[0] if len(lines) == 1 else "errors:\n" + "\n".join(f"  {line}" for line in lines)
        # Without a reason, as upstream; with 400 where upstream has 500, since it is the client that is wrong.
        raise ApiError(400, "", f"failed to create typed patch object ({where}; {api_version}, Kind={kind}): {told}")
    return decode(pruned, duplicates, api_version, kind, query, warnings)


def _typed_path(body: Object, path: str, api_version: str, kind: str) -> str:
    """`spec.containers[0].x` as `.spec.containers[name="main"].x`: items of keyed lists by their keys."""
    wanted: schema.Type | None = schema.get().find(api_version, kind)
    value: Any = body
    shown = ""
    for step in path.split("."):
        name, *positions = step.split("[")
        shown += f".{name}"
        wanted = wanted.field(name) if wanted is not None else None
        value = value.get(name) if isinstance(value, dict) else None
        for position in positions:
            index = int(position.removesuffix("]"))
            value = value[index] if isinstance(value, list) else None
            keys = wanted.list_keys if wanted is not None and wanted.list_type == "map" else []
            wanted = wanted.items if wanted is not None else None
            named = [f"{key}={json.dumps(value[key])}" for key in keys if isinstance(value, dict) and key in value]
            shown += f"[{','.join(named) or index}]"
    return shown


def decode_patched(patched: Object, patch: Any, api_version: str, kind: str, query: Mapping[str, str], warnings: list[str]) -> Object:
    """The result of a patch, pruned to the schema. Strict errors are told as an invalid value of `patch` (422)."""
    mode = _mode(query)
    pruned, problems = schema.get().decode(patched, api_version, kind, mode != "Ignore")
    if problems and mode == "Strict":
        # The patch in Go's %+v form, quoted: what field.Invalid makes of a patch map.
        shown = json.dumps(go_format(patch), ensure_ascii=False)
        why = f"Invalid value: {shown}: strict decoding error: {', '.join(problems)}"
        raise invalid_patch(why)
    if mode == "Warn":
        warnings.extend(problems)
    return pruned


def invalid_patch(why: str) -> ApiError:
    cause = {"reason": "FieldValueInvalid", "message": why, "field": "patch"}
    return ApiError(422, "Invalid", f' "" is invalid: patch: {why}', {"causes": [cause]})


def go_format(value: Any) -> str:
    """A JSON value as Go's fmt prints it with %+v: maps by sorted keys, null as <nil>."""
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{go_format(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(go_format(each) for each in value) + "]"
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
