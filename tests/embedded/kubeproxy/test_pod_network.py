"""Addresses, the directory, and kube-proxy against a real API server."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer
from clusters.embedded.kubelet.shim._ai_lab import records
from clusters.embedded.kubeproxy import KubeProxy, PodNetwork
from clusters.embedded.kubeproxy.pod_network import AddressesExhausted
from clusters.embedded.nodes import NodeConnections
from clusters.embedded.store import Store


def test_a_pod_keeps_its_address_and_a_freed_one_is_not_given_at_once(tmp_path: Path) -> None:
    network = PodNetwork(tmp_path)
    assert [network.allocate(1, uid) for uid in ("a", "b", "a")] == ["10.244.1.2", "10.244.1.3", "10.244.1.2"]
    assert network.allocate(2, "c") == "10.244.2.2"
    network.release("a")
    network.release("a")
    assert network.allocate(1, "d") == "10.244.1.4"


def test_a_node_has_as_many_addresses_as_its_range(tmp_path: Path) -> None:
    network = PodNetwork(tmp_path)
    assert len({network.allocate(1, str(number)) for number in range(253)}) == 253
    with pytest.raises(AddressesExhausted, match=r"no IP addresses available in range set: 10\.244\.1\.1-10\.244\.1\.254"):
        network.allocate(1, "one more")
    network.release("17")
    assert network.allocate(1, "one more") == "10.244.1.19"


def test_an_address_that_a_lost_process_still_listens_on_is_not_given_again(tmp_path: Path) -> None:
    folder = PodNetwork(tmp_path).environment("10.244.1.2", "default")["AI_LAB_NETWORK"] + "/pods/10.244.1.2"
    claim = records.claim(folder, "tcp", 8080, records.ANY, False, False, lambda real: 40000)
    assert PodNetwork(tmp_path).allocate(1, "new") == "10.244.1.3"
    claim.release()
    assert PodNetwork(tmp_path).allocate(1, "newer") == "10.244.1.2"


async def test_kube_proxy_writes_what_the_api_holds(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    server = ApiServer(store, tmp_path, NodeConnections())
    await server.start()
    network = PodNetwork(tmp_path / "network")
    client = LocalClient(server.services, "system:kube-controller-manager", ("system:masters",))
    running = asyncio.create_task(KubeProxy(client, network).run())
    published = tmp_path / "network" / "services.json"

    async def until(condition: Callable[[dict[str, Any]], bool]) -> None:
        async with asyncio.timeout(10):
            while not published.exists() or not condition(orjson.loads(published.read_bytes())):  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    try:
        await until(lambda table: table["masters"] == [f"172.18.0.2:{server.port}"])
        body = {"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}
        made = await client.create("services", body, "default")
        await until(lambda table: table["names"].get("web.default") == [made["spec"]["clusterIP"]])
        await client.delete("services", "web", "default")
        await until(lambda table: "web.default" not in table["names"])
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await server.stop()
        store.close()
