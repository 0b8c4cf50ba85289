#!/usr/bin/env python3
"""Writes clusters/embedded/apiserver/patch/zero_objects.json: what an object of each kind holds before anybody has set a field.

    python tools/zero_objects.py FOLDER > clusters/embedded/apiserver/patch/zero_objects.json

FOLDER is the `k8s.io` folder of Debian's golang-k8s-api-dev and golang-k8s-apimachinery-dev. Structs that Go holds by value and fields
without `omitempty` are in the JSON of an object that was just made, so a write that fills them adds no field that somebody could own.
One kind a line: {"apps/v1/Deployment": {"spec": {…}, "status": {}}}; metadata is left out, it is always there and empty.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

STRUCT = re.compile(r"^type (\w+) struct \{(.*?)^\}", re.S | re.M)
NAMED = re.compile(r"^type (\w+) (?:=\s*)?(\w+)$", re.M)
FIELD = re.compile(r"^\s+(?:\w+\s+)?(?P<type>[*\[\]\w.]+)\s+`json:\"(?P<name>[^,\"]*)(?P<options>[^\"]*)\"", re.M)
# Import aliases of the packages that structs refer to; what has no alias is of the same package.
ALIASES = {"metav1": "meta/v1", "v1": "core/v1", "corev1": "core/v1", "apiv1": "core/v1"}
SCALARS: dict[str, Any] = {
    "string": "",
    "bool": False,
    **dict.fromkeys(("int", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float64"), 0),
    "resource.Quantity": "0",
    "intstr.IntOrString": 0,
    "metav1.Time": None,
    "metav1.MicroTime": None,
    "runtime.RawExtension": None,
    "types.UID": "",
    "types.NodeName": "",
}

Structs = dict[str, dict[str, str]]


def structs(root: Path) -> tuple[Structs, dict[str, dict[str, str]]]:
    """The bodies of all structs and the named scalars, each by package (`apps/v1`) and name."""
    bodies: Structs = {}
    names: dict[str, dict[str, str]] = {}
    folders = [*root.glob("api/*/v*"), root / "apimachinery/pkg/apis/meta/v1"]
    for folder in folders:
        package = f"{folder.parent.name}/{folder.name}"
        text = "\n".join(path.read_text() for path in sorted(folder.glob("*.go")) if not path.name.startswith(("zz_", "generated")))
        bodies[package] = dict(STRUCT.findall(text))
        names[package] = dict(NAMED.findall(text))
    return bodies, names


class Zeros:
    def __init__(self, root: Path):
        self.bodies, self.names = structs(root)

    def of(self, package: str, name: str) -> dict[str, Any]:
        """The JSON of the zero value of a struct."""
        found: dict[str, Any] = {}
        for field in FIELD.finditer(self.bodies[package][name]):
            kind, options = field["type"], field["options"]
            if ",inline" in options:
                if not kind.endswith("TypeMeta"):
                    found |= self.of(*self.located(package, kind))
            elif "omitzero" not in options:
                self._add(found, field["name"], package, kind, "omitempty" in options)
        return found

    def located(self, package: str, kind: str) -> tuple[str, str]:
        alias, _, name = kind.rpartition(".")
        return (ALIASES[alias] if alias else package), name

    def _add(self, found: dict[str, Any], name: str, package: str, kind: str, omitted_when_empty: bool) -> None:
        if (kind in SCALARS and not isinstance(SCALARS[kind], str | int)) or kind in ("resource.Quantity", "intstr.IntOrString"):
            # Structs with a JSON form of their own: nothing omits them.
            found[name] = SCALARS[kind]
        elif kind.startswith(("*", "[", "map[")):
            if not omitted_when_empty:
                found[name] = None
        elif kind in SCALARS:
            if not omitted_when_empty:
                found[name] = SCALARS[kind]
        else:
            where, named = self.located(package, kind)
            if named in self.bodies[where]:
                found[name] = self.of(where, named)
            else:
                # A named scalar, or a map or list under a name of its own.
                self._add(found, name, where, self.names[where].get(named, "map[]"), omitted_when_empty)


def main() -> None:
    zeros = Zeros(Path(sys.argv[1]))
    served = json.loads((Path(__file__).resolve().parent.parent / "clusters/embedded/resources.json").read_text())
    lines = []
    for row in served:
        package = f"{(row['group'] or 'core').removesuffix('.k8s.io').split('.')[0]}/{row['version']}"
        if row["kind"] not in zeros.bodies.get(package, {}):
            continue
        zero = {key: value for key, value in zeros.of(package, row["kind"]).items() if key != "metadata"}
        version = f"{row['group']}/{row['version']}" if row["group"] else row["version"]
        lines.append(f"{json.dumps(version + '/' + row['kind'])}: {json.dumps(zero)}")
    print("{\n" + ",\n".join(sorted(set(lines))) + "\n}")


if __name__ == "__main__":
    main()
