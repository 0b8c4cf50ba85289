"""The environment of a container, without a cluster."""

from __future__ import annotations

import base64

import pytest

from clusters.embedded.kubelet.environment import ConfigError, Environment, expand, service_links
from kubeobjects import Object

POD: Object = {
    "metadata": {"name": "api", "namespace": "prod", "uid": "u-1", "labels": {"app": "api"}, "annotations": {}},
    "spec": {"nodeName": "node-1", "serviceAccountName": "default", "containers": []},
}


def _service(name: str, namespace: str, address: str, *ports: Object) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"clusterIP": address, "ports": list(ports)}}


def _env(container: Object, *, config_maps: dict[str, Object] | None = None, secrets: dict[str, Object] | None = None) -> dict[str, str]:
    return Environment(
        POD,
        config_map=(config_maps or {}).get,
        secret=(secrets or {}).get,
        services=[],
        addresses={"podIP": "10.244.1.7", "hostIP": "172.18.0.3"},
        allocatable={"cpu": "2", "memory": "8Gi"},
    ).of({"name": "main", **container})


def test_references_are_replaced_where_the_name_is_known() -> None:
    assert expand("$(A)-$(B)-$$(A)-$A", {"A": "1"}) == "1-$(B)-$(A)-$A"


def test_a_variable_may_use_the_ones_before_it() -> None:
    env = _env({"env": [{"name": "HOST", "value": "api"}, {"name": "URL", "value": "http://$(HOST):80"}]})
    assert env["URL"] == "http://api:80"


def test_env_wins_over_env_from_and_prefixes_are_put_before_names() -> None:
    env = _env(
        {"envFrom": [{"prefix": "M_", "configMapRef": {"name": "m"}}], "env": [{"name": "M_A", "value": "own"}]},
        config_maps={"m": {"data": {"A": "1", "B": "2"}}},
    )
    assert env == {"M_A": "own", "M_B": "2"}


def test_a_secret_is_decoded() -> None:
    source = {"secretKeyRef": {"name": "s", "key": "k"}}
    env = _env({"env": [{"name": "K", "valueFrom": source}]}, secrets={"s": {"data": {"k": base64.b64encode(b"v").decode()}}})
    assert env["K"] == "v"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"configMapKeyRef": {"name": "none", "key": "k"}}, 'configmap "none" not found'),
        ({"configMapKeyRef": {"name": "m", "key": "k"}}, "couldn't find key k in ConfigMap prod/m"),
        ({"secretKeyRef": {"name": "none", "key": "k"}}, 'secret "none" not found'),
    ],
)
def test_what_is_missing_is_named_unless_it_is_optional(source: Object, words: str) -> None:
    maps = {"m": {"data": {}}}
    with pytest.raises(ConfigError, match=words):
        _env({"env": [{"name": "X", "valueFrom": source}]}, config_maps=maps)
    optional = {kind: reference | {"optional": True} for kind, reference in source.items()}
    assert _env({"env": [{"name": "X", "valueFrom": optional}]}, config_maps=maps) == {}


def test_the_downward_api_tells_of_the_pod_and_of_its_limits() -> None:
    fields = {"NAME": "metadata.name", "IP": "status.podIP", "NODE": "spec.nodeName", "APP": "metadata.labels['app']"}
    variables = [{"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()]
    limits = {"MEMORY": ("limits.memory", "1Mi"), "CPU": ("limits.cpu", "1m"), "ALL": ("limits.cpu", "1")}
    variables += [
        {"name": name, "valueFrom": {"resourceFieldRef": {"resource": resource, "divisor": divisor}}}
        for name, (resource, divisor) in limits.items()
    ]
    env = _env({"env": variables, "resources": {"limits": {"memory": "96Mi"}}})
    assert env == {"NAME": "api", "IP": "10.244.1.7", "NODE": "node-1", "APP": "api", "MEMORY": "96", "CPU": "2000", "ALL": "2"}


def test_service_links_have_the_names_that_docker_gave_them() -> None:
    services = [
        _service("redis-master", "prod", "10.96.0.11", {"port": 6379, "protocol": "TCP", "name": "client"}),
        _service("headless", "prod", "None", {"port": 80}),
        _service("other", "elsewhere", "10.96.0.12", {"port": 80}),
        _service("kubernetes", "default", "10.96.0.1", {"port": 443, "protocol": "TCP", "name": "https"}),
    ]
    links = service_links(services, "prod", True)
    assert links["REDIS_MASTER_SERVICE_HOST"] == "10.96.0.11"
    assert links["REDIS_MASTER_SERVICE_PORT_CLIENT"] == "6379"
    assert links["REDIS_MASTER_PORT_6379_TCP_ADDR"] == "10.96.0.11"
    assert links["KUBERNETES_SERVICE_HOST"] == "10.96.0.1"
    assert not [name for name in links if name.startswith(("HEADLESS", "OTHER"))]
    assert set(service_links(services, "prod", False)) == {name for name in links if name.startswith("KUBERNETES")}
