"""One question to an authorizer (k8s.io/apiserver/pkg/authorization/authorizer Attributes)."""

from __future__ import annotations

from dataclasses import dataclass

from clusters.embedded.apiserver.request import RequestInfo


@dataclass(frozen=True)
class Attributes:
    """A verb on a resource, or (`resource` None) on a path."""

    verb: str
    path: str = ""
    group: str = ""
    resource: str | None = None
    subresource: str = ""
    namespace: str | None = None
    name: str = ""
    field_selector: str = ""

    @classmethod
    def of(cls, info: RequestInfo) -> Attributes:
        return cls(info.verb, info.path, info.group, info.resource, info.subresource, info.namespace, info.name, info.field_selector)

    def selects(self, field: str, value: str) -> bool:
        """Whether the request's field selector keeps to objects of which `field` is `value`."""
        return any(each.strip() in (f"{field}={value}", f"{field}=={value}") for each in self.field_selector.split(","))
