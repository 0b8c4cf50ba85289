"""The kubelet of one node: registers the node, runs the Pods that are bound to it, serves their logs and commands.

Pods flow in from the API through an informer; each gets a `PodWorker`. Everything that leaves goes through the API client, the network
directory and processes of this machine.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
from pathlib import Path

from clusters.embedded import owned_processes
from clusters.embedded.client import Client
from clusters.embedded.events import EventRecorder
from clusters.embedded.images import Catalogue
from clusters.embedded.informer import InformerFactory
from clusters.embedded.kubelet import admission, namespace_support, strict
from clusters.embedded.kubelet.backoff import Backoff
from clusters.embedded.kubelet.device_manager import DeviceManager
from clusters.embedded.kubelet.dra_drivers import PLUGIN_TYPE
from clusters.embedded.kubelet.dra_manager import DraManager
from clusters.embedded.kubelet.event_sink import EventSink
from clusters.embedded.kubelet.eviction import StorageEviction
from clusters.embedded.kubelet.image_manager import ImageManager
from clusters.embedded.kubelet.layout import NodeFolder
from clusters.embedded.kubelet.memory import MemoryManager
from clusters.embedded.kubelet.node import NodeRegistration
from clusters.embedded.kubelet.node_services import NodeServices
from clusters.embedded.kubelet.node_spec import NodeSpec
from clusters.embedded.kubelet.plugin_manager import PluginManager
from clusters.embedded.kubelet.pod_worker import PodWorker
from clusters.embedded.kubelet.portable import PortableLauncher, shielded_folders
from clusters.embedded.kubelet.runtime import Launcher
from clusters.embedded.kubelet.server import Server
from clusters.embedded.kubelet.toolbox import Toolbox
from clusters.embedded.network import Network
from clusters.embedded.nodes import NodeConnections
from clusters.embedded.supervision import keep_running
from kubeobjects import Object

log = logging.getLogger(__name__)


# Changes of ConfigMaps and Secrets reach the mounted files this soon; tokens and labels are looked at as often.
_REFRESH_SECONDS = 2.0
_RETRY_SECONDS = 5.0


class Kubelet:
    """`root` is the node's own folder (its `/`); `images` what the node has; `connections` where it registers what it serves.

    `cluster` marks the processes of its containers, so that they are found after a crash.
    """

    def __init__(
        self,
        client: Client,
        node: NodeSpec,
        network: Network,
        root: Path,
        images: Catalogue,
        connections: NodeConnections,
        *,
        launcher: Launcher | None = None,
        cluster: str = "",
    ):
        self._client = client
        self._node = node
        self._connections = connections
        self._folder = NodeFolder(root)
        self._informers = InformerFactory(client)
        self._events = EventSink(EventRecorder(client, "kubelet", node.name))
        self._folder.prepare()
        self._devices = DeviceManager(self._folder, self._devices_changed, lambda: self._claims.holdings())
        self._claims = DraManager(client, node.name, self._folder, self._look_again, self._pods)
        self._plugins = PluginManager(
            self._folder.plugins_registry.resolve(), "/var/lib/kubelet/plugins_registry", {PLUGIN_TYPE: self._claims.drivers}
        )
        allocatable: dict[str, str] = {}
        self._services = NodeServices(
            node=node,
            cluster=cluster,
            client=client,
            informers=self._informers,
            network=network,
            folder=self._folder,
            launcher=launcher or self._default_launcher(),
            images=ImageManager(images),
            memory=MemoryManager(),
            devices=self._devices,
            claims=self._claims,
            events=self._events,
            restarts=Backoff(),
            allocatable=allocatable,
        )
        self._registration = NodeRegistration(client, node, self._folder, images, self._events, self._devices.counts, allocatable)
        self._workers: dict[str, PodWorker] = {}
        self._tasks: asyncio.TaskGroup | None = None
        self._stale: set[str] = set()
        self._contents_changed = asyncio.Event()

    def _default_launcher(self) -> Launcher:
        """The one that AI_LAB_LAUNCHER names (portable, strict), or the stricter where this machine allows it."""
        wanted = os.environ.get("AI_LAB_LAUNCHER", "")
        if wanted == "strict" or (wanted != "portable" and namespace_support.is_possible()):
            return strict.StrictLauncher(self._folder.root / "run/programs")
        return PortableLauncher(Toolbox(self._folder.root / "run/toolbox"), shielded_folders(self._folder.root))

    async def run(self) -> None:
        """Until cancelled; then every container of the node is killed."""
        self._clear_away()
        await self._registration.register()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for resource in ("pods", "services", "nodes"):
                    self._informers(resource)
                for resource in ("configmaps", "secrets"):
                    self._informers(resource).on_change(self._content_changed)
                self._informers.start(tasks)
                await self._informers.wait_for_sync()
                for what, part in (
                    ("events", self._events.run),
                    ("status", self._registration.run),
                    ("memory", self._services.memory.run),
                    ("devices", self._devices.run),
                    ("claims", self._claims.run),
                    ("plugins", self._plugins.run),
                    ("volumes", self._refresh_volumes),
                    ("eviction", StorageEviction(self._workers, self._folder).run),
                ):
                    name = f"{self._node.name} {what}"
                    tasks.create_task(keep_running(name, part), name=name)
                bound = self._informers("pods").list()
                self._devices.keep_only({pod["metadata"]["uid"] for pod in bound})
                self._connections.register(self._node.name, Server(self._services, self._find, lambda: list(self._workers.values())))
                self._informers("pods").on_change(self._pod_changed)
        finally:
            self._connections.unregister(self._node.name)
            for worker in self._workers.values():
                for container in worker.containers:
                    container.kill()
                worker.volumes.release_memory()

    def _clear_away(self) -> None:
        """Ends the containers that a killed kubelet left behind and deletes their folders."""
        files = list(self._folder.kubelet.glob("pods/*/containers/*/pid"))
        left = owned_processes.end(lambda: [pid for path in files for pid in owned_processes.recorded(path)])
        for path in files:
            path.unlink(missing_ok=True)
        if left:
            log.info("%s: ended %d processes of an earlier kubelet", self._node.name, left)
        shutil.rmtree(self._folder.containers, ignore_errors=True)
        self._folder.containers.mkdir(exist_ok=True)

    def _devices_changed(self) -> None:
        self._registration.changed()
        self._look_again(self._devices.holders())

    def _pods(self) -> dict[str, Object]:
        return {uid: worker.pod for uid, worker in self._workers.items()}

    def _look_again(self, uids: set[str] | None) -> None:
        """None: all Pods."""
        for uid in set(self._workers) if uids is None else uids.intersection(self._workers):
            self._workers[uid].look_again()

    def _find(self, namespace: str, name: str) -> PodWorker | None:
        found = [worker for worker in self._workers.values() if worker.key == f"{namespace}/{name}"]
        return found[-1] if found else None

    # Pods

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and (new is None or new["metadata"]["uid"] != old["metadata"]["uid"]):
            worker = self._workers.get(old["metadata"]["uid"])
            if worker is not None:
                worker.remove()
        if new is None or new["spec"].get("nodeName") != self._node.name:
            return
        uid = new["metadata"]["uid"]
        if uid in self._workers:
            self._workers[uid].update(new)
        elif self._tasks is not None:
            worker = PodWorker(self._services, new, self._admit)
            self._workers[uid] = worker
            self._tasks.create_task(self._work(worker), name=f"pod {worker.key}")

    async def _work(self, worker: PodWorker) -> None:
        uid = worker.uid
        try:
            await worker.run()
            del self._workers[uid]
        except Exception:
            # One Pod's trouble is not the node's: what is left of it is tried again from the start.
            log.exception("pod %s", worker.key)
            await asyncio.sleep(_RETRY_SECONDS)
            del self._workers[uid]
            current = self._informers("pods").by_key(worker.key)
            if current is not None:
                self._pod_changed(None, current)

    async def _admit(self, pod: Object) -> None:
        """Raises admission.Rejection."""
        others = [worker.pod for worker in self._workers.values() if worker.uid != pod["metadata"]["uid"] and worker.holds_resources]
        node = self._informers("nodes").get(self._node.name)
        if node is not None:
            admission.check(pod, node, others, self._services.allocatable)
        await self._devices.allocate(pod)

    # Contents of volumes

    def _content_changed(self, old: Object | None, new: Object | None) -> None:
        changed = new or old
        if changed is not None:
            self._stale.add(changed["metadata"]["namespace"])
            self._contents_changed.set()

    async def _refresh_volumes(self) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(30.0):
                    await self._contents_changed.wait()
            self._contents_changed.clear()
            namespaces, self._stale = self._stale, set()
            for worker in list(self._workers.values()):
                namespace = worker.pod["metadata"]["namespace"]
                if namespace in namespaces and not worker.is_up:
                    worker.look_again()
                elif worker.is_up:
                    try:
                        await worker.volumes.refresh()
                    except OSError as error:
                        log.warning("volumes of pod %s keep their old content: %s", worker.key, error)
            await asyncio.sleep(_REFRESH_SECONDS)
