"""Sets of fields (structured-merge-diff): which paths an object has, and sets of paths as FieldsV1 JSON.

A path is a tuple of elements as FieldsV1 writes them: `f:name` for a field, `k:{"name":"x"}` for an item of an associative list,
`v:"x"` for a member of a set.
"""

from __future__ import annotations

from typing import Any

import orjson

from clusters.embedded.schema import Type

Object = dict[str, Any]
Path = tuple[str, ...]

# An associative list's key may be left out where it has a default.
_KEY_DEFAULTS = {"protocol": "TCP"}

# Struct fields that every object of a kind has, be it empty: in Go they are values and not pointers, so nobody ever adds them.
_ALWAYS_THERE = frozenset(
    {"metadata", "spec", "status", "template", "strategy", "updateStrategy", "jobTemplate", "containers", "resources"}
)


class _Inside:
    """The value of a path that is present and whose content lies in the paths below it."""

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Inside)

    def __hash__(self) -> int:
        return 0


INSIDE = _Inside()


def _canonical(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def element(item: Any, wanted: Type) -> str:
    """The path element of an item in an associative list or a set."""
    if wanted.list_type == "map" and isinstance(item, dict):
        keys = {}
        for key in wanted.list_keys:
            if key in item or key in _KEY_DEFAULTS:
                keys[key] = item.get(key, _KEY_DEFAULTS.get(key))
        return "k:" + _canonical(keys)
    return "v:" + _canonical(item)


def is_leaf(value: Any, wanted: Type | None) -> bool:
    """Whether a value is owned as a whole: scalars, atomic lists and maps, anything without a schema below it, empty containers."""
    if isinstance(value, dict):
        return not value or (
            wanted is not None and (wanted.atomic or (not wanted.is_struct and wanted.values is None and wanted.kind == "any"))
        )
    if isinstance(value, list):
        return not value or wanted is None or wanted.list_type not in ("map", "set")
    return True


def children(value: Any, wanted: Type | None) -> list[tuple[str, Any, Type | None]]:
    """(path element, value, type) of everything directly below a value that is no leaf."""
    if isinstance(value, dict):
        return [(f"f:{name}", each, wanted.field(name) if wanted is not None else None) for name, each in value.items() if each is not None]
    assert wanted is not None
    return [(element(item, wanted), item, wanted.items) for item in value]


def paths(value: Any, wanted: Type | None) -> dict[Path, Any]:
    """Every path of an object: leaves with their values, and the containers on the way with INSIDE."""
    found: dict[Path, Any] = {}

    def walk(each: Any, kind: Type | None, at: Path, through_list: bool) -> None:
        if is_leaf(each, kind):
            if at:
                found[at] = each
            return
        if at and (
            through_list
            or at[-1].partition(":")[2] not in _ALWAYS_THERE
            or (kind is not None and not kind.is_struct and isinstance(each, dict))
        ):
            found[at] = INSIDE
        for part, below, below_kind in children(each, kind):
            walk(below, below_kind, (*at, part), through_list or not part.startswith("f:"))

    walk(value, wanted, (), False)
    return found


def applied_paths(value: Any, wanted: Type | None) -> dict[Path, Any]:
    """The paths that an applied configuration claims: leaves, and items of lists; not the maps and structs on the way."""
    found = paths(value, wanted)
    return {path: each for path, each in found.items() if each is not INSIDE or not path[-1].startswith("f:")}


def to_json(members: set[Path]) -> Object:
    """FieldsV1 of a set of paths."""
    root: Object = {}
    for path in sorted(members):
        node = root
        for part in path:
            node = node.setdefault(part, {})
        node["."] = {}

    def fold(node: Object) -> None:
        for key, child in node.items():
            if key != ".":
                fold(child)
                if set(child) == {"."}:
                    child.clear()

    fold(root)
    return root


def from_json(fields: Object) -> set[Path]:
    """The paths of a FieldsV1."""
    found: set[Path] = set()

    def walk(node: Object, at: Path) -> None:
        if at and (not node or "." in node):
            found.add(at)
        for key, child in node.items():
            if key != ".":
                walk(child, (*at, key))

    walk(fields, ())
    return found


def spoken(path: Path) -> str:
    """A path as messages write it: `.spec.containers[name="main"].image`."""
    text = ""
    for part in path:
        kind, _, rest = part.partition(":")
        if kind == "f":
            text += f".{rest}"
        elif kind == "k":
            keys = orjson.loads(rest)
            text += "[" + ",".join(f"{key}={_canonical(keys[key])}" for key in sorted(keys)) + "]"
        else:
            text += f"[={rest}]"
    return text
