#!/usr/bin/env python3
"""Writes clusters/embedded/apiserver/validation/internal_types.json: the API server's own Go types, for messages that show whole values.

    python tools/internal_types.py FOLDER > clusters/embedded/apiserver/validation/internal_types.json

FOLDER is `pkg/apis` of Kubernetes' source. These types have no JSON names, so Go writes every field by its own name, in the order of the
struct. One struct a line: {"core.Container": [["Name", "string"], …]}; types that are only another name of a scalar are resolved,
a field without a name is an embedded struct.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

STRUCT = re.compile(r"^type (\w+) struct \{(.*?)^\}", re.S | re.M)
NAMED = re.compile(r"^type (\w+) ([*\[\]\w.]+)$", re.M)
FIELD = re.compile(r"^(?:(\w+)\s+)?([*\[\]\w.]+)$")
# What messages show whole.
WANTED = (
    "core.PodTemplateSpec",
    "core.EphemeralContainer",
    "core.PersistentVolumeClaimSpec",
    "core.PersistentVolumeSource",
    "resource.ResourceClaimSpec",
    "resource.ResourceClaimTemplateSpec",
)
# The package that a bare name stands for, and import aliases of the others.
PACKAGES = ("core", "resource")
ALIASES = {"api": "core"}


def fields(body: str) -> list[tuple[str, str]]:
    """(name, type) of each field of a struct; the name is empty for an embedded one."""
    found = []
    for line in re.sub(r"/\*.*?\*/", "", body, flags=re.S).splitlines():
        text = line.partition("//")[0].strip()
        if text:
            field = FIELD.match(text)
            if not field:
                raise SystemExit(f"a field that this tool does not understand: {text}")
            found.append((field[1] or "", field[2]))
    return found


def main() -> None:
    root = Path(sys.argv[1])
    structs: dict[str, list[tuple[str, str]]] = {}
    bodies: dict[str, str] = {}
    named: dict[str, str] = {}
    for package in PACKAGES:
        text = (root / package / "types.go").read_text()
        bodies |= {f"{package}.{name}": body for name, body in STRUCT.findall(text)}
        named |= {f"{package}.{name}": of for name, of in NAMED.findall(text)}

    def full(kind: str, package: str) -> str:
        """The type with the package of its name, and names of scalars, lists and maps resolved."""
        prefix, name = re.fullmatch(r"((?:\*|\[\]|map\[[\w.]+\])*)([\w.]+)", kind).groups()  # type: ignore[union-attr]
        holder, _, bare = name.rpartition(".")
        known = f"{ALIASES.get(holder, holder) or package}.{bare}"
        if known in named:
            return full(prefix + named[known], package)
        return prefix + (known if known in bodies else name)

    def collect(name: str) -> None:
        if name in structs:
            return
        package = name.partition(".")[0]
        structs[name] = [(field, full(kind, package)) for field, kind in fields(bodies[name])]
        for _, kind in structs[name]:
            inner = re.sub(r"\*|\[\]|map\[[\w.]+\]", "", kind)
            if inner in bodies:
                collect(inner)

    for name in WANTED:
        collect(name)
    lines = (f"{json.dumps(name)}: {json.dumps(structs[name])}" for name in sorted(structs))
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main()
