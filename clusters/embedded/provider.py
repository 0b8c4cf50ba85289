"""The embedded cluster as the course sees it: one server process, started, watched, asked and ended from here.

Only the standard library is imported at the top: how soon the server starts decides how soon the cluster is ready.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clusters import audit_lines
from clusters.base import Cluster, ClusterError, ClusterStatus, Progress

Object = dict[str, Any]

# How long a cold machine may take; a warm one needs about a second.
_START = 90.0
_STOP = 20.0
_ASK = 5.0


class EmbeddedCluster(Cluster):
    """The cluster that lives in `<state>/embedded`."""

    name = "embedded"

    def __init__(self, state: Path):
        self.folder = state / "embedded"

    @property
    def kubeconfig(self) -> Path:
        return self.folder / "kubeconfig"

    @property
    def _pid_file(self) -> Path:
        return self.folder / "server.pid"

    @property
    def _log(self) -> Path:
        return self.folder / "server.log"

    # Up and down

    def up(self, progress: Progress) -> None:
        """Starts the server over its state, or finds it running. Raises ClusterError where it does not get ready."""
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / "lock").open("w")
        except OSError as error:
            raise ClusterError(
                f"the state folder {self.folder} cannot be written: {error.strerror}", next="set AI_LAB_HOME to a folder of your own"
            ) from None
        with lock, progress.step("Embedded cluster: API server, 4 nodes, GPUs"):
            # Two terminals may say `up` at the same moment: the second finds what the first started.
            fcntl.flock(lock, fcntl.LOCK_EX)
            pid = self._pid()
            if pid is not None and self._answers():
                return
            if pid is not None:
                self._end(pid)
            self._start(progress)

    def _start(self, progress: Progress) -> None:
        reader, writer = os.pipe()
        with self._log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "clusters.embedded", "--state", str(self.folder), "--ready-fd", str(writer)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=[writer],
                start_new_session=True,
                cwd=self.folder,
                env=_environment(),
            )
        os.close(writer)
        self._pid_file.write_text(json.dumps({"pid": process.pid, "started": _started(process.pid)}))
        answer = self._await_answer(reader, process)
        if "server" not in answer:
            self._pid_file.unlink(missing_ok=True)
            raise ClusterError(
                f"the embedded cluster did not start: {answer.get('error') or self._last_words()}",
                next=answer.get("next") or f"the whole story is in {self._log}; ai-lab down --wipe starts over with an empty cluster",
            )
        if answer.get("missing"):
            progress.say(
                f"up, and not complete yet: {answer['missing']} (kubectl -n kube-system get pods -o wide; ai-lab reset LAB brings the plugin back)"
            )

    def _await_answer(self, reader: int, process: subprocess.Popen[bytes]) -> Object:
        with os.fdopen(reader) as ready:
            there, _, _ = select.select([ready], [], [], _START)
            line = ready.readline() if there else ""
        if line:
            found: Object = json.loads(line)
            return found
        if process.poll() is None:
            process.kill()
            process.wait()
            return {"error": f"it was not ready after {_START:.0f} s"}
        return {}

    def _last_words(self) -> str:
        try:
            lines = [line for line in self._log.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        return lines[-1] if lines else "the server ended without a word"

    def down(self, progress: Progress) -> None:
        with progress.step("Stopping the embedded cluster"):
            pid = self._pid()
            if pid is not None:
                self._end(pid)
            self._pid_file.unlink(missing_ok=True)

    def wipe(self) -> None:
        """Removes all that a stopped cluster has stored. Raises ClusterError while it runs."""
        if self._pid() is not None:
            raise ClusterError("the embedded cluster is running", next="ai-lab down first")
        shutil.rmtree(self.folder, ignore_errors=True)

    def _end(self, pid: int) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP
        while _started(pid) == self._recorded().get("started"):
            if time.monotonic() > deadline:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                break
            time.sleep(0.02)

    # How it is

    def _recorded(self) -> Object:
        try:
            found: Object = json.loads(self._pid_file.read_text())
        except (OSError, ValueError):
            return {}
        return found

    def _pid(self) -> int | None:
        """The server's process, where it still is the one that was started here: pids are used again."""
        recorded = self._recorded()
        pid = recorded.get("pid")
        if not isinstance(pid, int) or not recorded.get("started") or _started(pid) != recorded["started"]:
            return None
        return pid

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
            return int((self.folder / "port").read_text())
        except (OSError, ValueError):
            return None

    def _answers(self) -> bool:
        return self._request("/readyz") == b"ok"

    def status(self) -> ClusterStatus:
        pid = self._pid()
        if pid is None:
            there = self.folder.exists() and self._pid_file.exists()
            detail = "it ended unexpectedly; ai-lab up brings it back with all its objects" if there else "not running; ai-lab up starts it"
            return ClusterStatus(cluster=self.name, state="stopped" if self.kubeconfig.exists() else "absent", detail=detail)
        listed = self._request("/api/v1/nodes")
        nodes: list[Object] = json.loads(listed)["items"] if listed else []
        pids, memory = _resident(pid)
        short = [node["metadata"]["name"] for node in nodes if not _complete(node)]
        return ClusterStatus(
            cluster=self.name,
            state="ready" if nodes and not short else "starting",
            detail="" if nodes and not short else f"waiting for {', '.join(short) or 'the API server'}",
            server=f"https://127.0.0.1:{self._port()}",
            kubeconfig=str(self.kubeconfig),
            memory=memory,
            pids=pids,
            nodes=nodes,
        )

    def load_images(self) -> None:
        """Nothing to do: the nodes read `images/` themselves."""

    def audit_log(self, since: float = 0.0) -> Iterator[Object]:
        yield from audit_lines.read([self.folder / name for name in ("audit.log.1", "audit.log")], since)


def _environment() -> dict[str, str]:
    """The server's environment: this one, with this code to be found, and with compiled modules kept (a third of a start is compiling)."""
    found = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    found["PYTHONPATH"] = os.pathsep.join(filter(None, [_source(), found.get("PYTHONPATH", "")]))
    return found


def _source() -> str:
    """The folder from which this package was imported: the server runs in another folder and must find the same code."""
    return str(Path(__file__).resolve().parents[2])


def _complete(node: Object) -> bool:
    ready = any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", []))
    promised = int(node["metadata"].get("labels", {}).get("nvidia.com/gpu.count", "0"))
    return ready and int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", "0")) >= promised


def _started(pid: int) -> str:
    """When the process began, in the system's own count; the empty text where there is no such process (or only what is left of one)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        if Path("/proc/self/stat").exists():
            return ""
        asked = subprocess.run(["ps", "-o", "stat=,lstart=", "-p", str(pid)], capture_output=True, text=True, check=False)
        state, _, began = asked.stdout.strip().partition(" ")
        return "" if state.startswith("Z") else began.strip()
    return "" if fields[0] == "Z" else fields[19]


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
