"""Whether a body is what the request says it is: kind, fields of the schema, options. The words are the API server's."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any

from clusters.embedded import decoding, resources, schema
from clusters.embedded.apiserver.patch import typed
from clusters.embedded.decoding import DecodeError
from clusters.embedded.errors import ApiError, FieldError, bad_request, invalid
from kubeobjects import Object

_WHOLE_NUMBER = re.compile(r"[+-]?[0-9]+")
_MODES = ("Ignore", "Warn", "Strict")
# Where the original makes the schemes that its errors name.
_SCHEME = "pkg/api/legacyscheme/scheme.go:30"
_CUSTOM_SCHEME = "k8s.io/apiextensions-apiserver/pkg/apiserver/apiserver.go:55"
_CUSTOM_VERSION = "apiextensions.k8s.io/v1"
# Kinds that every scheme knows beside its own.
_OPTIONS = ("DeleteOptions", "CreateOptions", "UpdateOptions", "PatchOptions", "GetOptions", "ListOptions", "WatchEvent")


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


def whole_number(text: str) -> int:
    """An int64 of a query. Raises ApiError 400."""
    if not _WHOLE_NUMBER.fullmatch(text):
        raise bad_request(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(text) > 20 or not -(2**63) <= int(text) < 2**63:
        raise bad_request(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def warning_header(text: str) -> str:
    """An RFC 7234 warning as net.NewWarningHeader writes it; control characters cannot be in a header."""
    clean = "".join(character if character.isprintable() else " " for character in text)
    escaped = clean.replace("\\", "\\\\").replace('"', '\\"')
    return f'299 - "{escaped}"'


def check_kind(body: Object, api_version: str, kind: str) -> None:
    """Raises ApiError 400 where the body says that it is something else; fills in what it does not say."""
    for name, expected in (("apiVersion", api_version), ("kind", kind)):
        body[name] = body.get(name) or expected
    actual_version, actual_kind = body["apiVersion"], body["kind"]
    if body.get("metadata") is None:
        body.pop("metadata", None)
    if not _is_registered(actual_version, actual_kind):
        version = actual_version.rpartition("/")[2]
        scheme = _CUSTOM_SCHEME if api_version == _CUSTOM_VERSION else _SCHEME
        why = f'no kind "{actual_kind}" is registered for version "{actual_version}" in scheme "{scheme}"'
        raise bad_request(f'{actual_kind} in version "{version}" cannot be handled as a {kind}: {why}')
    if actual_version != api_version:
        raise bad_request(f"the API version in the data ({actual_version}) does not match the expected API version ({api_version})")
    if actual_kind != kind:
        version = api_version.rpartition("/")[2]
        why = f"converting ({actual_kind}) to ({kind}): unknown conversion"
        raise bad_request(f'{actual_kind} in version "{version}" cannot be handled as a {kind}: {why}')


def check_delete_options(body: Object) -> None:
    """Raises ApiError 400 for the body of a delete that is something else."""
    kind = body.get("kind") or "DeleteOptions"
    if kind not in _OPTIONS:
        scheme = "pkg/apis/meta/internalversion/scheme/register.go:27"
        raise bad_request(f'no kind "{kind}" is registered for version "{body.get("apiVersion", "")}" in scheme "{scheme}"')
    if kind != "DeleteOptions":
        raise bad_request("decoded object cannot be converted to DeleteOptions")


def _is_registered(api_version: str, kind: str) -> bool:
    return schema.get().find(api_version, kind) is not None or (api_version, kind) in resources.by_kind() or kind in _OPTIONS


def _mode(query: Mapping[str, str]) -> str:
    mode = query.get("fieldValidation", "") or "Warn"
    if mode not in _MODES:
        raise option("fieldValidation", mode, _MODES)
    return mode


def decode(body: Object, duplicates: list[str], api_version: str, kind: str, query: Mapping[str, str], warnings: list[str]) -> Object:
    """The body pruned to the schema. What strict decoding does not like is an error (400), a warning, or nothing, by fieldValidation."""
    mode = _mode(query)
    pruned, unknown = decoding.decode(body, api_version, kind, mode != "Ignore")
    _complain([*duplicates, *unknown], api_version, kind, mode, warnings)
    return pruned


def _complain(problems: list[str], api_version: str, kind: str, mode: str, warnings: list[str]) -> None:
    if problems and mode == "Strict":
        version = api_version.rpartition("/")[2]
        raise bad_request(f'{kind} in version "{version}" cannot be handled as a {kind}: strict decoding error: {", ".join(problems)}')
    if mode == "Warn":
        warnings.extend(problems)


def check_applied_kind(body: Object, api_version: str, kind: str) -> None:
    """Raises ApiError 400 for a configuration of another kind or version (managedfields/internal/versioncheck.go)."""
    given_version, given_kind = _text(body, "apiVersion"), _text(body, "kind")
    if (given_version, given_kind) != (api_version, kind):
        group, _, version = given_version.rpartition("/")
        raise bad_request(f"invalid object type: {group}/{version}, Kind={given_kind}")


def check_applied(body: Object, duplicates: list[str], api_version: str, kind: str, query: Mapping[str, str], warnings: list[str]) -> None:
    """An apply configuration. What is not in the schema is refused in every mode, in the words of the typed conversion of managedFields.

    Upstream these are errors without a status, which the client reads as 500 without a reason (managedfields/internal/structuredmerge.go).
    """
    wanted = schema.get().find(api_version, kind)
    found = typed.problems(body, wanted) if wanted is not None else []
    metadata = body.get("metadata") if isinstance(body.get("metadata"), dict) else {}
    group_version = api_version if "/" in api_version else f"/{api_version}"
    named = f"({_text(metadata, 'namespace')}/{_text(metadata, 'name')}; {group_version}, Kind={kind})"
    if found:
        told = found[0] if len(found) == 1 else "errors:\n" + "\n".join(f"  {line}" for line in found)
        raise ApiError(500, "", f"failed to create typed patch object {named}: {told}")
    try:
        decoding.decode(body, api_version, kind, unstructured=True)
    except DecodeError as error:
        why = f"unable to convert unstructured object to {group_version}, Kind={kind}: {error.why}"
        raise ApiError(500, "", f"failed to convert new object {named} to proper version: {why}") from None
    _complain(duplicates, api_version, kind, _mode(query), warnings)


def check_applied_name(metadata: Object, name: str) -> None:
    """Raises ApiError 400 where a configuration has no name, or another one than its path (checkName in handlers/rest.go)."""
    given = metadata.get("name")
    if not given:
        raise bad_request(f"the name of the object ({name} based on URL) was undeterminable: name must be provided")
    if given != name:
        raise bad_request(f"the name of the object ({given}) does not match the name on the URL ({name})")


def _text(holder: Any, name: str) -> str:
    """A field that is read as text; what is none counts as empty (unstructured.NestedString)."""
    value = holder.get(name)
    return value if isinstance(value, str) else ""


def decode_patched(
    patched: Object, patch: Any, strategic: bool, api_version: str, kind: str, query: Mapping[str, str], warnings: list[str]
) -> Object:
    """The result of a patch, pruned to the schema. Strict errors and wrong types are told as an invalid value of `patch` (422)."""
    mode = _mode(query)
    try:
        pruned, problems = decoding.decode(patched, api_version, kind, mode != "Ignore", unstructured=strategic)
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
