"""The resources that the API server serves, as data: `resources.json`, one resource a line."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Subresource:
    """`group`, `version` and `kind` are those of the body when it is not the parent's own."""

    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


@dataclass(frozen=True)
class Resource:
    """One resource of one API version, with the fields of `metav1.APIResource`."""

    group: str
    version: str
    plural: str
    kind: str
    singular: str
    namespaced: bool
    verbs: tuple[str, ...]
    short_names: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    subresources: tuple[Subresource, ...] = field(default=())

    @property
    def api_version(self) -> str:
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def name(self) -> str:
        """`deployments.apps`, `pods`: how components and messages name the resource."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def subresource(self, name: str) -> Subresource | None:
        return next((each for each in self.subresources if each.name == name), None)


@cache
def all_resources() -> tuple[Resource, ...]:
    rows = json.loads(Path(__file__).with_name("resources.json").read_text())
    return tuple(
        Resource(
            group=row["group"],
            version=row["version"],
            plural=row["plural"],
            kind=row["kind"],
            singular=row["singular"],
            namespaced=row["namespaced"],
            verbs=tuple(row["verbs"]),
            short_names=tuple(row["short_names"]),
            categories=tuple(row["categories"]),
            subresources=tuple(Subresource(**{**sub, "verbs": tuple(sub["verbs"])}) for sub in row["subresources"]),
        )
        for row in rows
    )


@cache
def by_name() -> dict[str, Resource]:
    """The preferred version of each resource by its name (`deployments.apps`)."""
    found: dict[str, Resource] = {}
    for resource in all_resources():
        found.setdefault(resource.name, resource)
    return found


@cache
def by_kind() -> dict[tuple[str, str], Resource]:
    """By (apiVersion, kind), for example ("apps/v1", "Deployment")."""
    return {(each.api_version, each.kind): each for each in all_resources()}
