"""Real kubectl and the Python client against the server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer
from kubeobjects import Object


@dataclass
class Ran:
    code: int
    out: str
    err: str


Kubectl = Callable[..., Coroutine[Any, Any, Ran]]


@pytest.fixture
async def kubectl(server: ApiServer, client: LocalClient, tmp_path: Path) -> Kubectl:
    server.write_kubeconfig(tmp_path / "kubeconfig")
    await client.create("serviceaccounts", {"metadata": {"name": "default", "namespace": "default"}})
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig"), "HOME": str(tmp_path)}
    program = str(Path(sys.executable).parent / "kubectl")

    async def run(*arguments: str, stdin: Object | str | None = None) -> Ran:
        process = await asyncio.create_subprocess_exec(
            program,
            *arguments,
            env=environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        text = stdin if isinstance(stdin, str) else json.dumps(stdin) if stdin is not None else ""
        async with asyncio.timeout(20):
            out, err = await process.communicate(text.encode())
        assert process.returncode is not None
        return Ran(process.returncode, out.decode(), err.decode())

    return run


def pod(name: str) -> Object:
    spec = {"containers": [{"name": "main", "image": "python:3.12-slim"}]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": spec}


async def test_a_pod_is_created_shown_labelled_and_deleted(kubectl: Kubectl) -> None:
    assert (await kubectl("create", "--validate=false", "-f", "-", stdin=pod("web"))).out == "pod/web created\n"
    rows = (await kubectl("get", "pods")).out.splitlines()
    assert rows[0].split() == ["NAME", "READY", "STATUS", "RESTARTS", "AGE"]
    assert rows[1].split()[:4] == ["web", "0/1", "Pending", "0"]
    assert (await kubectl("label", "pod", "web", "tier=gpu")).out == "pod/web labeled\n"
    assert (await kubectl("get", "pods", "-l", "tier in (gpu)", "-o", "name")).out == "pod/web\n"
    assert (await kubectl("delete", "pod", "web")).out == 'pod "web" deleted from default namespace\n'
    assert (await kubectl("get", "pods")).err == "No resources found in default namespace.\n"


async def test_a_delete_that_waits_sees_the_end(kubectl: Kubectl, client: LocalClient) -> None:
    await client.create("pods", {**pod("held"), "metadata": {"name": "held", "namespace": "default", "finalizers": ["example.com/x"]}})
    deleting = asyncio.create_task(kubectl("delete", "pod", "held"))
    async with asyncio.timeout(10):
        while "deletionTimestamp" not in (await client.get("pods", "held", "default"))["metadata"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await client.patch("pods", "held", {"metadata": {"finalizers": None}}, "default")
    assert (await deleting).code == 0


async def test_what_is_not_there_is_told_in_kubernetes_words(kubectl: Kubectl) -> None:
    assert (await kubectl("get", "deployment", "nobody")).err == 'Error from server (NotFound): deployments.apps "nobody" not found\n'
    assert (await kubectl("get", "nonsense")).err == 'error: the server doesn\'t have a resource type "nonsense"\n'
    assert (await kubectl("get", "pods", "-n", "nowhere")).err == "No resources found in nowhere namespace.\n"
    refused = await kubectl("get", "nodes", "--as=system:serviceaccount:default:learner")
    assert refused.err == (
        'Error from server (Forbidden): nodes is forbidden: User "system:serviceaccount:default:learner" '
        'cannot list resource "nodes" in API group "" at the cluster scope\n'
    )


async def test_a_wait_ends_when_its_condition_comes_true(kubectl: Kubectl, client: LocalClient) -> None:
    await client.create("pods", {**pod("web"), "metadata": {"name": "web", "namespace": "default"}})
    waiting = asyncio.create_task(kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=10s"))
    await asyncio.sleep(0.3)
    status = {"status": {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}}
    await client.patch("pods", "web", status, "default", subresource="status")
    assert (await waiting).out == "pod/web condition met\n"


async def test_a_deployment_is_scaled(kubectl: Kubectl, client: LocalClient) -> None:
    labels = {"app": "web"}
    template = {"metadata": {"labels": labels}, "spec": pod("x")["spec"]}
    spec = {"replicas": 1, "selector": {"matchLabels": labels}, "template": template}
    await client.create("deployments.apps", {"metadata": {"name": "web", "namespace": "default"}, "spec": spec})
    assert (await kubectl("scale", "deployment", "web", "--replicas=3")).out == "deployment.apps/web scaled\n"
    assert (await client.get("deployments.apps", "web", "default"))["spec"]["replicas"] == 3


async def test_the_python_client_lists_watches_and_deletes(server: ApiServer, kubectl: Kubectl, tmp_path: Path) -> None:
    def drive() -> list[str]:
        from kubernetes import client as kubernetes
        from kubernetes import config, watch

        config.load_kube_config(str(tmp_path / "kubeconfig"))
        core = kubernetes.CoreV1Api()
        core.create_namespaced_config_map("default", {"metadata": {"name": "py"}, "data": {"a": "1"}})
        seen = []
        for event in watch.Watch().stream(core.list_namespaced_config_map, "default", timeout_seconds=5):
            seen.append(f"{event['type']} {event['object'].metadata.name}")
            if event["type"] == "ADDED":
                core.delete_namespaced_config_map("py", "default")
            else:
                break
        try:
            core.read_namespaced_pod("nobody", "default")
        except kubernetes.ApiException as error:
            seen.append(f"{error.status} {json.loads(error.body)['message']}")
        return seen

    assert await asyncio.to_thread(drive) == ["ADDED py", "DELETED py", '404 pods "nobody" not found']
