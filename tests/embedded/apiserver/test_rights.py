"""Nobody gets more than they were given: by roles and bindings, by acting as others, by tokens for others, as a node."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer
from kubeobjects import Object

from .conftest import Http, trusting

GROUP = "rbac.authorization.k8s.io"
RBAC = f"/apis/{GROUP}/v1"
CLIMBER = "system:serviceaccount:default:climber"
EVERYTHING = {"clusterRoleSelectors": [{"matchLabels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}]}
MERGE, APPLY = "application/merge-patch+json", "application/apply-patch+yaml"
REVIEW = "/apis/authentication.k8s.io/v1/selfsubjectreviews"
TOKEN_REVIEW = "/apis/authentication.k8s.io/v1/tokenreviews"
ISSUER = "https://kubernetes.default.svc.cluster.local"


async def token_of(client: LocalClient, name: str, **spec: Any) -> str:
    request = await client.create("serviceaccounts", {"spec": spec}, "default", subresource="token", name=name)
    token: str = request["status"]["token"]
    return token


@pytest.fixture
async def climber(server: ApiServer, client: LocalClient) -> AsyncIterator[Http]:
    """A ServiceAccount that holds no role yet."""
    await client.create("serviceaccounts", {"metadata": {"name": "climber", "namespace": "default"}})
    found = Http(server.url, trusting(server), {"Authorization": f"Bearer {await token_of(client, 'climber')}"})
    yield found
    await found.session.close()


async def grant(http: Http, name: str, *rules: Object) -> None:
    """Gives the climber `rules` in the whole cluster."""
    assert (await http("POST", f"{RBAC}/clusterroles", {"metadata": {"name": name}, "rules": rules})).status == 201
    subject = {"kind": "ServiceAccount", "name": "climber", "namespace": "default"}
    assert (await http("POST", f"{RBAC}/clusterrolebindings", binding(name, name, subject))).status == 201


def rule(verbs: list[str], resources: list[str], group: str = "", **more: Any) -> Object:
    return {"verbs": verbs, "apiGroups": [group], "resources": resources, **more}


def binding(name: str, role: str, subject: Object, kind: str = "ClusterRole") -> Object:
    return {"metadata": {"name": name}, "roleRef": {"apiGroup": GROUP, "kind": kind, "name": role}, "subjects": [subject]}


ME = {"kind": "ServiceAccount", "name": "climber", "namespace": "default"}
ROLES = rule(
    ["create", "update", "patch", "get", "delete"],
    ["clusterroles", "clusterrolebindings", "roles", "rolebindings"],
    "rbac.authorization.k8s.io",
)


@pytest.mark.parametrize("how", ["create", "update", "merge", "json", "apply"])
async def test_a_role_that_gathers_others_is_for_administrators(http: Http, climber: Http, how: str) -> None:
    await grant(http, "roles", ROLES)
    path = f"{RBAC}/clusterroles/stair"
    if how != "create":
        created = await climber("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "stair"}, "rules": []})
        assert created.status == 201
        assert (await climber("POST", f"{RBAC}/clusterrolebindings", binding("stair", "stair", ME))).status == 201
    if how == "create":
        reply = await climber("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "stair"}, "aggregationRule": EVERYTHING})
    elif how == "update":
        reply = await climber("PUT", path, {"metadata": {"name": "stair"}, "aggregationRule": EVERYTHING})
    elif how == "merge":
        reply = await climber("PATCH", path, {"aggregationRule": EVERYTHING}, Content_Type=MERGE)
    elif how == "json":
        operations = [{"op": "add", "path": "/aggregationRule", "value": EVERYTHING}]
        reply = await climber("PATCH", path, operations, Content_Type="application/json-patch+json")
    else:
        body = {"apiVersion": f"{GROUP}/v1", "kind": "ClusterRole", "metadata": {"name": "stair"}, "aggregationRule": EVERYTHING}
        reply = await climber("PATCH", f"{path}?fieldManager=me", body, Content_Type=APPLY)
    assert reply.status == 403
    assert reply.body["message"] == (
        'clusterroles.rbac.authorization.k8s.io "stair" is forbidden: must have cluster-admin privileges to use the aggregationRule'
    )
    assert (await climber("GET", "/api/v1/secrets")).status == 403


async def test_a_role_that_gathers_others_is_not_changed_either(http: Http, climber: Http) -> None:
    await grant(http, "roles", ROLES)
    reply = await climber("PATCH", f"{RBAC}/clusterroles/view", {"aggregationRule": None}, Content_Type=MERGE)
    assert reply.status == 403
    # Letting go of an object is no grant.
    freed = await climber("PATCH", f"{RBAC}/clusterroles/roles", {"metadata": {"finalizers": None}}, Content_Type=MERGE)
    assert freed.status == 200


@pytest.mark.parametrize(
    ("path", "kind", "missing"),
    [
        ("clusterrolebindings", "ClusterRole", "clusterroles"),
        ("namespaces/default/rolebindings", "ClusterRole", "clusterroles"),
        ("namespaces/default/rolebindings", "Role", "roles"),
    ],
)
async def test_a_binding_needs_its_role(http: Http, climber: Http, path: str, kind: str, missing: str) -> None:
    await grant(http, "roles", ROLES)
    reply = await climber("POST", f"{RBAC}/{path}", binding("early", "later", ME, kind))
    assert (reply.status, reply.body["message"]) == (404, f'{missing}.{GROUP} "later" not found')
    # Who may bind any role may bind one that is still to come.
    await grant(http, "bind", rule(["bind"], ["roles", "clusterroles"], GROUP))
    assert (await climber("POST", f"{RBAC}/{path}", binding("early", "later", ME, kind))).status == 201


async def test_a_binding_is_not_moved_to_people_who_get_more(http: Http, climber: Http) -> None:
    await grant(http, "roles", ROLES)
    await http("POST", f"{RBAC}/clusterrolebindings", binding("others", "cluster-admin", {"kind": "User", "name": "x", "apiGroup": GROUP}))
    patch = {"subjects": [{"kind": "ServiceAccount", "name": "climber", "namespace": "default"}]}
    reply = await climber("PATCH", f"{RBAC}/clusterrolebindings/others", patch, Content_Type=MERGE)
    assert reply.status == 403
    assert (
        f'user "{CLIMBER}" (groups=["system:serviceaccounts" "system:serviceaccounts:default" "system:authenticated"])'
        in (reply.body["message"])
    )


async def test_what_is_missing_is_told_by_resource(http: Http, climber: Http) -> None:
    await grant(http, "roles", ROLES)
    rules = [rule(["watch", "get"], ["secrets", "nodes"]), {"verbs": ["get"], "nonResourceURLs": ["/metrics"]}]
    reply = await climber("POST", f"{RBAC}/clusterroles", {"metadata": {"name": "more"}, "rules": rules})
    assert reply.body["message"].split("\n")[1:] == [
        '{APIGroups:[""], Resources:["nodes"], Verbs:["watch" "get"]}',
        '{APIGroups:[""], Resources:["secrets"], Verbs:["watch" "get"]}',
        '{NonResourceURLs:["/metrics"], Verbs:["get"]}',
    ]


# Acting as others


async def test_who_may_act_as_users_counts_as_authenticated(http: Http, climber: Http) -> None:
    await grant(http, "act", rule(["impersonate"], ["users"]))
    reply = await climber("POST", REVIEW, {}, Impersonate_User="ann")
    assert reply.body["status"]["userInfo"] == {"username": "ann", "groups": ["system:authenticated"]}


@pytest.mark.parametrize(
    ("headers", "resource"),
    [
        ({"Impersonate_Uid": "7"}, "uids"),
        ({"Impersonate_Extra_scopes": "all"}, "userextras/scopes"),
        ({"Impersonate_Group": "system:masters"}, "groups"),
    ],
)
async def test_every_part_of_another_user_must_be_granted(http: Http, climber: Http, headers: Object, resource: str) -> None:
    await grant(http, "act", rule(["impersonate"], ["users"]), rule(["impersonate-on:user-info:*"], ["*"], "*"))
    reply = await climber("POST", REVIEW, {}, Impersonate_User="ann", **headers)
    assert reply.status == 403
    group = "" if resource == "groups" else "authentication.k8s.io"
    await grant(http, "part", rule(["impersonate"], [resource], group))
    acting = await climber("POST", REVIEW, {}, Impersonate_User="ann", **headers)
    assert acting.status == 201
    info = acting.body["status"]["userInfo"]
    assert info["groups"][-1] == "system:authenticated"
    assert info.get("uid") == headers.get("Impersonate_Uid")
    assert info.get("extra") == ({"scopes": ["all"]} if "Impersonate_Extra_scopes" in headers else None)


async def test_a_part_of_a_user_needs_a_name(climber: Http) -> None:
    reply = await climber("GET", "/version", Impersonate_Uid="7")
    assert (reply.status, reply.body["message"]) == (
        400,
        'requested &user.DefaultInfo{Name:"", UID:"7", Groups:[]string(nil), Extra:map[string][]string(nil)} '
        "without impersonating a user name",
    )


async def test_acting_as_others_may_be_granted_for_single_verbs(http: Http, climber: Http) -> None:
    await grant(
        http,
        "act",
        rule(["impersonate:user-info"], ["users"], "authentication.k8s.io", resourceNames=["ann"]),
        rule(["impersonate-on:user-info:create"], ["selfsubjectreviews"], "authentication.k8s.io"),
    )
    assert (await climber("POST", REVIEW, {}, Impersonate_User="ann")).status == 201
    assert (await climber("POST", REVIEW, {}, Impersonate_User="bob")).status == 403
    masters = await climber("POST", REVIEW, {}, Impersonate_User="ann", Impersonate_Group="system:masters")
    assert masters.status == 403
    assert "impersonating the system:masters group is not allowed" in masters.body["message"]
    listed = await climber("GET", "/api/v1/pods", Impersonate_User="ann")
    assert listed.body["message"] == (
        f'pods is forbidden: User "{CLIMBER}" cannot impersonate-on:user-info:list resource "pods" in API group "" at the cluster scope'
    )


async def test_the_names_of_components_are_no_keys_to_everything(http: Http) -> None:
    for name in ("system:apiserver", "system:kube-scheduler", "system:kube-controller-manager"):
        reply = await http("DELETE", "/api/v1/namespaces/default/secrets?labelSelector=a%3Db", Impersonate_User=name)
        assert reply.status == 403
    assert (await http("GET", "/api/v1/pods", Impersonate_User="system:kube-scheduler")).status == 200


async def test_a_node_reads_what_its_pods_refer_to(http: Http, client: LocalClient) -> None:
    spec = {
        "nodeName": "n1",
        "containers": [{"name": "main", "image": "a", "envFrom": [{"configMapRef": {"name": "settings"}}]}],
        "volumes": [{"name": "v", "secret": {"secretName": "own"}}],
    }
    await client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
    await client.create("pods", {"metadata": {"name": "p", "namespace": "default"}, "spec": spec})
    for name in ("own", "other"):
        await client.create("secrets", {"metadata": {"name": name, "namespace": "default"}})

    async def status(method: str, path: str, body: Any = None, node: str = "n1") -> int:
        who = {"Impersonate_User": f"system:node:{node}", "Impersonate_Group": "system:nodes"}
        return (await http(method, path, body, **who)).status

    secrets, accounts = "/api/v1/namespaces/default/secrets", "/api/v1/namespaces/default/serviceaccounts"
    assert await status("GET", f"{secrets}/own") == 200
    assert await status("GET", f"{secrets}/own", node="n2") == 403
    assert await status("GET", f"{secrets}/other") == 403
    assert await status("GET", secrets) == 403
    assert await status("GET", "/api/v1/pods") == 403
    assert await status("GET", "/api/v1/pods?fieldSelector=spec.nodeName%3Dn1") == 200
    assert await status("GET", "/api/v1/nodes/n2") == 403
    assert await status("GET", "/api/v1/services") == 200
    bound = {
        "apiVersion": "v1",
        "kind": "Pod",
        "name": "p",
        "uid": (await http("GET", "/api/v1/namespaces/default/pods/p")).body["metadata"]["uid"],
    }
    assert await status("POST", f"{accounts}/default/token", {"spec": {"boundObjectRef": bound}}) == 201
    assert await status("POST", f"{accounts}/default/token", {"spec": {"boundObjectRef": bound}}, node="n2") == 403
    reply = await http("GET", f"{secrets}/other", Impersonate_User="system:node:n1", Impersonate_Group="system:nodes")
    assert reply.body["message"].endswith("no relationship found between node 'n1' and this object")


# Tokens


async def test_a_token_for_others_is_not_good_here(server: ApiServer, http: Http, climber: Http, client: LocalClient) -> None:
    token = await token_of(client, "climber", audiences=["mine"])
    stranger = Http(server.url, trusting(server), {"Authorization": f"Bearer {token}"})
    reply = await stranger("GET", "/version")
    await stranger.session.close()
    assert (reply.status, reply.body["message"]) == (401, "Unauthorized")

    async def review(audiences: list[str], token: str = token) -> Object:
        answer: Object = (await http("POST", TOKEN_REVIEW, {"spec": {"token": token, "audiences": audiences}})).body["status"]
        return answer

    good = await review(["mine", "yours"])
    assert (good["authenticated"], good["audiences"], good["user"]["username"]) == (True, ["mine"], CLIMBER)
    assert await review([]) == {
        "user": {},
        "error": f'token audiences ["mine"] is invalid for the target audiences ["{ISSUER}"]',
    }
    both = await token_of(client, "climber", audiences=["mine", ISSUER])
    assert (await review([], both))["audiences"] == [ISSUER]
    assert (await review(["mine"], "rubbish"))["error"] == "invalid bearer token"
    nothing = await http("POST", TOKEN_REVIEW, {"spec": {}})
    assert (nothing.status, nothing.body["message"]) == (400, "token is required for TokenReview in authentication")


@pytest.mark.parametrize(
    ("body", "code", "words"),
    [
        ({"spec": {"expirationSeconds": 60}}, 422, "may not specify a duration less than 10 minutes"),
        ({"spec": {"expirationSeconds": 2**33}}, 422, "may not specify a duration larger than 2^32 seconds"),
        ({"metadata": {"name": "other"}}, 422, "must match the service account name if specified"),
        ({"metadata": {"uid": "other"}}, 409, "the UID in the token request (other) does not match the UID of the service account"),
        (
            {"spec": {"boundObjectRef": {"apiVersion": "v1", "kind": "Pod", "name": "p"}}},
            400,
            "pod running with different serviceaccount name",
        ),
        ({"spec": {"boundObjectRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "p"}}}, 400, "apps/v1, Kind=Deployment"),
    ],
)
async def test_a_token_is_asked_for_rightly(http: Http, climber: Http, client: LocalClient, body: Object, code: int, words: str) -> None:
    await client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
    pod = {"metadata": {"name": "p", "namespace": "default"}, "spec": {"containers": [{"name": "main", "image": "a"}]}}
    await client.create("pods", pod)
    reply = await http("POST", "/api/v1/namespaces/default/serviceaccounts/climber/token", body)
    assert reply.status == code
    assert words in reply.body["message"]


async def test_a_token_ends_with_its_secret(server: ApiServer, http: Http, climber: Http, client: LocalClient) -> None:
    await client.create("secrets", {"metadata": {"name": "s", "namespace": "default"}})
    token = await token_of(client, "climber", boundObjectRef={"apiVersion": "v1", "kind": "Secret", "name": "s"})
    bound = Http(server.url, trusting(server), {"Authorization": f"Bearer {token}"})
    assert (await bound("GET", "/version")).status == 200
    await http("DELETE", "/api/v1/namespaces/default/secrets/s")
    assert (await bound("GET", "/version")).status == 401
    await bound.session.close()


# Verbs that stand for more than they seem


@pytest.mark.parametrize("subresource", ["exec", "attach", "portforward"])
async def test_reading_a_stream_of_a_pod_is_not_enough_to_open_it(http: Http, climber: Http, subresource: str) -> None:
    await grant(http, "read", rule(["get"], [f"pods/{subresource}"]))
    path = f"/api/v1/namespaces/default/pods/p/{subresource}?command=id&stdout=1"
    assert (await climber("GET", path)).status == 403
    await grant(http, "open", rule(["create"], [f"pods/{subresource}"]))
    assert (await climber("GET", path)).status == 404


async def test_a_certificate_is_approved_by_those_who_may_speak_for_its_signer(http: Http, climber: Http, client: LocalClient) -> None:
    requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    spec = {"request": "LS0t", "signerName": "kubernetes.io/kube-apiserver-client", "usages": ["client auth"]}
    await client.create("certificatesigningrequests.certificates.k8s.io", {"metadata": {"name": "r"}, "spec": spec})
    await grant(http, "approve", rule(["update", "patch"], ["certificatesigningrequests/approval"], "certificates.k8s.io"))
    patch = {"status": {"conditions": [{"type": "Approved", "status": "True", "reason": "x", "message": "y"}]}}
    refused = await climber("PATCH", f"{requests}/r/approval", patch, Content_Type=MERGE)
    assert refused.status == 403
    assert 'user not permitted to approve requests with signerName "kubernetes.io/kube-apiserver-client"' in refused.body["message"]
    await grant(http, "sign", rule(["approve"], ["signers"], "certificates.k8s.io", resourceNames=["kubernetes.io/*"]))
    assert (await climber("PATCH", f"{requests}/r/approval", patch, Content_Type=MERGE)).status == 200
