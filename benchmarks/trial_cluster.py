"""A cluster of its own for a trial: driven by the command, written to, and held against what must be true of it.

What is not true is printed at once and kept in `faults`.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from clusters.embedded import owned_processes, short_folders
from clusters.embedded.server_process import ServerProcess

BIN = Path(sys.executable).parent
UP, DOWN, WIPE = ("up", "--cluster", "embedded"), ("down",), ("down", "--wipe", "--yes")
# A command that takes longer is said to hang; the slowest that is right takes about 30 s on a busy machine.
PATIENCE = 180.0


class TrialCluster:
    """`home` is its AI_LAB_HOME; `files` is the hard limit of open files that its commands get (None: this machine's)."""

    def __init__(self, home: Path):
        self.home = home
        self.folder = home / "embedded"
        self.files: int | None = None
        self.faults: list[str] = []
        self.acknowledged: set[str] = set()
        self.number = 0

    # The cluster

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """A command with the limit of open files that this round has."""
        files = self.files

        def limit() -> None:
            if files:
                resource.setrlimit(resource.RLIMIT_NOFILE, (min(files, 256), files))

        return subprocess.Popen(
            [str(BIN / "ai-lab"), *arguments],
            env={**os.environ, "AI_LAB_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=limit,
        )

    def finish(self, command: subprocess.Popen[str]) -> str:
        try:
            said, _ = command.communicate(timeout=PATIENCE)
        except subprocess.TimeoutExpired:
            self.fault(f"hung: {' '.join(command.args[1:])}")  # type: ignore[arg-type, index]
            command.kill()
            said, _ = command.communicate()
        return said

    def lab(self, *arguments: str, may_fail: bool = False) -> str:
        command = self.start(*arguments)
        said = self.finish(command)
        if command.returncode and not may_fail:
            self.fault(f"ai-lab {' '.join(arguments)} failed: {said}")
        if "Traceback" in said:
            self.fault(f"ai-lab {' '.join(arguments)} ended in a traceback: {said}")
        return said

    def kubectl(self, *arguments: str) -> str:
        command = [str(BIN / "kubectl"), "--kubeconfig", str(self.folder / "kubeconfig"), "--request-timeout=20s", *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=PATIENCE)
        return done.stdout if done.returncode == 0 else ""

    @property
    def server(self) -> int | None:
        return ServerProcess(self.folder).find()

    def fault(self, what: str) -> None:
        print(f"  ✘ {what}", flush=True)
        self.faults.append(what)

    def write(self, count: int = 5) -> None:
        """Objects that must be there from now on, if the server says that it has them."""
        for _ in range(count):
            self.number += 1
            name = f"kept-{self.number}"
            if self.kubectl("create", "configmap", name, "--from-literal=a=b"):
                self.acknowledged.add(name)

    @contextlib.contextmanager
    def writing(self) -> Iterator[None]:
        """Writes all the while, so that a harm comes in the middle of a write."""
        stop = threading.Event()

        def run() -> None:
            while not stop.is_set():
                self.write(1)

        writer = threading.Thread(target=run)
        writer.start()
        try:
            yield
        finally:
            stop.set()
            writer.join()

    # What must be true

    def check_up(self) -> None:
        self.lab(*UP)
        listed = self.kubectl("get", "configmaps", "-o", "name").split()
        lost = self.acknowledged - {name.partition("/")[2] for name in listed}
        if lost:
            self.fault(f"lost: {len(lost)} of {len(self.acknowledged)} acknowledged objects, {sorted(lost)[:3]}")
            self.acknowledged -= lost
        self.check_status()

    def check_status(self) -> None:
        said = self.lab("status", "--json", may_fail=True)
        with contextlib.suppress(ValueError):
            state = json.loads(said)["state"]
            if (state in ("ready", "starting", "unknown")) != (self.server is not None):
                self.fault(f"status says {state}, the server's process is {self.server}")
            return
        self.fault(f"status said: {said}")

    def check_down(self, *how: str) -> None:
        sockets = short_folders.below(self.folder)
        family = owned_processes.family(self.server) if self.server else {}
        self.lab(*(how or DOWN))
        left = owned_processes.containers(self.folder)
        left += [pid for pid, began in family.items() if began and owned_processes.started(pid) == began]
        if left or self.server:
            self.fault(f"left over after down: containers {left}, server {self.server}")
        if kept := [str(folder) for folder in sockets if folder.exists()]:
            self.fault(f"left over after down: {kept}")
