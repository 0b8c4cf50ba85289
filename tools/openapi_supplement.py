#!/usr/bin/env python3
"""Writes clusters/embedded/apiserver/openapi_supplement.json: what `kubectl explain` shows and the definitions of the build leave out.

    python tools/openapi_supplement.py FOLDER > clusters/embedded/apiserver/openapi_supplement.json

FOLDER is the `k8s.io` folder of Debian's golang-k8s-api-dev and golang-k8s-apimachinery-dev. From its Go types come
the values of enums ({definition: {field: [values]}}) and the descriptions of the two types that are no structs.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

ENUM = re.compile(r"^// \+enum\n(?:// .*\n)*type (\w+) string", re.M)
CONSTANT = re.compile(r"^\s*\w+\s+(\w+)\s*=\s*\"([^\"]*)\"", re.M)
STRUCT = re.compile(r"^type (\w+) struct \{(.*?)^\}", re.S | re.M)
FIELD = re.compile(r"^\s+\w+\s+[*\[\]]*(\w+)\s+`json:\"(\w+)", re.M)
DESCRIBED = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": ("apimachinery/pkg/api/resource/quantity.go", "Quantity"),
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": ("apimachinery/pkg/util/intstr/intstr.go", "IntOrString"),
}


def enums(folder: Path, prefix: str) -> dict[str, dict[str, list[str]]]:
    """The enum fields of every struct of one package."""
    text = "\n".join(path.read_text() for path in sorted(folder.glob("*.go")) if not path.name.startswith(("zz_", "generated")))
    names = set(ENUM.findall(text))
    values: dict[str, list[str]] = {}
    for kind, value in CONSTANT.findall(text):
        if kind in names:
            values.setdefault(kind, []).append(value)
    found = {}
    for name, body in STRUCT.findall(text):
        fields = {field: sorted(set(values[kind])) for kind, field in FIELD.findall(body) if kind in values}
        if fields:
            found[f"{prefix}.{name}"] = fields
    return found


def description(text: str, name: str) -> str:
    """The comment above a type as the OpenAPI generator writes it: paragraphs on one line, indented lines kept."""
    found = re.search(rf"((?:^//.*\n)+)type {name} struct", text, re.M)
    assert found, name
    result = ""
    for line in found.group(1).splitlines():
        body = line.removeprefix("//").removeprefix(" ")
        if body.lstrip().startswith(("+", "TODO")):
            continue
        if not body.strip():
            result = result.rstrip(" ") + "\n\n"
        elif body.startswith("\t"):
            result += body
        else:
            result += body.rstrip() + " "
    return re.sub(r"\n{3,}", "\n\n", result).strip()


def main() -> None:
    root = Path(sys.argv[1])
    found: dict[str, dict[str, list[str]]] = {}
    for path in sorted((root / "api").glob("*/v*/types.go")):
        found |= enums(path.parent, f"io.k8s.api.{path.parent.parent.name}.{path.parent.name}")
    described = {definition: description((root / file).read_text(), name) for definition, (file, name) in DESCRIBED.items()}
    print(json.dumps({"descriptions": described, "enums": found}, indent=1, sort_keys=True))


if __name__ == "__main__":
    main()
