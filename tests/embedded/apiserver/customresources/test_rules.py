"""Rules in CEL over custom objects, and the definitions that carry them."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.apiserver.customresources import definition_rules, rules
from clusters.embedded.apiserver.customresources.values import ABSENT
from clusters.embedded.apiserver.validation import crds
from clusters.embedded.apiserver.validation.field import Path
from kubeobjects import Object

from ..conftest import Http
from .conftest import DEFINITIONS, Defined, causes, definition


def told(value: Any, schema: Object, old: Any = ABSENT) -> list[str]:
    return [str(each) for each in rules.check(value, schema, Path("spec"), old)]


def ruled(kind: str, *given: Object, **more: Any) -> Object:
    return {"type": kind, "x-kubernetes-validations": [*given], **more}


def test_a_rule_says_its_message_or_itself() -> None:
    schema = ruled("object", {"rule": "self.a <= self.b", "message": " too much "}, {"rule": "self.a > 0"})
    assert told({"a": 2, "b": 1}, schema) == ["spec: Invalid value: too much"]
    assert told({"a": 0, "b": 1}, schema) == ["spec: Invalid value: failed rule: self.a > 0"]
    assert told({"b": 1}, schema) == [
        'spec: Invalid value: "object": no such key: a evaluating rule: too much',
        'spec: Invalid value: "object": no such key: a evaluating rule: self.a > 0',
    ]


def test_reasons_places_and_computed_messages() -> None:
    schema = ruled(
        "object",
        {"rule": "self.a < 3", "reason": "FieldValueForbidden", "fieldPath": ".a", "messageExpression": "'not ' + string(self.a)"},
        {"rule": "self.a < 4", "reason": "FieldValueRequired", "fieldPath": ".m['k']", "message": "less"},
    )
    assert told({"a": 5}, schema) == ["spec.a: Forbidden: not 5", "spec.m.k: Required value: less"]


def test_rules_of_scalars_items_and_maps_name_their_value() -> None:
    schema = {"type": "array", "items": ruled("integer", {"rule": "self % 2 == 0"})}
    assert told([2, 3], schema) == ["spec[1]: Invalid value: 3: failed rule: self % 2 == 0"]
    schema = {"type": "object", "additionalProperties": ruled("string", {"rule": "self.startsWith('x')"})}
    assert told({"k": "a"}, schema) == ["spec[k]: Invalid value: \"a\": failed rule: self.startsWith('x')"]


def test_transition_rules_look_back_where_there_is_something_to_see() -> None:
    schema = ruled("string", {"rule": "self == oldSelf", "message": "immutable"})
    assert told("a", schema) == []
    assert told("a", schema, "b") == ['spec: Invalid value: "a": immutable']
    optional = ruled("integer", {"rule": "!oldSelf.hasValue() || self >= oldSelf.value()", "optionalOldSelf": True})
    assert told(1, optional) == []
    assert told(2, optional, 1) == []
    assert told(1, optional, 2) == ["spec: Invalid value: 1: failed rule: !oldSelf.hasValue() || self >= oldSelf.value()"]
    keyed = {
        "type": "array",
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["n"],
        "items": ruled("object", {"rule": "self.v >= oldSelf.v"}),
    }
    assert told([{"n": "b", "v": 1}, {"n": "a", "v": 1}], keyed, [{"n": "a", "v": 2}]) == [
        "spec[1]: Invalid value: failed rule: self.v >= oldSelf.v"
    ]


def test_what_a_rule_refuses_may_stay_as_it_was() -> None:
    schema = ruled("object", {"rule": "self.a < 3"})
    assert told({"a": 5}, schema, {"a": 5}) == []
    assert len(told({"a": 6}, schema, {"a": 5})) == 1


def test_names_and_formats_are_those_of_expressions() -> None:
    schema = ruled(
        "object",
        {"rule": "self.__namespace__ == 'x' && self.a__dash__b == 1 && self.at.getFullYear() == 2026 && self.for__dot__.getSeconds() > 60"},
        properties={
            "namespace": {"type": "string"},
            "a-b": {"type": "integer"},
            "at": {"type": "string", "format": "date-time"},
            "for.": {"type": "string", "format": "duration"},
        },
    )
    assert told({"namespace": "x", "a-b": 1, "at": "2026-01-01T00:00:00Z", "for.": "2m"}, schema) == []


def test_rules_over_every_type_of_field_compile() -> None:
    schema = ruled(
        "object",
        {
            "rule": "has(self.a) && self.items.all(i, i.n > 0) && self.map.all(k, self.map[k] == k) && self.any == 'x' && self.deep.x.y == 'z'"
        },
        {"rule": "self.at > timestamp('2026-01-01T00:00:00Z') && size(self.lists) > 0 && self == oldSelf && !has(self.metadata.name)"},
        {"rule": "self.free.whatever == 1 && self.__namespace__ == 'x' && self.template.metadata.name == 'x' && self.?a.orValue(1) == 1"},
        properties={
            "a": {"type": "integer"},
            "items": {"type": "array", "items": {"type": "object", "properties": {"n": {"type": "number"}}}},
            "map": {"type": "object", "additionalProperties": {"type": "string"}},
            "any": {"x-kubernetes-int-or-string": True},
            "deep": {"type": "object", "properties": {"x": {"type": "object", "properties": {"y": {"type": "string"}}}}},
            "at": {"type": "string", "format": "date-time"},
            "lists": {"type": "array", "items": {"type": "array", "items": {"type": "string"}}},
            "free": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
            "namespace": {"type": "string"},
            "metadata": {"type": "object", "properties": {"name": {"type": "string"}}},
            "template": {"type": "object", "x-kubernetes-embedded-resource": True, "x-kubernetes-preserve-unknown-fields": True},
        },
    )
    assert problems(definition(schema)) == []


def problems(body: Object) -> list[str]:
    body["status"] = {"acceptedNames": {"plural": "", "kind": ""}, "storedVersions": ["v1"]}
    body["spec"]["names"].setdefault("listKind", "WidgetList")
    return [str(each) for each in crds.custom_resource_definition(body) or definition_rules.check(body)]


ROOT = "spec.validation.openAPIV3Schema.properties[spec]"


@pytest.mark.parametrize(
    ("schema", "wanted"),
    [
        (ruled("object", {"rule": "self.a +"}), f"{ROOT}.x-kubernetes-validations[0].rule: Invalid value: {{"),
        (
            ruled("object", {"rule": "self.b > 1"}, properties={"a": {"type": "integer"}}),
            "compilation failed: ERROR: <input>:1:5: undefined field 'b'\n | self.b > 1\n | ....^",
        ),
        (ruled("object", {"rule": "1 + 1"}), "cel expression must evaluate to a bool"),
        (ruled("object", {"rule": "nothing == 1"}), "compilation failed: ERROR: <input>:1:1: undeclared reference to 'nothing'"),
        (ruled("object", {"rule": "true", "messageExpression": "1"}), "messageExpression must evaluate to a string"),
        (ruled("object", {"rule": " "}), "rule: Required value: rule is not specified"),
        (ruled("object", {"rule": "true", "reason": "Odd"}), 'Unsupported value: "Odd": supported values: "FieldValueDuplicate"'),
        (ruled("object", {"rule": "true", "optionalOldSelf": True}), "may not be set if oldSelf is not used in rule"),
        (
            {"type": "array", "items": ruled("string", {"rule": "self == oldSelf"})},
            f"oldSelf cannot be used on the uncorrelatable portion of the schema within {ROOT}",
        ),
        ({"type": "string", "pattern": "["}, f'{ROOT}.pattern: Invalid value: "[": must be a valid regular expression, but isn\'t'),
        ({"type": "string", "anyOf": [{"type": "string"}]}, f"{ROOT}.anyOf[0].type: Forbidden: must be empty to be structural"),
        ({"type": "integer", "default": "x"}, f'{ROOT}.default: Invalid value: "string":  in body must be of type integer'),
        ({"type": "object", "default": {"a": 1}}, f'{ROOT}.default: Invalid value: {{"a":1}}: must be pruned'),
        (
            {"type": "array", "x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["n"], "items": {"type": "object"}},
            "entries must all be names of item properties",
        ),
    ],
)
def test_a_definition_is_refused_for_its_schema(schema: Object, wanted: str) -> None:
    assert wanted in "\n".join(problems(definition(schema)))


@pytest.mark.parametrize(
    ("version", "wanted"),
    [
        (
            {"additionalPrinterColumns": [{"name": "A", "type": "odd", "jsonPath": ".a"}]},
            "spec.additionalPrinterColumns[0].type: Invalid value",
        ),
        ({"additionalPrinterColumns": [{"name": "A", "type": "string", "jsonPath": "a"}]}, "must be a simple json path starting with ."),
        ({"subresources": {"scale": {"specReplicasPath": ".a", "statusReplicasPath": ".status.a"}}}, "should be a json path under .spec"),
        ({"selectableFields": [{"jsonPath": ".spec.none"}]}, "is an invalid path: does not refer to a valid field"),
        ({"selectableFields": [{"jsonPath": ".spec"}]}, "must point to a field of type string, boolean or integer"),
        ({"deprecationWarning": "x"}, "can only be set for deprecated versions"),
    ],
)
def test_a_definition_is_refused_for_its_version(version: Object, wanted: str) -> None:
    assert wanted in "\n".join(problems(definition({"type": "object"}, **version)))


async def test_rules_hold_over_http_and_scope_stays(defined: Defined, http: Http) -> None:
    schema = ruled(
        "object", {"rule": "self.a < 3", "message": "a is small"}, properties={"a": {"type": "integer"}, "b": {"type": "string"}}
    )
    await defined(definition(schema))
    assert causes(await defined.create({"a": 5})) == ["spec: Invalid value: a is small"]
    assert causes(await defined.create({"a": "x"}))[1:] == [
        "<nil>: Invalid value: null: some validation rules were not checked because the object was invalid; "
        "correct the existing errors to complete validation"
    ]
    path = f"{DEFINITIONS}/widgets.example.com"
    changed = await http("PATCH", path, {"spec": {"scope": "Cluster"}}, Content_Type="application/merge-patch+json")
    assert causes(changed) == ['spec.scope: Invalid value: "Cluster": field is immutable']
