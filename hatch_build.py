"""Reduces the Kubernetes definitions that `kubernetes-validate` carries to the one file that the API server reads.

In: the wheel's `v1.37.0-local/_definitions.json`. Out: `clusters/embedded/schema.zip`, a zip archive of `types.json` (fields and merge rules,
read when the server starts) and of `descriptions.json` (the texts, read when somebody asks `kubectl explain`).
What Go knows of a field (whether it is left out when empty, the name of its type) is in `clusters/embedded/apiserver/protobuf_fields.json`.
Runs as a hatchling build hook, for wheels and editable installs alike, or by hand: `python hatch_build.py`.

A wheel also gets the course's files that are no Python package, in the folder `ai_lab_course` (`clusters/files.py` finds them there).
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
GO_FIELDS = Path("clusters/embedded/apiserver/protobuf_fields.json")
SOURCE = "kubernetes-json-schema/v1.37.0-local/_definitions.json"
# What a wheel carries beside the packages: the learners' notebooks, the sources that debriefs are read from, the starts, and what Pods run.
COURSE = "ai_lab_course"
CARRIED = {"labs": "*.ipynb", "solutions": "*.md", "manifests": "*", "images": "*"}
_LEFT_OUT = {"__pycache__", ".ipynb_checkpoints", ".mypy_cache", ".ruff_cache", ".DS_Store"}

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


def _go_marks(root: Path) -> dict[str, dict[str, dict[str, Any]]]:
    """By definition and field what Go knows of it: `o` left out of JSON when empty, `g` the name of its type, `e` the struct it is inlined from."""
    table: dict[str, dict[str, list[str]]] = json.loads((root / GO_FIELDS).read_text())

    def of(message: str) -> dict[str, dict[str, Any]]:
        found: dict[str, dict[str, Any]] = {}
        for name, kind, flags, *named in table[message].values():
            if "i" in flags:
                struct = kind.rpartition(".")[2]
                for field, mark in of(kind).items():
                    found[field] = mark | {"e": f"{struct}.{mark['e']}" if "e" in mark else struct}
            else:
                found[name] = ({"o": 1} if "o" in flags and "p" not in flags else {}) | ({"g": named[0]} if named else {})
        return found

    return {message.replace("k8s.io.", "io.k8s.", 1).replace("apiextensions_", "apiextensions-"): of(message) for message in table}


def _marked(node: dict[str, Any], marks: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """A reduced definition with what Go knows of its fields."""
    for name in marks.keys() & node.get("p", {}).keys():
        field = node["p"][name]
        # A struct by value is always written, whatever its tag says.
        field |= {key: value for key, value in marks[name].items() if key != "o" or ("r" not in field and "p" not in field)}
    return node


def build(root: Path) -> Path:
    """Writes the file under `root` and returns its path; the same definitions give the same bytes."""
    definitions = _definitions()
    marks = _go_marks(root)
    kinds = {
        (f"{each['group']}/" if each["group"] else "") + f"{each['version']}/{each['kind']}": name
        for name, node in definitions.items()
        if name.startswith("io.k8s.")
        for each in node.get("x-kubernetes-group-version-kind", [])[:1]
        if not name.endswith(("List", "DeleteOptions", "WatchEvent"))
    }
    target = root / TARGET
    target.parent.mkdir(parents=True, exist_ok=True)
    types = {name: _marked(_reduced(node), marks.get(name, {})) for name, node in definitions.items()}
    members = {
        "types.json": {"kinds": kinds, "types": types},
        "descriptions.json": {name: _texts(node) for name, node in definitions.items()},
    }
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, content in members.items():
            entry = zipfile.ZipInfo(name, (2020, 1, 1, 0, 0, 0))
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, json.dumps(content, sort_keys=True, separators=(",", ":")))
    return target


def carried(root: Path) -> dict[str, str]:
    """The course's files under `root`, each with its place in a wheel."""
    found = {}
    for folder, pattern in CARRIED.items():
        for path in sorted((root / folder).rglob(pattern)):
            relative = path.relative_to(root)
            if path.is_file() and not _LEFT_OUT.intersection(relative.parts):
                found[str(path)] = f"{COURSE}/{relative.as_posix()}"
    return found


class CustomBuildHook(BuildHookInterface):  # type: ignore[misc,type-arg]
    """Makes the file before the wheel is packed (or the checkout is installed in place)."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        target = build(Path(self.root))
        build_data.setdefault("artifacts", []).append(str(target.relative_to(self.root)))
        # An editable install has them in the checkout.
        if self.target_name == "wheel" and version != "editable":
            build_data.setdefault("force_include", {}).update(carried(Path(self.root)))


if __name__ == "__main__":
    written = build(Path(__file__).resolve().parent)
    print(f"{written}: {written.stat().st_size} bytes")
