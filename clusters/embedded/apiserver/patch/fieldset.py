"""Sets of fields: which paths an object has, what two objects differ in, and sets of paths as FieldsV1 JSON.

A path is a tuple of elements as FieldsV1 writes them: `f:name` for a field, `k:{"name":"x"}` for an item of an associative list,
`v:"x"` for a member of a set. The rules are those of sigs.k8s.io/structured-merge-diff (fieldpath and typed).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

import orjson

from clusters.embedded.schema import Type
from kubeobjects import Object

Path = tuple[str, ...]
# A set of paths as a tree: element → (whether the path to it is a member, what lies below it).
Tree = dict[str, tuple[bool, "Tree"]]

# What the key of an associative list is where an item leaves it out.
_PROTOCOL = "TCP"


class _Absent:
    """The place of a value that is not there, where null is a value."""


ABSENT = _Absent()


@dataclass
class Comparison:
    """What a new object has that the old one had not, has otherwise, or has no more."""

    added: set[Path] = field(default_factory=set)
    modified: set[Path] = field(default_factory=set)
    removed: set[Path] = field(default_factory=set)

    @property
    def changed(self) -> set[Path]:
        return self.added | self.modified


def _canonical(value: Any) -> str:
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS).decode()


def shape(value: Any, wanted: Type | None) -> Literal["map", "list", "leaf"]:
    """How a value is owned: by its fields or keys, by its items, or as a whole (scalars, atomic lists and maps)."""
    if wanted is None or wanted.kind == "any":
        # Without a schema maps are merged by key and lists are atomic; a field for anything (RawExtension) is atomic.
        return "map" if wanted is None and isinstance(value, dict) else "leaf"
    if wanted.is_struct or wanted.kind == "object":
        return "leaf" if wanted.atomic or (not wanted.is_struct and wanted.values is None) else "map"
    if wanted.kind == "array":
        return "list" if wanted.list_type in ("map", "set") else "leaf"
    return "leaf"


def element(item: Any, wanted: Type) -> str:
    """The path element of an item in an associative list or a set."""
    if wanted.list_type == "map" and isinstance(item, dict):
        keys = {}
        for key in wanted.list_keys:
            value = item[key] if key in item else wanted.key_defaults.get(key, _default(key, wanted.items))
            if value is not None:
                keys[key] = value
        return "k:" + _canonical(keys)
    return "v:" + _canonical(item)


def _default(key: str, item: Type | None) -> Any:
    if key == "protocol":
        return _PROTOCOL
    found = item.field(key) if item is not None and key in item.required else None
    return None if found is None else 0 if found.kind == "integer" else ""


def below(part: str, wanted: Type | None) -> Type | None:
    """The type of what a path element leads to."""
    if wanted is None:
        return None
    return wanted.field(part[2:]) if part.startswith("f:") else wanted.items


def items_by_element(items: list[Any] | None, wanted: Type) -> dict[str, list[Any]]:
    """The items of an associative list by their path elements; more than one where a list repeats a key."""
    found: dict[str, list[Any]] = {}
    for item in items or []:
        found.setdefault(element(item, wanted), []).append(item)
    return found


def compare(old: Any, new: Any, wanted: Type | None) -> Comparison:
    """What differs between two objects of a kind."""
    found = Comparison()
    _compare(old, new, wanted, (), found)
    return found


def _compare(old: Any, new: Any, wanted: Type | None, at: Path, found: Comparison) -> None:
    # Most of an object is as it was at most writes.
    if old == new:
        return
    form = shape(old if new is ABSENT else new, wanted)
    if form == "leaf" or not (_content(old) or _content(new)):
        if old is ABSENT:
            found.added.add(at)
        elif new is ABSENT:
            found.removed.add(at)
        elif old != new:
            found.modified.add(at)
        return
    if form == "map":
        before, after = _content(old) or {}, _content(new) or {}
        for name in before.keys() | after.keys():
            each = wanted.field(name) if wanted is not None else None
            _compare(before.get(name, ABSENT), after.get(name, ABSENT), each, (*at, f"f:{name}"), found)
    else:
        assert wanted is not None
        _compare_items(items_by_element(_content(old), wanted), items_by_element(_content(new), wanted), wanted, at, found)
    if at and old is ABSENT:
        found.added.add(at)
    elif at and new is ABSENT:
        found.removed.add(at)


def _content(value: Any) -> Any:
    return None if value is ABSENT else value


def _compare_items(old: dict[str, list[Any]], new: dict[str, list[Any]], wanted: Type, at: Path, found: Comparison) -> None:
    for part in old.keys() | new.keys():
        before, after, path = old.get(part, []), new.get(part, []), (*at, part)
        if len(before) > 1 or len(after) > 1:
            # Items that share a key are owned together, as one marker without fields below it.
            if len(before) > 1 and len(after) > 1:
                if before != after:
                    found.modified.add(path)
                continue
            if before and len(before) == 1:
                _compare(before[0], ABSENT, wanted.items, path, found)
            if after and len(after) == 1:
                _compare(ABSENT, after[0], wanted.items, path, found)
            (found.added if len(after) > 1 else found.removed).add(path)
            continue
        _compare(before[0] if before else ABSENT, after[0] if after else ABSENT, wanted.items, path, found)


def members(value: Any, wanted: Type | None) -> set[Path]:
    """What a configuration claims when it is applied: leaves, list items, keys of maps and empty structs, not the structs on the way."""
    found: set[Path] = set()

    def walk(each: Any, kind: Type | None, at: Path) -> None:
        form = shape(each, kind)
        if form == "leaf":
            if at:
                found.add(at)
            return
        if each is None:
            return
        if form == "map":
            for name, value in each.items():
                path = (*at, f"f:{name}")
                declared = kind.field(name) if kind is not None else None
                walk(value, declared, path)
                if value is None or value == {} or kind is None or not kind.is_struct:
                    found.add(path)
            return
        assert kind is not None
        for part, items in items_by_element(each, kind).items():
            if len(items) == 1:
                walk(items[0], kind.items, (*at, part))
            found.add((*at, part))

    walk(value, wanted, ())
    return found


def with_structs(paths: Iterable[Path], wanted: Type | None) -> set[Path]:
    """The paths and the struct fields that lead to them, which no set names by themselves."""
    found = set(paths)
    types: dict[Path, Type | None] = {(): wanted}
    for path in list(found):
        for length in range(1, len(path)):
            prefix = path[:length]
            owner = types[prefix[:-1]]
            if prefix not in types:
                types[prefix] = below(prefix[-1], owner)
            if prefix[-1].startswith("f:") and owner is not None and owner.is_struct and types[prefix] is not None:
                found.add(prefix)
    return found


def tree(paths: Iterable[Path]) -> Tree:
    root: Tree = {}
    for path in paths:
        node = root
        for part in path[:-1]:
            member, children = node.get(part, (False, {}))
            node[part] = (member, children)
            node = children
        _, children = node.get(path[-1], (False, {}))
        node[path[-1]] = (True, children)
    return root


def without(value: Any, gone: Tree, wanted: Type | None) -> Any:
    """`value` without the paths of `gone`; a map or list that nothing is left of becomes null."""
    form = shape(value, wanted)
    if form == "leaf" and not isinstance(value, dict | list):
        return value
    if form == "leaf" or not value:
        return None
    if form == "map":
        kept = {}
        for name, each in value.items():
            member, children = gone.get(f"f:{name}", (False, {}))
            if not member:
                kept[name] = without(each, children, below(f"f:{name}", wanted)) if children else each
        return kept or None
    assert wanted is not None
    left = []
    for item in value:
        member, children = gone.get(element(item, wanted), (False, {}))
        if not member:
            left.append(without(item, children, wanted.items) if children else item)
    return left or None


def to_json(paths: Iterable[Path]) -> Object:
    """FieldsV1 of a set of paths."""

    def written(node: Tree) -> Object:
        return {part: ({".": {}} if member and children else {}) | written(children) for part, (member, children) in sorted(node.items())}

    return written(tree(paths))


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


def in_order(paths: Iterable[Path]) -> list[Path]:
    """Paths as messages list them: level by level, what ends there before what goes on."""
    return sorted(paths, key=lambda path: [(number < len(path) - 1, _rank(part)) for number, part in enumerate(path)])


def _rank(part: str) -> tuple[int, list[tuple[str, bool, Any]]]:
    kind, _, rest = part.partition(":")
    if kind == "f":
        return 0, [(rest, False, "")]
    value = orjson.loads(rest)
    pairs = sorted(value.items()) if kind == "k" else [("", value)]
    return (1 if kind == "k" else 2), [(name, isinstance(each, str), each) for name, each in pairs]


def spoken(path: Path) -> str:
    """A path as messages write it: `.spec.containers[name="main"].image`."""
    return "".join(_spoken(part) for part in path)


def _spoken(part: str) -> str:
    kind, _, rest = part.partition(":")
    if kind == "f":
        return f".{rest}"
    if kind == "k":
        keys = orjson.loads(rest)
        return "[" + ",".join(f"{key}={_canonical(keys[key])}" for key in sorted(keys)) + "]"
    return f"[={rest}]"
