"""Definitions, and objects of what they define, over HTTP."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from clusters.embedded.resources import by_name
from kubeobjects import Object

from ..conftest import Http, Reply

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"


def definition(spec_schema: Object | None = None, *, scope: str = "Namespaced", plural: str = "widgets", **version: Any) -> Object:
    """A definition of Widgets (example.com/v1) whose spec has this schema; `version` are more fields of its one version."""
    schema: Object = {"type": "object", "properties": {"spec": spec_schema or {"type": "object"}}}
    kind = plural[:-1].capitalize()
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.example.com"},
        "spec": {
            "group": "example.com",
            "scope": scope,
            "names": {"plural": plural, "singular": plural[:-1], "kind": kind},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}],
        },
    }


async def until(holds: Any) -> None:
    async with asyncio.timeout(60):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.001)


class Defined:
    """The requests of a test: `await defined(definition)` makes a kind, `create`, `get` and so on are about its objects."""

    def __init__(self, http: Http):
        self.http = http
        self.path = "/apis/example.com/v1/namespaces/default/widgets"

    async def __call__(self, body: Object) -> None:
        reply = await self.http("POST", DEFINITIONS, body)
        assert reply.status == 201, reply.body
        await until(lambda: body["metadata"]["name"] in by_name())
        spec = body["spec"]
        space = "/namespaces/default" if spec["scope"] == "Namespaced" else ""
        self.path = f"/apis/{spec['group']}/{spec['versions'][0]['name']}{space}/{spec['names']['plural']}"

    async def create(self, spec: Any, *, query: str = "", name: str = "a", **more: Any) -> Reply:
        """An object with this spec; `more` are fields beside it."""
        metadata = {"name": name, **more.pop("metadata", {})}
        group, version = self.path.split("/")[2:4]
        plural = self.path.rpartition("/")[2]
        kind = plural[:-1].capitalize()
        body = {"apiVersion": f"{group}/{version}", "kind": kind, "metadata": metadata, "spec": spec, **more}
        return await self.http("POST", self.path + query, body)

    async def patch(self, body: Any, *, name: str = "a", part: str = "", query: str = "", media: str = "merge-patch+json") -> Reply:
        return await self.http("PATCH", f"{self.path}/{name}{part}{query}", body, Content_Type=f"application/{media}")

    async def get(self, name: str = "a", part: str = "", **headers: str) -> Reply:
        return await self.http("GET", f"{self.path}/{name}{part}", **headers)


def causes(reply: Reply) -> list[str]:
    """`field: message` of each cause of a refusal."""
    assert reply.status == 422, reply.body
    return [f"{each['field']}: {each['message']}" for each in reply.body["details"]["causes"]]


@pytest.fixture
def defined(http: Http) -> Defined:
    return Defined(http)
