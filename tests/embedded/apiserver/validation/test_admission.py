"""Validation of admission policies, their bindings and webhook configurations."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.apiserver import defaulting, validation
from kubeobjects import Object, meta

RULE = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}
APPLIED = {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{spec: Object.spec{replicas: 1}}"}}
SPECS: dict[str, Object] = {
    "ValidatingAdmissionPolicy": {"matchConstraints": {"resourceRules": [RULE]}, "validations": [{"expression": "true"}]},
    "MutatingAdmissionPolicy": {"matchConstraints": {"resourceRules": [RULE]}, "mutations": [APPLIED], "reinvocationPolicy": "Never"},
    "ValidatingAdmissionPolicyBinding": {"policyName": "rules", "validationActions": ["Deny"]},
    "MutatingAdmissionPolicyBinding": {"policyName": "rules"},
}
HOOK = {
    "name": "a.example.com",
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "clientConfig": {"url": "https://127.0.0.1:8443/check"},
    "rules": [RULE],
}


def problems(kind: str, **body: Any) -> list[str]:
    obj = meta.copy({"apiVersion": "admissionregistration.k8s.io/v1", "kind": kind, "metadata": {"name": "rules"}, **body})
    defaulting.apply(obj)
    return [str(each) for each in validation.validate(obj)]


def of_spec(kind: str, **changes: Any) -> list[str]:
    return problems(kind, spec={**SPECS[kind], **changes})


def of_webhook(kind: str = "ValidatingWebhookConfiguration", **changes: Any) -> list[str]:
    return problems(kind, webhooks=[{**HOOK, **changes}])


@pytest.mark.parametrize("kind", SPECS)
def test_a_right_policy_or_binding_has_no_problems(kind: str) -> None:
    assert of_spec(kind) == []


@pytest.mark.parametrize("kind", ["ValidatingWebhookConfiguration", "MutatingWebhookConfiguration"])
def test_a_right_webhook_has_no_problems(kind: str) -> None:
    assert of_webhook(kind) == []


NOWHERE = "compilation failed: ERROR: <input>:1:1: undeclared reference to 'nope' (in container '')\n | nope\n | ^"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"matchConditions": [{"name": "a", "expression": "nope"}]},
            f'spec.matchConditions[0].expression: Invalid value: "nope": {NOWHERE}',
        ),
        (
            {"matchConditions": [{"name": "a", "expression": "'a'"}]},
            "spec.matchConditions[0].expression: Invalid value: \"'a'\": must evaluate to bool but got string",
        ),
        ({"matchConditions": [{"name": "", "expression": "true"}]}, "spec.matchConditions[0].name: Required value"),
        (
            {"matchConditions": [{"name": "a", "expression": "true"}] * 2},
            'spec.matchConditions[1].name: Duplicate value: "a"',
        ),
        ({"variables": [{"name": "a", "expression": "nope"}]}, f'spec.variables[0].expression: Invalid value: "nope": {NOWHERE}'),
        ({"variables": [{"name": "in", "expression": "1"}]}, 'spec.variables[0].name: Invalid value: "in": must be a valid CEL identifier'),
        ({"variables": [{"name": "a", "expression": " "}]}, "spec.variables[0].expression: Required value: expression is not specified"),
        ({"paramKind": {"apiVersion": "v1", "kind": ""}}, "spec.paramKind.kind: Required value"),
        ({"paramKind": {"apiVersion": "a/b/c", "kind": "A"}}, 'Invalid value: "a/b/c": unexpected GroupVersion string: a/b/c'),
    ],
)
@pytest.mark.parametrize("kind", ["ValidatingAdmissionPolicy", "MutatingAdmissionPolicy"])
def test_what_both_kinds_of_policy_have(kind: str, changes: Object, says: str) -> None:
    [problem] = of_spec(kind, **changes)
    assert says in problem


@pytest.mark.parametrize(
    ("validations", "says"),
    [
        ([{"expression": "params.a == 1"}], "undeclared reference to 'params'"),
        ([{"expression": "variables.a == 1"}], "undeclared reference to 'variables'"),
        ([{"expression": "true", "messageExpression": "1"}], "must evaluate to string but got int"),
        ([{"expression": "true", "messageExpression": "nope"}], NOWHERE),
        (
            [{"expression": "true", "messageExpression": "string(authorizer.path('/').check('get').allowed())"}],
            "undeclared reference to 'authorizer'",
        ),
    ],
)
def test_expressions_of_a_validation(validations: list[Object], says: str) -> None:
    [problem] = of_spec("ValidatingAdmissionPolicy", validations=validations)
    assert says in problem


def test_parameters_and_variables_are_there_where_the_policy_has_some() -> None:
    validations = [{"expression": "params.a == variables.a", "messageExpression": "string(variables.a)"}]
    more = {"paramKind": {"apiVersion": "v1", "kind": "ConfigMap"}, "variables": [{"name": "a", "expression": "params.a"}]}
    assert of_spec("ValidatingAdmissionPolicy", validations=validations, **more) == []


@pytest.mark.parametrize(
    ("annotation", "says"),
    [
        ({"key": "a", "valueExpression": "1"}, "must evaluate to one of [string null_type] but got int"),
        ({"key": "a", "valueExpression": "nope"}, NOWHERE),
        ({"key": "a", "valueExpression": ""}, "valueExpression: Required value: valueExpression is not specified"),
        ({"key": "a b", "valueExpression": "'a'"}, 'key: Invalid value: "rules/a b": name part must consist of'),
    ],
)
def test_audit_annotations(annotation: Object, says: str) -> None:
    [problem] = of_spec("ValidatingAdmissionPolicy", auditAnnotations=[annotation])
    assert problem.startswith("spec.auditAnnotations[0].")
    assert says in problem


def test_an_audit_annotation_may_be_text_or_nothing() -> None:
    annotations = [{"key": "a", "valueExpression": "'a'"}, {"key": "b", "valueExpression": "null"}]
    assert of_spec("ValidatingAdmissionPolicy", auditAnnotations=annotations) == []


@pytest.mark.parametrize(
    ("mutation", "says"),
    [
        ({"patchType": "Other"}, 'patchType: Unsupported value: "Other": supported values: "ApplyConfiguration", "JSONPatch"'),
        ({"patchType": "JSONPatch"}, "jsonPatch: Required value: must be specified when patchType is JSONPatch"),
        ({**APPLIED, "jsonPatch": {"expression": "[]"}}, "must not be specified when patchType is ApplyConfiguration"),
        ({"patchType": "JSONPatch", "jsonPatch": {"expression": "'a'"}}, "must evaluate to list(JSONPatch) but got string"),
        ({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "1"}}, "must evaluate to Object but got int"),
        ({"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": "Object{a: nope}"}}, "undeclared reference to 'nope'"),
    ],
)
def test_mutations(mutation: Object, says: str) -> None:
    [problem] = of_spec("MutatingAdmissionPolicy", mutations=[mutation])
    assert problem.startswith("spec.mutations[0].")
    assert says in problem


def test_a_complaint_shows_the_expression_as_it_was_written() -> None:
    text = "Object{\n  spec: Object.spec{replicas: 1, paused: nope}\n}"
    [problem] = of_spec("MutatingAdmissionPolicy", mutations=[{**APPLIED, "applyConfiguration": {"expression": text}}])
    source = "  spec: Object.spec{replicas: 1, paused: nope}"
    column = source.index("nope")
    said = f"ERROR: <input>:2:{column + 1}: undeclared reference to 'nope' (in container '')\n | {source}\n | {'.' * column}^"
    assert problem.endswith(f"compilation failed: {said}")


def test_what_is_deleted_cannot_be_changed() -> None:
    match = {"resourceRules": [{**RULE, "operations": ["DELETE"]}]}
    says = 'Unsupported value: "DELETE": supported values: "*", "CONNECT", "CREATE", "UPDATE"'
    assert of_spec("MutatingAdmissionPolicy", matchConstraints=match) == [f"spec.matchConstraints.resourceRules.operations: {says}"]
    assert of_spec("MutatingAdmissionPolicyBinding", matchResources=match) == [f"spec.matchResources.resourceRules.operations: {says}"]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"policyName": ""}, "spec.policyName: Required value"),
        ({"validationActions": []}, "spec.validationActions: Required value: at least one validation action is required"),
        ({"validationActions": ["Deny", "Warn"]}, "must not contain both Deny and Warn"),
        ({"validationActions": ["Refuse"]}, 'supported values: "Audit", "Deny", "Warn"'),
        ({"paramRef": {"parameterNotFoundAction": "Deny"}}, "spec.paramRef: Required value: one of name or selector must be specified"),
        ({"paramRef": {"name": "a"}}, "spec.paramRef.parameterNotFoundAction: Required value"),
    ],
)
def test_bindings(changes: Object, says: str) -> None:
    [problem] = of_spec("ValidatingAdmissionPolicyBinding", **changes)
    assert says in problem


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"name": "a"}, 'webhooks[0].name: Invalid value: "a": should be a domain with at least three segments separated by dots'),
        ({"clientConfig": {}}, "webhooks[0].clientConfig: Required value: exactly one of url or service is required"),
        (
            {"clientConfig": {"url": "http://a/b"}},
            "Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
        ),
        ({"clientConfig": {"url": "https://a/b?c"}}, "query parameters are not permitted in the URL"),
        ({"clientConfig": {"service": {"name": "a"}}}, "webhooks[0].clientConfig.service.namespace: Required value"),
        (
            {"clientConfig": {"service": {"name": "a", "namespace": "b", "path": "/a//b"}}},
            'webhooks[0].clientConfig.service.path: Invalid value: "/a//b": segment[1] may not be empty',
        ),
        ({"sideEffects": "Some"}, 'webhooks[0].sideEffects: Unsupported value: "Some": supported values: "None", "NoneOnDryRun"'),
        ({"sideEffects": None}, "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"),
        ({"timeoutSeconds": 31}, "the timeout value must be between 1 and 30 seconds"),
        ({"admissionReviewVersions": []}, "webhooks[0].admissionReviewVersions: Required value: must specify one of v1, v1beta1"),
        ({"admissionReviewVersions": ["v2"]}, 'Invalid value: ["v2"]: must include at least one of v1, v1beta1'),
        ({"rules": [{**RULE, "operations": ["GET"]}]}, 'webhooks[0].rules[0].operations[0]: Unsupported value: "GET"'),
        ({"matchConditions": [{"name": "a", "expression": "params.a"}]}, "undeclared reference to 'params'"),
    ],
)
def test_webhooks(changes: Object, says: str) -> None:
    [problem] = of_webhook(**changes)
    assert says in problem


def test_a_webhook_is_asked_again_or_not() -> None:
    says = 'webhooks[0].reinvocationPolicy: Unsupported value: "Often": supported values: "IfNeeded", "Never"'
    assert of_webhook("MutatingWebhookConfiguration", reinvocationPolicy="Often") == [says]


def test_webhooks_of_a_configuration_have_different_names() -> None:
    assert problems("ValidatingWebhookConfiguration", webhooks=[HOOK, HOOK]) == ['webhooks[1].name: Duplicate value: "a.example.com"']
