"""What somebody may do in the end, out of the rules that the API server puts together."""

from __future__ import annotations

from typing import Any, cast

import pytest

from kubeobjects import Object
from lab_checks.engine.api import Answer, Api
from lab_checks.judging import rights
from lab_checks.judging.requests import Person
from lab_checks.judging.rights import Meant, Right

ROSA = Person("rosa", "rosa", "research")
LOOK = [Meant(("get", "list", "watch"), ("pods", "pods/log", "apps/*"), ("research",))]


class Server:
    """An authorizer with these rules in every namespace, and which rights hold where they are asked for one by one."""

    def __init__(self, rules: list[Object], holds: bool = True, **objects: list[Object]):
        self.rules, self.holds, self.objects = rules, holds, objects
        self.reviewed: list[Object] = []

    def attempt(self, method: str, path: str, body: Any = None, **how: Any) -> Answer:
        if path.endswith("selfsubjectrulesreviews"):
            assert (how["user"], how["group"]) == ("rosa", "research")
            return Answer(201, {"status": {"resourceRules": self.rules}})
        self.reviewed.append(body["spec"]["resourceAttributes"])
        return Answer(201, {"status": {"allowed": self.holds}})

    def list(self, kind: str, namespace: str | None = None) -> list[Object]:
        return self.objects.get(kind, [])


def beyond(*rules: Object, holds: bool = True, namespaces: tuple[str, ...] = ("research",)) -> list[str]:
    return [str(each) for each in rights.beyond(cast(Api, Server(list(rules), holds)), ROSA, namespaces, LOOK)]


def rule(verbs: str, resources: str, groups: str = "") -> Object:
    return {"verbs": verbs.split(","), "resources": resources.split(","), "apiGroups": groups.split(",")}


def test_what_is_meant_and_what_everybody_has_is_nothing_too_much() -> None:
    everybody = rule("create", "selfsubjectaccessreviews,selfsubjectrulesreviews", "authorization.k8s.io")
    assert beyond(everybody, rule("get,list", "pods,pods/log"), rule("watch", "deployments", "apps")) == []


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (rule("get", "secrets"), "get secrets in research"),
        (rule("create", "pods/exec"), "create pods/exec in research"),
        (rule("*", "pods"), "every verb on pods in research"),
        (rule("get", "*"), "get every resource in research"),
        (rule("get", "*", "*"), "get every resource in research"),
        (rule("get", "nodes/proxy"), "get nodes/proxy"),
        (rule("impersonate", "users"), "impersonate users"),
    ],
)
def test_a_right_that_is_not_meant_is_named(given: Object, told: str) -> None:
    assert beyond(given) == [told]


def test_a_right_counts_in_the_namespaces_that_it_is_meant_for_only() -> None:
    assert beyond(rule("get", "pods"), namespaces=("research", "ai-platform")) == ["get pods in ai-platform"]


def test_a_right_on_nodes_that_a_rolebinding_gives_has_no_effect() -> None:
    assert beyond(rule("patch", "nodes"), holds=False) == []


def test_a_right_on_one_name_only_counts_as_well() -> None:
    assert beyond({**rule("get", "secrets"), "resourceNames": ["key"]}, holds=False) == ["get secrets in research"]


def test_a_right_on_nodes_is_asked_for_at_cluster_scope() -> None:
    server = Server([rule("patch", "nodes")])
    rights.beyond(cast(Api, server), ROSA, ["research"], LOOK)
    assert server.reviewed == [{"verb": "patch", "resource": "nodes"}]


@pytest.mark.parametrize(
    "subject",
    [
        {"kind": "Group", "name": "research"},
        {"kind": "User", "name": "rosa"},
        {"kind": "Group", "name": "system:authenticated"},
    ],
)
def test_the_binding_that_gives_a_right_is_found_by_user_group_and_everybody(subject: Object) -> None:
    role = {"metadata": {"name": "keys"}, "rules": [rule("get", "secrets")]}
    binding = {"metadata": {"name": "leak"}, "roleRef": {"kind": "ClusterRole", "name": "keys"}, "subjects": [subject]}
    server = Server([], clusterroles=[role], clusterrolebindings=[binding])
    assert rights.given_by(cast(Api, server), ROSA, Right("get", "", "secrets", "ai-platform")) == "clusterrolebinding/leak"


def test_a_role_of_another_namespace_gives_nothing() -> None:
    role = {"metadata": {"name": "keys", "namespace": "elsewhere"}, "rules": [rule("get", "secrets")]}
    binding = {
        "metadata": {"name": "leak", "namespace": "ai-platform"},
        "roleRef": {"kind": "Role", "name": "keys"},
        "subjects": [{"kind": "User", "name": "rosa"}],
    }
    server = Server([], roles=[role], rolebindings=[binding])
    assert rights.given_by(cast(Api, server), ROSA, Right("get", "", "secrets", "ai-platform")) == ""


def test_a_right_that_a_role_takes_in_by_label_is_found_by_its_binding() -> None:
    keys = {"metadata": {"name": "keys", "labels": {"to-view": "true"}}, "rules": [rule("get", "secrets")]}
    view = {"metadata": {"name": "view"}, "aggregationRule": {"clusterRoleSelectors": [{"matchLabels": {"to-view": "true"}}]}}
    binding = {
        "metadata": {"name": "looks"},
        "roleRef": {"kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "User", "name": "rosa"}],
    }
    server = Server([], clusterroles=[keys, view], rolebindings=[binding])
    assert rights.given_by(cast(Api, server), ROSA, Right("get", "", "secrets", "ai-platform")) == "rolebinding/looks"
