"""What starts and learners call as `python -m …`: without a cluster, one sentence and no traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

HEADROOM = ["lab_checks.engine.headroom", "ai-lab-worker3", "--leave", "400m"]
REPAIR = ["lab_checks.labs.gpu_nodes.repair", "ai-lab-worker2"]


def call(home: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    others = {name: value for name, value in os.environ.items() if name != "KUBECONFIG"}
    return subprocess.run(
        [sys.executable, "-m", *arguments], env={**others, "AI_LAB_HOME": str(home), **environment}, capture_output=True, text=True, check=False,
        timeout=120,
    )  # fmt: skip


@pytest.mark.parametrize("arguments", [HEADROOM, REPAIR], ids=lambda each: each[0])
@pytest.mark.parametrize("kubeconfig", ["", "missing", "dead", "garbage"])
def test_no_cluster_is_one_sentence(arguments: list[str], kubeconfig: str, tmp_path: Path) -> None:
    path = tmp_path / "kubeconfig"
    if kubeconfig == "dead":
        cluster = '{"name": "c", "cluster": {"server": "https://127.0.0.1:1"}}'
        context = '{"name": "c", "context": {"cluster": "c", "user": "u"}}'
        path.write_text(
            f'{{"clusters": [{cluster}], "contexts": [{context}], "users": [{{"name": "u", "user": {{}}}}], "current-context": "c"}}'
        )
    elif kubeconfig == "garbage":
        path.write_text("{{{")
    done = call(tmp_path, *arguments, **({"KUBECONFIG": str(path)} if kubeconfig else {}))
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1, done.stderr
    assert "Next: ai-lab up" in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize("wrong", [["--leave", "much"], ["--leave", "400m", "--parts", "0"], []], ids=" ".join)
def test_wrong_arguments_are_a_usage_error(wrong: list[str], tmp_path: Path) -> None:
    done = call(tmp_path, HEADROOM[0], HEADROOM[1], *wrong)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
