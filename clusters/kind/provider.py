"""The lab cluster on kind, from nothing, from stopped, from half-made or from running to ready.

`KindCluster.up` looks at what is there, does only what is missing, step by step, and ends when the nodes are Ready and the GPUs allocatable.
"""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from clusters import images
from clusters.base import ADDONS, Cluster, ClusterError, ClusterStatus, Progress
from clusters.kind import audit_log, host, readiness
from clusters.kind.commands import NOT_STARTED, Commands, Ran, explain, kubectl
from clusters.kind.engine import Engine, EngineInfo, NodeContainer, choose
from clusters.kind.nodes import CLUSTER, GPUS, LAB_IMAGES_DOWNLOAD, NODE_IMAGE_DOWNLOAD, NODES, Kind, configuration, node_image

Object = dict[str, Any]

_WAIT_NODES = 240.0
_WAIT_GPUS = 180.0
_WAIT_GPUS_AGAIN = 40.0
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

    @property
    def _complete(self) -> Path:
        """Exists from the moment that the cluster was ready for the first time."""
        return self._folder / "complete"

    @property
    def _loaded(self) -> Path:
        """Which builds of the lab's images are in the nodes."""
        return self._folder / "images.json"

    def engine(self) -> Engine:
        chosen = choose(self.commands)
        if chosen.name != "docker":
            # kind looks for itself; it must not find another one.
            self.commands.environment["KIND_EXPERIMENTAL_PROVIDER"] = chosen.name
        return chosen

    # What is there

    def can_start_at_once(self) -> str:
        """Why this cluster cannot be up without a download or a build, in one line; empty where it can. Changes nothing."""
        try:
            engine = self.engine()
            engine.info()
            self.kind.version()
            if self._made.exists() and len(engine.nodes(CLUSTER)) == len(NODES):
                return ""
            missing, size = self._to_fetch(engine)
            if missing:
                return f"{' and '.join(missing)}: about {size // 1024**2} MB to fetch"
            free = host.facts(self.state).free_memory
            if free < host.NEEDED_MEMORY:
                return f"{free / 1024**3:.1f} GiB of memory is free and four nodes want {host.NEEDED_MEMORY / 1024**3:.1f} GiB"
        except ClusterError as error:
            return error.what
        return ""

    def _to_fetch(self, engine: Engine) -> tuple[list[str], int]:
        """What a first start would have to fetch, in words, and how many bytes that is about."""
        missing, size = [], 0
        if not engine.has_image(node_image()):
            missing.append(f"the node image {node_image()} is missing")
            size += NODE_IMAGE_DOWNLOAD
        if not all(engine.has_image(image.reference) for image in images.catalogue()):
            missing.append("the lab's images are not built")
            size += LAB_IMAGES_DOWNLOAD
        return missing, size

    def status(self) -> ClusterStatus:
        try:
            containers = self.engine().nodes(CLUSTER)
        except ClusterError as error:
            return ClusterStatus(cluster=self.name, state="unknown", detail=error.what)
        if not containers:
            return ClusterStatus(
                cluster=self.name, state="absent", detail="no kind cluster called ai-lab; ai-lab up --cluster kind makes it"
            )
        stopped = [node.name for node in containers if node.state != "running"]
        if stopped:
            return ClusterStatus(cluster=self.name, state="stopped", detail=f"stopped: {', '.join(stopped)}; ai-lab up starts them")
        here = str(self.kubeconfig)
        try:
            nodes = self._nodes()
        except ClusterError as error:
            return ClusterStatus(cluster=self.name, state="unknown", detail=error.what, kubeconfig=here)
        if nodes is None:
            return ClusterStatus(cluster=self.name, state="starting", detail="the API server does not answer", kubeconfig=here)
        missing = readiness.nodes_missing(nodes, NODES) or readiness.gpus_missing(nodes, readiness.promised(nodes))
        return ClusterStatus(
            cluster=self.name, state="starting" if missing else "ready", detail=missing, server=self._server(), kubeconfig=here, nodes=nodes
        )

    def _server(self) -> str:
        try:
            found = re.search(r"^\s*server: (\S+)", self.kubeconfig.read_text(), re.M)
        except OSError:
            found = None
        return found.group(1) if found else ""

    # Up and down

    def up(self, progress: Progress) -> None:
        """Makes the cluster ready, whatever state it is in. Raises ClusterError with what failed and what to do next."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            lock = (self._folder / "lock").open("w")
        except OSError as error:
            raise ClusterError(
                f"the state folder {self._folder} cannot be written: {error.strerror}", next="set AI_LAB_HOME to a folder of your own"
            ) from None
        with lock:
            # Two terminals may say `up` at the same moment: the second finds what the first made.
            fcntl.flock(lock, fcntl.LOCK_EX)
            self._up(progress)

    def _up(self, progress: Progress) -> None:
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
            self._create(engine, info, progress)
        self._bring_images(engine, progress)
        if not self._complete.exists():
            with progress.step("GPU device plugin and namespace"):
                self._create_base()
        with progress.step("Nodes Ready"):
            self._await(_WAIT_NODES, lambda nodes: readiness.nodes_missing(nodes, NODES), progress)
        self._await_gpus(progress)

    def down(self, progress: Progress) -> None:
        """Deletes the kind cluster called ai-lab, and nothing else."""
        with progress.step("Deleting the kind cluster"):
            self._delete()

    def wipe(self) -> None:
        """Nothing to do: what the cluster stored went with its containers."""

    def _delete(self) -> None:
        self.kind.delete(self.kubeconfig)
        for path in (self._made, self._complete, self._loaded, self.kubeconfig):
            path.unlink(missing_ok=True)

    def _create(self, engine: Engine, info: EngineInfo, progress: Progress) -> None:
        self._check_room(engine, info)
        missing, size = self._to_fetch(engine)
        if missing:
            progress.say(f"{' and '.join(missing)}: about {size // 1024**2} MB to fetch")
        if not engine.has_image(node_image()):
            with progress.step(f"Node image {node_image()}"):
                engine.pull(node_image(), progress.say)
        self._build([image for image in images.catalogue() if not engine.has_image(image.reference)], engine, progress)
        with progress.step("Creating four nodes"):
            for path in (self._made, self._complete, self._loaded):
                path.unlink(missing_ok=True)
            audit = self._folder / "audit"
            audit.mkdir(exist_ok=True)
            # What was done on an earlier cluster says nothing about this one.
            for log in audit.glob(audit_log.LOGS):
                log.unlink()
            shutil.copyfile(Path(__file__).with_name("audit-policy.yaml"), self._folder / "audit-policy.yaml")
            config = self._folder / "ai-lab.yaml"
            config.write_text(configuration(self.state, info.cgroup))
            self.kind.create(config, self.kubeconfig, progress.say)
            self._made.touch()

    def _check_room(self, engine: Engine, info: EngineInfo) -> None:
        facts = host.facts(Path(info.root) if info.root and Path(info.root).exists() else self.state)
        # Docker Desktop's virtual machine may be smaller than the host; its own figure is its size, not what is free.
        free = min(facts.free_memory, info.memory) if info.memory else facts.free_memory
        if free < host.NEEDED_MEMORY:
            raise ClusterError(
                f"{free / 1024**3:.1f} GiB of memory is free; four nodes want {host.NEEDED_MEMORY / 1024**3:.1f} GiB",
                next="close something large (or give Docker Desktop more memory), or: ai-lab up --cluster embedded",
            )
        if facts.free_disk < host.NEEDED_DISK:
            raise ClusterError(
                f"{facts.free_disk / 1024**3:.1f} GiB of disk is free; images and nodes want {host.NEEDED_DISK / 1024**3:.0f} GiB",
                next=f"{engine.name} system prune frees what is not in use, or: ai-lab up --cluster embedded",
            )

    def _usable(self, engine: Engine, containers: list[NodeContainer], progress: Progress) -> bool:
        """Whether the containers are a whole cluster; starts the stopped ones and waits for the API server."""
        if tuple(sorted(node.name for node in containers)) != tuple(sorted(NODES)):
            return False
        if any(node.state != "running" for node in containers):
            with progress.step("Starting the stopped nodes"):
                engine.start(containers)
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

    # Images

    def load_images(self) -> None:
        """Brings the lab's images into the nodes that do not have them yet. Raises ClusterError."""
        self._bring_images(self.engine(), Progress())

    def _bring_images(self, engine: Engine, progress: Progress) -> None:
        inside = [self._images_inside(engine, node) for node in NODES]
        loaded = self._recorded_images()

        def stale(reference: str) -> bool:
            here = engine.image_id(reference)
            return not all(reference in there for there in inside) or (here != "" and here != loaded.get(reference))

        wanted = [image for image in images.catalogue() if stale(image.reference)]
        if not wanted:
            return
        self._build([image for image in wanted if not engine.has_image(image.reference)], engine, progress)
        references = [image.reference for image in wanted]
        with progress.step("Lab images into the nodes"):
            if engine.name == "docker":
                self.kind.load_images(references, progress.say)
            else:
                # `kind load docker-image` asks Docker, whatever engine the nodes are on.
                with tempfile.TemporaryDirectory(prefix="ai-lab-images-") as folder:
                    archive = Path(folder) / "images.tar"
                    engine.save(references, str(archive))
                    self.kind.load_archive(archive, progress.say)
        self._loaded.write_text(json.dumps(loaded | {reference: engine.image_id(reference) for reference in references}))

    def _build(self, wanted: list[images.LabImage], engine: Engine, progress: Progress) -> None:
        for image in wanted:
            with progress.step(f"Building {image.reference}"):
                images.build(engine, image, progress.say)

    def _images_inside(self, engine: Engine, node: str) -> set[str]:
        ran = self.commands.run(engine.name, "exec", node, "crictl", "images", "-o", "json", timeout=60.0)
        try:
            listed = json.loads(ran.out)["images"] if ran.ok else []
        except (ValueError, KeyError):
            listed = []
        return {tag for entry in listed for tag in entry.get("repoTags") or []}

    def _recorded_images(self) -> dict[str, str]:
        """Reference to the engine's id of what was loaded last: containerd's ids inside the nodes need not be the engine's."""
        try:
            found: dict[str, str] = json.loads(self._loaded.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def audit_log(self, since: float = 0.0) -> Iterator[Object]:
        return audit_log.read(self._folder / "audit", self.engine().name, self.commands, since)

    # Through the API

    def _kubectl(self, *arguments: str, timeout: float = 30.0) -> Ran:
        return kubectl(self.commands, self.kubeconfig, *arguments, timeout=timeout)

    def _nodes(self) -> list[Object] | None:
        """The Node objects, or None where the API server does not answer. Raises ClusterError where there is no kubectl to ask it."""
        ran = self._kubectl("get", "nodes", "-o", "json", "--request-timeout=5s")
        if ran.code in NOT_STARTED:
            raise explain(ran, "asking for the nodes")
        if not ran.ok:
            return None
        found: list[Object] = json.loads(ran.out)["items"]
        return found

    def _create_base(self) -> None:
        """Creates what is missing of manifests/base, until the cluster was ready once: afterwards a lab may have changed it or taken it away."""
        for name in ADDONS:
            ran = self._kubectl(
                "create", f"--filename={images.ROOT.parent / 'manifests' / 'base' / name}", "--field-manager=ai-lab", timeout=60.0
            )
            refused = [line for line in ran.err.splitlines() if line.strip() and "(AlreadyExists)" not in line]
            if not ran.ok and (refused or "(AlreadyExists)" not in ran.err):
                raise explain(Ran(ran.argv, ran.code, "", "\n".join(refused)), f"creating what {name} describes")

    def _await(self, limit: float, missing_of: Callable[[list[Object]], str], progress: Progress) -> None:
        """Waits until `missing_of` the nodes is empty. Raises ClusterError that says what is missing after `limit` seconds."""
        deadline = self._clock() + limit
        told = ""
        while True:
            nodes = self._nodes()
            missing = "the API server does not answer (docker logs ai-lab-control-plane)" if nodes is None else missing_of(nodes)
            if not missing:
                return
            if self._clock() > deadline:
                raise ClusterError(
                    f"the cluster is up and not ready after {limit:.0f} s: {missing}",
                    next="look there, then: ai-lab up --cluster kind goes on from here",
                )
            if missing != told:
                progress.say(f"waiting: {missing}")
                told = missing
            self._pause(_LOOK_EVERY)

    def _await_gpus(self, progress: Progress) -> None:
        if not self._complete.exists():
            with progress.step("GPUs allocatable"):
                self._await(_WAIT_GPUS, self._gpus_missing, progress)
            self._complete.touch()
            return
        try:
            with progress.step("GPUs allocatable"):
                self._await(_WAIT_GPUS_AGAIN, lambda nodes: readiness.gpus_missing(nodes, readiness.promised(nodes)), Progress())
        except ClusterError as problem:
            # A lab may be under way in which they are gone on purpose.
            progress.say(f"{problem.what}; ai-lab reset LAB brings the plugin back")

    def _gpus_missing(self, nodes: list[Object]) -> str:
        missing = readiness.gpus_missing(nodes, GPUS)
        if not missing:
            return ""
        ran = self._kubectl("-n", "kube-system", "get", "pods", "-l", "app=gpu-device-plugin", "-o", "json", "--request-timeout=5s")
        try:
            pods: list[Object] = json.loads(ran.out)["items"] if ran.ok else []
        except ValueError:
            pods = []
        return f"{missing}; {readiness.plugin_state(pods)}"
