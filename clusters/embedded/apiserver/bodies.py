"""Request bodies: JSON, YAML or protobuf bytes flow in, objects come out, or a Status that says what is wrong with them.

A body that takes long to read is read in a thread of its own, so that the other requests are answered meanwhile.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any, TypeVar

import orjson
from aiohttp import web

from clusters.embedded.apiserver import json_words
from clusters.embedded.errors import ApiError, bad_request
from kubeobjects import Object

_Read = TypeVar("_Read")

# The real server's limit (MaxRequestBodyBytes).
LIMIT = 3 * 1024 * 1024
# As long as a request may take that is no watch (--request-timeout).
_SECONDS = 60.0
_JSON = "application/json"
_YAML = ("application/yaml", "application/apply-patch+yaml", "text/yaml", "application/x-yaml")
# What every body is first read into, as Go writes the type.
_HEAD = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_PROTOBUF = "application/vnd.kubernetes.protobuf"
# A body up to this size takes a few milliseconds; one of YAML with aliases may take long at any size.
_AT_ONCE = 32 * 1024
# How much of a body an error shows.
_SHOWN = 30
# Two long bodies at a time: more would take their memory at the same time, and be no faster.
_READERS = 2


def content_type(request: web.BaseRequest) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


def too_large() -> ApiError:
    return ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LIMIT}")


async def read(request: web.BaseRequest) -> bytes:
    """The whole body. Raises ApiError 413 where it is too long, 400 where it breaks off or is no body, 504 where it takes too long."""
    if (request.content_length or 0) > LIMIT:
        raise too_large()
    chunks, size = [], 0
    try:
        async with asyncio.timeout(_SECONDS):
            async for chunk in request.content.iter_chunked(65536):
                size += len(chunk)
                if size > LIMIT:
                    raise too_large()
                chunks.append(chunk)
    except TimeoutError:
        why = "Timeout: request did not complete within the allotted timeout"
        raise ApiError(504, "Timeout", why) from None
    except web.RequestPayloadError as error:
        raise bad_request(f"error reading the body of the request: {error}") from None
    return b"".join(chunks)


async def read_object(request: web.BaseRequest, media: str, *, kind: str = "", optional: bool = False) -> tuple[Object, list[str], int]:
    """(the object in the body, its duplicate fields, the body's length). Raises ApiError 400, 413 or 415.

    `kind` is what the body should be, for the words about one that is no object. An empty body counts as an empty object where it is
    `optional`.
    """
    body = await read(request)
    if optional and not body:
        return {}, [], 0
    try:
        found, duplicates = await _aside(lambda: decode(body, media), body, media)
        check_head(found)
    except Unrecognized as error:
        if kind:
            raise bad_request(f"the object provided is unrecognized (must be of type {kind}): {error.message} ({_summary(body)})") from None
        raise
    return found, duplicates, len(body)


class Unrecognized(ApiError):
    """A body that does not say what it is; the message is the decoder's own (runtime/serializer/json/meta.go)."""

    def __init__(self, why: str):
        super().__init__(400, "BadRequest", why)


def check_head(found: Object) -> None:
    """Raises Unrecognized where apiVersion or kind cannot be read."""
    for name, value in found.items():
        if name in ("apiVersion", "kind") and value is not None and not isinstance(value, str):
            why = f"json: cannot unmarshal {json_words.go_type(value)} into Go struct field .{name} of type string"
            raise Unrecognized(f"couldn't get version/kind; json parse error: {why}")
    version = found.get("apiVersion") or ""
    if version.count("/") > 1:
        raise Unrecognized(f"unexpected GroupVersion string: {version}")


def _summary(body: bytes) -> str:
    """The beginning of a body for an error (handlers/create.go, summarizeData)."""
    if not body:
        return "<empty>"
    shown = body[:_SHOWN].decode(errors="replace") if body.startswith(b"{") else body[:_SHOWN].hex()
    return f"{shown} ..." if len(body) > _SHOWN else shown


async def read_json(request: web.BaseRequest) -> tuple[Any, int]:
    """(the JSON value in the body, the body's length). Raises ApiError 400 or 413."""
    body = await read(request)
    found, _ = await _aside(lambda: parse_json(body), body, _JSON)
    return found, len(body)


async def _aside(what: Callable[[], _Read], body: bytes, media: str) -> _Read:
    if len(body) <= _AT_ONCE and (media not in _YAML or b"*" not in body):
        return what()
    return await asyncio.get_running_loop().run_in_executor(_readers(), what)


@cache
def _readers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(_READERS, "body")


def decode(body: bytes, media: str) -> tuple[Object, list[str]]:
    """The object in `body` and its duplicate fields in the words of strict decoding. Raises ApiError 400, 413 or 415."""
    if media == _PROTOBUF:
        from clusters.embedded.apiserver import protobuf

        return protobuf.decode(body), []
    duplicates: list[str] = []
    if media in _YAML:
        found = _yaml(body)
    elif media in ("", _JSON):
        found, duplicates = parse_json(body)
    else:
        raise ApiError(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json, application/yaml, application/vnd.kubernetes.protobuf",
        )
    if not isinstance(found, dict):
        why = f"json: cannot unmarshal {json_words.go_type(found)} into Go value of type {_HEAD}"
        raise _no_json(why)
    return found, duplicates


def parse_json(body: bytes) -> tuple[Any, list[str]]:
    """The value in `body` and the duplicate fields in it. Raises ApiError 400."""
    try:
        found = orjson.loads(body)
    except ValueError as error:
        raise _no_json(_go_words(body, error)) from None
    _check_depth(found)
    return found, _duplicates(body)


def _no_json(why: str) -> ApiError:
    return Unrecognized(f"couldn't get version/kind; json parse error: {why}")


def _go_words(body: bytes, error: ValueError) -> str:
    """What Go's decoder says of a body that is no JSON; what ours does where Go's would read it."""
    if "depth limit exceeded" in str(error):
        return "exceeded max depth"
    return json_words.complaint(body) or str(error)


def _check_depth(value: Any) -> None:
    """Raises ApiError 400 for a value that is nested deeper than objects can be copied here (254 levels; Go stops at 10,000)."""
    try:
        orjson.dumps(value)
    except TypeError as error:
        if "Recursion limit" not in str(error):
            raise
        raise _no_json("exceeded max depth") from None


def _duplicates(body: bytes) -> list[str]:
    """`duplicate field "spec.replicas"` for each; a plain parser keeps the last of several without a word."""
    found: list[str] = []
    any_repeated = False

    def pairs(items: list[tuple[str, Any]]) -> Object:
        nonlocal any_repeated
        counted: Object = dict(items)
        if len(counted) == len(items):
            return counted
        any_repeated = True
        seen: set[str] = set()
        repeated = []
        for key, _ in items:
            if key in seen:
                repeated.append(key)
            seen.add(key)
        counted[_REPEATED] = repeated
        return counted

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            repeated = value.get(_REPEATED, [])
            found.extend(f'duplicate field "{path}{key}"' for key in repeated[: _MOST_COMPLAINTS - len(found)])
            for key, inner in value.items():
                if key is not _REPEATED and isinstance(inner, dict | list):
                    walk(inner, f"{path}{key}.")
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                if isinstance(inner, dict | list):
                    walk(inner, f"{path.removesuffix('.')}[{index}].")

    whole = json.loads(body, object_pairs_hook=pairs)
    if any_repeated:
        walk(whole, "")
    return found


# No key of a parsed object is this very string object.
_REPEATED = "".join(["\0", "repeated"])
# Go's strict decoder stops counting here.
_MOST_COMPLAINTS = 100


def _yaml(body: bytes) -> Any:
    try:
        found = orjson.loads(body)
    except ValueError:
        from clusters.embedded.apiserver import yaml_body

        try:
            found = yaml_body.load(body, LIMIT)
        except yaml_body.YamlError as error:
            raise bad_request(f"error converting YAML to JSON: yaml: {error}") from None
        try:
            # A trip through JSON refuses what has no JSON form, and parts what aliases share.
            return orjson.loads(orjson.dumps(found))
        except (TypeError, ValueError) as error:
            why = "exceeded max depth" if "Recursion limit" in str(error) else str(error)
            raise bad_request(f"error converting YAML to JSON: yaml: {why}") from None
    _check_depth(found)
    return found
