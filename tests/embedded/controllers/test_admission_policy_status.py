"""What the status of a ValidatingAdmissionPolicy says of its expressions."""

from __future__ import annotations

import pytest
from hollow import HollowCluster

from clusters.embedded.controllers import admissionpolicystatus
from kubeobjects import Object

POLICIES = "validatingadmissionpolicies.admissionregistration.k8s.io"


def spec(*expressions: str, groups: str = "apps", resources: tuple[str, ...] = ("deployments",), versions: str = "v1") -> Object:
    rule = {"apiGroups": [groups], "apiVersions": [versions], "operations": ["*"], "resources": list(resources)}
    return {"matchConstraints": {"resourceRules": [rule]}, "validations": [{"expression": each} for each in expressions]}


@pytest.mark.parametrize(
    ("expression", "why"),
    [
        ("object.spec.replicas > '1'", "found no matching overload for '_>_' applied to '(int, string)'"),
        ("'x' + object.spec.replicas == ''", "found no matching overload for '_+_' applied to '(string, int)'"),
        ("object.spec.replica <= 5", "undefined field 'replica'"),
        ("oldObject.spec.template.spec.container.size() > 0", "undefined field 'container'"),
    ],
)
def test_what_does_not_go_together_is_told_with_its_place(expression: str, why: str) -> None:
    [found] = admissionpolicystatus.warnings(spec("object.spec.replicas > 1", expression))
    assert found["fieldRef"] == "spec.validations[1].expression"
    assert found["warning"].startswith("apps/v1, Kind=Deployment: compilation failed: ERROR: <input>:1:")
    assert why in found["warning"]
    assert found["warning"].endswith("^\n")


@pytest.mark.parametrize(
    "expression",
    [
        "object.spec.template.spec.containers.all(c, has(c.resources.limits) && c.image.startsWith('a'))",
        "object.spec.template.spec.containers.all(c, quantity(c.resources.limits['memory']).isLessThan(quantity('1Gi')))",
        "object == null || 'team' in oldObject.metadata.labels",
        "object.metadata.creationTimestamp < timestamp('2026-01-01T00:00:00Z')",
        "object.spec.strategy.rollingUpdate.maxSurge == 1",
        "request.operation == 'DELETE' || variables.x > params.max",
        "authorizer.group('').resource('pods').check('get').allowed()",
    ],
)
def test_what_goes_together_or_cannot_be_known_is_no_warning(expression: str) -> None:
    assert list(admissionpolicystatus.warnings(spec(expression))) == []


def test_every_kind_is_looked_at_in_order_and_wildcards_are_not() -> None:
    [found] = admissionpolicystatus.warnings(spec("object.spec.nothing", resources=("replicasets", "deployments", "deployments/scale")))
    assert [line for line in found["warning"].splitlines() if "Kind=" in line] == [
        "apps/v1, Kind=Deployment: compilation failed: ERROR: <input>:1:12: undefined field 'nothing'",
        "apps/v1, Kind=ReplicaSet: compilation failed: ERROR: <input>:1:12: undefined field 'nothing'",
    ]
    assert list(admissionpolicystatus.warnings(spec("object.spec.nothing", resources=("*",)))) == []
    assert list(admissionpolicystatus.warnings(spec("object.spec.nothing", versions="*"))) == []


async def test_a_policy_is_judged_once_for_each_change(cluster: HollowCluster) -> None:
    body = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy", "metadata": {"name": "size"}}
    await cluster.create(POLICIES, body | {"spec": spec("object.spec.replicas > '1'")})

    async def judged(generation: int) -> Object | None:
        status: Object = (await cluster.client.get(POLICIES, "size")).get("status") or {}
        return status if status.get("observedGeneration") == generation else None

    first = await cluster.eventually(lambda: judged(1))
    assert len(first["typeChecking"]["expressionWarnings"]) == 1
    mended = [{"expression": "object.spec.replicas > 1"}]
    await cluster.client.patch(POLICIES, "size", {"spec": {"validations": mended}})
    assert (await cluster.eventually(lambda: judged(2)))["typeChecking"] == {}
