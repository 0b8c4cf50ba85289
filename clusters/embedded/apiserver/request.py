"""What one request asks for: who, which verb, which resource (k8s.io/apiserver/pkg/endpoints/request RequestInfo).

Method, path and query flow in; a `RequestInfo` comes out, which authorization, audit and the handlers read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import unquote

from clusters.embedded.resources import Resource, by_path

_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete", "GET": "get", "HEAD": "get"}
# Names below a namespace that belong to the namespace itself.
_OF_NAMESPACE = ("status", "finalize")


@dataclass(frozen=True)
class User:
    """An authenticated identity (user.Info)."""

    name: str
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class RequestInfo:
    """`resource` is the plural in the path (also of one that is not served), None for a path that names no resource.

    `rest` is what follows a subresource: the path that a proxy is to ask for. `name` may also come from a field selector that narrows
    a list to one object; `name_in_path` tells.
    """

    path: str
    verb: str
    group: str = ""
    version: str = ""
    resource: str | None = None
    subresource: str = ""
    namespace: str | None = None
    name: str = ""
    rest: str = ""
    name_in_path: bool = False
    field_selector: str = ""

    @property
    def served(self) -> Resource | None:
        return by_path().get((self.group, self.version, self.resource or ""))


def is_true(value: str | None) -> bool:
    """A boolean query parameter: present without a value counts as true."""
    return value is not None and value.lower() not in ("false", "0")


def parse(method: str, raw_path: str, query: Mapping[str, str]) -> RequestInfo:
    """`raw_path` is still percent-encoded: a slash inside a name must not split it."""
    path = unquote(raw_path)
    parts = [unquote(part) for part in raw_path.strip("/").split("/") if part]
    prefix = parts[0] if parts else ""
    if (prefix == "api" and len(parts) > 2) or (prefix == "apis" and len(parts) > 3):
        group, version, rest = ("", parts[1], parts[2:]) if prefix == "api" else (parts[1], parts[2], parts[3:])
        return _resource_request(method, path, group, version, rest, query)
    return RequestInfo(path=path, verb=method.lower())


def _resource_request(method: str, path: str, group: str, version: str, parts: list[str], query: Mapping[str, str]) -> RequestInfo:
    verb = _VERBS.get(method, method.lower())
    watching = is_true(query.get("watch"))
    if parts[0] == "watch" and len(parts) > 1:
        watching, parts = True, parts[1:]
    namespace: str | None = None
    if parts[0] == "namespaces" and len(parts) > 1:
        namespace = parts[1]
        if len(parts) > 2 and parts[2] not in _OF_NAMESPACE:
            parts = parts[2:]
    resource = parts[0]
    name = parts[1] if len(parts) > 1 else ""
    subresource = parts[2] if len(parts) > 2 else ""
    rest = "/".join(parts[3:])
    if not name:
        name = _named_by_selector(query.get("fieldSelector", ""))
        if verb == "get":
            verb = "watch" if watching else "list"
        elif verb == "delete":
            verb = "deletecollection"
    elif verb == "get" and watching and not subresource:
        verb = "watch"
    return RequestInfo(
        path, verb, group, version, resource, subresource, namespace, name, rest, len(parts) > 1, query.get("fieldSelector", "")
    )


def _named_by_selector(text: str) -> str:
    """A list or watch that a field selector narrows to one name counts as a request for that name."""
    for part in text.split(","):
        key, equals, value = part.replace("==", "=").partition("=")
        if equals and key.strip() == "metadata.name":
            return value.strip()
    return ""
