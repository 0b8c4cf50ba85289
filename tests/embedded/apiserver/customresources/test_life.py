"""A definition from its creation to its end: names, conditions, service, versions, restart, deletion."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from clusters.embedded.resources import by_name
from kubeobjects import Object

from ..conftest import Http, administrator, serving
from ..test_watch import watching
from .conftest import DEFINITIONS, Defined, definition, until


def conditions(body: Object) -> dict[str, tuple[str, str, str]]:
    return {each["type"]: (each["status"], each["reason"], each["message"]) for each in body["status"]["conditions"]}


async def test_names_are_accepted_and_the_definition_is_established(defined: Defined, http: Http) -> None:
    created = await http("POST", DEFINITIONS, definition())
    assert created.body["status"] == {"conditions": None, "acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"]}
    await until(lambda: "widgets.example.com" in by_name())
    body = (await http("GET", f"{DEFINITIONS}/widgets.example.com")).body
    assert conditions(body) == {
        "NamesAccepted": ("True", "NoConflicts", "no conflicts found"),
        "Established": ("True", "InitialNamesAccepted", "the initial names have been accepted"),
    }
    assert body["status"]["acceptedNames"] == {"plural": "widgets", "singular": "widget", "kind": "Widget", "listKind": "WidgetList"}


async def test_a_name_that_another_has_is_refused_until_it_is_free(defined: Defined, http: Http) -> None:
    await defined(definition())
    other = definition(plural="gadgets")
    other["spec"]["names"] |= {"kind": "Widget", "shortNames": ["widget"]}
    await http("POST", DEFINITIONS, other)
    path = f"{DEFINITIONS}/gadgets.example.com"

    async def now() -> dict[str, Any]:
        return conditions((await http("GET", path)).body)

    await until(lambda: True)
    body = (await http("GET", path)).body
    while body["status"]["conditions"] is None:
        body = (await http("GET", path)).body
    assert conditions(body)["NamesAccepted"] == ("False", "ListKindConflict", '"WidgetList" is already in use')
    assert conditions(body)["Established"] == ("False", "NotAccepted", "not all names are accepted")
    assert (await http("GET", "/apis/example.com/v1/gadgets")).status == 404
    await http("DELETE", f"{DEFINITIONS}/widgets.example.com")
    await until(lambda: "gadgets.example.com" in by_name())
    assert (await now())["NamesAccepted"][0] == "True"


async def test_objects_are_there_after_a_restart(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, administrator(server) as http:
        defined = Defined(http)
        await defined(definition({"type": "object", "properties": {"size": {"type": "integer", "default": 3}}}))
        assert (await defined.create({})).status == 201
    assert "widgets.example.com" not in by_name()
    async with serving(tmp_path) as server, administrator(server) as http:
        read = await http("GET", defined.path + "/a")
        assert read.body["spec"] == {"size": 3}


async def test_a_definition_takes_its_objects_with_it(defined: Defined, http: Http) -> None:
    await defined(definition())
    await defined.create({})
    await defined.create({}, name="held", metadata={"finalizers": ["example.com/hold"]})
    gone = await http("DELETE", f"{DEFINITIONS}/widgets.example.com")
    assert gone.body["metadata"]["finalizers"] == ["customresourcecleanup.apiextensions.k8s.io"]
    while (await defined.get()).status != 404:
        pass
    # What its finalizer holds, holds the definition; nothing new may come.
    body = (await http("GET", f"{DEFINITIONS}/widgets.example.com")).body
    assert conditions(body)["Terminating"] == ("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress")
    late = await defined.create({}, name="late")
    assert (late.status, late.body["message"]) == (
        403,
        'widgets.example.com "late" is forbidden: create not allowed while custom resource definition is terminating',
    )
    await defined.patch({"metadata": {"finalizers": None}}, name="held")
    await until(lambda: "widgets.example.com" not in by_name())
    assert (await http("GET", f"{DEFINITIONS}/widgets.example.com")).status == 404
    assert (await defined.get("held")).status == 404


async def test_versions_show_the_same_object(defined: Defined, http: Http) -> None:
    body = definition({"type": "object", "properties": {"size": {"type": "integer"}}})
    newer: Object = {
        "name": "v2",
        "served": True,
        "storage": False,
        "schema": {"openAPIV3Schema": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}},
    }
    hidden = {**newer, "name": "v1alpha1", "served": False, "deprecated": True}
    body["spec"]["versions"] += [newer, hidden]
    await defined(body)
    await defined.create({"size": 1})
    second = await http("GET", "/apis/example.com/v2/namespaces/default/widgets/a")
    assert (second.body["apiVersion"], second.body["spec"]) == ("example.com/v2", {"size": 1})
    assert (await http("GET", "/apis/example.com/v1alpha1/namespaces/default/widgets/a")).status == 404
    changed = await http(
        "PATCH",
        "/apis/example.com/v2/namespaces/default/widgets/a",
        {"spec": {"color": "red"}},
        Content_Type="application/merge-patch+json",
    )
    assert changed.body["spec"] == {"size": 1, "color": "red"}
    # What the first version does not know is not shown there.
    assert (await defined.get()).body["spec"] == {"size": 1}
    group = (await http("GET", "/apis/example.com")).body
    assert [each["version"] for each in group["versions"]] == ["v2", "v1"]


async def test_a_new_storage_version_is_remembered(defined: Defined, http: Http) -> None:
    body = definition()
    await defined(body)
    path = f"{DEFINITIONS}/widgets.example.com"
    stored = (await http("GET", path)).body
    stored["spec"]["versions"][0]["storage"] = False
    stored["spec"]["versions"].append({**stored["spec"]["versions"][0], "name": "v2", "storage": True})
    changed = await http("PUT", path, stored)
    assert changed.body["status"]["storedVersions"] == ["v1", "v2"]
    assert changed.body["metadata"]["generation"] == 2
    del changed.body["spec"]["versions"][0]
    refused = await http("PUT", path, changed.body)
    assert "missing from spec.versions; v1 was previously a storage version" in refused.body["message"]


async def test_a_deprecated_version_warns(defined: Defined) -> None:
    await defined(definition(deprecated=True, deprecationWarning="use gadgets"))
    assert (await defined.create({})).headers["Warning"] == '299 - "use gadgets"'


async def test_a_watch_ends_with_its_definition(defined: Defined, http: Http) -> None:
    await defined(definition())
    await defined.create({})
    async with watching(http, "resourceVersion=0", defined.path) as frames:
        assert await frames.names(1) == [("ADDED", "a")]
        await http("DELETE", f"{DEFINITIONS}/widgets.example.com")
        assert await frames.names(1) == [("DELETED", "a")]
        assert await frames.next() is None


def varint(number: int) -> bytes:
    found = bytearray()
    while number > 0x7F:
        found.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*found, number])


def message(*fields: tuple[int, bytes]) -> bytes:
    return b"".join(varint(number << 3 | 2) + varint(len(value)) + value for number, value in fields)


async def test_a_definition_in_protobuf_is_read(defined: Defined, http: Http) -> None:
    """Field numbers as in apiextensions/v1/generated.proto; upstream's Go client sends definitions so."""
    size = message((5, b"integer"), (8, message((1, b"4"))))
    text = message((5, b"string"))
    tags = message((5, b"array"), (24, message((1, text))))
    names = message((5, b"object"), (30, b"\x08\x01" + message((2, text))))
    fields = [(29, message((1, name), (2, schema))) for name, schema in ((b"size", size), (b"tags", tags), (b"names", names))]
    root = message((5, b"object"), (29, message((1, b"spec"), (2, message((5, b"object"), *fields)))))
    version = message((1, b"v1")) + b"\x10\x01\x18\x01" + message((4, message((1, root))))
    accepted = message((1, b"widgets"), (2, b"widget"), (4, b"Widget"), (5, b"WidgetList"))
    body = message(
        (1, message((1, b"widgets.example.com"))),
        (2, message((1, b"example.com"), (3, accepted), (4, b"Namespaced"), (7, version))),
    )
    unknown = message((1, message((1, b"apiextensions.k8s.io/v1"), (2, b"CustomResourceDefinition"))), (2, body))
    reply = await http("POST", DEFINITIONS, b"k8s\x00" + unknown, Content_Type="application/vnd.kubernetes.protobuf")
    assert reply.status == 201, reply.body
    schema = reply.body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    assert schema["properties"]["spec"]["properties"] == {
        "size": {"type": "integer", "default": 4},
        "tags": {"type": "array", "items": {"type": "string"}},
        "names": {"type": "object", "additionalProperties": {"type": "string"}},
    }
    await until(lambda: "widgets.example.com" in by_name())
    assert (await defined.create({})).body["spec"] == {"size": 4}
