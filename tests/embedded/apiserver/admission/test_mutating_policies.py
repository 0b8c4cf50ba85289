"""MutatingAdmissionPolicy: what an expression may make of an object, and what happens where it cannot."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded import resources
from clusters.embedded.apiserver.admission import AdmissionRequest
from clusters.embedded.apiserver.admission.policies import mutating
from clusters.embedded.apiserver.admission.reinvocation import Reinvocation
from clusters.embedded.cel import message_literals
from clusters.embedded.errors import ApiError
from kubeobjects import meta
from tests.embedded.apiserver.conftest import Http
from tests.embedded.apiserver.semantics import Object

from .test_policies import DEPLOYMENT, RULE, Stored, binding
from .webhook_server import listening, patch

POD: Object = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "api", "namespace": "lab", "labels": {"team": "serving"}},
    "spec": {"containers": [{"name": "server", "image": "python:3.12-slim"}]},
}
PODS = {**RULE, "apiGroups": [""], "resources": ["pods"]}


def applied(expression: str) -> Object:
    return {"patchType": "ApplyConfiguration", "applyConfiguration": {"expression": expression}}


def patched(expression: str) -> Object:
    return {"patchType": "JSONPatch", "jsonPatch": {"expression": expression}}


def policy(*mutations: Object, name: str = "rules", rule: Object = PODS, **spec: Any) -> Object:
    constraints = {"matchPolicy": "Equivalent", "resourceRules": [rule]}
    return {
        "metadata": {"name": name},
        "spec": {"matchConstraints": constraints, "mutations": list(mutations), "reinvocationPolicy": "Never", **spec},
    }


def ask(
    *policies: Object, bindings: list[Object] | None = None, params: tuple[Object, ...] = (), obj: Object = POD, **fields: Any
) -> Object:
    """The object as the policies leave it."""
    stored = Stored(
        *(("mutatingadmissionpolicies.admissionregistration.k8s.io", each) for each in policies),
        *(("mutatingadmissionpolicybindings.admissionregistration.k8s.io", each) for each in bindings or [binding()]),
        *(("configmaps", each) for each in params),
    )
    resource = resources.by_kind()[obj["apiVersion"], obj["kind"]]
    request = AdmissionRequest("CREATE", resource, stored, namespace="lab", name="api", object=meta.copy(obj), user="mira", **fields)
    mutating.admit(request, Reinvocation())
    assert request.object is not None
    return request.object


def refusal(*policies: Object, **fields: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        ask(*policies, **fields)
    return refused.value


def test_an_apply_configuration_is_merged() -> None:
    changed = ask(policy(applied('Object{metadata: Object.metadata{labels: {"cost": "team-a"}}}')))
    assert changed["metadata"]["labels"] == {"team": "serving", "cost": "team-a"}


def test_lists_are_merged_by_their_keys() -> None:
    sidecar = 'Object.spec.containers{name: "proxy", image: "envoy:1"}'
    limits = 'Object.spec.containers{name: object.spec.containers[0].name, imagePullPolicy: "Always"}'
    changed = ask(policy(applied(f"Object{{spec: Object.spec{{containers: [{sidecar}, {limits}]}}}}")))
    containers = {each["name"]: each for each in changed["spec"]["containers"]}
    assert containers["proxy"]["image"] == "envoy:1"
    assert (containers["server"]["image"], containers["server"]["imagePullPolicy"]) == ("python:3.12-slim", "Always")
    # Defaults of what came new are filled in.
    assert containers["proxy"]["terminationMessagePath"] == "/dev/termination-log"


@pytest.mark.parametrize(
    ("expression", "labels"),
    [
        ('[JSONPatch{op: "add", path: "/metadata/labels/cost", value: "a"}]', {"team": "serving", "cost": "a"}),
        ('[JSONPatch{op: "add", path: "/metadata/labels", value: {"cost": "a"}}]', {"cost": "a"}),
        (
            '[JSONPatch{op: "add", path: "/metadata/labels/" + jsonpatch.escapeKey("example.com/cost~x"), value: "a"}]',
            {"team": "serving", "example.com/cost~x": "a"},
        ),
        ('[JSONPatch{op: "copy", from: "/metadata/labels/team", path: "/metadata/labels/owner"}]', {"team": "serving", "owner": "serving"}),
        # What is not as expected leaves the object alone.
        ('[JSONPatch{op: "test", path: "/metadata/labels/team", value: "x"}, JSONPatch{op: "remove", path: "/metadata/labels"}]', None),
        ('has(object.metadata.labels) ? [] : [JSONPatch{op: "add", path: "/metadata/labels", value: {}}]', None),
    ],
)
def test_a_json_patch_is_applied(expression: str, labels: Object | None) -> None:
    assert ask(policy(patched(expression)))["metadata"]["labels"] == (labels or {"team": "serving"})


def test_a_patch_may_carry_messages_and_numbers() -> None:
    value = 'Object.spec.tolerations{key: "gpu", operator: "Exists", tolerationSeconds: 30, effect: "NoExecute"}'
    changed = ask(policy(patched(f'[JSONPatch{{op: "add", path: "/spec/tolerations", value: [{value}]}}]')))
    assert changed["spec"]["tolerations"] == [{"key": "gpu", "operator": "Exists", "tolerationSeconds": 30, "effect": "NoExecute"}]


def test_each_mutation_sees_what_those_before_it_made() -> None:
    first = patched('[JSONPatch{op: "add", path: "/metadata/labels/a", value: "1"}]')
    second = applied('Object{metadata: Object.metadata{labels: {"b": object.metadata.labels.a + "2"}}}')
    assert ask(policy(first, second))["metadata"]["labels"] == {"team": "serving", "a": "1", "b": "12"}


def test_variables_parameters_and_match_conditions() -> None:
    limits = {"metadata": {"name": "limits", "namespace": "lab"}, "data": {"tier": "gold"}}
    rules = policy(
        applied('Object{metadata: Object.metadata{labels: {"tier": variables.tier}}}'),
        variables=[{"name": "tier", "expression": "params.data.tier"}],
        paramKind={"apiVersion": "v1", "kind": "ConfigMap"},
        matchConditions=[{"name": "serving", "expression": "object.metadata.labels.team == 'serving'"}],
    )
    bound = [binding(paramRef={"name": "limits", "parameterNotFoundAction": "Deny"})]
    assert ask(rules, bindings=bound, params=(limits,))["metadata"]["labels"]["tier"] == "gold"
    other = {**POD, "metadata": {**POD["metadata"], "labels": {"team": "training"}}}
    assert ask(rules, bindings=bound, params=(limits,), obj=other) == other
    missing = "failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction"
    error = refusal(rules, bindings=bound)
    assert (error.code, error.reason) == (403, "Forbidden")
    assert error.message == f"policy 'rules' with binding 'all' denied request: {missing}"


@pytest.mark.parametrize(
    ("mutation", "says"),
    [
        (applied("Object{spec: Object.spec{nodeName: object.spec.nope}}"), "resulted in error: no such key: nope"),
        (
            applied("Object{spec: Object.spec{nope: 1}}"),
            "error applying patch: failed to convert patch object to typed object: .spec.nope: field not declared in schema",
        ),
        (
            applied('Object{spec: Object.spec{containers: [Object.spec.containers{name: "server", command: ["sh"]}]}}'),
            "error applying patch: invalid ApplyConfiguration: may not mutate atomic arrays, maps or structs: .spec.containers[0].command",
        ),
        (
            applied('Object{spec: Object.metadata{nodeName: "a"}}'),
            'type mismatch: unexpected type name "Object.metadata", expected "Object.spec", which matches field name path from root Object type',
        ),
        (patched('[JSONPatch{op: "replace", path: "/spec/nope/deep", value: 1}]'), "JSON Patch: "),
    ],
)
def test_what_cannot_be_done_follows_the_failure_policy(mutation: Object, says: str) -> None:
    error = refusal(policy(mutation))
    assert (error.code, error.reason) == (403, "Invalid")
    assert error.message.startswith("policy 'rules' with binding 'all' denied request: ")
    assert says in error.message
    assert error.details["causes"] == [{"message": error.message}]
    assert ask(policy(mutation, failurePolicy="Ignore")) == POD


def test_a_patch_that_makes_no_pod_is_an_error_of_the_server() -> None:
    error = refusal(policy(patched('[JSONPatch{op: "add", path: "/spec/nodeName", value: 5}]'), failurePolicy="Ignore"))
    assert (error.code, error.reason) == (500, "InternalError")


def test_a_request_that_no_rule_names_is_left_alone() -> None:
    rules = policy(applied('Object{metadata: Object.metadata{labels: {"a": "b"}}}'), rule=RULE)
    assert ask(rules) == POD
    assert ask(rules, obj=DEPLOYMENT)["metadata"]["labels"] == {"a": "b"}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Object{}", {}),
        ("Object { spec : Object . spec { replicas : 3 , } }", {"spec": {"replicas": 3}}),
        ('Object{metadata: Object.metadata{labels: {"a{b": "Object{x: 1}"}}}', {"metadata": {"labels": {"a{b": "Object{x: 1}"}}}),
        ("Object{spec: true ? Object.spec{replicas: 1} : Object.spec{}}", {"spec": {"replicas": 1}}),
        ("Object{?spec: optional.none(), kind: 'a'}", {"kind": "a"}),
        ("Object{items: [1, 2].map(i, Object.items{n: i, m: {'k': i}})}", {"items": [{"n": 1, "m": {"k": 1}}, {"n": 2, "m": {"k": 2}}]}),
        ("Object{__namespace__: 'a', a__dash__b: 'c', `d-e`: 'f'}", {"namespace": "a", "a-b": "c", "d-e": "f"}),
        ("// Object{x: 1}\nObject{kind: 'a'}", {"kind": "a"}),
    ],
)
def test_messages_are_written_as_maps_and_read_back(text: str, value: Object) -> None:
    from clusters.embedded import cel

    found = cel.compiled(message_literals.as_maps(text).text, ()).evaluate({})
    assert message_literals.type_of(found) == "Object"
    assert message_literals.plain(found) == value


GROUP = "/apis/admissionregistration.k8s.io/v1"


async def test_a_policy_holds_from_the_next_request_and_webhooks_see_what_it_made(http: Http) -> None:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["configmaps"]}
    count = applied('Object{data: {"seen": string(object.data.size())}}')
    rules = policy(count, rule=rule, reinvocationPolicy="IfNeeded")
    created = await http("POST", f"{GROUP}/mutatingadmissionpolicies", rules)
    assert (created.status, created.headers.get("Warning"), created.body["spec"]["failurePolicy"]) == (201, None, "Fail")
    bound = {"metadata": {"name": "all"}, "spec": {"policyName": "rules"}}
    assert (await http("POST", f"{GROUP}/mutatingadmissionpolicybindings", bound)).status == 201
    maps = "/api/v1/namespaces/default/configmaps"
    made = await http("POST", maps, {"metadata": {"name": "one"}, "data": {"a": "1"}})
    assert made.body["data"] == {"a": "1", "seen": "1"}
    async with listening() as hook:
        hook.answer = patch({"op": "add", "path": "/data/late", "value": "1"})
        spec = {
            "name": "late.example.com",
            "clientConfig": hook.url(),
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        await http("POST", f"{GROUP}/mutatingwebhookconfigurations", {"metadata": {"name": "late"}, "webhooks": [spec]})
        made = await http("POST", maps, {"metadata": {"name": "two"}, "data": {"a": "1"}})
        assert hook.asked[0]["request"]["object"]["data"] == {"a": "1", "seen": "1"}
        # The webhook changed the object after the policy, which is asked once more.
        assert made.body["data"] == {"a": "1", "late": "1", "seen": "3"}
