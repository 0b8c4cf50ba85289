"""Request bodies: JSON, YAML or protobuf bytes flow in, objects come out, or a Status that says what is wrong with them."""

from __future__ import annotations

import json
from typing import Any

import orjson
from aiohttp import web

from clusters.embedded.errors import ApiError, bad_request

Object = dict[str, Any]

# The real server's limit (MaxRequestBodyBytes).
LIMIT = 3 * 1024 * 1024
_JSON = "application/json"
_YAML = ("application/yaml", "application/apply-patch+yaml", "text/yaml", "application/x-yaml")
# What every body is first read into, as Go writes the type.
_HEAD = 'struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }'
_PROTOBUF = "application/vnd.kubernetes.protobuf"


def content_type(request: web.BaseRequest) -> str:
    return request.headers.get("Content-Type", "").partition(";")[0].strip().lower()


async def read(request: web.BaseRequest) -> bytes:
    """The whole body. Raises ApiError 413 where it is too long."""
    chunks, size = [], 0
    async for chunk in request.content.iter_chunked(65536):
        size += len(chunk)
        if size > LIMIT:
            raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {LIMIT}")
        chunks.append(chunk)
    return b"".join(chunks)


def decode(body: bytes, media: str) -> tuple[Object, list[str]]:
    """The object in `body` and its duplicate fields in the words of strict decoding. Raises ApiError 400 or 415."""
    if media == _PROTOBUF:
        from clusters.embedded.apiserver import protobuf

        return protobuf.decode(body), []
    duplicates: list[str] = []
    if media in _YAML:
        found = _yaml(body)
    elif media in ("", _JSON) or media.endswith("+json"):
        found, duplicates = parse_json(body)
    else:
        raise ApiError(
            415,
            "UnsupportedMediaType",
            "the body of the request was in an unknown format - accepted media types include: "
            "application/json, application/yaml, application/vnd.kubernetes.protobuf, application/cbor",
        )
    if not isinstance(found, dict):
        why = f"json: cannot unmarshal {_go_type(found)} into Go value of type {_HEAD}"
        raise bad_request(f"couldn't get version/kind; json parse error: {why}")
    return found, duplicates


def parse_json(body: bytes) -> tuple[Any, list[str]]:
    """The value in `body` and the duplicate fields in it. Raises ApiError 400."""
    try:
        found = orjson.loads(body)
    except ValueError as error:
        raise bad_request(f"couldn't get version/kind; json parse error: {error}") from None
    return found, _duplicates(body)


def _duplicates(body: bytes) -> list[str]:
    """`duplicate field "spec.replicas"` for each; a plain parser keeps the last of several without a word."""
    found: list[str] = []

    def pairs(items: list[tuple[str, Any]]) -> Object:
        counted: Object = {}
        for key, value in items:
            if key in counted:
                counted.setdefault(_REPEATED, []).append(key)
            counted[key] = value
        return counted

    def walk(value: Any, path: str) -> None:
        if isinstance(value, dict):
            repeated = value.get(_REPEATED, [])
            found.extend(f'duplicate field "{path}{key}"' for key in repeated)
            for key, inner in value.items():
                if key is not _REPEATED:
                    walk(inner, f"{path}{key}.")
        elif isinstance(value, list):
            for index, inner in enumerate(value):
                walk(inner, f"{path.removesuffix('.')}[{index}].")

    walk(json.loads(body, object_pairs_hook=pairs), "")
    return found


# No key of a parsed object is this very string object.
_REPEATED = "".join(["\0", "repeated"])


def _yaml(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except ValueError:
        pass
    import yaml

    # libyaml's loader is many times as fast; not every build of PyYAML has it.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        # A trip through JSON refuses what has no JSON form (dates become text, keys that are no text are refused).
        return orjson.loads(json.dumps(yaml.load(body, Loader=loader), default=str))
    except (yaml.YAMLError, TypeError, ValueError) as error:
        first = " ".join(str(error).split())
        raise bad_request(f"error converting YAML to JSON: yaml: {first}") from None


def _go_type(value: Any) -> str:
    if isinstance(value, list):
        return "array"
    if isinstance(value, str):
        return "string"
    if isinstance(value, bool):
        return "bool"
    return "number"
