"""The label of a node's role comes from an administrator, whenever the node joins."""

from __future__ import annotations

import asyncio
from pathlib import Path

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.informer import Informer
from clusters.embedded.kubelet.node_spec import load_topology
from clusters.embedded.node_roles import NodeRoles
from kubeobjects import Object
from tests.embedded.apiserver.conftest import serving

ROLE = {"node-role.kubernetes.io/control-plane": ""}


async def until_labels(nodes: Informer, name: str, wanted: dict[str, str]) -> None:
    seen = asyncio.Event()

    def look(old: Object | None, new: Object | None) -> None:
        if new is not None and new["metadata"]["name"] == name and new["metadata"].get("labels", {}) == wanted:
            seen.set()

    nodes.on_change(look)
    async with asyncio.timeout(5):
        await seen.wait()


async def test_each_node_that_joins_gets_the_labels_of_its_role(tmp_path: Path) -> None:
    async with serving(tmp_path) as server, asyncio.TaskGroup() as tasks:
        admin = LocalClient(server.services, "system:addon-manager", ["system:masters"])
        nodes = Informer(admin, "nodes")
        roles = NodeRoles(admin, nodes, {"one": ROLE, "two": {}})
        running = [tasks.create_task(nodes.run()), tasks.create_task(roles.run())]
        for name in ("one", "two"):
            kubelet = LocalClient(server.services, f"system:node:{name}", ["system:nodes"])
            await kubelet.create("nodes", {"metadata": {"name": name, "labels": {"kubernetes.io/os": "linux"}}})
        await until_labels(nodes, "one", {"kubernetes.io/os": "linux", **ROLE})
        assert (await admin.get("nodes", "two"))["metadata"]["labels"] == {"kubernetes.io/os": "linux"}
        # Who takes the label away keeps it away, until the node joins again.
        await admin.patch("nodes", "one", {"metadata": {"labels": dict.fromkeys(ROLE)}})
        await until_labels(nodes, "one", {"kubernetes.io/os": "linux"})
        await admin.delete("nodes", "one")
        await LocalClient(server.services, "system:node:one", ["system:nodes"]).create("nodes", {"metadata": {"name": "one"}})
        await until_labels(nodes, "one", ROLE)
        for task in running:
            task.cancel()


def test_a_topology_keeps_roles_apart_from_what_a_kubelet_says(tmp_path: Path) -> None:
    file = tmp_path / "topology.json"
    file.write_text(
        '{"nodes": [{"name": "a", "address": "172.18.0.2", "podCIDR": "10.244.0.0/24",'
        ' "labels": {"node-role.kubernetes.io/control-plane": "", "nvidia.com/gpu.count": "1"}}]}'
    )
    [node] = load_topology(file)
    assert (node.labels, node.roles) == ({"nvidia.com/gpu.count": "1"}, ROLE)
