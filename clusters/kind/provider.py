"""The lab cluster on kind, from nothing, from stopped, from half-made or from running to ready.

`KindCluster.up` looks at what is there, does only what is missing, step by step, and ends when the nodes are Ready and the GPUs allocatable.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from clusters import images
from clusters.base import ADDONS, Cluster, ClusterError, ClusterStatus, Progress
from clusters.kind import audit_log, host, readiness
from clusters.kind.commands import Commands, Ran, explain
from clusters.kind.engine import Engine, NodeContainer, choose
from clusters.kind.nodes import CLUSTER, NODE_IMAGE_DOWNLOAD, NODES, Kind, configuration, node_image

Object = dict[str, Any]

_WAIT_NODES = 240.0
_WAIT_GPUS = 180.0
_WAIT_API = 120.0
_LOOK_EVERY = 1.0


class KindCluster(Cluster):
    """The kind cluster called ai-lab, and no other one."""

    name = "kind"

    def __init__(
        self,
        state: Path,
        commands: Commands | None = None,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ):
        self.state = state
        self.commands = commands or Commands()
        self.kind = Kind(self.commands)
        self._clock = clock
        self._pause = pause

    @property
    def kubeconfig(self) -> Path:
        return self.state / "kind" / "kubeconfig"

    @property
    def _folder(self) -> Path:
        return self.state / "kind"

    @property
    def _made(self) -> Path:
        """Exists from the moment that `kind create` succeeded until the cluster is deleted."""
        return self._folder / "created"

    def engine(self) -> Engine:
        return choose(self.commands)

    # What is there

    def can_start_at_once(self) -> str:
        """Why this cluster cannot be up without a download or a build, in one line; empty where it can. Changes nothing."""
        try:
            engine = self.engine()
            engine.info()
            self.kind.version()
            nodes = engine.nodes(CLUSTER)
            if nodes and self._made.exists():
                return ""
            if not engine.has_image(node_image()):
                return f"the node image {node_image()} is not here (about {NODE_IMAGE_DOWNLOAD // 1024**2} MB to fetch)"
            missing = [image.reference for image in images.catalogue() if not engine.has_image(image.reference)]
            if missing:
                return f"lab images are not built: {', '.join(missing)}"
            free = host.facts(self.state).free_memory
            if free < host.NEEDED_MEMORY:
                return f"{free / 1024**3:.1f} GiB of memory is free and four nodes want {host.NEEDED_MEMORY / 1024**3:.1f} GiB"
        except ClusterError as error:
            return error.what
        return ""

    def status(self) -> ClusterStatus:
        try:
            containers = self.engine().nodes(CLUSTER)
        except ClusterError as error:
            return ClusterStatus(cluster=self.name, state="unknown", detail=error.what)
        if not containers:
            return ClusterStatus(cluster=self.name, state="absent", detail="no kind cluster called ai-lab")
        stopped = [node.name for node in containers if node.state != "running"]
        if stopped:
            return ClusterStatus(cluster=self.name, state="stopped", detail=f"stopped: {', '.join(stopped)}")
        nodes = self._nodes()
        if nodes is None:
            return ClusterStatus(cluster=self.name, state="starting", detail="the API server does not answer")
        missing = readiness.nodes_missing(nodes, NODES) or readiness.gpus_missing(nodes)
        return ClusterStatus(cluster=self.name, state="starting" if missing else "ready", detail=missing, nodes=nodes)

    # Up and down

    def up(self, progress: Progress) -> None:
        """Makes the cluster ready, whatever state it is in. Raises ClusterError with what failed and what to do next."""
        with progress.step("Container engine and kind"):
            engine = self.engine()
            info = engine.info()
            self.kind.version()
        containers = engine.nodes(CLUSTER)
        if containers and not self._usable(engine, containers, progress):
            with progress.step("Removing a half-made cluster"):
                self._delete()
            containers = []
        if not containers:
            self._create(engine, info.memory, progress)
        with progress.step("Lab images in the nodes"):
            self.load_images()
        with progress.step("GPU device plugin and namespace"):
            self._apply_base()
        with progress.step("Nodes Ready and GPUs allocatable"):
            self._await_ready()

    def down(self, progress: Progress) -> None:
        """Deletes the kind cluster called ai-lab, and nothing else."""
        with progress.step("Deleting the kind cluster"):
            self._delete()

    def wipe(self) -> None:
        """Nothing to do: what the cluster stored went with its containers."""

    def _delete(self) -> None:
        self.kind.delete(self.kubeconfig)
        self._made.unlink(missing_ok=True)
        self.kubeconfig.unlink(missing_ok=True)

    def _create(self, engine: Engine, engine_memory: int, progress: Progress) -> None:
        facts = host.facts(self.state)
        # Docker Desktop's virtual machine may be smaller than the host; its own figure is its size, not what is free.
        free = min(facts.free_memory, engine_memory) if engine_memory else facts.free_memory
        if free < host.NEEDED_MEMORY:
            raise ClusterError(
                f"{free / 1024**3:.1f} GiB of memory is free; four nodes want {host.NEEDED_MEMORY / 1024**3:.1f} GiB",
                next="close something large (or give Docker Desktop more memory), or: ai-lab up --cluster embedded",
            )
        if facts.free_disk < host.NEEDED_DISK:
            raise ClusterError(
                f"{facts.free_disk / 1024**3:.1f} GiB of disk is free; images and nodes want {host.NEEDED_DISK / 1024**3:.0f} GiB",
                next="docker system prune frees what is not in use, or: ai-lab up --cluster embedded",
            )
        if not engine.has_image(node_image()):
            progress.say(f"Fetching {node_image()}: about {NODE_IMAGE_DOWNLOAD // 1024**2} MB")
            with progress.step("Node image"):
                engine.pull(node_image(), progress.say)
        missing = [image for image in images.catalogue() if not engine.has_image(image.reference)]
        for image in missing:
            with progress.step(f"Building {image.reference}"):
                images.build(engine, image, progress.say)
        with progress.step("Creating four nodes"):
            self._made.unlink(missing_ok=True)
            (self._folder / "audit").mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(__file__).with_name("audit-policy.yaml"), self._folder / "audit-policy.yaml")
            config = self._folder / "ai-lab.yaml"
            config.write_text(configuration(self.state))
            self.kind.create(config, self.kubeconfig, progress.say)
            self._made.touch()

    def _usable(self, engine: Engine, containers: list[NodeContainer], progress: Progress) -> bool:
        """Whether the containers are a whole cluster; starts the stopped ones and waits for the API server."""
        if tuple(sorted(node.name for node in containers)) != tuple(sorted(NODES)):
            return False
        stopped = [node.name for node in containers if node.state != "running"]
        if stopped:
            with progress.step("Starting the stopped nodes"):
                engine.start(stopped)
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.kind.export_kubeconfig(self.kubeconfig)
        except ClusterError:
            # kubeadm had not written its kubeconfig yet when the making was broken off.
            return False
        with progress.step("API server"):
            deadline = self._clock() + _WAIT_API
            while (nodes := self._nodes()) is None:
                if self._clock() > deadline:
                    if not self._made.exists():
                        return False
                    raise ClusterError(
                        f"the API server of the running cluster did not answer within {_WAIT_API:.0f} s",
                        next="docker logs ai-lab-control-plane; or: ai-lab down --cluster kind && ai-lab up --cluster kind",
                    )
                self._pause(_LOOK_EVERY)
        complete = {node["metadata"]["name"] for node in nodes} == set(NODES)
        if complete:
            self._made.touch()
        return complete

    def load_images(self) -> None:
        """Brings the lab's images into the nodes that do not have them yet."""
        engine = self.engine()
        wanted = [image.reference for image in images.catalogue()]
        inside = engine.commands.run(engine.name, "exec", NODES[-1], "crictl", "images", "-o", "json", timeout=60.0)
        there: set[str] = set()
        if inside.ok:
            for entry in json.loads(inside.out or "{}").get("images", []):
                there.update(entry.get("repoTags") or [])
        ids = {entry.get("id") for entry in json.loads(inside.out or "{}").get("images", [])} if inside.ok else set()
        missing = [reference for reference in wanted if reference not in there or engine.image_id(reference) not in ids]
        if not missing:
            return
        absent = [image for image in images.catalogue() if image.reference in missing and not engine.has_image(image.reference)]
        for image in absent:
            images.build(engine, image, lambda line: None)
        if engine.name == "docker":
            self.kind.load_images(missing)
            return
        with tempfile.TemporaryDirectory(prefix="ai-lab-images-") as folder:
            archive = Path(folder) / "images.tar"
            engine.save(missing, str(archive))
            self.kind.load_archive(archive)

    def audit_log(self) -> Iterator[Object]:
        return audit_log.read(self._folder / "audit", self.engine().name, self.commands)

    # Through the API

    def _kubectl(self, *arguments: str, timeout: float = 30.0) -> Ran:
        beside = Path(sys.executable).with_name("kubectl")
        program = str(beside) if beside.exists() else "kubectl"
        return self.commands.run(program, "--kubeconfig", str(self.kubeconfig), *arguments, timeout=timeout)

    def _nodes(self) -> list[Object] | None:
        """The Node objects, or None where the API server does not answer."""
        ran = self._kubectl("get", "nodes", "-o", "json", "--request-timeout=5s")
        if not ran.ok:
            return None
        found: list[Object] = json.loads(ran.out)["items"]
        return found

    def _apply_base(self) -> None:
        base = images.ROOT.parent / "manifests" / "base"
        ran = self._kubectl("apply", *(f"--filename={base / name}" for name in ADDONS), timeout=60.0)
        if not ran.ok:
            raise explain(ran, "applying manifests/base")

    def _await_ready(self) -> None:
        deadline = self._clock() + _WAIT_NODES
        waiting_for_gpus = False
        while True:
            nodes = self._nodes()
            if nodes is None:
                missing = "the API server does not answer (docker logs ai-lab-control-plane)"
            else:
                missing = readiness.nodes_missing(nodes, NODES)
                if not missing and not waiting_for_gpus:
                    waiting_for_gpus = True
                    deadline = self._clock() + _WAIT_GPUS
                missing = missing or readiness.gpus_missing(nodes)
            if not missing:
                return
            if self._clock() > deadline:
                raise ClusterError(
                    f"the cluster is up and not ready: {missing}", next="look there, then: ai-lab up --cluster kind goes on from here"
                )
            self._pause(_LOOK_EVERY)
