"""Clients that people write programs with work on the embedded cluster as they are: kr8s, lightkube, and the official one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.conftest import LiveCluster

pytestmark = pytest.mark.cluster

LABELS = {"app": "greeter"}
PODS = {
    "metadata": {"labels": LABELS},
    "spec": {
        "terminationGracePeriodSeconds": 1,
        "containers": [{"name": "main", "image": "python:3.12-slim", "command": ["sh", "-c", "echo hello; sleep 600"]}],
    },
}
DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "greeter"},
    "spec": {"replicas": 1, "selector": {"matchLabels": LABELS}, "template": PODS},
}
DEFINITION: dict[str, Any] = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "spec": {
        "scope": "Namespaced",
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {"spec": {"type": "object", "properties": {"size": {"type": "integer", "default": 3}}}},
                    }
                },
            }
        ],
    },
}


@contextmanager
def defined(cluster: LiveCluster, group: str) -> Iterator[None]:
    """Models of that group are served, until the end of the block."""
    import json

    names = {"kind": "Model", "plural": "models", "singular": "model"}
    body = {**DEFINITION, "metadata": {"name": f"models.{group}"}, "spec": {**DEFINITION["spec"], "group": group, "names": names}}
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))
    cluster.kubectl("wait", "--for=condition=Established", f"crd/models.{group}", "--timeout=60s")
    try:
        yield
    finally:
        cluster.kubectl("delete", "crd", f"models.{group}", "--timeout=60s")


def test_kr8s_runs_a_deployment_and_a_custom_resource(cluster: LiveCluster) -> None:
    import kr8s
    from kr8s.objects import Deployment, new_class

    api = kr8s.api(kubeconfig=str(cluster.kubeconfig), namespace=cluster.namespace)
    deployment = Deployment({**DEPLOYMENT, "metadata": {"name": "greeter", "namespace": cluster.namespace}}, api=api)
    deployment.create()
    deployment.wait("condition=Available", timeout=60)
    (pod,) = deployment.pods()
    assert list(pod.logs()) == ["hello"]
    assert pod.exec(["echo", "from inside"]).stdout == b"from inside\n"
    deployment.scale(2)
    assert {each.name for each in api.get("pods", namespace=cluster.namespace, label_selector=LABELS)} == {
        each.name for each in deployment.pods()
    }
    with defined(cluster, "kr8s.example.com"):
        model = new_class(kind="Model", version="kr8s.example.com/v1", namespaced=True)(
            {"metadata": {"name": "small", "namespace": cluster.namespace}, "spec": {}}, api=api
        )
        model.create()
        model.refresh()
        assert model.spec.size == 3
        model.patch({"spec": {"size": 5}})
        assert model.spec.size == 5
        model.delete()
    deployment.delete()
    deployment.wait("delete", timeout=60)


def test_lightkube_applies_watches_and_reads_logs(cluster: LiveCluster) -> None:
    from lightkube import Client, KubeConfig
    from lightkube.codecs import from_dict
    from lightkube.generic_resource import create_namespaced_resource
    from lightkube.resources.apps_v1 import Deployment
    from lightkube.resources.core_v1 import Pod

    client = Client(KubeConfig.from_file(str(cluster.kubeconfig)), namespace=cluster.namespace, field_manager="lightkube")
    wanted = from_dict({**DEPLOYMENT, "metadata": {"name": "greeter", "namespace": cluster.namespace}})
    assert client.apply(wanted).spec.replicas == 1
    ready = client.wait(Deployment, "greeter", for_conditions=["Available"])
    assert ready.status.availableReplicas == 1
    (pod,) = client.list(Pod, labels=LABELS)
    assert list(client.log(pod.metadata.name)) == ["hello\n"]
    kind, _ = next(iter(client.watch(Pod, labels=LABELS)))
    assert kind == "ADDED"
    with defined(cluster, "lightkube.example.com"):
        model = create_namespaced_resource("lightkube.example.com", "v1", "Model", "models")
        client.create(model(metadata={"name": "small"}, spec={}))
        assert client.get(model, "small").spec == {"size": 3}
        client.delete(model, "small")
    client.delete(Deployment, "greeter")


def test_the_official_client_uses_dynamic_resources_exec_and_watches(cluster: LiveCluster) -> None:
    from kubernetes import client, config, dynamic, stream, watch

    api = config.new_client_from_config(str(cluster.kubeconfig))
    core, apps = client.CoreV1Api(api), client.AppsV1Api(api)
    apps.create_namespaced_deployment(cluster.namespace, DEPLOYMENT)
    for event in watch.Watch().stream(apps.list_namespaced_deployment, cluster.namespace, timeout_seconds=60):
        if event["object"].status.available_replicas:
            break
    else:
        raise AssertionError("the Deployment never became available")
    (pod,) = core.list_namespaced_pod(cluster.namespace, label_selector="app=greeter").items
    said = stream.stream(
        core.connect_get_namespaced_pod_exec,
        pod.metadata.name,
        cluster.namespace,
        command=["echo", "from inside"],
        stdout=True,
        stderr=True,
    )
    assert said == "from inside\n"
    with defined(cluster, "official.example.com"):
        models = dynamic.DynamicClient(api).resources.get(api_version="official.example.com/v1", kind="Model")
        body = {"apiVersion": "official.example.com/v1", "kind": "Model", "metadata": {"name": "small"}, "spec": {}}
        assert models.create(body=body, namespace=cluster.namespace).spec.size == 3
        applied = models.server_side_apply(
            body={**body, "spec": {"size": 9}}, name="small", namespace=cluster.namespace, field_manager="test", force_conflicts=True
        )
        assert applied.spec.size == 9
    apps.delete_namespaced_deployment("greeter", cluster.namespace)
