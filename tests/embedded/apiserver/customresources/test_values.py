"""Objects of a custom kind: pruned, defaulted, validated in the real words, merged by their schema."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.apiserver.customresources import jsonpath, lists, structural, values
from clusters.embedded.apiserver.validation.field import Path
from kubeobjects import Object

from ..conftest import Http
from .conftest import Defined, causes, definition


def told(value: Any, schema: Object, old: Any = values.ABSENT) -> list[str]:
    return [str(each) for each in values.check({"x": value}, {"type": "object", "properties": {"x": schema}}, old)]


STRING = {"type": "string"}
CASES: list[tuple[Any, Object, list[str]]] = [
    ("two", {"type": "integer"}, ['x: Invalid value: "string": x in body must be of type integer: "string"']),
    (2.0, {"type": "integer"}, []),
    (2.5, {"type": "integer"}, ['x: Invalid value: "number": x in body must be of type integer: "number"']),
    (True, {"type": "number"}, ['x: Invalid value: "boolean": x in body must be of type number: "boolean"']),
    (None, STRING, ['x: Invalid value: "null": x in body must be of type string: "null"']),
    (None, {**STRING, "nullable": True}, []),
    ("5", {"x-kubernetes-int-or-string": True}, []),
    ([], {"x-kubernetes-int-or-string": True}, ['x: Invalid value: "array": x in body must be of type integer,string: "array"']),
    ("b", {**STRING, "enum": ["a", "c"]}, ['x: Unsupported value: "b": supported values: "a", "c"']),
    (1, {"type": "integer", "enum": [True, 2]}, ['x: Unsupported value: 1: supported values: "true", "2"']),
    ("abc", {**STRING, "maxLength": 2}, ["x: Too long: may not be more than 2 bytes"]),
    ("abc", {**STRING, "minLength": 4}, ['x: Invalid value: "abc": x in body should be at least 4 chars long']),
    ("aB", {**STRING, "pattern": "^[a-z]+$"}, ["x: Invalid value: \"aB\": x in body should match '^[a-z]+$'"]),
    ("a\n", {**STRING, "pattern": "^[[:lower:]]+$"}, ["x: Invalid value: \"a\\n\": x in body should match '^[[:lower:]]+$'"]),
    ("1.2.3", {**STRING, "format": "ipv4"}, ['x: Invalid value: "1.2.3": x in body must be of type ipv4: "1.2.3"']),
    ("2026-02-30T00:00:00Z", {**STRING, "format": "date-time"}, ["x: Invalid value: "
     '"2026-02-30T00:00:00Z": x in body must be of type date-time: "2026-02-30T00:00:00Z"']),
    ("anything", {**STRING, "format": "unheard-of"}, []),
    (2**31, {"type": "integer", "format": "int32"}, ['<nil>: Invalid value: "": Checked value must be of type integer with format int32 in x']),
    (9, {"type": "integer", "maximum": 8}, ["x: Invalid value: 9: x in body should be less than or equal to 8"]),
    (8, {"type": "integer", "maximum": 8, "exclusiveMaximum": True}, ["x: Invalid value: 8: x in body should be less than 8"]),
    (0.5, {"type": "number", "minimum": 1.5}, ["x: Invalid value: 0.5: x in body should be greater than or equal to 1.5"]),
    (7, {"type": "integer", "multipleOf": 2}, ["x: Invalid value: 7: x in body should be a multiple of 2"]),
    ([1], {"type": "array", "items": {"type": "integer"}, "minItems": 2}, ["x: Invalid value: 1: x in body should have at least 2 items"]),
    ([1, 2], {"type": "array", "items": {"type": "integer"}, "maxItems": 1}, ["x: Too many: 2: must have at most 1 items"]),
    (["a"], {"type": "array", "items": {"type": "integer"}}, ['x[0]: Invalid value: "string": x[0] in body must be of type integer: "string"']),
    ({}, {"type": "object", "required": ["y"], "properties": {"y": STRING}}, ["x.y: Required value"]),
    ({"k": 1}, {"type": "object", "additionalProperties": STRING}, ['x.k: Invalid value: "integer": x.k in body must be of type string: "integer"']),
    ({"a": 1}, {"type": "object", "maxProperties": 0, "x-kubernetes-preserve-unknown-fields": True}, ["x: Too many: 1: must have at most 0 items"]),
    ({}, {"type": "object", "properties": {"a": STRING, "b": STRING}, "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, [
        '<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found none valid', "x.a: Required value"]),
    ({"a": "", "b": ""}, {"type": "object", "oneOf": [{"required": ["a"]}, {"required": ["b"]}]}, [
        '<nil>: Invalid value: "": "x" must validate one and only one schema (oneOf). Found 2 valid alternatives']),
    (3, {"type": "integer", "anyOf": [{"minimum": 5}, {"maximum": 1}]}, [
        '<nil>: Invalid value: "": "x" must validate at least one schema (anyOf)',
        "x: Invalid value: 3: x in body should be greater than or equal to 5"]),
    (3, {"type": "integer", "allOf": [{"minimum": 5}, {"maximum": 9}]}, [
        "x: Invalid value: 3: x in body should be greater than or equal to 5",
        '<nil>: Invalid value: "": "x" must validate all the schemas (allOf)']),
    ("a", {**STRING, "not": {"enum": ["a"]}}, ['<nil>: Invalid value: "": "x" must not validate the schema (not)']),
]  # fmt: skip


@pytest.mark.parametrize(("value", "schema", "wanted"), CASES)
def test_a_value_is_refused_in_the_real_words(value: Any, schema: Object, wanted: list[str]) -> None:
    assert told(value, schema) == wanted


def test_what_was_wrong_before_may_stay() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "integer"}}}
    assert told({"a": "x", "b": 1}, schema, {"x": {"a": "x", "b": 2}}) == []
    assert len(told({"a": "y", "b": 1}, schema, {"x": {"a": "x", "b": 2}})) == 1


def test_items_of_sets_and_maps_are_there_once() -> None:
    schema = {
        "properties": {
            "tags": {"x-kubernetes-list-type": "set", "items": STRING},
            "ports": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"], "items": {"type": "object"}},
        }
    }
    value = {"tags": ["a", "b", "a", "a"], "ports": [{"name": "x"}, {"name": "x", "port": 1}]}
    assert [str(each) for each in lists.check(value, schema, Path("spec"))] == [
        'spec.ports[1]: Duplicate value: {"name":"x"}',
        'spec.tags[2]: Duplicate value: "a"',
    ]


def test_unknown_fields_are_pruned_where_the_schema_does_not_keep_them() -> None:
    schema: Object = {
        "type": "object",
        "properties": {
            "spec": {
                "type": "object",
                "properties": {
                    "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True, "properties": {"known": {"type": "object"}}},
                    "template": {"type": "object", "x-kubernetes-embedded-resource": True, "properties": {"spec": {"type": "object"}}},
                    "items": {"type": "array", "items": {"type": "object", "properties": {"a": STRING}}},
                    "map": {"type": "object", "additionalProperties": {"type": "object", "properties": {"a": STRING}}},
                },
            }
        },
    }
    obj: Object = {
        "apiVersion": "v1",
        "kind": "X",
        "metadata": {"name": "a"},
        "more": 1,
        "spec": {
            "gone": 1,
            "free": {"any": {"thing": 1}, "known": {"gone": 1}},
            "template": {"apiVersion": "v1", "kind": "Y", "metadata": {"name": "b"}, "spec": {"gone": 1}, "gone": 1},
            "items": [{"a": "1", "gone": 1}],
            "map": {"k": {"a": "1", "gone": 1}},
        },
    }
    assert structural.prune(obj, schema) == [
        "more", "spec.free.known.gone", "spec.gone", "spec.items[0].gone", "spec.map.k.gone", "spec.template.gone", "spec.template.spec.gone",
    ]  # fmt: skip
    assert obj["spec"] == {
        "free": {"any": {"thing": 1}, "known": {}},
        "template": {"apiVersion": "v1", "kind": "Y", "metadata": {"name": "b"}, "spec": {}},
        "items": [{"a": "1"}],
        "map": {"k": {"a": "1"}},
    }


def test_defaults_reach_into_lists_maps_and_other_defaults() -> None:
    schema = {
        "properties": {
            "a": {"type": "object", "default": {}, "properties": {"b": {"type": "integer", "default": 5}}},
            "items": {"items": {"type": "object", "properties": {"c": {"default": "x"}}}},
            "none": {"type": "string", "nullable": True, "default": "y"},
        }
    }
    value: Object = {"items": [{}, {"c": "z"}], "none": None}
    structural.default(value, schema)
    assert value == {"a": {"b": 5}, "items": [{"c": "x"}, {"c": "z"}], "none": None}


def test_columns_read_json_paths() -> None:
    obj = {"a": [{"type": "Ready", "status": "True"}, {"type": "Other", "status": "False"}], "m": {"x.y/z": 3}}
    assert jsonpath.find('.a[?(@.type=="Ready")].status', obj) == ["True"]
    assert jsonpath.find(".a[-1:].type", obj) == ["Other"]
    assert jsonpath.find(".a[*].type", obj) == ["Ready", "Other"]
    assert jsonpath.find(".m['x.y/z']", obj) == [3]
    assert jsonpath.find(r".m.x\.y/z", obj) == [3]
    assert jsonpath.find(".none.at.all", obj) == []
    with pytest.raises(jsonpath.PathError):
        jsonpath.find(".a[", obj)


SPEC: Object = {
    "type": "object",
    "properties": {
        "size": {"type": "integer", "default": 1},
        "name": {"type": "string"},
        "ports": {
            "type": "array",
            "x-kubernetes-list-type": "map",
            "x-kubernetes-list-map-keys": ["port", "protocol"],
            "items": {
                "type": "object",
                "required": ["port"],
                "properties": {"port": {"type": "integer"}, "protocol": {"type": "string", "default": "TCP"}, "label": {"type": "string"}},
            },
        },
    },
}


async def test_field_validation_has_three_modes(defined: Defined) -> None:
    await defined(definition(SPEC))
    strict = await defined.create({"siz": 1}, query="?fieldValidation=Strict")
    assert (strict.status, strict.body["message"]) == (
        400,
        'Widget in version "v1" cannot be handled as a Widget: strict decoding error: unknown field "spec.siz"',
    )
    warned = await defined.create({"siz": 1}, query="?fieldValidation=Warn")
    assert (warned.status, warned.body["spec"], warned.headers["Warning"]) == (201, {"size": 1}, '299 - "unknown field \\"spec.siz\\""')
    silent = await defined.create({"siz": 1}, query="?fieldValidation=Ignore", name="b", metadata={"labels": {"a": "b"}})
    assert (silent.status, "Warning" in silent.headers) == (201, False)
    odd = await defined.create({}, name="c", query="?fieldValidation=Strict", metadata={"nam": "x"})
    assert 'unknown field "metadata.nam"' in odd.body["message"]
    wrong = await defined.create({}, name="d", metadata={"labels": {"a": 1}})
    assert wrong.body["message"] == (
        'Widget in version "v1" cannot be handled as a Widget: '
        "json: cannot unmarshal number into Go struct field ObjectMeta.labels of type string"
    )


async def test_generation_and_status_and_scale(defined: Defined, http: Http) -> None:
    paths = {"specReplicasPath": ".spec.size", "statusReplicasPath": ".status.size", "labelSelectorPath": ".status.selector"}
    body = definition(SPEC, subresources={"status": {}, "scale": paths})
    status = {"type": "object", "properties": {"size": {"type": "integer"}, "selector": {"type": "string"}}}
    body["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["status"] = status
    await defined(body)
    created = (await defined.create({"name": "x"}, status={"size": 9})).body
    assert ("status" in created, created["metadata"]["generation"], created["spec"]["size"]) == (False, 1, 1)
    labelled = (await defined.patch({"metadata": {"labels": {"a": "b"}}})).body
    assert labelled["metadata"]["generation"] == 1
    changed = (await defined.patch({"spec": {"size": 2}, "status": {"size": 7}})).body
    assert ("status" in changed, changed["metadata"]["generation"]) == (False, 2)
    reported = (await defined.patch({"spec": {"size": 5}, "status": {"size": 2, "selector": "a=b"}}, part="/status")).body
    assert (reported["spec"]["size"], reported["status"]["size"], reported["metadata"]["generation"]) == (2, 2, 2)
    wrong = await defined.patch({"status": {"size": "x"}}, part="/status")
    assert causes(wrong) == [
        'status.size: Invalid value: "string": size in body must be of type integer: "string"',
        ".status.size: Invalid value: 0: .status.size accessor error: x is of the type string, expected int64",
    ]
    scale = (await defined.get(part="/scale")).body
    assert (scale["spec"], scale["status"]) == ({"replicas": 2}, {"replicas": 2, "selector": "a=b"})
    await defined.patch({"spec": {"replicas": 4}}, part="/scale")
    assert (await defined.get()).body["spec"]["size"] == 4
    below = await defined.patch({"spec": {"size": -1}})
    assert causes(below) == [".spec.size: Invalid value: -1: should be a non-negative integer"]


async def test_apply_merges_lists_by_their_keys(defined: Defined) -> None:
    await defined(definition(SPEC))

    async def apply(manager: str, ports: list[Object]) -> Any:
        body = {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a"}, "spec": {"ports": ports}}
        reply = await defined.patch(body, query=f"?fieldManager={manager}", media="apply-patch+yaml")
        assert reply.status in (200, 201), reply.body
        return reply.body["spec"]["ports"]

    assert await apply("one", [{"port": 1, "label": "a"}]) == [{"port": 1, "protocol": "TCP", "label": "a"}]
    assert [each["port"] for each in await apply("two", [{"port": 2}])] == [1, 2]
    assert [each["port"] for each in await apply("one", [{"port": 3}])] == [2, 3]
    twice = await defined.patch({"spec": {"ports": [{"port": 1, "protocol": "TCP"}, {"port": 1, "protocol": "TCP"}]}})
    assert causes(twice) == ['spec.ports[1]: Duplicate value: {"port":1,"protocol":"TCP"}']
    strategic = await defined.patch({"spec": {}}, media="strategic-merge-patch+json")
    assert (strategic.status, strategic.body["reason"]) == (415, "UnsupportedMediaType")


async def test_tables_selectors_and_discovery(defined: Defined, http: Http) -> None:
    columns = [
        {"name": "Size", "type": "integer", "jsonPath": ".spec.size"},
        {"name": "All", "type": "string", "jsonPath": ".spec", "priority": 1, "description": "Everything."},
    ]
    body = definition(SPEC, additionalPrinterColumns=columns, selectableFields=[{"jsonPath": ".spec.name"}], scope="Cluster")
    body["spec"]["names"] |= {"shortNames": ["wd"], "categories": ["all"]}
    await defined(body)
    await defined.create({"name": "x"}, name="a")
    await defined.create({"name": "y", "size": 2}, name="b")
    table = (await http("GET", defined.path, Accept="application/json;as=Table;v=v1;g=meta.k8s.io")).body
    assert [(each["name"], each["priority"]) for each in table["columnDefinitions"]] == [("Name", 0), ("Size", 0), ("All", 1)]
    assert table["rows"][0]["cells"] == ["a", 1, '{"name":"x","size":1}']
    chosen = (await http("GET", f"{defined.path}?fieldSelector=spec.name%3Dy")).body
    assert ([each["metadata"]["name"] for each in chosen["items"]], chosen["kind"]) == (["b"], "WidgetList")
    unknown = await http("GET", f"{defined.path}?fieldSelector=spec.size%3D2")
    assert (unknown.status, unknown.body["message"]) == (400, "field label not supported: spec.size")
    listed = (await http("GET", "/apis/example.com/v1")).body["resources"]
    assert (listed[0]["name"], listed[0]["shortNames"], listed[0]["categories"], listed[0]["namespaced"]) == (
        "widgets",
        ["wd"],
        ["all"],
        False,
    )
    accept = "application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList"
    groups = (await http("GET", "/apis", Accept=accept)).body["items"]
    mine = next(each for each in groups if each["metadata"]["name"] == "example.com")
    assert mine["versions"][0]["resources"][0]["responseKind"] == {"group": "example.com", "version": "v1", "kind": "Widget"}
    where = (await http("GET", "/openapi/v3")).body["paths"]["apis/example.com/v1"]["serverRelativeURL"]
    schema = (await http("GET", where)).body["components"]["schemas"]["com.example.v1.Widget"]
    assert schema["properties"]["spec"]["properties"]["size"] == {"type": "integer", "default": 1}
