#!/usr/bin/env python3
"""Writes clusters/embedded/apiserver/protobuf_fields.json: Kubernetes' protobuf field numbers for the kinds that the API server takes.

    python tools/protobuf_fields.py FOLDER > clusters/embedded/apiserver/protobuf_fields.json

FOLDER holds the repositories api, apimachinery and apiextensions-apiserver of k8s.io (staging/src/k8s.io of Kubernetes' source):
the numbers are in the .proto files, and which fields are pointers or inlined is in the Go types beside them.
One message a line: {name: {number: [JSON name, type, flags]}}; flags are a letter each: l list, m map, p pointer, i inlined, o left out of
JSON when empty. A fourth column has the Go type of a field whose scalar, list or map type has a name of its own (`v1.PullPolicy`).
"""

from __future__ import annotations

import json
import re
import sys
from functools import cache
from pathlib import Path

MESSAGE = re.compile(r"^message (\w+) \{(.*?)^\}", re.S | re.M)
FIELD = re.compile(r"(?:(optional|repeated)\s+(\.?[\w.]+)|map<\s*(\w+)\s*,\s*(\.?[\w.]+)\s*>)\s+(\w+)\s*=\s*(\d+)")
STRUCT = re.compile(r"^type (\w+) struct \{(.*?)^\}", re.S | re.M)
GO_FIELD = re.compile(r"^\s+(?:\w+\s+)?(?P<type>[*\[\]\w.]+)\s+`json:\"(?P<json>[^\"]*)\"[^`]*protobuf:\"[^\"]*?,(?P<number>\d+),", re.M)

NAMED = re.compile(r"^type (\w+) (?:string|int32|int64|\[\]|map\[)", re.M)
NAME = re.compile(r"(?:(\w+)\.)?(\w+)")
IMPORT = re.compile(r'^\s*(\w+)?\s*"k8s\.io/([^"]+)"', re.M)

META = "k8s.io.apimachinery.pkg.apis.meta.v1"


def messages(root: Path) -> dict[str, dict[str, list[str]]]:
    found = {}
    for path in sorted(root.rglob("generated.proto")):
        text = re.sub(r"//.*", "", path.read_text())
        named = re.search(r"^package (\S+);", text, re.M)
        assert named
        package = named.group(1)
        marks = go_fields(path.parent, root)
        for name, body in MESSAGE.findall(text):
            fields = {}
            for label, plain, _, mapped, field, number in FIELD.findall(body):
                kind = (mapped or plain).lstrip(".")
                if kind[0].isupper():
                    kind = f"{package}.{kind}"
                json_name, flags, go_type = marks.get((name, number), ("", "", ""))
                flags = ("m" if mapped else "l" if label == "repeated" else "") + flags
                # A few are called otherwise in JSON than in the .proto file.
                fields[number] = [json_name or field, kind, flags, *([go_type] if go_type else [])]
            found[f"{package}.{name}"] = fields
    return found


def go_fields(folder: Path, root: Path) -> dict[tuple[str, str], tuple[str, str, str]]:
    """(JSON name, flags, named type) of each field by its message and number."""
    found = {}
    for path in folder.glob("*.go"):
        text = path.read_text()
        packages = imports(text, root)
        for name, body in STRUCT.findall(text):
            for field in GO_FIELD.finditer(body):
                flags = "p" if field["type"].startswith("*") else ""
                flags += "i" if ",inline" in field["json"] else ""
                flags += "o" if "omitempty" in field["json"] else ""
                json_name = field["json"].partition(",")[0]
                kind = field["type"].lstrip("*")
                named = spelled(kind, folder, packages) if has_name(kind, folder, packages) else ""
                found[name, field["number"]] = json_name, flags, named
    return found


def imports(text: str, root: Path) -> dict[str, Path]:
    """The folder behind each package name of a Go file, for the packages under `root`."""
    block = re.search(r"^import \((.*?)^\)", text, re.S | re.M)
    found = {}
    for alias, path in IMPORT.findall(block.group(1)) if block else []:
        folder = root / path
        if folder.is_dir():
            found[alias or folder.name] = folder
    return found


@cache
def named_in(folder: Path) -> frozenset[str]:
    """The types of a package that are scalars, lists or maps with a name."""
    return frozenset(name for path in folder.glob("*.go") for name in NAMED.findall(path.read_text()))


def has_name(kind: str, folder: Path, packages: dict[str, Path]) -> bool:
    """Whether a Go type has a part whose name says more than its form: `[]FinalizerName`, `map[QualifiedName]DeviceAttribute`."""
    for alias, name in NAME.findall(kind):
        holder = packages.get(alias) if alias else folder
        if alias == "types" or (holder is not None and name in named_in(holder)):
            return True
    return False


def spelled(kind: str, folder: Path, packages: dict[str, Path]) -> str:
    """A Go type as reflection prints it: every name with its package."""

    def qualified(match: re.Match[str]) -> str:
        alias, name = match.groups()
        if alias:
            return f"{packages[alias].name if alias in packages else alias}.{name}"
        return f"{folder.name}.{name}" if name[0].isupper() else name

    return NAME.sub(qualified, kind)


def reachable(table: dict[str, dict[str, list[str]]], roots: list[str]) -> set[str]:
    found: set[str] = set()
    waiting = [root for root in roots if root in table]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [row[1] for row in table[name].values() if row[1] in table]
    return found


def main() -> None:
    table = messages(Path(sys.argv[1]))
    served = json.loads((Path(__file__).resolve().parent.parent / "clusters/embedded/resources.json").read_text())
    roots = ["k8s.io.apimachinery.pkg.runtime.Unknown", f"{META}.DeleteOptions", "k8s.io.api.autoscaling.v1.Scale"]
    for row in served:
        for each in [row, *row["subresources"]]:
            group, version = each["group"] or row["group"], each["version"] or row["version"]
            if each["group"] == "apiextensions.k8s.io":
                roots.append(f"k8s.io.apiextensions_apiserver.pkg.apis.apiextensions.{version}.{each['kind']}")
                continue
            package = "core" if not group else group.removesuffix(".k8s.io").split(".")[0]
            roots.append(f"k8s.io.api.{package}.{version}.{each['kind']}")
    kept = sorted(reachable(table, roots))
    lines = [f"{json.dumps(name)}: {json.dumps(table[name], separators=(',', ':'))}" for name in kept]
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main()
