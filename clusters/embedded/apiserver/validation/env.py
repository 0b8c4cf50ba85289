"""`env` and `envFrom` of a container, and the selectors of the downward API."""

from __future__ import annotations

import re
from collections.abc import Iterable

from clusters.embedded.apiserver.validation import content, field, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_FIELDS = (
    "metadata.name", "metadata.namespace", "metadata.uid", "spec.nodeName", "spec.serviceAccountName",
    "status.hostIP", "status.hostIPs", "status.podIP", "status.podIPs",
)  # fmt: skip
# What the downward API knows at all; a path outside is refused before it is compared with what the place allows.
_KNOWN = {*_FIELDS, "metadata.annotations", "metadata.labels", "spec.restartPolicy", "spec.schedulerName", "status.phase"}
_RESOURCES = (
    "limits.cpu", "limits.ephemeral-storage", "limits.memory", "requests.cpu", "requests.ephemeral-storage", "requests.memory",
)  # fmt: skip
_SUBSCRIPT = re.compile(r"^(.*)\['(.*)'\]$")
_BYTES = ("1", "1k", "1M", "1G", "1T", "1P", "1E", "1Ki", "1Mi", "1Gi", "1Ti", "1Pi", "1Ei")
_DIVISORS = {
    "cpu": (("1m", "1"), "only divisor's values 1m and 1 are supported with the cpu resource"),
    "memory": (_BYTES, f"only divisor's values {', '.join(_BYTES)} are supported with the memory resource"),
    "ephemeral-storage": (_BYTES, f"only divisor's values {', '.join(_BYTES)} are supported with the local ephemeral storage resource"),
}
_SOURCES = ("fieldRef", "resourceFieldRef", "configMapKeyRef", "secretKeyRef", "fileKeyRef")


def field_selector(selector: Object, allowed: Iterable[str], path: Path) -> Errors:
    """A `fieldRef`; `allowed` are the paths without a subscript that this place supports."""
    expression = selector.get("fieldPath", "")
    if not selector.get("apiVersion"):
        return [field.required(path.child("apiVersion"))]
    if not expression:
        return [field.required(path.child("fieldPath"))]
    where = path.child("fieldPath")
    subscripted = _SUBSCRIPT.match(expression)
    if subscripted:
        base, key = subscripted.groups()
        if base == "metadata.annotations":
            return values.all_of(path, key.lower(), content.qualified_name(key.lower()))
        if base == "metadata.labels":
            return values.all_of(path, key, content.qualified_name(key))
        return [field.invalid(where, expression, f"error converting fieldPath: field label does not support subscript: {expression}")]
    if expression not in _KNOWN:
        return [field.invalid(where, expression, f"error converting fieldPath: field label not supported: {expression}")]
    if expression not in allowed:
        return [field.not_supported(where, expression, sorted(allowed))]
    return []


def resource_selector(selector: Object, path: Path, *, in_volume: bool) -> Errors:
    found: Errors = []
    resource = selector.get("resource", "")
    if in_volume and not selector.get("containerName"):
        found.append(field.required(path.child("containerName")))
    elif not resource:
        found.append(field.required(path.child("resource")))
    elif resource not in _RESOURCES and not re.match(r"(requests|limits)\.hugepages-", resource):
        found.append(field.not_supported(path.child("resource"), resource, _RESOURCES))
    divisor = str(selector.get("divisor") or "0")
    kind = _DIVISORS.get(resource.partition(".")[2])
    if divisor != "0" and kind and divisor not in kind[0]:
        found.append(field.invalid(path.child("divisor"), resource, kind[1]))
    return found


def _key_selector(selector: Object, path: Path) -> Errors:
    name, key = selector.get("name", ""), selector.get("key", "")
    found = values.all_of(path.child("name"), name, content.dns_subdomain(name))
    if not key:
        found.append(field.required(path.child("key")))
    else:
        found += values.all_of(path.child("key"), key, content.config_key(key))
    return found


def _value_from(variable: Object, path: Path) -> Errors:
    source = variable.get("valueFrom")
    if source is None:
        return []
    found: Errors = []
    given = [name for name in _SOURCES if source.get(name) is not None]
    if "fieldRef" in given:
        found += field_selector(source["fieldRef"], _FIELDS, path.child("fieldRef"))
    if "resourceFieldRef" in given:
        found += resource_selector(source["resourceFieldRef"], path.child("resourceFieldRef"), in_volume=False)
    for name in ("configMapKeyRef", "secretKeyRef"):
        if name in given:
            found += _key_selector(source[name], path.child(name))
    if not given:
        why = "must specify one of: `fieldRef`, `resourceFieldRef`, `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        found.append(field.invalid(path, "", why))
    elif variable.get("value"):
        found.append(field.invalid(path, "", "may not be specified when `value` is not empty"))
    elif len(given) > 1:
        found.append(field.invalid(path, "", "may not have more than one field specified at a time"))
    return found


def env(variables: list[Object], path: Path) -> Errors:
    found: Errors = []
    for index, variable in enumerate(variables):
        where, name = path[index], variable.get("name", "")
        if not name:
            found.append(field.required(where.child("name")))
        else:
            found += values.all_of(where.child("name"), name, content.env_name(name))
        found += _value_from(variable, where.child("valueFrom"))
    return found


def env_from(sources: list[Object], path: Path) -> Errors:
    found: Errors = []
    for index, source in enumerate(sources):
        where = path[index]
        if source.get("prefix"):
            found += values.all_of(where.child("prefix"), source["prefix"], content.env_name(source["prefix"]))
        given = [name for name in ("configMapRef", "secretRef") if source.get(name) is not None]
        for name in given:
            referred = source[name].get("name", "")
            if not referred:
                found.append(field.required(where.child(name, "name")))
            else:
                found += values.all_of(where.child(name, "name"), referred, content.dns_subdomain(referred))
        if not given:
            found.append(field.invalid(path, "", "must specify one of: `configMapRef` or `secretRef`"))
        elif len(given) > 1:
            found.append(field.invalid(path, "", "may not have more than one field specified at a time"))
    return found
