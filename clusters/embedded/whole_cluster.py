"""The whole embedded cluster in one process, as `python -m clusters.embedded --state DIR` runs it.

Wires the components together, each with a client of its own identity, and says on `--ready-fd` when the cluster is ready: one JSON line,
`{"server": …, "kubeconfig": …, "seconds": …}`, or `{"error": …, "next": …}` where it cannot start. `"recovered"` tells what became of
damaged state.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import dataclasses
import errno
import gc
import logging
import os
import signal
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

import orjson

from clusters.embedded import addons, bytecode, open_files, owned_processes, server_log, short_folders
from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer, ServerError
from clusters.embedded.controllers import ControllerManager
from clusters.embedded.images import Catalogue
from clusters.embedded.informer import Informer
from clusters.embedded.kubelet import orphans
from clusters.embedded.kubelet.kubelet import Kubelet
from clusters.embedded.kubelet.node_spec import NodeSpec, load_topology
from clusters.embedded.kubeproxy.pod_network import SHIM, PodNetwork
from clusters.embedded.kubeproxy.policy_agent import PolicyAgent
from clusters.embedded.kubeproxy.proxy import KubeProxy
from clusters.embedded.node_roles import NodeRoles
from clusters.embedded.nodes import NodeConnections
from clusters.embedded.pki import PkiError
from clusters.embedded.scheduler import Scheduler
from clusters.embedded.schema import SchemaError
from clusters.embedded.store import Store, StoreError
from clusters.embedded.supervision import keep_running, made_anew
from clusters.files import root
from kubeobjects import Object

log = logging.getLogger(__name__)


TOPOLOGY = Path(__file__).with_name("topology.json")

_GPU = "nvidia.com/gpu"
_GPU_COUNT = "nvidia.com/gpu.count"
# A plugin that does not register does not keep the cluster from being used; the provider is told what is missing instead. On a cluster that
# comes back from a stop a lab may be under way in which the GPUs are gone on purpose.
_GPU_PATIENCE, _GPU_PATIENCE_AGAIN = 20.0, 5.0
# How soon the server notices that its folder is gone.
_LOOK_SECONDS = 1.0


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m clusters.embedded", description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--state", type=Path, required=True, help="folder for the store, keys, logs and the nodes' files")
    parser.add_argument("--port", type=int, default=0, help="port of the API server on 127.0.0.1 (default: the last one, or any free one)")
    parser.add_argument("--ready-fd", type=int, default=None, help="file descriptor on which to say that the cluster is ready")
    parser.add_argument(
        "--word-fd", type=int, default=None, help="file descriptor on which to await the word to begin, and end without one"
    )
    parser.add_argument("--log", type=Path, default=None, help="file for messages, kept small by renaming it once (default: stderr)")
    parser.add_argument("--topology", type=Path, default=TOPOLOGY, help="the nodes, as JSON")
    parser.add_argument("--recover", action="store_true", help="where the stored state is damaged, go on with what is whole")
    parser.add_argument("--without-addons", action="store_true", help="leave out the namespace and the GPU plugin of manifests/base")
    return parser.parse_args(arguments)


def say(descriptor: int | None, answer: Object) -> None:
    if descriptor is None:
        print(orjson.dumps(answer).decode(), flush=True)
        return
    with contextlib.suppress(OSError):
        os.write(descriptor, orjson.dumps(answer) + b"\n")
        os.close(descriptor)


def _remembered_port(file: Path) -> int:
    """The port in the file; 0 where there is none or it is not a port: any free one is then as good."""
    with contextlib.suppress(OSError, ValueError):
        port = int(file.read_text())
        return port if 0 < port < 65536 else 0
    return 0


def _told_to_begin(options: argparse.Namespace) -> bool:
    """Awaits the word of who started this server before it was sure to be needed (`prepared_server`); False where that one ended without it."""
    if options.word_fd is None:
        return True
    word = os.read(options.word_fd, 4096)
    os.close(options.word_fd)
    if word:
        options.recover = options.recover or orjson.loads(word)["recover"]
    return bool(word)


async def _watch_folder(state: Path, gone: asyncio.Event) -> None:
    """Sets `gone` when the state folder is deleted, moved or replaced: what the cluster writes would then be nobody's."""
    held = state / "store" / "state.lock"
    mine = os.stat(held)
    while True:
        try:
            if not os.path.samestat(os.stat(held), mine):
                break
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR):
                break
        await asyncio.sleep(_LOOK_SECONDS)
    log.error("the state folder %s was deleted or replaced: the cluster ends", state)
    gone.set()


async def _start_api_server(server: ApiServer, state: Path, port: int) -> None:
    """Takes the port that was asked for, or else the one of the last run, so that kubeconfigs in open terminals stay good."""
    remembered = state / "port"
    last = _remembered_port(remembered)
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


async def serve(options: argparse.Namespace, began: float, files: int) -> None:
    """Runs the cluster until SIGTERM or SIGINT, or until its folder is gone. `files` is how many files it may hold open.

    Raises StoreError, PkiError, SchemaError, ServerError or OSError where it cannot start.
    """
    state: Path = options.state
    state.mkdir(parents=True, exist_ok=True)
    state.chmod(0o700)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop.set)

    store = Store(state / "store", recover=options.recover)
    # The store's lock is ours: whatever still runs of this cluster was left behind by a server that was killed.
    left = owned_processes.end(lambda: owned_processes.containers(state))
    if left:
        log.info("ended %d processes of containers of an earlier server", left)
    connections = NodeConnections()
    network = PodNetwork(state / "network")
    server = ApiServer(store, state, connections, network)
    await _start_api_server(server, state, options.port)

    def client(user: str, *groups: str) -> LocalClient:
        return LocalClient(server.services, user, groups)

    topology = load_topology(options.topology)
    allowed = open_files.pods_allowed(files, [bool(node.taints) for node in topology])
    topology = [dataclasses.replace(node, pods=count) for node, count in zip(topology, allowed, strict=True)]
    images = Catalogue(root() / "images")
    identity = owned_processes.cluster_id(state)

    def kubelet(node: NodeSpec) -> Kubelet:
        user = client(f"system:node:{node.name}", "system:nodes")
        return Kubelet(user, node, network, state / "nodes" / node.name, images, connections, cluster=identity)

    nodes = Informer(client("system:apiserver", "system:masters"), "nodes")
    roles = NodeRoles(client("system:addon-manager", "system:masters"), nodes, {node.name: node.roles for node in topology})
    root_ca = server.certificates.ca.read_text()
    components: dict[str, Callable[[], Awaitable[None]]] = {
        **{f"kubelet {node.name}": made_anew(partial(kubelet, node)) for node in topology},
        "kube-scheduler": made_anew(lambda: Scheduler(client("system:kube-scheduler"))),
        "kube-controller-manager": made_anew(
            lambda: ControllerManager(client("system:kube-controller-manager"), root_ca, server.tokens.issue_for_secret)
        ),
        "kube-proxy": made_anew(lambda: KubeProxy(client("system:kube-proxy"), network)),
        "network policies": made_anew(lambda: PolicyAgent(client("system:network-policies"), network)),
        "nodes": nodes.run,
        "node roles": roles.run,
    }
    # Known now: when the state folder is deleted, the links to them go with it.
    sockets = short_folders.below(state)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(keep_running(name, run), name=name) for name, run in components.items()]
        running.append(tasks.create_task(_watch_folder(state, stop), name="state folder"))
        lacking = ""
        if not options.without_addons:
            new = await addons.apply(client("system:addon-manager", "system:masters"), root() / "manifests" / "base")
            lacking = await _await_ready(nodes, len(topology), _GPU_PATIENCE if new else _GPU_PATIENCE_AGAIN)
        say(
            options.ready_fd,
            {"server": server.url, "kubeconfig": str(state / "kubeconfig"), "seconds": round(time.monotonic() - began, 3)}
            | ({"missing": lacking} if lacking else {})
            | ({"files": files, "pods": sum(allowed)} if min(allowed) < open_files.MAX_PODS else {})
            | ({"recovered": store.recovered} if store.recovered else {}),
        )
        # What start-up leaves behind is alive for good: keep the collector from walking through it, now and again and again.
        gc.collect()
        gc.freeze()
        gc.enable()
        # For the containers to come. Not sooner: the first ones would wait for it.
        await asyncio.to_thread(bytecode.keep, sorted({SHIM, *images.compiled()}))
        await stop.wait()
        for task in running:
            task.cancel()
    await server.stop()
    orphans.end_all()
    short_folders.remove(sockets)
    store.close()


def _first(error: BaseException) -> BaseException:
    """What really happened, where tasks failed together."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def _reason(error: BaseException) -> Object:
    """{"error": …, "next": …} for a person, of what kept the cluster from starting or running."""
    if isinstance(error, (StoreError, PkiError, SchemaError, ServerError)):
        return {"error": str(error), "next": getattr(error, "next", "")}
    if isinstance(error, OSError) and error.strerror:
        what = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
        return {"error": what} | ({"next": "free some disk space, then: ai-lab up"} if error.errno == errno.ENOSPC else {})
    return {"error": f"{type(error).__name__}: {error}"}


def main() -> int:
    options = parse()
    if not _told_to_begin(options):
        return 0
    began = time.monotonic()
    # Containers have one of their own.
    os.umask(0o077)
    try:
        server_log.start(options.log)
        files = open_files.raise_limit()
        orphans.adopt()
        asyncio.run(serve(options, began, files))
    except Exception as error:
        failure = _first(error)
        if not isinstance(failure, (StoreError, PkiError, SchemaError, ServerError)):
            log.exception("the cluster ends")
        say(options.ready_fd, _reason(failure))
        return 1
    finally:
        orphans.end_all()
    return 0
