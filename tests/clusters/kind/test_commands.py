"""Running other programs: their output as it comes, their end, and their children's end with them."""

from __future__ import annotations

import os
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from clusters.kind.commands import Commands, Ran, explain


def test_lines_are_heard_while_the_program_runs_and_kept() -> None:
    heard: list[str] = []
    ran = Commands().run("sh", "-c", "echo one; echo two >&2; exit 3", timeout=10, on_line=heard.append)
    assert (ran.code, ran.out, ran.err) == (3, "one\n", "two\n")
    assert sorted(heard) == ["one", "two"]


def test_a_program_that_is_not_there_and_one_that_may_not_be_run(tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("")
    assert Commands().run("no-such-program", timeout=10).code == 127
    assert Commands().run(str(tmp_path / "plain"), timeout=10).code == 126


def test_a_program_reads_a_file(tmp_path: Path) -> None:
    (tmp_path / "archive").write_bytes(b"\xff\x00" * 500_000)
    assert Commands().run("wc", "-c", timeout=10, stdin=tmp_path / "archive").out.strip() == "1000000"
    assert "No such file" in Commands().run("wc", "-c", timeout=10, stdin=tmp_path / "none").err


def test_programs_of_other_threads_can_be_ended() -> None:
    commands, begun = Commands(), list[str]()
    with ThreadPoolExecutor() as pool:
        running = [pool.submit(commands.run, "sh", "-c", "echo begun; exec sleep 300", timeout=300, on_line=begun.append) for _ in range(2)]
        deadline = time.monotonic() + 60
        while len(begun) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        commands.interrupt()
        assert [each.result(60).ok for each in running] == [False, False]


def ended(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_time_that_runs_out_ends_the_programs_children_too(tmp_path: Path) -> None:
    note = tmp_path / "pid"
    began = time.monotonic()
    ran = Commands().run("sh", "-c", f"sleep 60 & echo $! > {note}; wait", timeout=0.5)
    assert ran.code == 124
    assert time.monotonic() - began < 20
    child = int(note.read_text())
    # A killed process is gone when the kernel has come to it, and it is nobody's child here: it may stay a zombie.
    deadline = time.monotonic() + 20
    while not ended(child):
        assert time.monotonic() < deadline, "the program's child still runs"
        time.sleep(0.02)
    assert "did not end in time" in explain(ran, "waiting").what


def test_a_program_may_be_called_by_another_name() -> None:
    ran = Commands().run(sys.executable, "-c", "print(open('/proc/self/cmdline').read().split(chr(0))[0])", timeout=10, called="ai-lab")
    if not os.path.exists("/proc/self/cmdline"):
        pytest.skip("no /proc on this system")
    assert ran.out == "ai-lab\n"
    assert ran.argv[0] == sys.executable


@pytest.mark.parametrize(
    ("program", "said", "told"),
    [
        ("docker", "permission denied while trying to connect to the docker API at unix:///var/run/docker.sock", "may not use"),
        ("docker", "permission denied while trying to connect to the Docker daemon socket at unix:///var/run/docker.sock", "may not use"),
        ("docker", "failed to connect to the docker API at unix:///var/run/docker.sock; check if the daemon is running", "does not answer"),
        ("podman", "Cannot connect to Podman. Please verify your connection to the Linux system", "does not answer"),
        ("docker", "failed to bind host port 127.0.0.1:41234/tcp: address already in use", "127.0.0.1:41234 is taken"),
        (
            "docker",
            'Get "https://registry-1.docker.io/v2/": dial tcp: lookup registry-1.docker.io on 10.0.0.2:53: no such host',
            "cannot be reached",
        ),
        ("docker", "manifest for kindest/node:v9 not found: manifest unknown", "does not have this image"),
        ("docker", "Could not fetch URL: NewConnectionError: Failed to establish a new connection", "pip inside the build"),
        ("docker", "SSLError(SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED]", "is not trusted"),
        ("docker", "You have reached your unauthenticated pull rate limit", "refuses more pulls"),
        (
            "kind",
            'could not find a log line that matches "Reached target .*Multi-User System.*|detected cgroup v1"',
            "a node did not come up",
        ),
        ("kind", "kubelet is configured to not run on a host using cgroup v1", "cgroup v1"),
        ("kind", 'ERROR: failed to create cluster: node(s) already exist for a cluster with the name "ai-lab"', "earlier ai-lab cluster"),
        (
            "kind",
            "Command Output: docker: Error response from daemon: No command specified\n\nRun 'docker run --help' for more",
            "No command specified",
        ),
        (
            "kind",
            'cgroup v1 is deprecated in Kubernetes\nERROR: failed to create cluster: failed to pull image "kindest/node:v1.36.2": command "docker pull '
            'kindest/node:v1.36.2" failed: exit status 1\n\nCommand Output: dial tcp: lookup registry-1.docker.io on 10.0.0.2:53: no such host',
            "registry cannot be reached",
        ),
    ],
)
def test_what_programs_say_is_told_in_plain_words(program: str, said: str, told: str) -> None:
    problem = explain(Ran((f"/usr/bin/{program}",), 1, "", said), "doing")
    assert told in problem.what
    assert problem.next
