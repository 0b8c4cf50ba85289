"""The embedded cluster as the course sees it: one server process, started, watched, asked and ended from here.

Only the standard library is imported at the top: how soon the server starts decides how soon the cluster is ready.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

from clusters import audit_lines
from clusters.base import Cluster, ClusterError, ClusterStatus, Progress
from clusters.embedded import file_locks, owned_processes, server_process
from clusters.embedded.server_process import ServerProcess
from kubeobjects import Object

_ASK = 5.0
# Less than this holds no new object and no container's files.
_LEAST_DISK = 2 * 1024 * 1024


class EmbeddedCluster(Cluster):
    """The cluster that lives in `<state>/embedded`."""

    name = "embedded"

    def __init__(self, state: Path):
        self.folder = state / "embedded"
        # Beside the folder: `wipe` removes that while it holds the lock.
        self._lock = state / "embedded.lock"
        self._server = ServerProcess(self.folder)

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    # Up and down

    def up(self, progress: Progress) -> None:
        """Starts the server over its state, or finds it running. Raises ClusterError where it does not get ready."""
        try:
            self.folder.parent.mkdir(parents=True, exist_ok=True)
            with file_locks.lock(self._lock, server_process.LOCK_SECONDS), progress.step("Embedded cluster: API server, 4 nodes, GPUs"):
                self.folder.mkdir(exist_ok=True)
                # What is in it is nobody else's: tokens, keys, and folders that every user of a container may write to.
                self.folder.chmod(0o700)
                self._up(progress)
        except OSError as error:
            raise _unwritable(self.folder, error) from None

    def _up(self, progress: Progress) -> None:
        pid = self._server.find()
        if pid is not None:
            if owned_processes.is_stopped(pid):
                os.kill(pid, signal.SIGCONT)
            # Two terminals may say `up` at the same moment: the second finds what the first started.
            if self._answers():
                self._server.record(pid)
                return
            self._server.end(pid)
        if os.geteuid() == 0:
            progress.say("running as root: the programs in its containers are root's processes on this machine")
        answer = self._server.start(recover=self.recover)
        if answer.get("recovered"):
            progress.say(answer["recovered"])
        if shutil.disk_usage(self.folder).free < _LEAST_DISK:
            progress.say(f"the disk of {self.folder} is full: the cluster can store nothing until some space is free")
        if answer.get("missing"):
            progress.say(
                f"up, and not complete yet: {answer['missing']} (kubectl -n kube-system get pods -o wide; ai-lab reset LAB brings the plugin back)"
            )
        if answer.get("pods"):
            progress.say(
                f"the limit of {answer['files']} open files allows {answer['pods']} Pods at a time (to raise it: ulimit -Hn, as root)"
            )

    def down(self, progress: Progress) -> None:
        """Ends the server and everything that it runs, whatever state they are in. Raises ClusterError where something does not end."""
        with self._alone():
            pid = self._server.find()
            if pid is None:
                # Containers of a server that was killed may still be there.
                self._server.end(None)
                progress.say("the embedded cluster is not running")
                return
            with progress.step("Stopping the embedded cluster"):
                self._server.end(pid)

    def wipe(self) -> None:
        """Ends what runs and removes all that the cluster has stored. Raises ClusterError where that cannot be removed."""
        with self._alone():
            self._server.end(self._server.find())
            _remove(self.folder)

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Under the lock, where there is a place for one: what is to end ends also when the state folder is gone or read-only."""
        with contextlib.ExitStack() as held:
            with contextlib.suppress(OSError):
                held.enter_context(file_locks.lock(self._lock, server_process.LOCK_SECONDS))
            yield

    # How it is

    def is_running(self) -> bool:
        """Whether the server runs, also one whose state folder is gone."""
        return self._server.find() is not None

    def _request(self, path: str) -> bytes | None:
        """The reply to a GET with the administrator's certificate; None where the server does not give one in time."""
        import http.client
        import ssl

        port = self._port()
        if port is None:
            return None
        try:
            context = ssl.create_default_context(cafile=str(self.folder / "pki" / "ca.crt"))
            context.load_cert_chain(self.folder / "pki" / "admin.crt", self.folder / "pki" / "admin.key")
            connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=_ASK, context=context)
            connection.request("GET", path, headers={"User-Agent": "ai-lab"})
            response = connection.getresponse()
            return response.read() if response.status == 200 else None
        except (OSError, http.client.HTTPException):
            return None

    def _port(self) -> int | None:
        try:
            port = int((self.folder / "port").read_text())
            return port if 0 < port < 65536 else None
        except (OSError, ValueError):
            return None

    def _answers(self) -> bool:
        return self._request("/readyz") == b"ok"

    def status(self) -> ClusterStatus:
        pid = self._server.find()
        if pid is None:
            return self._ended()
        pids, memory = _resident(pid)

        def seen(state: str, detail: str = "", nodes: list[Object] | None = None) -> ClusterStatus:
            return ClusterStatus(
                self.name,
                state,
                detail,
                server=f"https://127.0.0.1:{self._port()}" if self._port() else "",
                kubeconfig=str(self.kubeconfig) if self.kubeconfig.exists() else "",
                memory=memory,
                pids=pids,
                nodes=nodes or [],
            )

        if not (self.folder / "store" / "state.lock").exists() and not file_locks.is_locked(self._lock):
            return seen("unknown", f"its state folder {self.folder} is gone while process {pid} still runs; ai-lab down ends it")
        if owned_processes.is_stopped(pid):
            return seen("unknown", f"not answering: process {pid} is stopped by a signal; ai-lab up lets it go on")
        listed = self._request("/api/v1/nodes")
        if listed is None:
            if file_locks.is_locked(self._lock):
                return seen("starting", "waiting for the API server")
            return seen("unknown", f"not answering: process {pid} hangs or is very busy; ai-lab up ends it and starts it again")
        nodes: list[Object] = json.loads(listed)["items"]
        short = [node["metadata"]["name"] for node in nodes if not _complete(node)]
        if short or not nodes:
            return seen("starting", f"waiting for {', '.join(short) or 'the nodes'}", nodes)
        return seen("ready", nodes=nodes)

    def _ended(self) -> ClusterStatus:
        detail = "not running; ai-lab up starts it"
        if self._server.was_running():
            detail = "it ended unexpectedly; ai-lab up brings it back with all its objects"
        left = owned_processes.containers(self.folder)
        if left:
            detail += f"; {len(left)} processes of its containers still run, which ai-lab down ends"
        return ClusterStatus(self.name, "stopped" if self.kubeconfig.exists() else "absent", detail, pids=left)

    def load_images(self) -> None:
        """Nothing to do: the nodes read `images/` themselves."""

    def audit_log(self, since: float = 0.0) -> Iterator[Object]:
        yield from audit_lines.read([self.folder / name for name in ("audit.log.1", "audit.log")], since)


def _unwritable(folder: Path, error: OSError) -> ClusterError:
    if error.errno == errno.ENOSPC:
        return ClusterError(f"the disk of the state folder {folder} is full", next="free some disk space, then: ai-lab up")
    where = f"{error.filename}: " if error.filename and str(error.filename) != str(folder) else ""
    return ClusterError(
        f"the state folder {folder} cannot be written: {where}{error.strerror or error}", next="set AI_LAB_HOME to a folder of your own"
    )


def _remove(folder: Path) -> None:
    """Raises ClusterError where something of it cannot be removed."""
    # What can go goes first; then the first thing that cannot is named.
    shutil.rmtree(folder, ignore_errors=True)
    if folder.exists():
        try:
            shutil.rmtree(folder)
        except OSError as error:
            raise ClusterError(
                f"{error.filename or folder} cannot be removed: {error.strerror}", next="remove it by hand, then: ai-lab down --wipe"
            ) from None


def _complete(node: Object) -> bool:
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", []))
    promised = int(node["metadata"].get("labels", {}).get("nvidia.com/gpu.count", "0"))
    return ready and int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", "0")) >= promised


def _resident(pid: int) -> tuple[list[int], int]:
    """The server and all that runs below it: (pids, resident bytes)."""
    import psutil

    try:
        server = psutil.Process(pid)
        family = [server, *server.children(recursive=True)]
    except psutil.NoSuchProcess:
        return [], 0
    pids, memory = [], 0
    for each in family:
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            memory += each.memory_info().rss
            pids.append(each.pid)
    return pids, memory
