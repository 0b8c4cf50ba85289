"""NetworkPolicies as Pods of a real kubelet feel them, with each of the launchers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest_asyncio

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.kubeproxy import PolicyAgent
from kubeobjects import Object

from .conftest import Node

POLICIES = "networkpolicies.networking.k8s.io"
PROBE = {"httpGet": {"path": "/", "port": 8080}, "periodSeconds": 1}
CALL = "import sys, urllib.request as u; print(u.urlopen(f'http://{sys.argv[1]}:8080/', timeout=1).status)"


def policy(name: str, **spec: object) -> Object:
    return {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": name, "namespace": "default"}, "spec": spec}


@pytest_asyncio.fixture
async def guarded(any_node: Node) -> AsyncIterator[Node]:
    """A node with a network policy agent."""
    agent = asyncio.create_task(PolicyAgent(LocalClient(any_node.server.services, "system:network-policies"), any_node.network).run())
    try:
        yield any_node
    finally:
        agent.cancel()
        await asyncio.gather(agent, return_exceptions=True)


async def test_a_policy_counts_at_once_for_pods_that_run(guarded: Node) -> None:
    serve = ("python3", "-m", "http.server", "8080")
    await guarded.run("model", *serve, metadata={"labels": {"app": "model"}}, readinessProbe=PROBE)
    await guarded.run("friend", "sleep", "600", metadata={"labels": {"role": "tooling"}})
    await guarded.run("stranger", "sleep", "600")

    async def ready() -> str:
        status = await guarded.status("model")
        return (await guarded.pod("model"))["status"]["podIP"] if status.get("ready") else ""

    address = await guarded.until(ready)
    for name in ("friend", "stranger"):
        await guarded.until_state(name, "running")

    async def call(name: str) -> str:
        return (await guarded.exec(name, "python3", "-c", CALL, address))[1].strip().splitlines()[-1]

    assert [await call(name) for name in ("friend", "stranger")] == ["200", "200"]
    peers = [{"podSelector": {"matchLabels": {"role": "tooling"}}}]
    await guarded.client.create(
        POLICIES,
        policy("model-callers", podSelector={"matchLabels": {"app": "model"}}, ingress=[{"from": peers, "ports": [{"port": 8080}]}]),
        "default",
    )

    async def shut_out() -> bool:
        return await call("stranger") == "urllib.error.URLError: <urlopen error timed out>"

    await guarded.until(shut_out)
    assert await call("friend") == "200"
    # A label is enough to become a friend, and the kubelet's probes were one all the time.
    await guarded.client.patch("pods", "stranger", {"metadata": {"labels": {"role": "tooling"}}}, "default")

    async def let_in() -> bool:
        return await call("stranger") == "200"

    await guarded.until(let_in)
    assert (await guarded.status("model"))["ready"]
    assert "Unhealthy" not in [reason for reason, message in await guarded.messages("model") if "timeout" in message.lower()]
    await guarded.client.create(POLICIES, policy("shut", podSelector={}, policyTypes=["Egress"]), "default")

    async def kept_in() -> bool:
        return await call("friend") == "urllib.error.URLError: <urlopen error timed out>"

    await guarded.until(kept_in)
    await guarded.client.delete(POLICIES, "shut", "default")
    await guarded.client.delete(POLICIES, "model-callers", "default")

    async def open_again() -> bool:
        return await call("friend") == "200"

    await guarded.until(open_again)


async def test_a_pod_is_known_to_policies_before_it_runs(guarded: Node) -> None:
    """Its first call is allowed by its labels, or forbidden: no program is quicker than the policies."""
    await guarded.run("model", "python3", "-m", "http.server", "8080", metadata={"labels": {"app": "model"}}, readinessProbe=PROBE)

    async def ready() -> str:
        return (await guarded.pod("model"))["status"]["podIP"] if (await guarded.status("model")).get("ready") else ""

    address = await guarded.until(ready)
    peers = [{"podSelector": {"matchLabels": {"role": "tooling"}}}]
    await guarded.client.create(POLICIES, policy("in", podSelector={"matchLabels": {"app": "model"}}, ingress=[{"from": peers}]), "default")
    await guarded.client.create(POLICIES, policy("out", podSelector={"matchLabels": {"jail": "1"}}, policyTypes=["Egress"]), "default")
    for number in range(6):
        labels = {"role": "tooling"} | ({"jail": "1"} if number % 2 else {})
        await guarded.run(f"p{number}", "python3", "-c", CALL, address, restartPolicy="Never", metadata={"labels": labels})
    for number in range(6):
        await guarded.until_phase(f"p{number}", "Failed" if number % 2 else "Succeeded")
