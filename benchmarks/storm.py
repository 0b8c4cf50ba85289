"""`python -m benchmarks.storm --seconds 600`: does to an embedded cluster what may happen to one, and prints what was lost, left over or hung.

Each round brings the cluster up, writes objects, does one harm to it and looks again. Nothing that the API server acknowledged may be lost,
no process may be left after `down`, and no command may hang. The state is in a folder of its own (a small tmpfs where mounting is allowed),
and only processes of that cluster are touched. Exit status 1 where something was found.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from benchmarks.trial_cluster import BIN, DOWN, UP, WIPE, TrialCluster
from clusters.embedded import owned_processes

DISK = "96m"
# Forks twice, begins a session of its own and clears its environment.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.execve('/usr/local/bin/python3', ['python3', '-c', 'import time; time.sleep(99999)'], {})
time.sleep(99999)
"""
CHATTY = "import os\nwhile True: os.write(1, b'z' * 199 + b'\\n')"


class Storm(TrialCluster):
    def __init__(self, home: Path, small_disk: bool):
        super().__init__(home)
        self.small_disk = small_disk
        self.done: Counter[str] = Counter()

    # Harms

    def kill(self) -> None:
        with self.writing():
            time.sleep(random.uniform(0.0, 1.0))
            if self.server:
                os.kill(self.server, signal.SIGKILL)

    def kill_and_down(self) -> None:
        self.kill()
        self.check_down()

    def kill_while_starting(self) -> None:
        self.lab(*DOWN)
        starting = self.start(*UP)
        time.sleep(random.uniform(0.2, 2.0))
        if self.server:
            os.kill(self.server, signal.SIGKILL)
        self.finish(starting)

    def stop(self) -> None:
        if self.server:
            os.kill(self.server, signal.SIGSTOP)
        self.check_status()
        self.lab(*random.choice((UP, DOWN)))

    def together(self) -> None:
        first, second = random.choice((UP, DOWN, WIPE)), random.choice((UP, DOWN, WIPE))
        if WIPE in (first, second):
            self.acknowledged.clear()
        one = self.start(*first)
        time.sleep(random.uniform(0.0, 0.4))
        other = self.start(*second)
        for each in (one, other):
            said = self.finish(each)
            if each.returncode:
                self.fault(f"{first} with {second}: {said}")
        self.check_status()

    def lose_pid_file(self) -> None:
        file = self.folder / "server.pid"
        file.unlink(missing_ok=True)
        if content := random.choice(("", "[]", "7", "null", "garbage")):
            file.write_text(content)
        self.check_status()
        self.check_down()

    def lose_folder(self) -> None:
        server, containers = self.server, owned_processes.containers(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        self.acknowledged.clear()
        self.check_down()
        left = [pid for pid in [server, *containers] if pid and owned_processes.started(pid)]
        if left:
            self.fault(f"left over after the folder was deleted: {left}")

    def fill_disk(self) -> None:
        if not self.small_disk:
            return
        filler = self.home / "filler"
        try:
            with contextlib.suppress(OSError), filler.open("wb") as file:
                while True:
                    file.write(bytes(1 << 16))
                    file.flush()
            self.write(3)
            self.kubectl("delete", "pods", "--all", "--wait=false")
            if random.random() < 0.5 and self.server:
                os.kill(self.server, signal.SIGKILL)
            self.lab(*UP, may_fail=True)
            self.check_status()
        finally:
            filler.unlink(missing_ok=True)

    def read_slowly(self) -> None:
        """Programs that ask for much and read nothing of it."""
        self.kubectl("run", "chatty", "--image=python:3.12-slim", "--", "python3", "-c", CHATTY)
        self.kubectl("wait", "--for=condition=Ready", "pod/chatty", "--timeout=20s")
        command = [str(BIN / "kubectl"), "--kubeconfig", str(self.folder / "kubeconfig")]
        readers = [
            subprocess.Popen([*command, *what], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
            for what in (("logs", "-f", "chatty"), ("attach", "chatty"), ("exec", "chatty", "--", "yes"), ("get", "events", "-A", "-w"))
        ]
        self.write(20)
        for reader in readers:
            reader.kill()
            reader.communicate()
        self.kubectl("delete", "pod", "chatty", "--now")

    def leave_daemons(self) -> None:
        self.kubectl("create", "deployment", "daemons", "--image=python:3.12-slim", "--replicas=3", "--", "python3", "-c", DAEMON)
        self.kubectl("rollout", "status", "deployment/daemons", "--timeout=20s")
        self.check_down(*random.choice((DOWN, WIPE)))
        if not (self.folder / "store").exists():
            self.acknowledged.clear()

    def many_pods(self) -> None:
        self.kubectl("create", "deployment", "many", "--image=busybox:1.36", "--replicas=120", "--", "sleep", "99999")
        server = self.server
        self.kubectl("wait", "--for=jsonpath={.status.readyReplicas}=20", "deployment/many", "--timeout=60s")
        if self.server != server:
            self.fault(f"120 Pods at {self.files or 'any number of'} files: the server {server} is now {self.server}")
        self.write(2)
        self.kubectl("delete", "deployment", "many")

    def run(self, seconds: float) -> None:
        harms: list[Callable[[], None]] = [
            *(self.kill, self.kill_and_down, self.kill_while_starting, self.stop, self.together, self.lose_pid_file),
            *(self.lose_folder, self.fill_disk, self.read_slowly, self.leave_daemons, self.many_pods),
        ]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            # Every harm once, in another order each time.
            for harm in random.sample(harms, len(harms)):
                if time.monotonic() > end:
                    break
                self.files = random.choice((None, None, 1024, 256))
                print(f"{harm.__name__} ({self.files or 'no'} limit of open files)", flush=True)
                self.check_up()
                self.write()
                harm()
                self.done[harm.__name__] += 1
        self.files = None
        self.check_up()
        self.check_down(*WIPE)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.storm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", type=int, default=None, help="the same harms in the same order as another run")
    arguments = parser.parse_args()
    seed = arguments.seed if arguments.seed is not None else int(time.time())
    random.seed(seed)
    home = Path(tempfile.mkdtemp(prefix="ai-lab-storm-"))
    mounted = (
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(home)], capture_output=True, check=False).returncode == 0
    )
    storm = Storm(home, mounted)
    try:
        storm.run(arguments.seconds)
    finally:
        storm.lab(*WIPE, may_fail=True)
        if mounted:
            subprocess.run(["umount", "--lazy", str(home)], check=False)
        shutil.rmtree(home, ignore_errors=True)
    print(f"seed {seed}; {'a small disk was filled' if mounted else 'no disk was filled: mounting is not allowed'}")
    print(f"{storm.number} writes; harms: {', '.join(f'{name} {count}' for name, count in sorted(storm.done.items()))}")
    print(f"lost, left over or hung: {len(storm.faults) or 'nothing'}")
    return 1 if storm.faults else 0


if __name__ == "__main__":
    sys.exit(main())
