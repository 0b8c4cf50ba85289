"""Bodies as JSON, as plain maps and as protobuf, held against what the real Go libraries made of them (recorded by tools/go_oracle)."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded import decoding
from clusters.embedded.apiserver import protobuf
from clusters.embedded.decoding import DecodeError
from clusters.embedded.errors import ApiError

HERE = Path(__file__).parent
BODIES: list[dict[str, Any]] = json.loads((HERE / "go_decoding.json").read_text())
PROTOBUF: list[dict[str, Any]] = json.loads((HERE / "go_protobuf.json").read_text())
_EMPTY = (None, {}, "", 0, False)


def beyond(expected: Any, actual: Any, at: str = "") -> list[str]:
    """Where `actual` is not `expected`, but for empty values that Go writes for fields that nobody set."""
    if isinstance(expected, dict) and isinstance(actual, dict):
        missing = [key for key, value in expected.items() if key not in actual and hollow(value)]
        keys = (expected.keys() | actual.keys()) - set(missing)
        return [each for key in sorted(keys) for each in beyond(expected.get(key, "absent"), actual.get(key, "absent"), f"{at}.{key}")]
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        return [each for number, pair in enumerate(zip(expected, actual, strict=True)) for each in beyond(*pair, f"{at}[{number}]")]
    return [] if expected == actual else [f"{at}: {actual!r}, not {expected!r}"]


def hollow(value: Any) -> bool:
    return all(hollow(each) for each in value.values()) if isinstance(value, dict) else value in _EMPTY


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_body_is_taken_or_refused_in_the_words_of_go(number: int) -> None:
    body, answer = BODIES[number]["body"], BODIES[number]["json"]
    version, kind = body["apiVersion"], body["kind"]
    if "error" in answer:
        with pytest.raises(DecodeError) as refused:
            decoding.decode(body, version, kind)
        assert refused.value.why == answer["error"]
        assert refused.value.message.startswith(f'{kind} in version "{version.rpartition("/")[2]}" cannot be handled as a {kind}: ')
        return
    decoded, complaints = decoding.decode(body, version, kind)
    told = answer["ok"].get("strict", "")
    assert complaints == (told.removeprefix("strict decoding error: ").split(", ") if told else [])
    assert beyond(answer["ok"]["object"], decoded) == []


@pytest.mark.parametrize("number", range(len(BODIES)))
def test_a_wrong_type_in_a_strategic_merge_is_told_in_the_words_of_the_converter(number: int) -> None:
    body, answer = BODIES[number]["body"], BODIES[number]["unstructured"]
    if "error" in answer:
        with pytest.raises(DecodeError) as refused:
            decoding.decode(body, body["apiVersion"], body["kind"], unstructured=True)
        assert refused.value.why == answer["error"]


@pytest.mark.parametrize("number", range(len(PROTOBUF)), ids=lambda number: PROTOBUF[number]["object"]["kind"])
def test_a_protobuf_body_holds_the_object_that_was_encoded(number: int) -> None:
    expected = PROTOBUF[number]["object"]
    decoded, complaints = decoding.decode(
        protobuf.decode(base64.b64decode(PROTOBUF[number]["body"])), expected["apiVersion"], expected["kind"]
    )
    assert complaints == []
    assert beyond(decoding.decode(expected, expected["apiVersion"], expected["kind"])[0], decoded) == []


@pytest.mark.parametrize("body", [b"", b"{}", b"k8s\x00\xff\xff", b"k8s\x00" + b"\x0a\x7f"])
def test_bytes_that_are_no_protobuf_body_are_refused(body: bytes) -> None:
    with pytest.raises(ApiError) as refused:
        protobuf.decode(body)
    assert refused.value.code in (400, 415)
