"""Up, down and wipe, with a server that was killed, stopped, lost or robbed of its folder: nothing of it survives, and status tells the truth."""

from __future__ import annotations

import errno
import itertools
import json
import os
import resource
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from clusters.base import ClusterError, Progress
from clusters.embedded import file_locks, owned_processes, prepared_server, short_folders
from clusters.embedded.provider import EmbeddedCluster
from clusters.embedded.server_process import ServerProcess
from tests.conftest import BIN, ROOT

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

# Forks twice and begins a session of its own, with an environment of its own where `clean` says so; then writes its pid into a log.
DAEMON = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    os.execve(sys.executable, [sys.executable, '-c', 'import time; time.sleep(99999)  # MARK'], ENV)
time.sleep(99999)
"""


class Lab:
    """An embedded cluster in a state folder of its own, driven as the command drives it."""

    def __init__(self, home: Path):
        self.home = home
        self.cluster = EmbeddedCluster(home)
        self.folder = self.cluster.folder

    @property
    def pid(self) -> int:
        found = ServerProcess(self.folder).find()
        assert found is not None
        return found

    def up(self) -> None:
        self.cluster.up(Progress())

    def down(self) -> None:
        self.cluster.down(Progress())

    def command(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [str(BIN / "ai-lab"), *arguments],
            env={**os.environ, "AI_LAB_HOME": str(self.home)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def kubectl(self, *arguments: str) -> str:
        done = subprocess.run(
            [str(BIN / "kubectl"), "--kubeconfig", str(self.folder / "kubeconfig"), *arguments], capture_output=True, text=True, check=False
        )
        return done.stdout + done.stderr

    def run_daemon(self, environment: str) -> int:
        """A Pod whose program leaves a daemon behind; returns the daemon's pid on this machine: in a PID namespace it sees another one itself."""
        mark = secrets.token_hex(8)
        program = DAEMON.replace("ENV", environment).replace("MARK", mark)
        self.kubectl("run", "daemon", "--image=python:3.12-slim", "--", "python3", "-c", program)

        def found() -> int:
            running = psutil.process_iter(["cmdline"])
            return next(
                (each.pid for each in running if (each.info["cmdline"] or [])[1:] == ["-c", f"import time; time.sleep(99999)  # {mark}"]), 0
            )

        until(found)
        return found()

    def processes(self) -> list[int]:
        server = ServerProcess(self.folder).find()
        return [*owned_processes.containers(self.folder), *([server] if server else [])]


def until(check: Callable[[], object], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, "what was waited for did not come"
        time.sleep(0.05)


@pytest.fixture
def lab() -> Iterator[Lab]:
    made = Lab(Path(tempfile.mkdtemp(prefix="ai-lab-life-")))
    try:
        yield made
    finally:
        made.cluster.wipe()
        left = made.processes()
        shutil.rmtree(made.home, ignore_errors=True)
        assert left == []


def test_no_process_survives_down_after_the_server_was_killed(lab: Lab) -> None:
    lab.up()
    daemons = [lab.run_daemon("os.environ")]
    sockets = short_folders.below(lab.folder)
    os.kill(lab.pid, signal.SIGKILL)
    until(lambda: ServerProcess(lab.folder).find() is None)
    seen = lab.cluster.status()
    assert seen.state == "stopped"
    assert "ended unexpectedly" in seen.detail
    assert f"{len(lab.processes())} processes of its containers still run" in seen.detail
    assert daemons[0] in lab.processes()
    lab.down()
    assert lab.processes() == []
    assert not any(owned_processes.started(pid) for pid in daemons)
    assert not any(folder.exists() for folder in sockets)
    assert lab.cluster.status().detail == "not running; ai-lab up starts it"


def test_a_daemon_without_environment_ends_with_its_pod_and_with_the_cluster(lab: Lab) -> None:
    lab.up()
    daemon = lab.run_daemon("{}")
    lab.kubectl("delete", "pod", "daemon", "--now")
    assert not owned_processes.started(daemon)
    daemon = lab.run_daemon("{}")
    lab.down()
    assert not owned_processes.started(daemon)


@pytest.mark.parametrize("content", [None, "[]", "7", "null", "garbage", '{"pid": 1, "started": "1"}'])
def test_a_server_whose_pid_file_is_lost_is_found(lab: Lab, content: str | None) -> None:
    lab.up()
    server = lab.pid
    file = lab.folder / "server.pid"
    file.unlink() if content is None else file.write_text(content)
    assert lab.cluster.status().state == "ready"
    lab.up()
    assert json.loads(file.read_text())["pid"] == server
    file.unlink() if content is None else file.write_text(content)
    lab.down()
    assert not owned_processes.started(server)
    assert lab.cluster.status().state == "stopped"


def test_a_stopped_server_is_told_apart_goes_on_with_up_and_ends_with_down(lab: Lab) -> None:
    lab.up()
    server = lab.pid
    os.kill(server, signal.SIGSTOP)
    until(lambda: owned_processes.is_stopped(server))
    seen = lab.cluster.status()
    assert seen.state == "unknown"
    assert seen.detail == f"not answering: process {server} is stopped by a signal; ai-lab up lets it go on"
    lab.up()
    assert lab.pid == server
    os.kill(server, signal.SIGSTOP)
    lab.down()
    assert lab.processes() == []


@pytest.mark.parametrize("replaced", [False, True])
def test_a_server_whose_folder_is_gone_ends_with_its_containers(lab: Lab, replaced: bool) -> None:
    lab.up()
    server, everything = lab.pid, lab.processes()
    sockets = short_folders.below(lab.folder)
    lab.folder.rename(lab.home / "elsewhere")
    if replaced:
        lab.folder.mkdir()
    until(lambda: not owned_processes.started(server))
    until(lambda: not any(owned_processes.started(pid) for pid in everything))
    assert not any(folder.exists() for folder in sockets)
    assert lab.cluster.status().state == "absent"
    lab.up()
    assert lab.cluster.status().state == "ready"


UP, DOWN, WIPE = ("up", "--cluster", "embedded"), ("down",), ("down", "--wipe", "--yes")


@pytest.mark.parametrize(("first", "second"), list(itertools.product((UP, DOWN, WIPE), repeat=2)), ids=" ".join)
def test_two_commands_at_once_end_in_a_state_that_status_tells(lab: Lab, first: tuple[str, ...], second: tuple[str, ...]) -> None:
    lab.command(*UP).communicate()
    both = lab.command(*first), lab.command(*second)
    said = [each.communicate()[0] for each in both]
    assert [each.returncode for each in both] == [0, 0], said
    runs = lab.cluster.status().state == "ready"
    assert runs == bool(lab.processes())
    servers = [pid for pid in lab.processes() if owned_processes.CONTAINER not in owned_processes.environment(pid)]
    assert len(servers) == int(runs)


def test_a_start_that_fails_says_why(lab: Lab) -> None:
    lab.up()
    lab.down()
    (lab.folder / "kubeconfig").unlink()
    (lab.folder / "kubeconfig").mkdir()
    with pytest.raises(ClusterError) as caught:
        lab.up()
    assert "Is a directory" in caught.value.what
    assert "wipe" not in caught.value.next
    (lab.folder / "kubeconfig").rmdir()
    # A port that cannot be one is no reason.
    (lab.folder / "port").write_text("99999")
    lab.up()
    assert lab.cluster.status().state == "ready"


def test_down_and_status_need_no_writable_state_folder(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    lab.up()
    server = lab.pid

    def refuse(*arguments: object, **keywords: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS), str(lab.home))

    with monkeypatch.context() as read_only:
        read_only.setattr(file_locks, "lock", refuse)
        read_only.setattr(Path, "unlink", refuse)
        assert lab.cluster.status().state == "ready"
        lab.down()
        assert not owned_processes.started(server)
        assert "ended unexpectedly" in lab.cluster.status().detail
        with pytest.raises(ClusterError, match=r"cannot be written: .*Read-only file system"):
            lab.up()


def test_a_server_that_is_killed_while_it_starts_is_said_to_have_been_killed(lab: Lab) -> None:
    starting = lab.command("up", "--cluster", "embedded")
    until(lambda: (lab.folder / "server.pid").exists())
    os.kill(lab.pid, signal.SIGKILL)
    said = starting.communicate()[0]
    assert starting.returncode != 0
    assert "ended by signal SIGKILL while it started" in said
    assert lab.processes() == []


def test_a_prepared_server_is_the_one_that_up_starts(lab: Lab) -> None:
    lab.up()
    lab.down()
    prepared_server.prepare(lab.folder)
    prepared = prepared_server.pid(lab.folder)
    assert prepared is not None
    assert not lab.cluster.is_running(), "a server that waits is none"
    lab.up()
    assert lab.pid == prepared
    assert lab.cluster.status().state == "ready"
    prepared_server.prepare(lab.folder)
    assert prepared_server.pid(lab.folder) is None, "no second one is prepared beside a server that runs"


def test_a_prepared_server_that_was_ended_is_replaced(lab: Lab) -> None:
    lab.up()
    lab.down()
    prepared_server.prepare(lab.folder)
    prepared = prepared_server.pid(lab.folder)
    assert prepared is not None
    os.kill(prepared, signal.SIGKILL)
    until(lambda: not owned_processes.started(prepared))
    lab.up()
    assert lab.pid != prepared
    assert lab.cluster.status().state == "ready"


def test_a_prepared_server_ends_with_a_command_that_does_not_need_it(lab: Lab) -> None:
    lab.up()
    lab.down()
    program = (
        f"from pathlib import Path; from clusters.embedded import prepared_server as server; folder = Path({str(lab.folder)!r}); "
        "server.prepare(folder); print(server.pid(folder))"
    )
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    until(lambda: not owned_processes.started(int(said)))
    assert lab.cluster.status().state == "stopped"


def test_up_starts_its_server_before_it_reads_itself(lab: Lab) -> None:
    """From the start of the command to the start of its server there is no time for Typer."""
    lab.command(*UP).communicate()
    lab.command(*DOWN).communicate()
    program = (
        "import subprocess, sys; kept = subprocess.Popen.__init__\n"
        "def first(self, *arguments, **named):\n    print('typer' in sys.modules, 'clusters.embedded' in arguments[0]); kept(self, *arguments, **named)\n"
        "subprocess.Popen.__init__ = first; sys.argv = ['ai-lab', 'up']\n"
        "from lab_checks.__main__ import main; main()"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={**os.environ, "AI_LAB_HOME": str(lab.home)},
    )
    assert done.stdout.splitlines()[0] == "False True", done.stdout + done.stderr
    assert lab.cluster.status().state == "ready"


def test_with_256_files_pods_wait_for_room_and_the_server_lives(lab: Lab) -> None:
    limited = subprocess.Popen(
        [str(BIN / "ai-lab"), "up", "--cluster", "embedded"],
        env={**os.environ, "AI_LAB_HOME": str(lab.home)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 256)),
    )
    said = limited.communicate()[0]
    assert "the limit of 256 open files allows " in said
    server = lab.pid
    lab.kubectl("create", "deployment", "many", "--image=busybox:1.36", "--replicas=100", "--", "sleep", "99999")
    until(lambda: "Too many pods" in lab.kubectl("get", "events", "-o", "custom-columns=MESSAGE:.message"))
    until(lambda: lab.kubectl("get", "pods", "--no-headers").count("Running") == 26, 120)
    assert len(os.listdir(f"/proc/{server}/fd")) < 256 if Path("/proc/self/fd").exists() else True
    # A container has the limit that the server was started with.
    assert lab.kubectl("exec", "deployment/many", "--", "sh", "-c", "ulimit -n").strip() == "128"
    assert lab.pid == server
