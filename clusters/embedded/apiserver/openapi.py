"""OpenAPI v3: what kubectl reads before it applies, creates, diffs and explains.

`index()` names one document a group and version; `document(path)` makes it from the schema and the served resources. A document is kept as
bytes: kubectl asks for the same few again and again, and the objects they are made from are let go.
"""

from __future__ import annotations

import hashlib
import zipfile
from functools import lru_cache
from pathlib import Path

import orjson

from clusters.embedded import schema
from clusters.embedded.resources import Resource, built_in, custom
from kubeobjects import Object

_COMPONENTS = "#/components/schemas/"
# The two types whose JSON may be a string or a number.
_EITHER = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": ("string", "number"),
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": ("string", "integer"),
}
# A type that describes apiVersion and kind, in words that fit all.
_TYPICAL = "io.k8s.api.apps.v1.Deployment"
_WRITE = ("dryRun", "fieldManager", "fieldValidation")
_KEPT = ("list-type", "list-map-keys", "map-type", "patch-strategy", "patch-merge-key")


def _path(resource: Resource) -> str:
    return f"apis/{resource.group}/{resource.version}" if resource.group else f"api/{resource.version}"


def index() -> Object:
    """The reply to GET /openapi/v3: where each group version's document is, under a hash that lets clients keep it for ever."""
    paths: Object = {}
    defined: dict[str, str] = {}
    for resource in custom():
        assert resource.custom is not None
        metadata = resource.custom.definition["metadata"]
        defined[_path(resource)] = f"{defined.get(_path(resource), '')} {metadata['uid']} {metadata['resourceVersion']}"
    for path in sorted({_path(resource) for resource in built_in()} | defined.keys()):
        digest = hashlib.sha256(f"{path}{_fingerprint()}{defined.get(path, '')}".encode()).hexdigest().upper()
        paths[path] = {"serverRelativeURL": f"/openapi/v3/{path}?hash={digest}"}
    return {"paths": paths}


@lru_cache(maxsize=1)
def _fingerprint() -> str:
    supplement = Path(__file__).with_name("openapi_supplement.json").read_bytes()
    return hashlib.sha256(schema.ARCHIVE.read_bytes() + supplement + Path(__file__).read_bytes()).hexdigest()


def document(path: str) -> bytes:
    """The document of `api/v1` or `apis/apps/v1` as JSON. Raises KeyError where nothing is served there."""
    defined = [resource for resource in custom() if _path(resource) == path]
    return _of_custom(path, defined) if defined else _of_built_in(path)


def _archived() -> tuple[Object, Object]:
    with zipfile.ZipFile(schema.ARCHIVE) as archive:
        return orjson.loads(archive.read("types.json")), orjson.loads(archive.read("descriptions.json"))


def _whole(paths: Object, components: Object) -> bytes:
    info = {"title": "Kubernetes", "version": "v1.36.2"}
    return orjson.dumps({"openapi": "3.0.0", "info": info, "paths": paths, "components": {"schemas": components}})


def _of_custom(path: str, served: list[Resource]) -> bytes:
    from clusters.embedded.apiserver.customresources import openapi

    loaded, texts = _archived()
    wanted: set[str] = set()
    for name in (openapi.META, openapi.LIST_META):
        _collect(name, loaded["types"], wanted)
    components = {name: _component(name, loaded["types"][name], texts.get(name, {}), None) for name in sorted(wanted)}
    paths: Object = {}
    for resource in served:
        components |= openapi.components(resource, texts[_TYPICAL]["f"])
        paths |= _operations(resource, path, openapi.model(resource))
    return _whole(paths, components)


@lru_cache(maxsize=16)
def _of_built_in(path: str) -> bytes:
    served = [resource for resource in built_in() if _path(resource) == path]
    if not served:
        raise KeyError(path)
    loaded, texts = _archived()
    supplement = orjson.loads(Path(__file__).with_name("openapi_supplement.json").read_bytes())
    types, kinds = loaded["types"], loaded["kinds"]
    groups: dict[str, list[Object]] = {}
    for key, name in kinds.items():
        api_version, _, kind = key.rpartition("/")
        group, _, version = api_version.rpartition("/")
        groups.setdefault(name, []).append({"group": group, "kind": kind, "version": version})
    wanted: set[str] = set()
    paths: Object = {}
    for resource in served:
        name = kinds.get(f"{resource.api_version}/{resource.kind}")
        if name is None:
            continue
        _collect(name, types, wanted)
        paths |= _operations(resource, path, name)
    for name, text in supplement["descriptions"].items():
        texts[name] = {"d": text}
    for name in wanted & supplement["enums"].keys():
        texts.setdefault(name, {}).setdefault("e", {}).update(supplement["enums"][name])
    components = {name: _component(name, types[name], texts.get(name, {}), groups.get(name)) for name in sorted(wanted)}
    return _whole(paths, components)


def _collect(name: str, types: Object, wanted: set[str]) -> None:
    if name in wanted:
        return
    wanted.add(name)

    def walk(node: Object) -> None:
        if "r" in node:
            _collect(node["r"], types, wanted)
        for each in node.get("p", {}).values():
            walk(each)
        for key in ("i", "a"):
            if key in node:
                walk(node[key])

    walk(types[name])


def _component(name: str, node: Object, texts: Object, groups: list[Object] | None) -> Object:
    component = _node(node)
    if name in _EITHER:
        component.pop("type", None)
        component["oneOf"] = [{"type": each} for each in _EITHER[name]]
    if texts.get("d"):
        component["description"] = texts["d"]
    for field, text in (texts.get("f") or {}).items():
        component["properties"][field]["description"] = text
    for field, values in (texts.get("e") or {}).items():
        # The definitions pin apiVersion and kind to one value; a real server leaves them open.
        if field not in ("apiVersion", "kind") and field in component["properties"]:
            component["properties"][field]["enum"] = values
    if groups:
        component["x-kubernetes-group-version-kind"] = groups
    return component


def _node(node: Object, inner: bool = False) -> Object:
    found: Object = {}
    if "r" in node:
        reference = {"$ref": _COMPONENTS + node["r"]}
        if inner:
            return reference
        found["allOf"] = [reference]
        found["default"] = {}
    elif node.get("t") and node["t"] != "any":
        found["type"] = node["t"]
        if "f" in node:
            found["format"] = node["f"]
    else:
        found["type"] = "object"
    if "p" in node:
        found["properties"] = {name: _node(each) for name, each in node["p"].items()}
    if "q" in node:
        found["required"] = node["q"]
    if "i" in node:
        found["items"] = _node(node["i"], inner=True)
    if "a" in node:
        found["additionalProperties"] = _node(node["a"], inner=True)
    for key in _KEPT:
        if key in node:
            found[f"x-kubernetes-{key}"] = node[key]
    return found


def _operations(resource: Resource, path: str, name: str) -> Object:
    kind = {"group": resource.group, "kind": resource.kind, "version": resource.version}
    reply = {"200": {"description": "OK", "content": {"application/json": {"schema": {"$ref": _COMPONENTS + name}}}}}

    def operation(action: str, *parameters: str) -> Object:
        return {
            "x-kubernetes-action": action,
            "x-kubernetes-group-version-kind": kind,
            "parameters": [{"name": each, "in": "query", "schema": {"type": "string", "uniqueItems": True}} for each in parameters],
            "responses": reply,
        }

    collection = f"/{path}/namespaces/{{namespace}}/{resource.plural}" if resource.namespaced else f"/{path}/{resource.plural}"
    verbs = resource.verbs
    whole: Object = {}
    one: Object = {}
    if "list" in verbs:
        whole["get"] = operation("list", "labelSelector", "fieldSelector", "limit", "continue")
    if "create" in verbs:
        whole["post"] = operation("post", *_WRITE)
    if "get" in verbs:
        one["get"] = operation("get")
    if "patch" in verbs:
        one["patch"] = operation("patch", *_WRITE, "force")
    if "update" in verbs:
        one["put"] = operation("put", *_WRITE)
    if "delete" in verbs:
        one["delete"] = operation("delete", "dryRun", "gracePeriodSeconds", "propagationPolicy")
    return {collection: whole} | ({f"{collection}/{{name}}": one} if one else {})
