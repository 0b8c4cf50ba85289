"""ValidatingAdmissionPolicy: which requests it is about, what it says, and what follows."""

from __future__ import annotations

import json
from typing import Any

import pytest

from clusters.embedded import resources
from clusters.embedded.apiserver.admission import AdmissionRequest
from clusters.embedded.apiserver.admission.policies import validating
from clusters.embedded.errors import ApiError
from tests.embedded.apiserver.semantics import Object

RULE = {"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE", "UPDATE"], "resources": ["deployments"]}
DEPLOYMENT = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "api", "namespace": "lab"}, "spec": {"replicas": 5}}


def policy(*validations: Object, name: str = "rules", rules: list[Object] | None = None, **spec: Any) -> Object:
    constraints = {"matchPolicy": "Equivalent", "resourceRules": rules or [RULE], **spec.pop("matchConstraints", {})}
    return {"metadata": {"name": name}, "spec": {"matchConstraints": constraints, "validations": list(validations), **spec}}


def binding(*actions: str, to: str = "rules", **spec: Any) -> Object:
    return {"metadata": {"name": "all"}, "spec": {"policyName": to, "validationActions": list(actions or ("Deny",)), **spec}}


class Stored:
    def __init__(self, *objects: tuple[str, Object]):
        self.objects = [("namespaces", {"metadata": {"name": "lab", "labels": {"team": "serving"}}}), *objects]

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        return [obj for name, obj in self.objects if name == resource and namespace in (None, obj["metadata"].get("namespace"))]

    def get(self, resource: str, name: str, namespace: str | None = None) -> Object | None:
        return next((obj for obj in self.list(resource, namespace) if obj["metadata"]["name"] == name), None)


def ask(rules: Object, bound: Object | None = None, *params: Object, resource: str = "deployments.apps", **fields: Any) -> AdmissionRequest:
    """The request, after the policy let it pass."""
    stored = Stored(
        ("validatingadmissionpolicies.admissionregistration.k8s.io", rules),
        ("validatingadmissionpolicybindings.admissionregistration.k8s.io", bound or binding()),
        *(("configmaps", each) for each in params),
    )
    request = AdmissionRequest(
        fields.pop("operation", "CREATE"), resources.by_name()[resource], stored, namespace="lab", name="api", user="mira", groups=("team",),
        **{"object": DEPLOYMENT, **fields},
    )  # fmt: skip
    validating.validate(request)
    return request


def refusal(*arguments: Any, **fields: Any) -> ApiError:
    with pytest.raises(ApiError) as refused:
        ask(*arguments, **fields)
    return refused.value


FEW = {"expression": "object.spec.replicas <= 3", "message": "at most 3 replicas"}


def test_a_rule_that_does_not_hold_refuses_with_its_message() -> None:
    error = refusal(policy(FEW))
    said = "ValidatingAdmissionPolicy 'rules' with binding 'all' denied request: at most 3 replicas"
    assert (error.code, error.reason, error.message) == (422, "Invalid", f'deployments.apps "api" is forbidden: {said}')
    assert error.details["causes"] == [{"message": said}]


@pytest.mark.parametrize(("reason", "code"), [("Forbidden", 403), ("Unauthorized", 401), ("RequestEntityTooLarge", 413)])
def test_the_reason_decides_the_code(reason: str, code: int) -> None:
    assert refusal(policy({**FEW, "reason": reason})).code == code


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"messageExpression": "'not ' + string(object.spec.replicas)"}, "not 5"),
        ({"messageExpression": "object.spec.nope"}, "at most 3 replicas"),
        ({"messageExpression": "'two\\nlines'"}, "at most 3 replicas"),
        ({"message": ""}, "failed expression: object.spec.replicas <= 3"),
    ],
)
def test_the_message_is_made_or_written_or_the_rule_itself(more: Object, says: str) -> None:
    assert refusal(policy({**FEW, **more})).message.endswith(f"denied request: {says}")


def test_what_cannot_be_evaluated_follows_the_failure_policy() -> None:
    broken = {"expression": "object.spec.nope > 1"}
    said = "denied request: expression 'object.spec.nope > 1' resulted in error: no such key: nope"
    assert refusal(policy(broken)).message.endswith(said)
    ask(policy(broken, failurePolicy="Ignore"))


def test_warn_and_audit_let_the_request_pass() -> None:
    request = ask(policy(FEW), binding("Warn", "Audit"))
    assert request.warnings == ["Validation failed for ValidatingAdmissionPolicy 'rules' with binding 'all': at most 3 replicas"]
    [failure] = json.loads(request.annotations["validation.policy.admission.k8s.io/validation_failure"])
    assert (failure["policy"], failure["expressionIndex"], failure["validationActions"]) == ("rules", 0, ["Warn", "Audit"])


@pytest.mark.parametrize(
    "rules",
    [
        [{**RULE, "resources": ["statefulsets"]}],
        [{**RULE, "resources": ["deployments/scale"]}],
        [{**RULE, "operations": ["DELETE"]}],
        [{**RULE, "apiGroups": [""]}],
        [{**RULE, "scope": "Cluster"}],
        [{**RULE, "resourceNames": ["another"]}],
    ],
)
def test_a_request_that_no_rule_names_is_not_looked_at(rules: list[Object]) -> None:
    ask(policy(FEW, rules=rules))


@pytest.mark.parametrize(
    "constraints",
    [
        {"namespaceSelector": {"matchLabels": {"team": "training"}}},
        {"objectSelector": {"matchLabels": {"app": "other"}}},
        {"excludeResourceRules": [{**RULE, "resources": ["*"]}]},
    ],
)
def test_selectors_and_exclusions_narrow_a_policy(constraints: Object) -> None:
    ask(policy(FEW, matchConstraints=constraints))
    refusal(policy(FEW, matchConstraints={"namespaceSelector": {"matchLabels": {"team": "serving"}}}))
    ask(policy(FEW), binding(matchResources={"namespaceSelector": {"matchLabels": {"team": "training"}}}))


def test_another_version_of_the_kind_is_matched_unless_it_has_to_be_exact() -> None:
    old = [{**RULE, "apiVersions": ["v1beta1"]}]
    refusal(policy(FEW, rules=old))
    ask(policy(FEW, rules=old, matchConstraints={"matchPolicy": "Exact"}))


def test_conditions_come_before_rules() -> None:
    ask(policy(FEW, matchConditions=[{"name": "not-mira", "expression": "request.userInfo.username != 'mira'"}]))
    ask(policy(FEW, matchConditions=[{"name": "broken", "expression": "object.nope"}, {"name": "no", "expression": "false"}]))
    assert "no such key: nope" in refusal(policy(FEW, matchConditions=[{"name": "broken", "expression": "object.nope"}])).message


def test_a_rule_may_ask_which_pod_and_node_a_token_is_of() -> None:
    node = "authentication.kubernetes.io/node-name"
    own = {"expression": f"request.userInfo.uid == '7' && request.userInfo.extra['{node}'][0] == 'worker-1'"}
    ask(policy(own), uid="7", extra={node: ("worker-1",)})
    refusal(policy(own), uid="7", extra={node: ("worker-2",)})
    assert "no such key: uid" in refusal(policy(own)).message


def test_variables_build_on_one_another() -> None:
    variables = [{"name": "count", "expression": "object.spec.replicas"}, {"name": "few", "expression": "variables.count <= 3"}]
    refusal(policy({"expression": "variables.few"}, variables=variables))
    broken = [{"name": "count", "expression": "object.nope"}]
    said = refusal(policy({"expression": "variables.count > 1"}, variables=broken)).message
    assert said.endswith('resulted in error: composited variable "count" fails to evaluate: no such key: nope')
    ask(policy({"expression": "true"}, variables=broken))


def test_the_old_object_and_its_absence() -> None:
    grown = policy({"expression": "oldObject == null || object.spec.replicas <= oldObject.spec.replicas"})
    ask(grown)
    refusal(grown, operation="UPDATE", old={**DEPLOYMENT, "spec": {"replicas": 1}})
    rules = [{**RULE, "operations": ["DELETE"]}]
    refusal(policy({"expression": "object != null"}, rules=rules), operation="DELETE", object=None, old=DEPLOYMENT)


def test_parameters_come_from_the_binding() -> None:
    limit = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "limit", "namespace": "lab"}, "data": {"replicas": "3"}}
    rules = policy({"expression": "object.spec.replicas <= int(params.data.replicas)"}, paramKind={"apiVersion": "v1", "kind": "ConfigMap"})
    bound = binding(paramRef={"name": "limit", "parameterNotFoundAction": "Deny"})
    refusal(rules, bound, limit)
    ask(rules, bound, {**limit, "data": {"replicas": "9"}})
    said = refusal(rules, bound).message
    assert said.endswith("failed to configure binding: no params found for policy binding with `Deny` parameterNotFoundAction")
    ask(rules, binding(paramRef={"name": "limit", "parameterNotFoundAction": "Allow"}))


def test_the_authorizer_answers_for_the_caller() -> None:
    may = policy({"expression": "authorizer.group('').resource('nodes').check('delete').allowed()", "message": "who may delete nodes"})
    refusal(may)
    ask(may, authorize=lambda asked: (asked["verb"] == "delete" and asked["resource"] == "nodes", ""))
    own = policy({"expression": "authorizer.requestResource.check('approve').allowed()"})
    ask(own, authorize=lambda asked: (asked["resource"] == "deployments" and asked["name"] == "api", ""))


def test_audit_annotations_carry_the_name_of_the_policy() -> None:
    noted = policy({"expression": "true"}, auditAnnotations=[{"key": "replicas", "valueExpression": "string(object.spec.replicas)"}])
    assert ask(noted).annotations["rules/replicas"] == "5"


def test_nobody_can_lock_himself_out_of_policies() -> None:
    everything = [{"apiGroups": ["*"], "apiVersions": ["*"], "operations": ["*"], "resources": ["*/*"]}]
    never = policy({"expression": "false"}, rules=everything)
    ask(never, resource="validatingadmissionpolicies.admissionregistration.k8s.io")
    refusal(never)


def test_a_scale_is_shown_as_a_scale_and_has_no_template() -> None:
    scaled = {**DEPLOYMENT, "spec": {"replicas": 5, "template": {"spec": {"containers": []}}}}
    rule = [{**RULE, "resources": ["deployments/scale"]}]
    asked = {"operation": "UPDATE", "subresource": "scale", "object": scaled, "old": scaled}
    assert refusal(policy(FEW, rules=rule), **asked).message.endswith("at most 3 replicas")
    ask(
        policy({"expression": "object.kind == 'Scale' && request.kind.kind == 'Scale' && oldObject.spec.replicas == 5"}, rules=rule),
        **asked,
    )
    assert "no such key" in refusal(policy({"expression": "size(object.spec.template.spec.containers) == 0"}, rules=rule), **asked).message
