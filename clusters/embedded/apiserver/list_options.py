"""The options of a list or a watch, checked in the API server's order and words before anything is read.

Sources: k8s.io/apimachinery/pkg/apis/meta/internalversion/validation, k8s.io/apiserver/pkg/storage (continue.go, interfaces.go).
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

import orjson

from clusters.embedded import scalars
from clusters.embedded.apiserver.request import is_true
from clusters.embedded.apiserver.validation import field
from clusters.embedded.apiserver.validation.field import Errors, Path
from clusters.embedded.apiserver.validity import whole_number
from clusters.embedded.apiserver.watch import parse_version
from clusters.embedded.errors import ApiError, bad_request, invalid

_MATCH, _INITIAL = Path("resourceVersionMatch"), Path("sendInitialEvents")
_EXACT, _NOT_OLDER = "Exact", "NotOlderThan"
_ENCODING = "meta.k8s.io/v1"


def number(query: Mapping[str, str], name: str) -> int:
    """The whole number of an option, 0 where it is not given. Raises ApiError 400."""
    return whole_number(query.get(name) or "0")


def check_list(query: Mapping[str, str]) -> None:
    """Raises ApiError 400 for a number that is none, 422 for options that exclude each other in a list."""
    for name in ("timeoutSeconds", "limit"):
        number(query, name)
    match, version = query.get("resourceVersionMatch", ""), query.get("resourceVersion", "")
    found: Errors = []
    if match:
        if not version:
            found.append(field.forbidden(_MATCH, "resourceVersionMatch is forbidden unless resourceVersion is provided"))
        if query.get("continue"):
            found.append(field.forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
        if match not in (_EXACT, _NOT_OLDER):
            found.append(field.not_supported(_MATCH, match, (_EXACT, _NOT_OLDER, "")))
        if match == _EXACT and version == "0":
            found.append(field.forbidden(_MATCH, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'))
    if "sendInitialEvents" in query:
        found.append(field.forbidden(_INITIAL, "sendInitialEvents is forbidden for list"))
    _refuse(found)


def check_watch(query: Mapping[str, str]) -> None:
    """Raises ApiError 400 for a number that is none, 422 for options that exclude each other in a watch."""
    for name in ("timeoutSeconds", "limit"):
        number(query, name)
    match, initial = query.get("resourceVersionMatch", ""), "sendInitialEvents" in query
    found: Errors = []
    if initial and match != _NOT_OLDER:
        found.append(field.forbidden(_MATCH, f"sendInitialEvents requires setting resourceVersionMatch to {_NOT_OLDER}"))
    if match:
        if not initial:
            found.append(field.forbidden(_MATCH, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"))
        if match != _NOT_OLDER:
            found.append(field.not_supported(_MATCH, match, (_NOT_OLDER,)))
        if query.get("continue"):
            found.append(field.forbidden(_MATCH, "resourceVersionMatch is forbidden when continue is provided"))
    _refuse(found)
    if is_true(query.get("sendInitialEvents")) and not is_true(query.get("allowWatchBookmarks")):
        raise bad_request("sendInitialEvents requires allowWatchBookmarks")


def _refuse(found: Errors) -> None:
    if found:
        raise invalid("ListOptions", "meta.k8s.io", "", found)


def version(query: Mapping[str, str]) -> int:
    """The resourceVersion of a read, 0 where it is not given. Raises ApiError 400 for what is no version."""
    try:
        return parse_version(query.get("resourceVersion", ""))
    except ApiError as error:
        cause = error.details["causes"][0]
        raise bad_request(f"invalid resource version: {cause['field']}: {cause['message']}") from None


def continue_from(token: str) -> tuple[int, str]:
    """(the first page's version, the key that the next page starts with). Raises ApiError 400 for what is no token."""
    try:
        found = orjson.loads(scalars.raw_url_base64(token))
    except (scalars.ScalarError, ValueError) as error:
        raise _no_token(f"continue key is not valid: {error}") from None
    if not isinstance(found, dict) or found.get("v") != _ENCODING:
        shown = found.get("v", "") if isinstance(found, dict) else ""
        raise _no_token(f"continue key is not valid: server does not recognize this encoded version {shown}")
    revision, start = found.get("rv"), found.get("start")
    if not isinstance(revision, int) or not revision:
        raise _no_token(f"continue key is not valid: incorrect encoded start resourceVersion (version {_ENCODING})")
    if not isinstance(start, str) or not start:
        raise _no_token(f"continue key is not valid: encoded start key empty (version {_ENCODING})")
    return revision, start


def continue_token(revision: int, last: str) -> str:
    """The token of the page that follows the object with the key `last`."""
    content = orjson.dumps({"v": _ENCODING, "rv": revision, "start": f"{last}\0"})
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def _no_token(why: str) -> ApiError:
    return bad_request(f"invalid continue token: {why}")
