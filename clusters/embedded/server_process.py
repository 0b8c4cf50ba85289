"""The server as a process: started, found again, asked how it is, and ended with everything that it runs.

It is known by its pid file, by the lock on its store, and by the mark in its environment: one of them is left whatever else was lost.
Only the standard library is imported at the top: how soon the server starts decides how soon the cluster is ready.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import time
from pathlib import Path

from clusters.base import ClusterError
from clusters.embedded import owned_processes, prepared_server, short_folders
from clusters.embedded.file_locks import is_locked
from kubeobjects import Object

# How long a cold machine may take; a warm one needs about a second.
START_SECONDS = 90.0
_STOP_SECONDS = 20.0
# How long one `up` or `down` waits for another on the same state.
LOCK_SECONDS = START_SECONDS + _STOP_SECONDS + 10.0
_LOOK = 0.02


class ServerProcess:
    """The server of the cluster in `folder`."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.log = prepared_server.log_of(folder)
        self._pid_file = folder / "server.pid"

    # Finding

    def find(self) -> int | None:
        """The running server's pid, or None."""
        pid, began = self._recorded()
        if pid is not None and began and owned_processes.started(pid) == began:
            return pid
        return self._holder() or owned_processes.server(self.folder, but=prepared_server.pid(self.folder))

    def _recorded(self) -> tuple[int | None, str]:
        try:
            found = json.loads(self._pid_file.read_text())
            pid, began = found["pid"], found["started"]
        except (OSError, ValueError, TypeError, KeyError):
            return None, ""
        # Pids are used again: the time of birth tells whether it still is the one that was started here.
        return (pid, began) if isinstance(pid, int) and pid > 1 and isinstance(began, str) else (None, "")

    def _holder(self) -> int | None:
        """Who holds the lock on the store, which the holder's death frees."""
        path = self.folder / "store" / "state.lock"
        if not is_locked(path):
            return None
        try:
            pid = int(path.read_text())
        except (OSError, ValueError):
            return None
        return pid if pid > 1 and owned_processes.started(pid) else None

    def was_running(self) -> bool:
        """Whether a server was started and not ended by `end`."""
        return self._pid_file.exists()

    # Starting

    def start(self, *, recover: bool = False) -> Object:
        """Starts the server and returns what it says when it is ready: {"server", "missing"?, "files"?, "pods"?, "recovered"?}.

        With `recover` it goes on with what is whole of damaged state. Raises ClusterError, OSError.
        """
        started = prepared_server.begin(self.folder, recover=recover)
        self.record(started.process.pid)
        answer = self._await_answer(started.ready, started.process)
        if "server" not in answer:
            self.end(None)
            raise ClusterError(
                f"the embedded cluster did not start: {answer['error']}",
                next=answer.get("next") or f"read the end of {self.log}, then: ai-lab up",
            )
        return answer

    def record(self, pid: int) -> None:
        """Writes down which process the server is. Where the disk is full, it is found without."""
        began = owned_processes.started(pid)
        if self._recorded() == (pid, began):
            return
        fresh = self._pid_file.with_name("server.pid.new")
        with contextlib.suppress(OSError):
            fresh.write_text(json.dumps({"pid": pid, "started": began}))
            fresh.replace(self._pid_file)

    def _await_answer(self, reader: int, process: subprocess.Popen[bytes]) -> Object:
        with os.fdopen(reader) as ready:
            there, _, _ = select.select([ready], [], [], START_SECONDS)
            line = ready.readline() if there else ""
        with contextlib.suppress(ValueError):
            found: Object = json.loads(line)
            return found
        if not there:
            process.kill()
            process.wait()
            return {"error": f"it was not ready after {START_SECONDS:.0f} s"}
        # It has closed its end without an answer: it has ended or is about to.
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_STOP_SECONDS)
        code = process.poll()
        if code is not None and code < 0:
            name = signal.Signals(-code).name if -code in set(signal.Signals) else str(-code)
            return {"error": f"it was ended by signal {name} while it started", "next": "ai-lab up tries again"}
        return {"error": self._last_words()}

    def _last_words(self) -> str:
        try:
            lines = [line for line in self.log.read_text(errors="replace").splitlines() if line.strip()]
        except OSError:
            lines = []
        said = [line for line in lines if " INFO " not in line]
        return said[-1] if said else "the server ended without a word"

    # Ending

    def end(self, pid: int | None) -> None:
        """Ends the server `pid` (None: there is none) and every process of its containers, and clears away what they leave outside the folder.

        Raises ClusterError where something does not end.
        """
        sockets = short_folders.below(self.folder)
        family: dict[int, str] = {}
        if pid is not None:
            family = self._end_server(pid)
        self._end_containers(family)
        short_folders.remove(sockets)
        with contextlib.suppress(OSError):
            self._pid_file.unlink(missing_ok=True)

    def _end_server(self, pid: int) -> dict[int, str]:
        """Asks it to end, then kills it; returns what it ran and may not have ended: pid → when it began."""
        began = owned_processes.started(pid)
        # One that a signal has stopped hears nothing until it goes on.
        for number in (signal.SIGTERM, signal.SIGCONT):
            _send(pid, number)
        deadline = time.monotonic() + _STOP_SECONDS
        family: dict[int, str] = {}
        while began and owned_processes.started(pid) == began:
            if time.monotonic() > deadline:
                # Its containers are known by it as long as it lives; stopped, it starts no more of them.
                _send(pid, signal.SIGSTOP)
                family = owned_processes.family(pid)
                _send(pid, signal.SIGKILL)
                owned_processes.end(lambda: [pid] if owned_processes.started(pid) == began else [])
                break
            time.sleep(_LOOK)
        return family

    def _end_containers(self, family: dict[int, str]) -> None:
        def left() -> list[int]:
            of_family = [each for each, born in family.items() if born and owned_processes.started(each) == born]
            # A child that the server had forked and that has not become a container yet looks like the server.
            unborn = owned_processes.server(self.folder)
            return [*of_family, *owned_processes.containers(self.folder), *([unborn] if unborn else [])]

        owned_processes.end(left)
        if remaining := left():
            named = ", ".join(map(str, remaining))
            raise ClusterError(f"processes {named} of the cluster's containers do not end", next="ai-lab down tries again")


def _send(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.kill(pid, number)
