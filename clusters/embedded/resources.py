"""The resources that the API server serves: its own as data (`resources.json`, one resource a line), and custom ones as they are defined.

A process serves one cluster: what its API server adds here, its components find.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kubeobjects import Object

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Sequence
    from datetime import datetime

    from clusters.embedded.errors import FieldError


@dataclass(frozen=True)
class Subresource:
    """`group`, `version` and `kind` are those of the body when it is not the parent's own."""

    name: str
    group: str
    version: str
    kind: str
    verbs: tuple[str, ...]


class CustomKind(Protocol):
    """What a version of a CustomResourceDefinition says of its objects; the registry asks it wherever its own kinds have code."""

    # The definition, as it is stored, and the version's own part of its spec.
    definition: Object
    version: Object
    # The schema in the form of `schema.zip`, for merging by lists and maps.
    node: Object
    # Columns of its Table beside the name: name, type, format, description, priority.
    columns: tuple[tuple[str, str, str, str, int], ...]
    # Field selectors beside metadata's.
    selectable: tuple[str, ...]
    # What every request to this version is warned of.
    deprecation: str | None
    terminating: bool
    # Set once the kind is served no more, or in another way: watches end then.
    gone: asyncio.Event

    def decode(self, body: Object) -> tuple[Object, list[str]]:
        """(the object as it is stored, before defaults; the paths of fields that are not in the schema). Raises DecodeError."""
        ...

    def default(self, obj: Object) -> None: ...

    def prepare_for_create(self, obj: Object) -> None: ...

    def prepare_for_update(self, new: Object, old: Object, subresource: str) -> None: ...

    def validate(self, obj: Object, old: Object | None, subresource: str) -> list[FieldError]: ...

    def warnings(self, obj: Object, old: Object | None) -> list[str]: ...

    def cells(self, obj: Object, now: datetime) -> list[Any]: ...

    def to_served(self, obj: Object) -> Object:
        """A stored object in this version."""
        ...

    def scale(self, obj: Object) -> Object:
        """The autoscaling/v1 Scale of an object."""
        ...

    def rescale(self, obj: Object, replicas: int) -> None: ...


@dataclass(frozen=True)
class Resource:
    """One resource of one API version, with the fields of `metav1.APIResource`. `custom` is None for the API server's own."""

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
    custom: CustomKind | None = field(default=None, compare=False, repr=False)

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
def built_in() -> tuple[Resource, ...]:
    """The resources of the API server itself."""
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


_custom: tuple[Resource, ...] = ()


def custom() -> tuple[Resource, ...]:
    """The custom resources that are served now, the preferred version of each first."""
    return _custom


def serve_custom(served: Sequence[Resource]) -> None:
    """Serves these custom resources, and no others any more. What the API server serves by itself is never replaced."""
    global _custom
    own = {(each.group, each.version, each.plural) for each in built_in()}
    _custom = tuple(each for each in served if (each.group, each.version, each.plural) not in own)
    for made in (all_resources, by_name, by_kind, by_path):
        made.cache_clear()


@cache
def all_resources() -> tuple[Resource, ...]:
    return (*built_in(), *_custom)


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
    return {(each.api_version, each.kind): each for each in reversed(all_resources())}


@cache
def by_path() -> dict[tuple[str, str, str], Resource]:
    """By (group, version, plural), as a path names them."""
    return {(each.group, each.version, each.plural): each for each in reversed(all_resources())}


def custom_kind(obj: Object) -> CustomKind | None:
    """What is known of the kind of a custom object; None for the API server's own kinds and for unknown ones."""
    if not _custom:
        return None
    found = by_kind().get((obj.get("apiVersion", ""), obj.get("kind", "")))
    return found.custom if found is not None else None
