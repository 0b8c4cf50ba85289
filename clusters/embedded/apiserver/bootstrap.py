"""What every cluster has from its first moment, as data in `bootstrap/`; created where it is missing and otherwise left alone."""

from __future__ import annotations

import json
from pathlib import Path

from clusters.embedded.apiserver.authorization import Authorizer
from clusters.embedded.apiserver.registry import Caller, Registry, Transform
from clusters.embedded.apiserver.request import User
from clusters.embedded.errors import ApiError
from clusters.embedded.pki import FRONT_PROXY_NAME, Certificates
from clusters.embedded.resources import by_kind, by_name
from kubeobjects import Object

_FOLDER = Path(__file__).with_name("bootstrap")
_ADDRESS = "172.18.0.2"


async def ensure(registry: Registry, authorizer: Authorizer, port: int, certificates: Certificates) -> None:
    """Creates the objects of every file in `bootstrap/`, and what the kubernetes Service leads to."""
    caller = Caller(User("system:apiserver", ("system:masters",)), "kube-apiserver")
    for file in sorted(_FOLDER.glob("*.json")):
        for obj in json.loads(file.read_text()):
            await _ensure(registry, caller, obj)
    await _aggregate(registry, authorizer, caller)
    for obj in (*_kubernetes_endpoints(port), _extension_authentication(certificates)):
        await _ensure(registry, caller, obj, replace=True)


async def _ensure(registry: Registry, caller: Caller, obj: Object, *, replace: bool = False) -> None:
    resource = by_kind()[obj["apiVersion"], obj["kind"]]
    name, namespace = obj["metadata"]["name"], obj["metadata"].get("namespace")
    if registry.store.get(resource.name, name, namespace) is None:
        try:
            await registry.create(caller, resource, namespace, obj)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
    elif replace:
        await registry.update(caller, resource, namespace, name, lambda old: {**old, **obj, "metadata": old["metadata"]})


async def _aggregate(registry: Registry, authorizer: Authorizer, caller: Caller) -> None:
    """Writes into aggregated roles what they come to, for those who read them; the authorizer gathers it afresh each time."""
    resource = by_name()["clusterroles.rbac.authorization.k8s.io"]
    for role in registry.store.list(resource.name):
        if role.get("aggregationRule"):
            await registry.update(caller, resource, None, role["metadata"]["name"], _with_rules(authorizer.rules_of(role)))


def _with_rules(rules: list[Object]) -> Transform:
    return lambda old: {**old, "rules": rules}


def _extension_authentication(certificates: Certificates) -> Object:
    """How servers of aggregated APIs tell that a request comes from this API server, and as whom (pkg/controlplane/controller/clusterauthenticationtrust)."""
    data = {
        "client-ca-file": certificates.ca.read_text(),
        "requestheader-allowed-names": json.dumps([FRONT_PROXY_NAME]),
        "requestheader-client-ca-file": certificates.front_proxy_ca.read_text(),
        "requestheader-extra-headers-prefix": '["X-Remote-Extra-"]',
        "requestheader-group-headers": '["X-Remote-Group"]',
        "requestheader-uid-headers": '["X-Remote-Uid"]',
        "requestheader-username-headers": '["X-Remote-User"]',
    }
    metadata = {"name": "extension-apiserver-authentication", "namespace": "kube-system"}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _kubernetes_endpoints(port: int) -> list[Object]:
    """Where the kubernetes Service leads: the port is another one after a restart."""
    return [
        {
            "apiVersion": "v1",
            "kind": "Endpoints",
            "metadata": {
                "name": "kubernetes",
                "namespace": "default",
                "labels": {"endpointslice.kubernetes.io/skip-mirror": "true"},
            },
            "subsets": [{"addresses": [{"ip": _ADDRESS}], "ports": [{"name": "https", "port": port, "protocol": "TCP"}]}],
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": "kubernetes", "namespace": "default", "labels": {"kubernetes.io/service-name": "kubernetes"}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [_ADDRESS], "conditions": {"ready": True}}],
            "ports": [{"name": "https", "port": port, "protocol": "TCP"}],
        },
    ]
