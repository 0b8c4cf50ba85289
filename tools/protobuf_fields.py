#!/usr/bin/env python3
"""Writes clusters/embedded/apiserver/protobuf_fields.json: Kubernetes' protobuf field numbers for the kinds that the API server takes.

    python tools/protobuf_fields.py FOLDER > clusters/embedded/apiserver/protobuf_fields.json

FOLDER is the `k8s.io` folder of Debian's golang-k8s-api-dev and golang-k8s-apimachinery-dev (usr/share/gocode/src/k8s.io):
the numbers are in the .proto files, and which fields are pointers or inlined is in the Go types beside them.
One message a line: {name: {number: [JSON name, type, flags]}}; flags are a letter each: l list, m map, p pointer, i inlined.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

MESSAGE = re.compile(r"^message (\w+) \{(.*?)^\}", re.S | re.M)
FIELD = re.compile(r"(?:(optional|repeated)\s+(\.?[\w.]+)|map<\s*(\w+)\s*,\s*(\.?[\w.]+)\s*>)\s+(\w+)\s*=\s*(\d+)")
STRUCT = re.compile(r"^type (\w+) struct \{(.*?)^\}", re.S | re.M)
GO_FIELD = re.compile(r"^\s+(?:\w+\s+)?(?P<type>[*\[\]\w.]+)\s+`json:\"(?P<json>[^\"]*)\"[^`]*protobuf:\"[^\"]*?,(?P<number>\d+),", re.M)

CORE, META = "k8s.io.api.core.v1", "k8s.io.apimachinery.pkg.apis.meta.v1"


def messages(root: Path) -> dict[str, dict[str, list[str]]]:
    found = {}
    for path in sorted(root.rglob("generated.proto")):
        text = re.sub(r"//.*", "", path.read_text())
        named = re.search(r"^package (\S+);", text, re.M)
        assert named
        package = named.group(1)
        pointers, inlined = go_flags(path.parent)
        for name, body in MESSAGE.findall(text):
            fields = {}
            for label, plain, _, mapped, field, number in FIELD.findall(body):
                kind = (mapped or plain).lstrip(".")
                if kind[0].isupper():
                    kind = f"{package}.{kind}"
                flags = "m" if mapped else "l" if label == "repeated" else ""
                flags += "p" if (name, number) in pointers else ""
                flags += "i" if (name, number) in inlined else ""
                fields[number] = [field, kind, flags]
            found[f"{package}.{name}"] = fields
    return found


def go_flags(folder: Path) -> tuple[set[tuple[str, str]], set[tuple[str, str]]]:
    pointers, inlined = set(), set()
    for path in folder.glob("*.go"):
        for name, body in STRUCT.findall(path.read_text()):
            for field in GO_FIELD.finditer(body):
                if field["type"].startswith("*"):
                    pointers.add((name, field["number"]))
                if "inline" in field["json"]:
                    inlined.add((name, field["number"]))
    return pointers, inlined


def reachable(table: dict[str, dict[str, list[str]]], roots: list[str]) -> set[str]:
    found: set[str] = set()
    waiting = [root for root in roots if root in table]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            waiting += [kind for _, kind, _ in table[name].values() if kind in table]
    return found


def main() -> None:
    table = messages(Path(sys.argv[1]))
    served = json.loads((Path(__file__).resolve().parent.parent / "clusters/embedded/resources.json").read_text())
    roots = ["k8s.io.apimachinery.pkg.runtime.Unknown", f"{META}.DeleteOptions", "k8s.io.api.autoscaling.v1.Scale"]
    for row in served:
        for each in [row, *row["subresources"]]:
            group, version = each["group"] or row["group"], each["version"] or row["version"]
            package = "core" if not group else group.removesuffix(".k8s.io").split(".")[0]
            roots.append(f"k8s.io.api.{package}.{version}.{each['kind']}")
    kept = sorted(reachable(table, roots))
    lines = [f"{json.dumps(name)}: {json.dumps(table[name], separators=(',', ':'))}" for name in kept]
    print("{\n" + ",\n".join(lines) + "\n}")


if __name__ == "__main__":
    main()
