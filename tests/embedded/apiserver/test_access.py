"""Who may do what: certificates, tokens, impersonation, RBAC, reviews, and what the audit log says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer
from kubeobjects import Object

from .conftest import Http, trusting

RBAC = "/apis/rbac.authorization.k8s.io/v1"
LEARNER = "system:serviceaccount:default:learner"


@pytest.fixture
async def learner(server: ApiServer, client: LocalClient) -> AsyncIterator[Http]:
    """A ServiceAccount without any role, by its token."""
    await client.create("serviceaccounts", {"metadata": {"name": "learner", "namespace": "default"}})
    request = await client.create("serviceaccounts", {"spec": {}}, "default", subresource="token", name="learner")
    found = Http(server.url, trusting(server), {"Authorization": f"Bearer {request['status']['token']}"})
    yield found
    await found.session.close()


async def grant(http: Http, verbs: list[str], resources: list[str], **more: Any) -> None:
    rule = {"apiGroups": ["", "apps"], "resources": resources, "verbs": verbs, **more}
    await http("POST", f"{RBAC}/namespaces/default/roles", {"metadata": {"name": "r"}, "rules": [rule]})
    binding = {
        "metadata": {"name": "b"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "r"},
        "subjects": [{"kind": "ServiceAccount", "name": "learner", "namespace": "default"}],
    }
    assert (await http("POST", f"{RBAC}/namespaces/default/rolebindings", binding)).status == 201


@pytest.mark.parametrize(
    ("method", "path", "message"),
    [
        (
            "GET",
            "/api/v1/namespaces/default/pods",
            f'pods is forbidden: User "{LEARNER}" cannot list resource "pods" in API group "" in the namespace "default"',
        ),
        (
            "DELETE",
            "/api/v1/namespaces/default/pods/nothing",
            f'pods "nothing" is forbidden: User "{LEARNER}" cannot delete resource "pods" in API group "" in the namespace "default"',
        ),
        (
            "GET",
            "/api/v1/nodes",
            f'nodes is forbidden: User "{LEARNER}" cannot list resource "nodes" in API group "" at the cluster scope',
        ),
        (
            "GET",
            "/api/v1/namespaces/default/pods/p/log",
            f'pods "p" is forbidden: User "{LEARNER}" cannot get resource "pods/log" in API group "" in the namespace "default"',
        ),
        ("GET", "/metrics", f'forbidden: User "{LEARNER}" cannot get path "/metrics"'),
    ],
)
async def test_what_is_not_granted_is_forbidden(learner: Http, method: str, path: str, message: str) -> None:
    reply = await learner(method, path)
    assert (reply.status, reply.body["reason"], reply.body["message"]) == (403, "Forbidden", message)


async def test_a_role_grants_what_it_names_and_no_more(http: Http, learner: Http) -> None:
    await grant(http, ["get", "list"], ["configmaps"], resourceNames=[])
    assert (await learner("GET", "/api/v1/namespaces/default/configmaps")).status == 200
    assert (await learner("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "a"}})).status == 403
    assert (await learner("GET", "/api/v1/namespaces/kube-system/configmaps")).status == 403


async def test_a_role_may_name_single_objects(http: Http, learner: Http) -> None:
    await http("POST", "/api/v1/namespaces/default/configmaps", {"metadata": {"name": "mine"}})
    await grant(http, ["get", "list"], ["configmaps"], resourceNames=["mine"])
    assert (await learner("GET", "/api/v1/namespaces/default/configmaps/mine")).status == 200
    assert (await learner("GET", "/api/v1/namespaces/default/configmaps/other")).status == 403
    assert (await learner("GET", "/api/v1/namespaces/default/configmaps")).status == 403
    assert (await learner("GET", "/api/v1/namespaces/default/configmaps?fieldSelector=metadata.name%3Dmine")).status == 200


async def test_a_binding_to_a_missing_role_is_named_in_the_refusal(http: Http, learner: Http) -> None:
    await grant(http, ["get"], ["configmaps"])
    await http("DELETE", f"{RBAC}/namespaces/default/roles/r")
    reply = await learner("GET", "/api/v1/namespaces/default/configmaps/a")
    assert reply.body["message"].endswith(': RBAC: role.rbac.authorization.k8s.io "r" not found')


async def test_the_view_role_shows_workloads_and_no_secrets(http: Http, learner: Http) -> None:
    binding = {
        "metadata": {"name": "v"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"},
        "subjects": [{"kind": "ServiceAccount", "name": "learner", "namespace": "default"}],
    }
    await http("POST", f"{RBAC}/namespaces/default/rolebindings", binding)
    assert (await learner("GET", "/apis/apps/v1/namespaces/default/deployments")).status == 200
    assert (await learner("GET", "/api/v1/namespaces/default/secrets")).status == 403
    assert (await learner("DELETE", "/api/v1/namespaces/default/pods/x")).status == 403


async def test_nobody_grants_what_they_do_not_have(http: Http, learner: Http) -> None:
    await http(
        "POST",
        f"{RBAC}/clusterroles",
        {"metadata": {"name": "role-maker"}, "rules": [{"apiGroups": ["*"], "resources": ["roles"], "verbs": ["create"]}]},
    )
    await http(
        "POST",
        f"{RBAC}/clusterrolebindings",
        {
            "metadata": {"name": "role-maker"},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "role-maker"},
            "subjects": [{"kind": "ServiceAccount", "name": "learner", "namespace": "default"}],
        },
    )
    role = {"metadata": {"name": "more"}, "rules": [{"apiGroups": [""], "resources": ["secrets"], "verbs": ["get"]}]}
    reply = await learner("POST", f"{RBAC}/namespaces/default/roles", role)
    assert reply.status == 403
    assert "is attempting to grant RBAC permissions not currently held" in reply.body["message"]
    assert '{APIGroups:[""], Resources:["secrets"], Verbs:["get"]}' in reply.body["message"]


async def test_nobody_knows_little(anonymous: Http) -> None:
    assert (await anonymous("GET", "/healthz")).body == "ok"
    reply = await anonymous("GET", "/api/v1/pods")
    assert reply.status == 403
    assert 'User "system:anonymous" cannot list resource "pods"' in reply.body["message"]


@pytest.mark.parametrize("token", ["rubbish", "a.b.c", "", "é"])
async def test_a_token_that_is_not_ours_is_refused(anonymous: Http, token: str) -> None:
    reply = await anonymous("GET", "/api/v1/pods", Authorization=f"Bearer {token}")
    assert reply.status == (401 if token else 403)


async def test_a_token_ends_with_its_account(http: Http, learner: Http) -> None:
    assert (await learner("GET", "/version")).status == 200
    await http("DELETE", "/api/v1/namespaces/default/serviceaccounts/learner")
    assert (await learner("GET", "/version")).status == 401


async def test_a_token_ends_with_its_pod(server: ApiServer, client: LocalClient, anonymous: Http, learner: Http) -> None:
    spec = {"containers": [{"name": "main", "image": "python:3.12-slim"}]}
    await client.create("pods", {"metadata": {"name": "p", "namespace": "default"}, "spec": {**spec, "serviceAccountName": "learner"}})
    body = {"spec": {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": "p"}}}
    issued = await client.create("serviceaccounts", body, "default", subresource="token", name="learner")
    bearer = f"Bearer {issued['status']['token']}"
    assert (await anonymous("GET", "/version", Authorization=bearer)).status == 200
    await client.delete("pods", "p", "default", grace_period_seconds=0)
    assert (await anonymous("GET", "/version", Authorization=bearer)).status == 401


async def test_an_administrator_can_act_as_an_account(http: Http) -> None:
    review = {"kind": "SelfSubjectReview", "apiVersion": "authentication.k8s.io/v1"}
    reply = await http("POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", review, Impersonate_User=LEARNER)
    assert reply.body["status"]["userInfo"] == {
        "username": LEARNER,
        "groups": ["system:serviceaccounts", "system:serviceaccounts:default", "system:authenticated"],
    }


async def test_others_cannot_act_as_somebody_else(learner: Http) -> None:
    reply = await learner("GET", "/version", Impersonate_User="kubernetes-admin", Impersonate_Group="system:masters")
    assert reply.status == 403
    assert reply.body["message"] == f'forbidden: User "{LEARNER}" cannot impersonate-on:user-info:get path "/version"'


async def test_access_reviews_say_what_would_be(http: Http, learner: Http) -> None:
    await grant(http, ["get"], ["pods"])
    path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

    async def ask(verb: str) -> Object:
        attributes = {"verb": verb, "resource": "pods", "namespace": "default"}
        return (await learner("POST", path, {"spec": {"resourceAttributes": attributes}})).body["status"]

    assert (await ask("get"))["allowed"] is True
    reason = 'RBAC: allowed by RoleBinding "b/default" of Role "r" to ServiceAccount "learner/default"'
    assert (await ask("get"))["reason"] == reason
    assert await ask("delete") == {"allowed": False}
    about = {"spec": {"user": LEARNER, "resourceAttributes": {"verb": "get", "resource": "pods", "namespace": "default"}}}
    reply = await http("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", about)
    assert reply.body["status"]["allowed"] is True
    rules = await learner("POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", {"spec": {"namespace": "default"}})
    assert {"verbs": ["get"], "apiGroups": ["", "apps"], "resources": ["pods"]} in rules.body["status"]["resourceRules"]
    empty = await learner("POST", path, {"spec": {}})
    assert (empty.status, empty.body["reason"]) == (422, "Invalid")


def audit_lines(server: ApiServer, **wanted: str) -> list[Object]:
    events = [orjson.loads(line) for line in (server.folder / "audit.log").read_bytes().splitlines()]
    return [event for event in events if all(event.get(key) == value for key, value in wanted.items())]


async def test_the_audit_log_says_who_did_what(server: ApiServer, http: Http) -> None:
    body = {"metadata": {"name": "a"}, "data": {"x": "1"}}
    await http("POST", "/api/v1/namespaces/default/configmaps", body, User_Agent="kubectl/v1", Impersonate_User=LEARNER)
    await http("POST", "/api/v1/namespaces/default/configmaps", body, User_Agent="kubectl/v1")
    refused, done = audit_lines(server, verb="create", userAgent="kubectl/v1")
    assert refused["user"]["username"] == "kubernetes-admin"
    assert refused["impersonatedUser"]["username"] == LEARNER
    assert (refused["responseStatus"]["code"], refused["responseStatus"]["reason"]) == (403, "Forbidden")
    assert refused["annotations"]["authorization.k8s.io/decision"] == "forbid"
    assert (done["stage"], done["responseStatus"]["code"]) == ("ResponseComplete", 201)
    assert done["objectRef"] == {"resource": "configmaps", "namespace": "default", "name": "a", "apiVersion": "v1"}
    assert (done["level"], done["requestObject"]["data"]) == ("Request", {"x": "1"})


async def test_secrets_never_reach_the_audit_log(server: ApiServer, http: Http, learner: Http) -> None:
    await http("POST", "/api/v1/namespaces/default/secrets", {"metadata": {"name": "s"}, "stringData": {"key": "hunter2"}})
    assert b"hunter2" not in (server.folder / "audit.log").read_bytes()
    assert audit_lines(server, verb="create")[-1]["level"] == "Metadata"


async def test_heartbeats_of_components_are_not_audited(server: ApiServer) -> None:
    kubelet = LocalClient(server.services, "system:node:n1", ["system:nodes"])
    await kubelet.create("leases.coordination.k8s.io", {"metadata": {"name": "n1", "namespace": "kube-node-lease"}, "spec": {}})
    await kubelet.create("configmaps", {"metadata": {"name": "c", "namespace": "default"}})
    mine = [event for event in audit_lines(server) if event["user"]["username"] == "system:node:n1"]
    assert [event["objectRef"]["resource"] for event in mine] == ["configmaps"]


async def test_a_review_has_no_other_form_than_its_own(http: Http) -> None:
    path, table = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "application/json;as=Table;v=v1;g=meta.k8s.io"
    body = {"spec": {"resourceAttributes": {"verb": "get", "resource": "pods"}}}
    refused = await http("POST", path, body, Accept=table)
    assert (refused.status, refused.body["reason"]) == (406, "NotAcceptable")
    assert (await http("POST", path, body, Accept=f"{table},application/json")).status == 201
