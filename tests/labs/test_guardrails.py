"""Lab 07-guardrails: its tables are whole, and what it says of rights and rules is right."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kubeobjects import Object
from lab_checks.engine import course, manifests, paths, snapshot
from lab_checks.engine.api import shell
from lab_checks.engine.session import Session
from lab_checks.judging import requests
from lab_checks.judging.requests import ALLOWED
from lab_checks.judging.rights import Right
from lab_checks.labs.guardrails import access, policy
from lab_checks.labs.guardrails import view as guardrails_view

LAB = course.load().lab("07-guardrails")
MANIFESTS = paths.root() / "manifests" / LAB.id


def test_every_exercise_tries_right_and_wrong_requests() -> None:
    assert set(access.table().requests) == {each.id for each in LAB.exercises}
    for exercise in LAB.exercises:
        rows = access.rows(exercise.id)
        assert len({each.asks for each in rows}) == len(rows), exercise.id
        assert any(each.comes == ALLOWED and not each.rule for each in rows), exercise.id
        assert any(each.comes != ALLOWED or each.rule for each in rows), exercise.id


def test_the_lab_refuses_far_more_than_twenty_wrong_requests_for_each_kind_of_reason() -> None:
    wrong = [each for rows in access.table().requests.values() for each in rows if each.comes != ALLOWED]
    assert len(wrong) > 40
    assert {each.comes for each in wrong} == set(access.table().refusals)


@pytest.mark.parametrize("exercise", [each.id for each in LAB.exercises])
def test_a_row_says_what_was_expected_and_where_to_look(exercise: str) -> None:
    for row in access.rows(exercise):
        assert row.expected, row.asks
        assert row.next.startswith("kubectl"), row.asks


@pytest.mark.parametrize(
    ("right", "words"),
    [
        (Right("impersonate", "", "serviceaccounts", "research"), "becomes-another"),
        (Right("escalate", "rbac.authorization.k8s.io", "roles", "research"), "becomes-another"),
        (Right("bind", "rbac.authorization.k8s.io", "clusterroles", "research"), "becomes-another"),
        (Right("*", "", "pods", "research"), "everything"),
        (Right("get", "", "*", "research"), "everything"),
        (Right("get", "*", "*", "research"), "everything"),
        (Right("get", "apps", "*", "research"), "everything"),
        (Right("get", "", "nodes/proxy", "research"), "kubelet"),
        (Right("list", "", "secrets", "research"), "reads-secrets"),
        (Right("create", "", "pods/exec", "research"), "inside"),
        (Right("get", "", "pods/exec", "research"), "inside"),
        (Right("update", "", "pods/ephemeralcontainers", "research"), "inside"),
        (Right("create", "", "serviceaccounts/token", "research"), "tokens"),
        (Right("create", "rbac.authorization.k8s.io", "rolebindings", "research"), "gives-rights"),
        (Right("patch", "", "resourcequotas", "research"), "moves-bounds"),
        (Right("create", "scheduling.k8s.io", "priorityclasses", "research"), "moves-bounds"),
        (Right("patch", "", "nodes", "research"), "touches-nodes"),
        (Right("patch", "", "configmaps", "research"), "may-change"),
        (Right("get", "", "pods", "research"), "may-look"),
    ],
)
def test_each_right_that_is_too_much_has_words_of_its_own(right: Right, words: str) -> None:
    assert access._kind(right)[1] == words
    assert words in LAB.exercises[0].words


def deployment(**spec: object) -> Object:
    """Two replicas of one container with a version, with `spec` over its Pod's."""
    pod = {"containers": [{"name": "main", "image": "registry:5000/server:v1"}], **spec}
    return {"metadata": {"name": "it"}, "spec": {"replicas": 2, "template": {"spec": pod}}}


GPU = {"name": "gpu", "image": "x:v1", "resources": {"limits": {"nvidia.com/gpu": "1"}}}


@pytest.mark.parametrize(
    ("spec", "breaks"),
    [
        ({}, False),
        ({"containers": [{"name": "main", "image": "server"}]}, True),
        ({"containers": [{"name": "main", "image": "registry:5000/server"}]}, True),
        ({"containers": [{"name": "main", "image": "server:latest"}]}, True),
        ({"containers": [{"name": "main", "image": "latest:v1"}]}, False),
        ({"containers": [{"name": "main", "image": "server@sha256:0a"}]}, False),
        ({"initContainers": [{"name": "first", "image": "fetch:latest"}]}, True),
        ({"tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]}, True),
        ({"tolerations": [{"operator": "Exists"}]}, True),
        ({"tolerations": [{"key": "maintenance", "operator": "Exists"}]}, False),
        ({"tolerations": [{"operator": "Exists"}], "containers": [GPU]}, False),
    ],
)
def test_who_breaks_a_rule_of_the_platform(spec: Object, breaks: bool) -> None:
    assert policy.breaking([deployment(**spec)]) == ({"it"} if breaks else set())


def test_more_than_three_replicas_break_a_rule() -> None:
    many = deployment()
    many["spec"]["replicas"] = 4
    assert policy.breaking([many]) == {"it"}


def test_each_of_the_three_that_run_breaks_one_rule() -> None:
    running = [each for each in manifests.tree(MANIFESTS / "warned") if each["kind"] == "Deployment"]
    assert policy.breaking(running) == {"eval-runner", "dataset-browser", "log-shipper"}


@pytest.mark.parametrize("exercise", [each.id for each in LAB.exercises])
def test_what_a_start_puts_at_cluster_scope_carries_the_courses_label(exercise: str) -> None:
    for each in manifests.tree(MANIFESTS / exercise):
        if "namespace" not in each["metadata"] and each["kind"] != "Namespace" and "draft" not in each["metadata"].get("name", ""):
            labelled = "ai-lab.dev/course" in (each["metadata"].get("labels") or {})
            assert labelled or exercise == "warned", each["metadata"]["name"]


def test_only_the_rules_are_tried_as_an_administrator_whom_no_role_binds() -> None:
    people = yaml.safe_load((Path(access.__file__).parent / "requests.yaml").read_text())["people"]
    assert [name for name, row in people.items() if row.get("group") == "system:masters"] == ["controller", "platform"]
    for exercise, rows in access.table().requests.items():
        assert all(not row.who.group.startswith("system:") or exercise == "refused" for row in rows)


def test_a_message_of_a_policy_is_told_from_other_warnings() -> None:
    said = "Validation failed for ValidatingAdmissionPolicy 'rules' with binding 'rules': at most 3 replicas"
    refused = "deployments.apps \"a\" is forbidden: ValidatingAdmissionPolicy 'rules' with binding 'b' denied request: name a version"
    assert policy.messages((said, "would violate PodSecurity", refused)) == ["at most 3 replicas", "name a version"]


def test_what_a_request_does_can_be_read() -> None:
    for rows in access.table().requests.values():
        for row in rows:
            assert row.parts["verb"] in {"get", "list", "watch", "create", "patch", "delete"}, row.does
            assert requests._SERVED.get(row.parts["group"]), row.does


# On a live cluster


@pytest.mark.cluster
def test_trying_every_request_leaves_no_trace(lab_session: Session, capsys: pytest.CaptureFixture[str]) -> None:
    exercise = LAB.exercise("reaching-across")
    lab_session.start(exercise)
    before = snapshot.take(lab_session.api)
    guardrails_view.show(lab_session.api, exercise.id)
    shown = capsys.readouterr().out
    assert "allowed  rosa: rosa deletes ai-platform's API" in shown
    assert 'refused  mira: mira reads research\'s Secret\n         User "mira" cannot get resource' in shown
    assert snapshot.take(lab_session.api) == before
    assert lab_session.context(exercise).deeds.changes() == []


@pytest.mark.cluster
def test_the_next_start_takes_away_what_an_exercise_asked_for_without_a_question(
    lab_session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    def nobody(question: str) -> bool:
        raise AssertionError(question)

    monkeypatch.setattr(lab_session, "ask", nobody)
    lab_session.start(LAB.exercise("under-restricted"))
    shell("kubectl label namespace ai-platform pod-security.kubernetes.io/enforce=restricted", lab_session.learner)
    lab_session.start(LAB.exercise("batch-was-first"))
    shell("kubectl create priorityclass serving --value=1000", lab_session.learner)
    lab_session.start(LAB.exercise("assistant-account"))
    shell("kubectl create clusterrole node-look --verb=get --resource=nodes", lab_session.learner)
    lab_session.start(LAB.exercise("reaching-across"))
    api = lab_session.api
    assert api.get("priorityclasses", "serving") is None
    assert api.get("clusterroles", "node-look") is None
    namespace = api.get("namespaces", "ai-platform")
    assert namespace
    assert "pod-security.kubernetes.io/enforce" not in namespace["metadata"]["labels"]
    lab_session.reset(LAB)
    assert api.get("clusterrolebindings", "research-move") is None
