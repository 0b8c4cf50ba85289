"""The command on a machine without a cluster, and given nonsense: clear words, the right exit status, never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from lab_checks.engine.progress import Progress
from lab_checks.face import cli, terminal
from tests.conftest import BIN


def run(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Runs the command in a shell whose PATH leads to it."""
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [str(BIN / "ai-lab"), *arguments], env={**os.environ, "PATH": path, "AI_LAB_HOME": str(home), **environment},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["status"], 5, "ai-lab up"),
        (["env"], 5, "ai-lab up"),
        (["up", "--cluster", "openshift"], 2, "one of: auto, embedded, kind, current"),
        (["up", "--cluster", "kind", "--recover"], 2, "the kind cluster has no stored state to recover"),
        (["check", "03-pendng"], 2, "did you mean 03-pending?"),
        (["check", "03-pending/nonsense"], 2, "03-pending has no exercise"),
        (["check"], 2, "no exercise is under way; name one"),
        (["check", "--all", "03-pending"], 2, "--all is about every lab"),
        (["check", "03-pending/moved-in", "--wait", "-1"], 2, "--wait"),
        (["hint"], 2, "ai-lab hint 03-pending/moved-in"),
        (["hint", "04-not-ready"], 2, "no exercise is under way in 04-not-ready"),
        (["diagnose"], 2, "ai-lab diagnose 03-pending/moved-in"),
        (["answer", "answer=x"], 2, "no exercise is under way"),
        (["answer", "13-interview/the-question"], 2, "answer=…"),
        (["images", "load", "no-such-file.tar"], 2, "no-such-file.tar is not there"),
        (["start", "99"], 2, "there is no lab"),
        (["reset"], 2, "--all"),
        (["reset", "03-pending", "--all"], 2, "--all"),
        (["report", "no-such-file.json"], 2, "ai-lab check --all --json"),
        (["frobnicate"], 2, "No such command"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do_next(arguments: list[str], code: int, words: str, tmp_path: Path) -> None:
    done = run(tmp_path, *arguments)
    assert done.returncode == code, done.stdout + done.stderr
    assert words in done.stdout + done.stderr
    assert "Traceback" not in done.stderr


def test_the_next_command_is_said_as_it_can_be_typed_there(tmp_path: Path) -> None:
    def next_step(folder: Path, path: str) -> str:
        done = subprocess.run(
            [str(BIN / "ai-lab"), "status"], env={**os.environ, "AI_LAB_HOME": str(tmp_path), "PATH": path}, cwd=folder,
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
        return done.stderr.splitlines()[-1].strip()

    assert next_step(BIN.parent, "/usr/bin:/bin") == "next: bin/ai-lab up"
    assert next_step(tmp_path, "/usr/bin:/bin") == f"next: {BIN}/ai-lab up"
    assert next_step(tmp_path, f"/usr/bin:{BIN}") == "next: ai-lab up"
    (tmp_path / "ai-lab").write_text("#!/bin/sh\n")
    (tmp_path / "ai-lab").chmod(0o755)
    assert next_step(tmp_path, f"{tmp_path}:{BIN}") == f"next: {BIN}/ai-lab up"


def test_every_command_is_known_where_messages_name_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(terminal, "command", lambda: "/there/ai-lab")
    names = [each.name or each.callback.__name__ for each in cli.app.registered_commands if each.callback]
    for name in [*names, "endpoint", "interview", "images", "drill", "dev"]:
        assert terminal.typable(f"next: ai-lab {name}, or `ai-lab {name} x`") == f"next: /there/ai-lab {name}, or `/there/ai-lab {name} x`"
    for other in ("--field-manager=ai-lab up", "the kind cluster called ai-lab", "ai-lab-worker2", "x/ai-lab up", "ai-lab updates"):
        assert terminal.typable(other) == other


def test_status_is_json_without_a_cluster_too(tmp_path: Path) -> None:
    done = run(tmp_path, "status", "--json")
    assert json.loads(done.stdout)["state"] == "absent"
    assert done.returncode == 5


def test_progress_counts_every_exercise_of_the_course(tmp_path: Path) -> None:
    done = run(tmp_path, "check", "--all", "--json")
    report = json.loads(done.stdout)
    assert report["passed"] == 0
    assert report["of"] == len(report["exercises"]) > 0
    assert done.returncode == 1


def test_an_instructor_reads_who_passed_what(tmp_path: Path) -> None:
    (tmp_path / "desk1.json").write_text(run(tmp_path, "check", "--all", "--json").stdout)
    found = json.loads(run(tmp_path, "report", str(tmp_path), "--json").stdout)
    assert len(found["learners"]) == 1
    assert found["learners"][0]["of"] == len(found["exercises"])
    assert "0/" in run(tmp_path, "report", str(tmp_path)).stdout


def test_a_bad_file_is_named_and_the_rest_is_reported(tmp_path: Path) -> None:
    (tmp_path / "desk1.json").write_text(run(tmp_path, "check", "--all", "--json").stdout)
    (tmp_path / "notes.json").write_text("# notes")
    done = run(tmp_path, "report", str(tmp_path))
    assert done.returncode == 1
    assert "notes.json: it is not JSON" in done.stderr
    assert "0/" in done.stdout
    (tmp_path / "desk1.json").unlink()
    assert run(tmp_path, "report", str(tmp_path)).returncode == 2


def test_resetting_a_learner_forgets_progress_without_a_cluster_too(tmp_path: Path) -> None:
    done = run(tmp_path, "reset", "--all", "--yes")
    assert done.returncode == 0
    assert "ai-lab up" in done.stderr
    assert "progress too" in done.stdout


def test_progress_is_not_forgotten_where_nobody_can_be_asked(tmp_path: Path) -> None:
    Progress(tmp_path).record("03-pending/moved-in", 1, "passed", "", 1.0)
    done = run(tmp_path, "reset", "--all")
    assert done.returncode == 2
    assert "forgets all starts, answers, hints and passes" in done.stderr
    assert Progress(tmp_path).standing("03-pending/moved-in").passed_version == 1
    assert run(tmp_path, "reset", "--all", "--yes").returncode == 0
    assert Progress(tmp_path).standing("03-pending/moved-in").passed_version == 0


def test_a_state_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    blocker = tmp_path / "file"
    blocker.write_text("")
    done = run(blocker / "below", "up", "--cluster", "embedded")
    assert done.returncode == 5
    assert "AI_LAB_HOME" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.cluster
def test_the_cluster_comes_up_says_so_and_goes(tmp_path: Path) -> None:
    try:
        assert run(tmp_path, "up", "--cluster", "embedded").returncode == 0
        status = json.loads(run(tmp_path, "status", "--json").stdout)
        assert status["state"] == "ready"
        assert {node["name"]: node["gpus"] for node in status["nodes"]} == {
            "ai-lab-control-plane": 0,
            "ai-lab-worker": 0,
            "ai-lab-worker2": 2,
            "ai-lab-worker3": 1,
        }
        assert str(tmp_path) in run(tmp_path, "env").stdout
        again = run(tmp_path, "up")
        assert again.returncode == 0
        assert json.loads(run(tmp_path, "status", "--json").stdout)["pids"][0] == status["pids"][0]
    finally:
        assert run(tmp_path, "down").returncode == 0
    assert run(tmp_path, "status").returncode == 5


@pytest.mark.cluster
def test_the_cluster_goes_on_with_what_is_whole_of_damaged_state(tmp_path: Path) -> None:
    assert run(tmp_path, "up", "--cluster", "embedded").returncode == 0
    assert run(tmp_path, "down").returncode == 0
    database = tmp_path / "embedded" / "store" / "state.db"
    content = database.read_bytes()
    # Still JSON, and the name still fits: only the checksum tells.
    damaged = content.replace(b'"value":2000000000', b'"value":1999999999')
    assert damaged != content
    database.write_bytes(damaged)
    refused = run(tmp_path, "up", "--cluster", "embedded")
    assert refused.returncode == 5
    assert "priorityclasses.scheduling.k8s.io system-cluster-critical" in refused.stderr
    assert "ai-lab up --recover" in refused.stderr
    try:
        recovered = run(tmp_path, "up", "--recover")
        assert recovered.returncode == 0, recovered.stderr
        assert "The damaged files are kept in" in recovered.stdout + recovered.stderr
        (kept,) = database.parent.glob("damaged-*")
        assert (kept / "state.db").read_bytes() == damaged
        assert json.loads(run(tmp_path, "status", "--json").stdout)["state"] == "ready"
    finally:
        run(tmp_path, "down")


@pytest.mark.cluster
def test_a_damaged_store_is_told_with_the_way_out(tmp_path: Path) -> None:
    assert run(tmp_path, "up", "--cluster", "embedded").returncode == 0
    assert run(tmp_path, "down").returncode == 0
    for path in (tmp_path / "embedded" / "store").iterdir():
        if path.is_file() and path.stat().st_size:
            path.write_bytes(b"this is no database" * 1000)
    done = run(tmp_path, "up", "--cluster", "embedded")
    assert done.returncode == 5
    assert "Traceback" not in done.stderr
    assert "next:" in done.stderr
    assert run(tmp_path, "down", "--wipe", "--yes", "--cluster", "embedded").returncode == 0
    try:
        assert run(tmp_path, "up", "--cluster", "embedded").returncode == 0
    finally:
        run(tmp_path, "down")
