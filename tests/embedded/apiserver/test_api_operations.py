"""Every kind through its whole life, verb by verb: what upstream's conformance suite calls "API operations" and "lifecycle"."""

from __future__ import annotations

import asyncio
import base64
import json
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from kubeobjects import Object

from .conftest import Http

MERGE = "application/merge-patch+json"
CONTAINERS = [{"name": "main", "image": "python:3.12-slim"}]
TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": CONTAINERS}}
ONCE = {**TEMPLATE, "spec": {"restartPolicy": "Never", "containers": CONTAINERS}}
SELECTOR = {"matchLabels": {"app": "a"}}
DEVICES = {"devices": {"requests": [{"name": "gpu", "exactly": {"deviceClassName": "gpu.example.com"}}]}}
POOL = {"name": "pool", "generation": 1, "resourceSliceCount": 1}
RULES = [{"apiGroups": ["apps"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["deployments"]}]
HOOK = {
    "name": "check.example.com",
    "clientConfig": {"url": "https://127.0.0.1:9/"},
    "rules": RULES,
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
}
FLOW = {"priorityLevelConfiguration": {"name": "catch-all"}, "matchingPrecedence": 9000}
LEVEL = {"type": "Limited", "limited": {"nominalConcurrencyShares": 2, "limitResponse": {"type": "Reject"}}}
DEFINITION = {
    "group": "stable.example.com",
    "scope": "Namespaced",
    "names": {"plural": "crontabs", "kind": "CronTab"},
    "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
}


def _request() -> str:
    """A certificate request, as `spec.request` has it."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "jane")])
    key = ec.generate_private_key(ec.SECP256R1())
    made = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    return base64.b64encode(made.public_bytes(serialization.Encoding.PEM)).decode()


SIGNING = {"request": _request(), "signerName": "example.com/signer", "usages": ["client auth"]}

# (group and version, plural, kind, whether it is in a namespace, what the object has beside metadata)
KINDS: list[tuple[str, str, str, bool, Object]] = [
    ("v1", "configmaps", "ConfigMap", True, {"data": {"a": "1"}}),
    ("v1", "secrets", "Secret", True, {"stringData": {"a": "1"}}),
    ("v1", "serviceaccounts", "ServiceAccount", True, {}),
    ("v1", "services", "Service", True, {"spec": {"ports": [{"port": 80}]}}),
    ("v1", "podtemplates", "PodTemplate", True, {"template": TEMPLATE}),
    ("v1", "replicationcontrollers", "ReplicationController", True, {"spec": {"replicas": 0, "selector": {"app": "a"}, "template": TEMPLATE}}),
    ("v1", "resourcequotas", "ResourceQuota", True, {"spec": {"hard": {"pods": "100"}}}),
    ("v1", "limitranges", "LimitRange", True, {"spec": {"limits": [{"type": "Container", "max": {"cpu": "4"}}]}}),
    ("v1", "persistentvolumes", "PersistentVolume", False,
     {"spec": {"capacity": {"storage": "1Gi"}, "accessModes": ["ReadWriteOnce"], "hostPath": {"path": "/x"}}}),
    ("apps/v1", "deployments", "Deployment", True, {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    ("apps/v1", "replicasets", "ReplicaSet", True, {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    ("apps/v1", "daemonsets", "DaemonSet", True, {"spec": {"selector": SELECTOR, "template": TEMPLATE}}),
    ("apps/v1", "statefulsets", "StatefulSet", True, {"spec": {"serviceName": "a", "selector": SELECTOR, "template": TEMPLATE}}),
    ("apps/v1", "controllerrevisions", "ControllerRevision", True, {"data": {"a": 1}, "revision": 1}),
    ("batch/v1", "jobs", "Job", True, {"spec": {"suspend": True, "template": ONCE}}),
    ("batch/v1", "cronjobs", "CronJob", True, {"spec": {"schedule": "* * * * *", "jobTemplate": {"spec": {"template": ONCE}}}}),
    ("autoscaling/v2", "horizontalpodautoscalers", "HorizontalPodAutoscaler", True,
     {"spec": {"maxReplicas": 2, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "a"}}}),
    ("policy/v1", "poddisruptionbudgets", "PodDisruptionBudget", True, {"spec": {"minAvailable": 1, "selector": SELECTOR}}),
    ("networking.k8s.io/v1", "ingresses", "Ingress", True,
     {"spec": {"defaultBackend": {"service": {"name": "a", "port": {"number": 80}}}}}),
    ("networking.k8s.io/v1", "ingressclasses", "IngressClass", False, {"spec": {"controller": "example.com/controller"}}),
    ("networking.k8s.io/v1", "networkpolicies", "NetworkPolicy", True, {"spec": {"podSelector": {}}}),
    ("discovery.k8s.io/v1", "endpointslices", "EndpointSlice", True, {"addressType": "IPv4", "endpoints": [], "ports": []}),
    ("node.k8s.io/v1", "runtimeclasses", "RuntimeClass", False, {"handler": "runc"}),
    ("scheduling.k8s.io/v1", "priorityclasses", "PriorityClass", False, {"value": 10}),
    ("storage.k8s.io/v1", "storageclasses", "StorageClass", False, {"provisioner": "example.com/p"}),
    ("storage.k8s.io/v1", "csidrivers", "CSIDriver", False, {"spec": {}}),
    ("coordination.k8s.io/v1", "leases", "Lease", True, {"spec": {"holderIdentity": "a", "leaseDurationSeconds": 10}}),
    ("rbac.authorization.k8s.io/v1", "roles", "Role", True, {"rules": [{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]}),
    ("rbac.authorization.k8s.io/v1", "clusterroles", "ClusterRole", False, {"rules": []}),
    ("rbac.authorization.k8s.io/v1", "rolebindings", "RoleBinding", True,
     {"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "view"}}),
    ("flowcontrol.apiserver.k8s.io/v1", "flowschemas", "FlowSchema", False, {"spec": FLOW}),
    ("flowcontrol.apiserver.k8s.io/v1", "prioritylevelconfigurations", "PriorityLevelConfiguration", False, {"spec": LEVEL}),
    ("certificates.k8s.io/v1", "certificatesigningrequests", "CertificateSigningRequest", False, {"spec": SIGNING}),
    ("resource.k8s.io/v1", "deviceclasses", "DeviceClass", False, {"spec": {}}),
    ("resource.k8s.io/v1", "resourceclaims", "ResourceClaim", True, {"spec": DEVICES}),
    ("resource.k8s.io/v1", "resourceclaimtemplates", "ResourceClaimTemplate", True, {"spec": {"spec": DEVICES}}),
    ("resource.k8s.io/v1", "resourceslices", "ResourceSlice", False, {"spec": {"driver": "gpu.example.com", "pool": POOL, "allNodes": True}}),
    ("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", "ValidatingWebhookConfiguration", False, {"webhooks": [HOOK]}),
    ("admissionregistration.k8s.io/v1", "mutatingwebhookconfigurations", "MutatingWebhookConfiguration", False, {"webhooks": [HOOK]}),
    ("admissionregistration.k8s.io/v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", False,
     {"spec": {"matchConstraints": {"resourceRules": RULES}, "validations": [{"expression": "true"}]}}),
    ("admissionregistration.k8s.io/v1", "validatingadmissionpolicybindings", "ValidatingAdmissionPolicyBinding", False,
     {"spec": {"policyName": "a", "validationActions": ["Deny"]}}),
    ("apiextensions.k8s.io/v1", "customresourcedefinitions", "CustomResourceDefinition", False, {"spec": DEFINITION}),
]  # fmt: skip
# Kinds of which a name says what the object is, so that there cannot be three.
ONE = frozenset({"customresourcedefinitions"})
NAMES = ("first", "second", "third")


def _root(group_version: str) -> str:
    return f"/api/{group_version}" if "/" not in group_version else f"/apis/{group_version}"


async def _events(http: Http, path: str, version: str, wanted: tuple[str, ...]) -> list[tuple[str, str]]:
    """(type, name) of a watch's events, up to as many as are wanted."""
    found: list[tuple[str, str]] = []
    async with http.session.get(f"{http.url}{path}?watch=true&resourceVersion={version}&labelSelector=of%3Dtest") as response:
        async for line in response.content:
            event = json.loads(line)
            found.append((event["type"], event["object"]["metadata"]["name"]))
            if len(found) == len(wanted):
                return found
    return found


@pytest.mark.parametrize(
    ("group_version", "plural", "kind", "namespaced", "content"), KINDS, ids=lambda each: each if isinstance(each, str) else ""
)
async def test_a_kind_lives_through_every_verb(
    http: Http, group_version: str, plural: str, kind: str, namespaced: bool, content: Object
) -> None:
    root = _root(group_version)
    everywhere = f"{root}/{plural}"
    path = f"{root}/namespaces/default/{plural}" if namespaced else everywhere
    names = ("crontabs.stable.example.com",) if plural in ONE else NAMES

    # discovery
    listed = (await http("GET", root)).body
    [row] = [each for each in listed["resources"] if each["name"] == plural]
    assert (listed["groupVersion"], row["kind"], row["namespaced"]) == (group_version, kind, namespaced)
    assert {"create", "get", "list", "watch", "patch", "update", "delete", "deletecollection"} <= set(row["verbs"])

    # create
    for name in names:
        body = {"apiVersion": group_version, "kind": kind, "metadata": {"name": name, "labels": {"of": "test"}}, **content}
        made = await http("POST", path, body)
        assert made.status == 201, made.body
    again = await http("POST", path, body)
    assert (again.status, again.body["reason"]) == (409, "AlreadyExists")

    # get, list, watch
    one = f"{path}/{names[0]}"
    got = (await http("GET", one)).body
    assert (got["kind"], got["apiVersion"], got["metadata"]["name"]) == (kind, group_version, names[0])
    assert (await http("GET", f"{path}/nothing")).status == 404
    found = (await http("GET", f"{everywhere}?labelSelector=of%3Dtest")).body
    assert (found["kind"], sorted(each["metadata"]["name"] for each in found["items"])) == (f"{kind}List", sorted(names))
    wanted = ("MODIFIED", "MODIFIED", "DELETED") if plural not in ONE else ("MODIFIED", "MODIFIED")
    watching = asyncio.create_task(_events(http, path, found["metadata"]["resourceVersion"], wanted))

    # patch, update
    patched = await http("PATCH", one, {"metadata": {"annotations": {"patched": "true"}}}, Content_Type=MERGE)
    assert (patched.status, patched.body["metadata"]["annotations"]["patched"]) == (200, "true")
    changed: Any = (await http("GET", one)).body
    changed["metadata"]["annotations"]["updated"] = "true"
    updated = await http("PUT", one, changed)
    assert (updated.status, updated.body["metadata"]["annotations"]["updated"]) == (200, "true"), updated.body
    assert updated.body["metadata"]["uid"] == got["metadata"]["uid"]
    stale = await http("PUT", one, changed)
    assert (stale.status, stale.body["reason"]) == (409, "Conflict")

    # status
    subresource = next((each for each in listed["resources"] if each["name"] == f"{plural}/status"), None)
    if subresource is not None:
        status = await http("GET", f"{one}/status")
        assert (status.status, status.body["metadata"]["name"]) == (200, names[0])
        noted = await http("PATCH", f"{one}/status", {"metadata": {"annotations": {"noted": "true"}}}, Content_Type=MERGE)
        assert noted.status == 200, noted.body

    # delete, deletecollection
    ended = await http("DELETE", f"{one}?gracePeriodSeconds=0&propagationPolicy=Background")
    assert ended.status in (200, 202), ended.body
    if plural not in ONE:
        await _released(http, one)
    seen = await asyncio.wait_for(watching, 20)
    assert seen[:2] == [("MODIFIED", names[0])] * 2
    swept = await http("DELETE", f"{path}?labelSelector=of%3Dtest")
    assert swept.status == 200
    for name in names:
        await _released(http, f"{path}/{name}")
    left = (await http("GET", f"{everywhere}?labelSelector=of%3Dtest")).body
    assert left["items"] == []


async def _released(http: Http, one: str) -> None:
    """Takes the finalizers from an object that no controller is there to let go."""
    while (found := await http("GET", one)).status == 200:
        if found.body["metadata"].get("finalizers") and "customresourcedefinitions" not in one:
            await http("PATCH", one, {"metadata": {"finalizers": None}}, Content_Type=MERGE)
        await asyncio.sleep(0.02)
