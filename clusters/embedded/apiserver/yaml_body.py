"""YAML bodies: text in, the value that sigs.k8s.io/yaml makes of it out. Aliases are counted before anything is expanded.

libyaml reads the text; what a plain scalar means and how much aliasing is too much are the rules of go-yaml v2 (resolve.go, decode.go).
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from dataclasses import dataclass
from typing import Any

import yaml

from clusters.embedded.errors import ApiError
from kubeobjects import yaml_loader

_TAG = "tag:yaml.org,2002:"
_PLAIN_TAGS = frozenset(f"{_TAG}{name}" for name in ("str", "bool", "int", "float", "null", "timestamp"))
_WORDS: dict[str, Any] = {
    **dict.fromkeys(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"), True),
    **dict.fromkeys(("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF"), False),
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys((".nan", ".NaN", ".NAN"), math.nan),
    **dict.fromkeys((".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"), math.inf),
    **dict.fromkeys(("-.inf", "-.Inf", "-.INF"), -math.inf),
}
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_INTEGER = re.compile(r"([-+]?)(?:0[xX]([0-9a-fA-F]+)|0[oO]([0-7]+)|0[bB]([01]+)|0([0-7]+)|([1-9][0-9]*|0))")
_BASES = (16, 8, 2, 8, 10)
_BOOL, _INT, _NUMBER, _NULL = f"{_TAG}bool", f"{_TAG}int", f"{_TAG}float", f"{_TAG}null"
# No integer that fits is written with more digits.
_LONGEST = 70
# How much of a document may come from aliases: nearly all of a small one, a tenth of a very large one.
_RANGE_LOW, _RANGE_HIGH = 400_000, 4_000_000
_DEEPEST = 10_000


class YamlError(ValueError):
    """Text that is no document, or one that is not let in; the message is that of go-yaml where it has one."""


@dataclass(slots=True)
class _Node:
    """A value that has been read, and what it costs to expand it: in nodes, and in characters of text."""

    value: Any
    nodes: int = 0
    size: int = 0


class _Container:
    """A sequence or mapping that is being read."""

    __slots__ = ("anchor", "is_map", "key", "merged", "node")

    def __init__(self, anchor: str | None, *, is_map: bool):
        self.anchor = anchor
        self.is_map = is_map
        self.key: Any = _NOTHING
        self.merged: dict[str, Any] = {}
        self.node = _Node({} if is_map else [])


_NOTHING = object()
_MERGE = object()


def load(body: bytes, limit: int) -> Any:
    """The first document in `body`. Raises YamlError, and ApiError 413 where aliases make more than `limit` bytes of it."""
    return _Reader(limit).read(body)


class _Reader:
    def __init__(self, limit: int):
        self._limit = limit
        self._anchors: dict[str, _Node] = {}
        self._open: list[_Container] = []
        self._root: _Node | None = None
        self._nodes = 0
        self._aliased = 0
        self._size = 0

    def read(self, body: bytes) -> Any:
        loader = yaml_loader.fastest()
        try:
            for event in yaml.parse(body, Loader=loader):
                if isinstance(event, yaml.DocumentEndEvent):
                    break
                self._take(event)
        except yaml.YAMLError as error:
            raise YamlError(" ".join(str(error).split())) from None
        return None if self._root is None else self._root.value

    def _take(self, event: Any) -> None:
        if isinstance(event, yaml.ScalarEvent):
            self._count(1, 0)
            node = _Node(_scalar(event, self._awaits_key()), 1, len(event.value))
            self._remember(event.anchor, node)
            self._add(node)
        elif isinstance(event, yaml.AliasEvent):
            self._alias(event)
        elif isinstance(event, yaml.MappingStartEvent | yaml.SequenceStartEvent):
            self._count(1, 0)
            self._open.append(_Container(event.anchor, is_map=isinstance(event, yaml.MappingStartEvent)))
            if len(self._open) > _DEEPEST:
                raise YamlError(f"exceeded max depth of {_DEEPEST}")
        elif isinstance(event, yaml.MappingEndEvent | yaml.SequenceEndEvent):
            done = self._open.pop()
            done.node.nodes += 1
            if done.merged:
                done.node.value = {**done.merged, **done.node.value}
            self._remember(done.anchor, done.node)
            self._add(done.node)

    def _awaits_key(self) -> bool:
        return bool(self._open) and self._open[-1].is_map and self._open[-1].key is _NOTHING

    def _alias(self, event: Any) -> None:
        if any(each.anchor == event.anchor for each in self._open):
            raise YamlError(f"anchor '{event.anchor}' value contains itself")
        found = self._anchors.get(event.anchor)
        if found is None:
            raise YamlError(f"unknown anchor '{event.anchor}' referenced")
        self._count(1 + found.nodes, found.nodes)
        self._size += found.size
        if self._size > self._limit:
            raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: limit is {self._limit}")
        self._add(_Node(found.value, found.nodes + 1, found.size))

    def _count(self, nodes: int, aliased: int) -> None:
        """go-yaml's d.unmarshal: refuses a document once too much of it comes from aliases."""
        self._nodes += nodes
        self._aliased += aliased
        if self._aliased > 100 and self._nodes > 1000 and self._aliased / self._nodes > _allowed_ratio(self._nodes):
            raise YamlError("document contains excessive aliasing")

    def _remember(self, anchor: str | None, node: _Node) -> None:
        if anchor is not None:
            self._anchors[anchor] = node

    def _add(self, node: _Node) -> None:
        if not self._open:
            self._root = node
            return
        parent = self._open[-1]
        parent.node.nodes += node.nodes
        parent.node.size += node.size
        if not parent.is_map:
            parent.node.value.append(node.value)
        elif parent.key is _NOTHING:
            parent.key = node.value if node.value is _MERGE else _key(node.value)
        else:
            key, parent.key = parent.key, _NOTHING
            if key is _MERGE:
                _merge(parent, node.value)
            else:
                parent.node.value[key] = node.value


def _merge(parent: _Container, value: Any) -> None:
    """`<<`: what the mapping has itself counts more, and of several mappings the first."""
    for each in value if isinstance(value, list) else [value]:
        if not isinstance(each, dict):
            raise YamlError("map merge requires map or sequence of maps as the value")
        for key, inner in each.items():
            parent.merged.setdefault(key, inner)


def _allowed_ratio(nodes: int) -> float:
    if nodes <= _RANGE_LOW:
        return 0.99
    if nodes >= _RANGE_HIGH:
        return 0.10
    return 0.99 - 0.89 * (nodes - _RANGE_LOW) / (_RANGE_HIGH - _RANGE_LOW)


def _scalar(event: Any, is_key: bool) -> Any:
    text, tag = event.value, event.tag
    if tag in (None, "!") and not event.implicit[0]:
        return text
    if tag == f"{_TAG}binary":
        try:
            return base64.b64decode(text, validate=True).decode(errors="replace")
        except binascii.Error:
            raise YamlError("!!binary value contains invalid base64 data") from None
    if is_key and text == "<<" and tag in (None, f"{_TAG}merge"):
        return _MERGE
    if tag is not None and tag not in _PLAIN_TAGS:
        return text
    if tag == f"{_TAG}str":
        return text
    found, own = _resolve(text)
    if tag is None or tag == own or tag == f"{_TAG}timestamp":
        return found
    if tag == _NUMBER and own == _INT:
        return float(found)
    raise YamlError(f"cannot decode {own.replace(_TAG, '!!')} `{text}` as a {tag.replace(_TAG, '!!')}")


def _resolve(text: str) -> tuple[Any, str]:
    """(value, tag) of a plain scalar. What looks like a time stays text, as for go-yaml's interface{}."""
    if text in _WORDS:
        word = _WORDS[text]
        return word, _NULL if word is None else _BOOL if isinstance(word, bool) else _NUMBER
    if text[0] in "+-.0123456789":
        plain = text.replace("_", "") if text[0] != "." else text
        if len(plain) <= _LONGEST and (whole := _INTEGER.fullmatch(plain)):
            digits, base = next((each, base) for each, base in zip(whole.groups()[1:], _BASES, strict=True) if each is not None)
            number = int(whole[1] + digits, base)
            if -(2**63) <= number < 2**64:
                return number, _INT
        if _FLOAT.fullmatch(plain):
            number_ = float(plain)
            # Out of range is no number, as for strconv.ParseFloat.
            if not math.isinf(number_):
                return number_, _NUMBER
    return text, f"{_TAG}str"


def _key(value: Any) -> str:
    """A key as JSON has it (convertToJSONableObject)."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return ".nan" if math.isnan(value) else f"{'-' if value < 0 else ''}.inf" if math.isinf(value) else f"{value:.8g}"
    if isinstance(value, list | dict):
        shown = f"[]interface {{}}{{{'...' if value else ''}}}" if isinstance(value, list) else "map[interface {}]interface {}{}"
        raise YamlError(f"invalid map key: {shown}")
    raise YamlError("unsupported map key of type: %!s(<nil>)")
