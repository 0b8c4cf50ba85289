"""The lab cluster on kind, from nothing, from stopped, from half-made or from running to ready.

`KindCluster.up` looks at what is there, does only what is missing, step by step, and ends when the nodes are Ready and the GPUs allocatable.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from clusters import images
from clusters.base import ADDONS, Cluster, ClusterError, ClusterStatus, Progress
from clusters.files import root
from clusters.kind import audit_log, host, readiness, supply
from clusters.kind.archive import Archive
from clusters.kind.commands import NOT_STARTED, Commands, Ran, explain, kubectl
from clusters.kind.engine import Engine, EngineInfo, NodeContainer, choose
from clusters.kind.loading import Loading, NodeImages, lacking
from clusters.kind.nodes import CLUSTER, GPUS, NODES, Kind, configuration
from kubeobjects import Object

_WAIT_NODES = 240.0
_WAIT_GPUS = 180.0
_WAIT_GPUS_AGAIN = 40.0
_WAIT_API = 120.0
_LOOK_EVERY = 1.0

# kind says so when all nodes' containers have booted; kubeadm begins after it, on the control plane.
BOOTED = re.compile("✓ Preparing nodes")
_CONTROL_PLANE, *_WORKERS = NODES


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
    def _archive(self) -> Archive:
        return Archive(self._folder / "images")

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
            missing, size = supply.to_fetch(engine)
            if missing:
                return f"{' and '.join(missing)}: about {size // 1024**2} MB to fetch"
            free = host.facts(self.state).free_memory
            if free < host.NEEDED_MEMORY:
                return f"{free / 1024**3:.1f} GiB of memory is free and four nodes want {host.NEEDED_MEMORY / 1024**3:.1f} GiB"
        except ClusterError as error:
            return error.what
        return ""

    def status(self) -> ClusterStatus:
        try:
            engine = self.engine()
            containers = engine.nodes(CLUSTER)
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
        with ThreadPoolExecutor(max_workers=len(containers)) as pool:
            memory = sum(pool.map(engine.memory_of, [node.name for node in containers]))
        return ClusterStatus(
            cluster=self.name, state="starting" if missing else "ready", detail=missing, server=self._server(), kubeconfig=here,
            memory=memory, nodes=nodes,
        )  # fmt: skip

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
        began = self._clock()
        with progress.step("Container engine and kind"):
            engine = self.engine()
            info = engine.info()
            self.kind.version()
        containers = engine.nodes(CLUSTER)
        if containers and not self._usable(engine, containers, progress):
            with progress.step("Removing a half-made cluster"):
                self._delete()
            containers = []
        if containers:
            wanted = self._lacking(engine)
        else:
            self._check_room(engine, info)
            supply.announce(engine, progress)
            supply.node_image_here(engine, progress)
            wanted = list(images.needed())
        with self._loading(engine, supply.pods_images_here(engine, wanted, progress, self.may_fetch)) as loading:
            if not containers:
                self._create(info, loading, progress)
            if loading:
                with progress.step("Images into the worker nodes"):
                    loading.finish(_WORKERS)
                # Nothing of the lab runs there, but a Pod that tolerates everything may.
                loading.begin([_CONTROL_PLANE])
            if not self._complete.exists():
                with progress.step("GPU device plugin and namespace"):
                    self._create_base()
            with progress.step("Nodes Ready"):
                self._await(_WAIT_NODES, lambda nodes: readiness.nodes_missing(nodes, NODES), progress)
            self._await_gpus(progress)
            if loading:
                with progress.step(f"Images into {_CONTROL_PLANE}"):
                    loading.finish([_CONTROL_PLANE])
                shares = ", ".join(f"{what} {seconds:.1f} s" for what, seconds in loading.seconds.items())
                progress.say(f"{self._clock() - began:.1f} s in all; images, beside the steps above: {shares or 'nothing to do'}")

    def down(self, progress: Progress) -> None:
        """Deletes the kind cluster called ai-lab, and nothing else."""
        with progress.step("Deleting the kind cluster"):
            self._delete()

    def wipe(self) -> None:
        """Deletes the archive of images that the next cluster would start from; what the cluster stored went with its containers."""
        self._archive.remove()

    def _delete(self) -> None:
        self.kind.delete(self.kubeconfig)
        for path in (self._made, self._complete, self.kubeconfig):
            path.unlink(missing_ok=True)

    def _create(self, info: EngineInfo, loading: Loading | None, progress: Progress) -> None:
        def heard(line: str) -> None:
            progress.detail(line)
            if loading and BOOTED.search(line):
                # The workers are idle until kubeadm has made the control plane.
                loading.begin(_WORKERS)

        with progress.step("Creating four nodes"):
            for path in (self._made, self._complete):
                path.unlink(missing_ok=True)
            audit = self._folder / "audit"
            audit.mkdir(exist_ok=True)
            # What was done on an earlier cluster says nothing about this one.
            for log in audit.glob(audit_log.LOGS):
                log.unlink()
            shutil.copyfile(Path(__file__).with_name("audit-policy.yaml"), self._folder / "audit-policy.yaml")
            config = self._folder / "ai-lab.yaml"
            config.write_text(configuration(self.state, info.cgroup))
            if loading:
                loading.save()
            self.kind.create(config, self.kubeconfig, heard)
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
        """Brings the images that the engine has into the nodes that do not have them yet, and fetches none. Raises ClusterError."""
        engine = self.engine()
        with self._loading(engine, supply.pods_images_here(engine, self._lacking(engine), Progress(), may_fetch=False)) as loading:
            if loading:
                loading.finish(NODES)

    def _lacking(self, engine: Engine) -> list[str]:
        """Which images some node lacks, or has in another build than the engine."""
        here, known = engine.image_ids(images.needed()), self._archive.contents()
        inside = NodeImages(engine).of_all(NODES)
        lacked = {name for there in inside.values() for name in lacking(there, images.needed(), here, known)}
        return [name for name in images.needed() if name in lacked]

    @contextlib.contextmanager
    def _loading(self, engine: Engine, wanted: list[str]) -> Iterator[Loading | None]:
        """The round that brings images in; None where none is wanted. The archive is of all images that are here: a new cluster will want them."""
        if not wanted:
            yield None
            return
        here = engine.image_ids(images.needed())
        references = [name for name in images.needed() if name in here]
        with Loading(engine, self.kind, self._archive, references, clock=self._clock, pause=self._pause) as loading:
            yield loading

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
            ran = self._kubectl("create", f"--filename={root() / 'manifests' / 'base' / name}", "--field-manager=ai-lab", timeout=60.0)
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
                progress.detail(f"waiting: {missing}")
                told = missing
            self._pause(_LOOK_EVERY)

    def _await_gpus(self, progress: Progress) -> None:
        if not self._complete.exists():
            with progress.step("GPUs allocatable"):
                self._await(_WAIT_GPUS, lambda nodes: self._gpus_missing(nodes, GPUS), progress)
            self._complete.touch()
            return
        try:
            with progress.step("GPUs allocatable"):
                self._await(_WAIT_GPUS_AGAIN, lambda nodes: self._gpus_missing(nodes, readiness.promised(nodes)), Progress())
        except ClusterError as problem:
            # A lab may be under way in which they are gone on purpose.
            progress.say(f"{problem.what}; ai-lab reset LAB brings the plugin back")

    def _gpus_missing(self, nodes: list[Object], expected: dict[str, int]) -> str:
        missing = readiness.gpus_missing(nodes, expected)
        ran = self._kubectl(
            "-n", "kube-system", "get", "daemonsets,pods", "-l", "app=gpu-device-plugin", "-o", "json", "--request-timeout=5s"
        )
        try:
            found: list[Object] = json.loads(ran.out)["items"] if ran.ok else []
        except ValueError:
            found = []
        pods = [each for each in found if each["kind"] == "Pod"]
        if missing:
            return f"{missing}; {readiness.plugin_state(pods)}"
        return readiness.plugin_moving([each for each in found if each["kind"] == "DaemonSet"], pods)
