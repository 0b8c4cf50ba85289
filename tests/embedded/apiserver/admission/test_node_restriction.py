"""A kubelet's identity writes its own Node and its own Pods, and is told why it may write no other."""

from __future__ import annotations

import base64
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from clusters.embedded.apiserver.local_client import LocalClient
from kubeobjects import Object

from ..conftest import Http, Reply

MERGE = "application/merge-patch+json"
PODS, ACCOUNTS = "/api/v1/namespaces/default/pods", "/api/v1/namespaces/default/serviceaccounts"
As = Callable[..., Awaitable[Reply]]


@pytest.fixture
async def kubelet(http: Http, client: LocalClient) -> As:
    """Requests as the kubelet of n1. There is a Node n1 and one n2, and a Pod `mine` and `other` on each."""
    await client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
    for node, pod in (("n1", "mine"), ("n2", "other")):
        await client.create("nodes", {"metadata": {"name": node, "labels": {"role": "cpu"}}})
        spec = {"nodeName": node, "containers": [{"name": "main", "image": "a"}]}
        await client.create("pods", {"metadata": {"name": pod, "namespace": "default", "labels": {"app": "a"}}, "spec": spec})

    async def ask(method: str, path: str, body: Any = None, **headers: str) -> Reply:
        return await http(method, path, body, Impersonate_User="system:node:n1", Impersonate_Group="system:nodes", **headers)

    return ask


def why(reply: Reply) -> str:
    assert reply.status == 403, reply.body
    message: str = reply.body["message"]
    return message


async def test_a_node_that_cannot_be_told_writes_nothing(http: Http, client: LocalClient) -> None:
    who = {"Impersonate_User": "system:node:", "Impersonate_Group": "system:nodes"}
    assert why(await http("POST", "/api/v1/nodes", {"metadata": {"name": "n1"}}, **who)).endswith('unknown node for user "system:node:"')


async def test_a_name_without_the_group_is_no_node(http: Http, kubelet: As) -> None:
    reply = await http("DELETE", f"{PODS}/mine", Impersonate_User="system:node:n1", Impersonate_Group="people")
    assert 'User "system:node:n1" cannot delete resource "pods"' in why(reply)


# The node


async def test_a_kubelet_registers_its_node_and_no_other(http: Http, client: LocalClient, kubelet: As) -> None:
    await client.delete("nodes", "n1")
    assert why(await kubelet("POST", "/api/v1/nodes", {"metadata": {"name": "n3"}})) == (
        'nodes "n3" is forbidden: node "n1" is not allowed to modify node "n3"'
    )
    labels = {"kubernetes.io/os": "linux", "gpu": "a100", "mine.kubelet.kubernetes.io/a": "b"}
    given = {"node-role.kubernetes.io/control-plane": "", "x.node-restriction.kubernetes.io/y": "z", "a.k8s.io/b": "c"}
    assert why(await kubelet("POST", "/api/v1/nodes", {"metadata": {"name": "n1", "labels": labels | given}})) == (
        'nodes "n1" is forbidden: node "n1" is not allowed to set the following labels: '
        "a.k8s.io/b, node-role.kubernetes.io/control-plane, x.node-restriction.kubernetes.io/y"
    )
    taints = [{"key": "gpu", "effect": "NoSchedule"}]
    made = await kubelet("POST", "/api/v1/nodes", {"metadata": {"name": "n1", "labels": labels}, "spec": {"taints": taints}})
    assert (made.status, made.body["metadata"]["labels"]) == (201, labels)


@pytest.mark.parametrize(
    ("patch", "told"),
    [
        ({"metadata": {"labels": {"node-role.kubernetes.io/gpu": ""}}}, "is not allowed to modify labels: node-role.kubernetes.io/gpu"),
        ({"spec": {"taints": [{"key": "a", "effect": "NoSchedule"}]}}, 'node "n1" is not allowed to modify taints'),
        (
            {"metadata": {"ownerReferences": [{"apiVersion": "v1", "kind": "Node", "name": "n2", "uid": "u"}]}},
            'node "n1" is not allowed to modify ownerReferences',
        ),
    ],
)
async def test_a_kubelet_does_not_draw_pods_to_its_node(kubelet: As, patch: Object, told: str) -> None:
    assert why(await kubelet("PATCH", "/api/v1/nodes/n1", patch, Content_Type=MERGE)) == f'nodes "n1" is forbidden: {told}'
    # The same by way of the status, which takes metadata along.
    if "labels" in patch.get("metadata", {}):
        reply = await kubelet("PATCH", "/api/v1/nodes/n1/status", patch, Content_Type=MERGE)
        assert why(reply) == f'nodes "n1" is forbidden: {told}'


async def test_a_kubelet_says_how_its_own_node_is(kubelet: As) -> None:
    ready = {"status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert (await kubelet("PATCH", "/api/v1/nodes/n1/status", ready, Content_Type=MERGE)).status == 200
    assert (await kubelet("PATCH", "/api/v1/nodes/n1", {"metadata": {"labels": {"role": "gpu"}}}, Content_Type=MERGE)).status == 200
    reply = await kubelet("PATCH", "/api/v1/nodes/n2/status", ready, Content_Type=MERGE)
    assert why(reply) == 'nodes "n2" is forbidden: node "n1" is not allowed to modify node "n2"'


# Pods


async def test_a_kubelet_writes_the_status_of_its_own_pods(kubelet: As) -> None:
    running = {"status": {"phase": "Running"}}
    assert (await kubelet("PATCH", f"{PODS}/mine/status", running, Content_Type=MERGE)).status == 200
    assert why(await kubelet("PATCH", f"{PODS}/other/status", running, Content_Type=MERGE)) == (
        'pods "other" is forbidden: node "n1" can only update pod status for pods with spec.nodeName set to itself'
    )
    relabelled = {"metadata": {"labels": {"app": "b"}}}
    assert why(await kubelet("PATCH", f"{PODS}/mine/status", relabelled, Content_Type=MERGE)) == (
        'pods "mine" is forbidden: node "n1" cannot update labels through pod status'
    )
    claimed = {"status": {"resourceClaimStatuses": [{"name": "gpu", "resourceClaimName": "a"}]}}
    assert why(await kubelet("PATCH", f"{PODS}/mine/status", claimed, Content_Type=MERGE)) == (
        'pods "mine" is forbidden: node "n1" cannot update resource claim statues'
    )


async def test_a_kubelet_ends_its_own_pods(kubelet: As) -> None:
    assert why(await kubelet("DELETE", f"{PODS}/other")) == (
        'pods "other" is forbidden: node "n1" can only delete pods with spec.nodeName set to itself'
    )
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "other"}}
    assert why(await kubelet("POST", f"{PODS}/other/eviction", eviction)) == (
        'pods "other" is forbidden: node n1 can only evict pods with spec.nodeName set to itself'
    )
    assert (await kubelet("POST", f"{PODS}/none/eviction", {**eviction, "metadata": {"name": "none"}})).status == 404
    assert (await kubelet("POST", f"{PODS}/mine/eviction", {**eviction, "metadata": {"name": "mine"}})).status == 201
    assert (await kubelet("DELETE", f"{PODS}/mine?gracePeriodSeconds=0")).status == 200


async def test_a_kubelet_creates_mirror_pods_of_its_own_only(http: Http, kubelet: As) -> None:
    uid = (await http("GET", "/api/v1/nodes/n1")).body["metadata"]["uid"]
    owner = {"apiVersion": "v1", "kind": "Node", "name": "n1", "uid": uid, "controller": True}
    only = 'node "n1" can only create pods with'

    async def told(metadata: Object, spec: Object | None = None) -> str:
        body = {"metadata": {"name": "static", **metadata}, "spec": {"containers": [{"name": "main", "image": "a"}], **(spec or {})}}
        reply = await kubelet("POST", PODS, body)
        return "created" if reply.status == 201 else why(reply).removeprefix('pods "static" is forbidden: ')

    mirror = {"annotations": {"kubernetes.io/config.mirror": "hash"}}
    mine = {"nodeName": "n1"}
    assert await told({}, mine) == ('pod does not have "kubernetes.io/config.mirror" annotation, node "n1" can only create mirror pods')
    assert await told(mirror, {"nodeName": "n2"}) == f"{only} spec.nodeName set to itself"
    assert await told(mirror, mine) == f"{only} an owner reference set to itself"
    assert await told({**mirror, "ownerReferences": [owner, {**owner, "name": "n2"}]}, mine) == (
        f"{only} a single owner reference set to itself"
    )
    assert await told({**mirror, "ownerReferences": [{**owner, "name": "n2"}]}, mine) == f"{only} an owner reference set to itself"
    uncontrolled = {key: value for key, value in owner.items() if key != "controller"}
    assert await told({**mirror, "ownerReferences": [uncontrolled]}, mine) == f"{only} a controller owner reference set to itself"
    assert await told({**mirror, "ownerReferences": [{**owner, "blockOwnerDeletion": True}]}, mine) == (
        'node "n1" must not set blockOwnerDeletion on an owner reference'
    )
    assert await told({**mirror, "ownerReferences": [{**owner, "uid": "u"}]}, mine) == f"node n1 UID mismatch: expected u got {uid}"
    owned = {**mirror, "ownerReferences": [owner]}
    assert await told(owned, {**mine, "serviceAccountName": "default"}) == ('node "n1" can not create pods that reference serviceaccounts')
    volume = {"name": "v", "persistentVolumeClaim": {"claimName": "c"}}
    assert await told(owned, {**mine, "volumes": [volume]}) == 'node "n1" can not create pods that reference persistentvolumeclaims'
    token = {"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}
    assert await told(owned, {**mine, "volumes": [token]}) == (
        'node "n1" can not create pods that reference serviceaccounts (via projected volumes)'
    )
    assert await told(owned, {**mine, "imagePullSecrets": [{"name": "s"}]}) == 'node "n1" can not create pods that reference secrets'
    assert await told(owned, mine) == "created"


# What belongs to its Pods


async def test_a_kubelet_gets_tokens_for_its_own_pods(http: Http, kubelet: As) -> None:
    uids = {name: (await http("GET", f"{PODS}/{name}")).body["metadata"]["uid"] for name in ("mine", "other")}

    async def token(bound: Object | None, *audiences: str) -> Reply:
        return await kubelet("POST", f"{ACCOUNTS}/default/token", {"spec": {"audiences": audiences, "boundObjectRef": bound}})

    def pod(name: str, uid: str | None = None) -> Object:
        return {"apiVersion": "v1", "kind": "Pod", "name": name, "uid": uids[name] if uid is None else uid}

    refused = 'serviceaccounts "default" is forbidden: '
    assert why(await token(None)) == refused + "node requested token not bound to a pod"
    assert why(await token({**pod("mine"), "kind": "Secret"})) == refused + "node requested token not bound to a pod"
    assert why(await token(pod("mine", ""))) == refused + "node requested token with a pod binding without a uid"
    assert why(await token(pod("mine", "u"))) == (
        f"{refused}the UID in the bound object reference (u) does not match the UID in record. "
        "The object might have been deleted and then recreated"
    )
    assert why(await token(pod("other"))) == refused + "node requested token bound to a pod scheduled on a different node"
    assert why(await token(pod("mine"), "vault")) == (
        f'{refused}audience "vault" not found in pod spec volume, system:node:n1 is not authorized to request tokens for this audience'
    )
    assert why(await token(pod("mine"), "a", "b")) == refused + "node may only request 0 or 1 audiences"
    assert (await token(pod("mine"))).status == 201


async def test_a_kubelet_keeps_its_own_lease(kubelet: As) -> None:
    leases = "/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases"
    assert why(await kubelet("POST", leases, {"metadata": {"name": "n2"}})) == (
        'leases.coordination.k8s.io "n2" is forbidden: can only access node lease with the same name as the requesting node'
    )
    assert (await kubelet("POST", leases, {"metadata": {"name": "n1"}})).status == 201


async def test_a_kubelet_tells_of_its_own_devices(kubelet: As) -> None:
    slices = "/apis/resource.k8s.io/v1/resourceslices"
    spec = {"driver": "gpu.nvidia.com", "pool": {"name": "n1", "generation": 1, "resourceSliceCount": 1}}
    assert why(await kubelet("POST", slices, {"metadata": {"name": "a"}, "spec": {**spec, "nodeName": "n2"}})) == (
        'resourceslices.resource.k8s.io "a" is forbidden: can only create ResourceSlice with the same NodeName as the requesting node'
    )
    assert (await kubelet("POST", slices, {"metadata": {"name": "a"}, "spec": {**spec, "nodeName": "n1"}})).status == 201


def signing_request(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


async def test_a_kubelet_asks_for_a_certificate_of_its_own_name(kubelet: As) -> None:
    path = "/apis/certificates.k8s.io/v1/certificatesigningrequests"
    spec = {"signerName": "kubernetes.io/kubelet-serving", "usages": ["digital signature", "server auth"]}
    refused = 'certificatesigningrequests.certificates.k8s.io "c" is forbidden: '
    other = await kubelet("POST", path, {"metadata": {"name": "c"}, "spec": {**spec, "request": signing_request("system:node:n2")}})
    assert why(other) == refused + "can only create a node CSR with CN=system:node:n1"
    nonsense = await kubelet("POST", path, {"metadata": {"name": "c"}, "spec": {**spec, "request": base64.b64encode(b"a").decode()}})
    assert why(nonsense) == refused + "unable to parse csr: PEM block type must be CERTIFICATE REQUEST"
    mine = {"metadata": {"name": "c"}, "spec": {**spec, "request": signing_request("system:node:n1")}}
    assert (await kubelet("POST", path, mine)).status == 201
