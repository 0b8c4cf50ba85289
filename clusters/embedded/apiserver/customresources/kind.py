"""One version of a definition as the registry asks for it (pkg/registry/customresource): decoding, defaults, strategy, validation, Table cells.

Implements `resources.CustomKind`.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime
from typing import Any

from clusters.embedded import decoding
from clusters.embedded.apiserver.customresources import jsonpath, lists, rules, structural, values
from clusters.embedded.apiserver.customresources.values import ABSENT
from clusters.embedded.apiserver.tables import durations
from clusters.embedded.apiserver.validation import content, metadata
from clusters.embedded.apiserver.validation import field as errors
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object, meta
from kubeobjects.equality import same

_AGE: Object = {"name": "Age", "type": "date", "jsonPath": ".metadata.creationTimestamp"}
# Errors after which rules could not look at the object as its schema describes it.
_BLOCKING = frozenset({"FieldValueNotSupported", "FieldValueRequired", "FieldValueTooLong", "FieldValueTooMany", "FieldValueTypeInvalid"})
_UNCHECKED = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation"
_MAX_INT32 = 2**31 - 1
# How many served forms of stored objects are kept.
_KEPT = 2000


class Kind:
    def __init__(self, definition: Object, version: Object, *, terminating: bool = False):
        spec = definition["spec"]
        self.definition = definition
        self.version = version
        self.terminating = terminating
        self.gone = asyncio.Event()
        self.kind: str = spec["names"]["kind"]
        self.api_version = f"{spec['group']}/{version['name']}"
        self._namespaced = spec["scope"] == "Namespaced"
        self.schema: Object = (version.get("schema") or {}).get("openAPIV3Schema") or {}
        self.node = structural.node(self.schema)
        self._has_rules = rules.has_rules(self.schema)
        subresources = version.get("subresources") or {}
        self._has_status = subresources.get("status") is not None
        self._scale: Object | None = subresources.get("scale")
        self._printed: list[Object] = version.get("additionalPrinterColumns") or [_AGE]
        self.columns: tuple[tuple[str, str, str, str, int], ...] = tuple(
            (each["name"], each["type"], each.get("format", ""), _description(each), each.get("priority", 0)) for each in self._printed
        )
        self.selectable: tuple[str, ...] = tuple(each["jsonPath"].removeprefix(".") for each in version.get("selectableFields") or [])
        self.deprecation: str | None = self._deprecation()
        self._served: dict[str, tuple[Object, Object]] = {}

    def _deprecation(self) -> str | None:
        if not self.version.get("deprecated"):
            return None
        return self.version.get("deprecationWarning") or f"{self.api_version} {self.kind} is deprecated"

    # Reading

    def decode(self, body: Object) -> tuple[Object, list[str]]:
        given = body.get("metadata")
        found = {name: value for name, value in body.items() if name != "metadata"}
        unknown: list[str] = []
        head: Object = {}
        if given is not None:
            head, unknown = decoding.decode_metadata(given, self.kind, self.api_version.rpartition("/")[2])
        pruned = structural.prune(found, self.schema)
        structural.drop_nulls(found, self.schema)
        return {**found, "metadata": head} if given is not None else found, [*unknown, *(f'unknown field "{each}"' for each in pruned)]

    def default(self, obj: Object) -> None:
        structural.default(obj, self.schema)

    def to_served(self, obj: Object) -> Object:
        # The same stored object is read again and again; a dry run's has its uid and version, and is another.
        uid = obj["metadata"].get("uid", "")
        kept = self._served.get(uid)
        if kept is not None and kept[0] is obj:
            return kept[1]
        served = meta.copy(obj) | {"apiVersion": self.api_version}
        structural.prune(served, self.schema)
        structural.drop_nulls(served, self.schema)
        structural.default(served, self.schema)
        if len(self._served) >= _KEPT:
            self._served.clear()
        self._served[uid] = (obj, served)
        return served

    # Writing

    def prepare_for_create(self, obj: Object) -> None:
        if self._has_status:
            obj.pop("status", None)
        obj["metadata"]["generation"] = 1

    def prepare_for_update(self, new: Object, old: Object, subresource: str) -> None:
        generation = old["metadata"].get("generation", 1)
        if subresource == "status":
            changed = {"managedFields": new["metadata"].get("managedFields"), "resourceVersion": new["metadata"].get("resourceVersion")}
            kept = {name: value for name, value in old["metadata"].items() if name not in changed}
            kept |= {name: value for name, value in changed.items() if value is not None}
            status = new.get("status", ABSENT)
            new.clear()
            new |= meta.copy(old) | {"apiVersion": self.api_version, "metadata": kept}
            _set(new, "status", status)
        else:
            if self._has_status:
                _set(new, "status", meta.copy(old)["status"] if "status" in old else ABSENT)
            if not same(_content(new), _content(old)):
                generation += 1
        new["metadata"]["generation"] = generation

    def warnings(self, obj: Object, old: Object | None) -> list[str]:
        before = set((old or {}).get("metadata", {}).get("finalizers") or [])
        added = sorted({*(obj["metadata"].get("finalizers") or [])} - before)
        return [text for each in added for text in _finalizer_warnings(each)]

    # Validation

    def validate(self, obj: Object, old: Object | None, subresource: str) -> Errors:
        """What is wrong with the object: its metadata, its values, its lists, and last its rules."""
        if old is None:
            found = metadata.object_meta(obj["metadata"], self._namespaced, content.dns_subdomain)
            found += values.check(obj, self.schema)
        else:
            old = self.to_served(old)
            found = metadata.object_meta_update(obj["metadata"], old["metadata"])
            if subresource == "status":
                found += self._check_status(obj, old)
            else:
                found += values.check(obj, self.schema, old)
        found += self._check_scale(obj, status_only=subresource == "status")
        if old is None or not lists.check(old, self.schema, Path()):
            found += lists.check(obj, self.schema, Path())
        if not self._has_rules:
            return found
        if any(each.kind in _BLOCKING for each in found):
            return [*found, errors.invalid(Path(), None, _UNCHECKED)]
        return found + rules.check(obj, self.schema, Path(), ABSENT if old is None else old)

    def _check_status(self, obj: Object, old: Object) -> Errors:
        schema = (self.schema.get("properties") or {}).get("status")
        if schema is None or "status" not in obj:
            return []
        return values.check(obj["status"], schema, old.get("status", ABSENT), Path("status"))

    def _check_scale(self, obj: Object, *, status_only: bool) -> Errors:
        if self._scale is None:
            return []
        found: Errors = []
        for name in ("specReplicasPath", "statusReplicasPath")[status_only:]:
            path = Path(self._scale[name])
            count = _at(obj, self._scale[name])
            if count is None:
                continue
            if not isinstance(count, int) or isinstance(count, bool):
                found.append(errors.invalid(path, 0, f"{self._scale[name]} accessor error: {_accessor(count, 'int64')}"))
            elif count < 0:
                found.append(errors.invalid(path, count, "should be a non-negative integer"))
            elif count > _MAX_INT32:
                found.append(errors.invalid(path, count, f"should be less than or equal to {_MAX_INT32}"))
        return found

    # Views

    def cells(self, obj: Object, now: datetime) -> list[Any]:
        return [obj["metadata"]["name"], *(_cell(each["type"], each["jsonPath"], obj, now) for each in self._printed)]

    def scale(self, obj: Object) -> Object:
        assert self._scale is not None
        head = obj["metadata"]
        kept = {key: head[key] for key in ("name", "namespace", "uid", "resourceVersion", "creationTimestamp") if key in head}
        replicas, current = _at(obj, self._scale["specReplicasPath"]), _at(obj, self._scale["statusReplicasPath"])
        status: Object = {"replicas": current or 0}
        if selector := _at(obj, self._scale.get("labelSelectorPath") or ""):
            status["selector"] = selector
        spec = {"replicas": replicas} if replicas else {}
        return {"kind": "Scale", "apiVersion": "autoscaling/v1", "metadata": kept, "spec": spec, "status": status}

    def rescale(self, obj: Object, replicas: int) -> None:
        assert self._scale is not None
        *above, last = self._scale["specReplicasPath"].removeprefix(".").split(".")
        for name in above:
            obj = obj.setdefault(name, {})
        obj[last] = replicas


def _description(column: Object) -> str:
    return column.get("description") or f"Custom resource definition column (in JSONPath format): {column['jsonPath']}"


def _content(obj: Object) -> Object:
    return {name: value for name, value in obj.items() if name not in ("metadata", "apiVersion")}


def _set(obj: Object, name: str, value: Any) -> None:
    if value is ABSENT:
        obj.pop(name, None)
    else:
        obj[name] = value


def _at(obj: Any, path: str) -> Any:
    """The value at a plain path (`.spec.replicas`); None where there is none."""
    if not path:
        return None
    for name in path.removeprefix(".").split("."):
        obj = obj.get(name) if isinstance(obj, dict) else None
    return obj


def _accessor(value: Any, wanted: str) -> str:
    kinds = {str: "string", bool: "bool", float: "float64", dict: "map[string]interface {}", list: "[]interface {}"}
    return f"{value} is of the type {kinds[type(value)]}, expected {wanted}"


def _finalizer_warnings(name: str) -> list[str]:
    where = f'metadata.finalizers: "{name}": '
    found = [where + why for why in content.qualified_name(name)]
    if "/" not in name and not metadata.is_standard_finalizer(name):
        including = " including a path (/)" if "." in name else ""
        found.append(
            f"{where}prefer a domain-qualified finalizer name{including} to avoid accidental conflicts with other finalizer writers"
        )
    return found


def _cell(kind: str, path: str, obj: Object, now: datetime) -> Any:
    try:
        found = jsonpath.find(path, obj)
    except jsonpath.PathError:
        return None
    value = found[0] if found else None
    if value is None:
        return None
    if kind == "string":
        return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    if kind == "date":
        try:
            return durations.since(value, now) if isinstance(value, str) else None
        except ValueError:
            return "<invalid>"
    if kind == "boolean":
        return value if isinstance(value, bool) else None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if kind == "integer" else float(value)
