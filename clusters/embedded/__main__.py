"""`python -m clusters.embedded --state DIR`: the whole embedded cluster in one process.

Wires the components together, each with a client of its own identity, and says on `--ready-fd` when the cluster is ready: one JSON line,
`{"server": …, "kubeconfig": …, "seconds": …}`, or `{"error": …, "next": …}` where it cannot start.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import gc
import logging
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, Protocol

import orjson

from clusters.embedded import addons
from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer, ServerError
from clusters.embedded.controllers import ControllerManager
from clusters.embedded.images import Catalogue
from clusters.embedded.informer import Informer
from clusters.embedded.kubelet.kubelet import Kubelet
from clusters.embedded.kubelet.node_spec import load_topology
from clusters.embedded.kubeproxy.pod_network import PodNetwork
from clusters.embedded.kubeproxy.proxy import KubeProxy
from clusters.embedded.nodes import NodeConnections
from clusters.embedded.pki import PkiError
from clusters.embedded.scheduler import Scheduler
from clusters.embedded.schema import SchemaError
from clusters.embedded.store import Store, StoreError

Object = dict[str, Any]

ROOT = Path(__file__).resolve().parent.parent.parent
TOPOLOGY = Path(__file__).with_name("topology.json")

_GPU = "nvidia.com/gpu"
_GPU_COUNT = "nvidia.com/gpu.count"
# A plugin that does not register does not keep the cluster from being used; the provider is told what is missing instead. On a cluster that
# comes back from a stop a lab may be under way in which the GPUs are gone on purpose.
_GPU_PATIENCE, _GPU_PATIENCE_AGAIN = 20.0, 5.0


class _Component(Protocol):
    async def run(self) -> None: ...


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m clusters.embedded", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--state", type=Path, required=True, help="folder for the store, keys, logs and the nodes' files")
    parser.add_argument("--port", type=int, default=0, help="port of the API server on 127.0.0.1 (default: the last one, or any free one)")
    parser.add_argument("--ready-fd", type=int, default=None, help="file descriptor on which to say that the cluster is ready")
    parser.add_argument("--topology", type=Path, default=TOPOLOGY, help="the nodes, as JSON")
    parser.add_argument("--without-addons", action="store_true", help="leave out the namespace and the GPU plugin of manifests/base")
    return parser.parse_args(arguments)


def say(descriptor: int | None, answer: Object) -> None:
    if descriptor is None:
        print(orjson.dumps(answer).decode(), flush=True)
        return
    with contextlib.suppress(OSError):
        os.write(descriptor, orjson.dumps(answer) + b"\n")
        os.close(descriptor)


async def _start_api_server(server: ApiServer, state: Path, port: int) -> None:
    """Takes the port that was asked for, or else the one of the last run, so that kubeconfigs in open terminals stay good."""
    remembered = state / "port"
    last = int(remembered.read_text()) if remembered.exists() and remembered.read_text().isdigit() else 0
    if not port and last:
        with contextlib.suppress(ServerError):
            await server.start(last)
    if not server.port:
        await server.start(port)
    remembered.write_text(str(server.port))
    server.write_kubeconfig(state / "kubeconfig")


def missing(nodes: list[Object], expected: int) -> str:
    """What keeps the cluster from being ready, in words; empty where nothing does."""
    ready = [
        node for node in nodes if any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", []))
    ]
    if len(ready) < expected:
        return f"{len(ready)} of {expected} nodes are Ready"
    for node in nodes:
        promised = int(node["metadata"].get("labels", {}).get(_GPU_COUNT, "0"))
        offered = int(node["status"].get("allocatable", {}).get(_GPU, "0"))
        if offered < promised:
            return f"{node['metadata']['name']} offers {offered} of {promised} {_GPU}"
    return ""


async def _await_ready(nodes: Informer, expected: int, patience: float) -> str:
    """Waits until nothing is missing, or for `patience` seconds; what is missing then is returned."""
    complete = asyncio.Event()

    def look(old: Object | None, new: Object | None) -> None:
        if not missing(nodes.list(), expected):
            complete.set()

    nodes.on_change(look)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(complete.wait(), patience)
    return missing(nodes.list(), expected)


async def serve(options: argparse.Namespace, began: float) -> None:
    """Runs the cluster until SIGTERM or SIGINT. Raises StoreError, PkiError, SchemaError or ServerError where it cannot start."""
    state: Path = options.state
    state.mkdir(parents=True, exist_ok=True)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)

    connections = NodeConnections()
    network = PodNetwork(state / "network")
    store = Store(state / "store")
    server = ApiServer(store, state, connections, network)
    await _start_api_server(server, state, options.port)

    def client(user: str, *groups: str) -> LocalClient:
        return LocalClient(server, user, groups)

    topology = load_topology(options.topology)
    images = Catalogue(ROOT / "images")
    kubelets = [
        Kubelet(client(f"system:node:{node.name}", "system:nodes"), node, network, state / "nodes" / node.name, images, connections)
        for node in topology
    ]
    nodes = Informer(client("system:apiserver", "system:masters"), "nodes")
    async with asyncio.TaskGroup() as tasks:
        components: list[_Component] = [
            *kubelets,
            Scheduler(client("system:kube-scheduler")),
            ControllerManager(client("system:kube-controller-manager"), server.certificates.ca.read_text()),
            KubeProxy(client("system:kube-proxy"), network),
            nodes,
        ]
        running = [tasks.create_task(each.run(), name=type(each).__name__) for each in components]
        lacking = ""
        if not options.without_addons:
            new = await addons.apply(client("system:addon-manager", "system:masters"), ROOT / "manifests" / "base")
            lacking = await _await_ready(nodes, len(topology), _GPU_PATIENCE if new else _GPU_PATIENCE_AGAIN)
        # What start-up leaves behind is alive for good: keep the collector from walking through it again and again.
        gc.collect()
        gc.freeze()
        say(
            options.ready_fd,
            {"server": server.url, "kubeconfig": str(state / "kubeconfig"), "seconds": round(time.monotonic() - began, 3)}
            | ({"missing": lacking} if lacking else {}),
        )
        await stop.wait()
        for task in running:
            task.cancel()
    await server.stop()
    store.close()


def main() -> int:
    began = time.monotonic()
    options = parse()
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    try:
        asyncio.run(serve(options, began))
    except (StoreError, PkiError, SchemaError, ServerError) as error:
        say(options.ready_fd, {"error": str(error)})
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
