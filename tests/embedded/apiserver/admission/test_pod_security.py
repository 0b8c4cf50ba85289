"""Pod Security admission: what each check says, which level and version has it, and what labels and updates lead to."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from clusters.embedded import resources
from clusters.embedded.apiserver.admission import AdmissionRequest, pod_security
from clusters.embedded.apiserver.admission.pod_security import checks, policy
from clusters.embedded.apiserver.admission.pod_security.policy import Level
from clusters.embedded.errors import ApiError
from tests.embedded.apiserver.semantics import Object

CASES = yaml.safe_load((Path(__file__).parent / "pod_security.yaml").read_text())
PLAIN = {"containers": [{"name": "main", "image": "x"}]}
TIGHT = {
    "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
    "containers": [
        {"name": "main", "image": "x", "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}},
    ],
}
BAD = {**PLAIN, "hostNetwork": True}


class Stored:
    def __init__(self, labels: dict[str, str], pods: list[Object] | None = None):
        self.namespace = {
            "kind": "Namespace",
            "metadata": {"name": "lab", "labels": {policy.PREFIX + key: to for key, to in labels.items()}},
        }
        self.pods = pods or []

    def get(self, resource: str, name: str, namespace: str | None = None) -> Object | None:
        return self.namespace if resource == "namespaces" else None

    def list(self, resource: str, namespace: str | None = None) -> list[Object]:
        return self.pods if resource == "pods" else []


def pod(spec: Object, name: str = "demo", owner: str = "") -> Object:
    owners = [{"uid": owner, "controller": True}] if owner else []
    return {"metadata": {"name": name, "ownerReferences": owners}, "spec": spec}


def ask(
    labels: dict[str, str], obj: Object, *, resource: str = "pods", old: Object | None = None, subresource: str = ""
) -> AdmissionRequest:
    """The request after the plugin has let it pass."""
    request = AdmissionRequest(
        "UPDATE" if old else "CREATE", resources.by_name()[resource], Stored(labels), subresource, "lab", "demo", obj, old
    )  # fmt: skip
    pod_security.validate(request)
    return request


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_a_check_says_what_a_real_server_says(case: Object) -> None:
    spec = {**PLAIN, **case.get("spec", {})}
    metadata = {"name": "demo", "annotations": case.get("annotations", {})}
    name, _, version = case["level"].partition(":v1.")
    found = checks.findings(Level(name, int(version) if version else None), metadata, spec)
    assert [str(each) for each in found] == case["says"]


def test_a_version_newer_than_all_rules_is_the_newest() -> None:
    assert checks.rules(Level("restricted", 99)) == checks.rules(Level("restricted"))
    assert checks.rules(Level("privileged")) == ()


def test_restricted_holds_baseline_but_for_what_it_says_more_strictly() -> None:
    told = [
        each.reason for each in checks.findings(Level("restricted"), {}, {**BAD, "volumes": [{"name": "v", "hostPath": {"path": "/"}}]})
    ]
    assert told[0] == "host namespaces"
    assert "hostPath volumes" not in told
    assert "restricted volume types" in told


def test_enforcing_refuses_and_does_not_warn() -> None:
    with pytest.raises(ApiError) as refused:
        ask({"enforce": "baseline", "warn": "restricted"}, pod(BAD))
    assert refused.value.message == 'pods "demo" is forbidden: violates PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'


def test_warnings_and_the_audit_log_have_levels_of_their_own() -> None:
    request = ask({"enforce": "privileged", "warn": "baseline", "audit": "restricted", "audit-version": "v1.20"}, pod(BAD))
    assert request.warnings == ['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)']
    assert request.annotations["pod-security.kubernetes.io/enforce-policy"] == "privileged:latest"
    assert request.annotations["pod-security.kubernetes.io/audit-violations"].startswith(
        'would violate PodSecurity "restricted:v1.20": host'
    )


def test_who_enforces_more_than_he_warns_of_warns_of_what_he_enforces() -> None:
    template = {"metadata": {}, "spec": PLAIN}
    deployment = {"metadata": {"name": "demo"}, "spec": {"template": template}}
    assert ask({"enforce": "restricted"}, deployment, resource="deployments.apps").warnings
    assert not ask({"enforce": "restricted", "warn": "privileged"}, deployment, resource="deployments.apps").warnings
    assert not ask({"enforce": "privileged", "warn": "restricted"}, pod(TIGHT)).warnings


def test_what_makes_pods_is_warned_of_and_never_refused() -> None:
    template = {"metadata": {}, "spec": BAD}
    cron = {"metadata": {"name": "demo"}, "spec": {"jobTemplate": {"spec": {"template": template}}}}
    assert ask({"enforce": "baseline"}, cron, resource="cronjobs.batch").warnings == [
        'would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'
    ]


def test_an_update_is_judged_where_an_image_or_a_container_changes() -> None:
    old = pod(BAD)
    labelled = {**old, "metadata": {**old["metadata"], "labels": {"a": "b"}}}
    ask({"enforce": "baseline"}, labelled, old=old)
    ask({"enforce": "baseline"}, pod({**BAD, "containers": [{"name": "main", "image": "y"}]}), old=old, subresource="status")
    for change in ({"containers": [{"name": "main", "image": "y"}]}, {"ephemeralContainers": [{"name": "debug", "image": "z"}]}):
        with pytest.raises(ApiError, match="violates PodSecurity"):
            ask({"enforce": "baseline"}, pod({**BAD, **change}), old=old)


def test_labels_that_cannot_be_read_are_refused_when_they_are_written() -> None:
    namespace = Stored({"enforce": "strict", "warn-version": "1.30"}).namespace
    with pytest.raises(ApiError) as refused:
        ask({}, namespace, resource="namespaces")
    assert refused.value.code == 422
    assert [cause["field"] for cause in refused.value.details["causes"]] == [
        "metadata.labels[pod-security.kubernetes.io/enforce]",
        "metadata.labels[pod-security.kubernetes.io/warn-version]",
    ]
    # Those that are there already hinder no other change, and enforce the strictest level.
    ask({}, namespace, resource="namespaces", old=namespace)
    with pytest.raises(ApiError, match='violates PodSecurity "restricted:latest"'):
        ask({"enforce": "strict"}, pod(PLAIN))


def test_a_stricter_label_tells_of_the_pods_that_are_there() -> None:
    stored = Stored(
        {"enforce": "baseline"},
        [pod(PLAIN, "b"), pod(PLAIN, "a"), pod(PLAIN, "c"), pod(BAD, "web-2", "w"), pod(BAD, "web-1", "w"), pod(TIGHT, "good")],
    )
    stricter = Stored({"enforce": "restricted"}).namespace
    request = AdmissionRequest(
        "UPDATE", resources.by_name()["namespaces"], stored, "", None, "lab", stricter, stored.namespace
    )  # fmt: skip
    pod_security.validate(request)
    common = "allowPrivilegeEscalation != false, unrestricted capabilities, runAsNonRoot != true, seccompProfile"
    assert request.warnings == [
        'existing pods in namespace "lab" violate the new PodSecurity enforce level "restricted:latest"',
        f"a (and 2 other pods): {common}",
        f"web-1 (and 1 other pod): host namespaces, {common}",
    ]


def test_a_laxer_label_tells_nothing() -> None:
    stored = Stored({"enforce": "restricted"}, [pod(BAD)])
    for labels in ({"enforce": "baseline"}, {}, {"enforce": "restricted", "warn": "baseline"}):
        request = AdmissionRequest(
            "UPDATE", resources.by_name()["namespaces"], stored, "", None, "lab", Stored(labels).namespace, stored.namespace
        )  # fmt: skip
        pod_security.validate(request)
        assert not request.warnings
