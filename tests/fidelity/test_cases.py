"""Small cases out of public reports: what people apply, and what a real cluster (Kubernetes 1.36) showed them then.

A case is data: `apply` is made in a namespace of its own, then each line of `shows` is run until its patterns are all in what it prints.
"""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import BIN, LiveCluster

CASES = sorted((Path(__file__).parent / "cases").glob("*.yaml"))
# Seconds for a pattern to appear: an orphaned Pod is left alone for forty, and machines are slow at times.
PATIENCE = 120.0

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]


class Namespace:
    """Commands as a user types them, in one namespace."""

    def __init__(self, cluster: LiveCluster, name: str, folder: Path):
        self.name = name
        self._environment = {"PATH": f"{BIN}:/usr/local/bin:/usr/bin:/bin", "KUBECONFIG": str(folder / "kubeconfig"), "HOME": str(folder)}
        (folder / "kubeconfig").write_text((cluster.state / "kubeconfig").read_text())
        self.run(f"kubectl create namespace {name} && kubectl config set-context --current --namespace={name}")

    def run(self, command: str, stdin: str = "") -> str:
        done = subprocess.run(
            ["bash", "-c", command], input=stdin, env=self._environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
        return done.stdout + done.stderr

    def shows(self, step: dict[str, Any]) -> None:
        """Runs the step's command until it prints what it should. A command without patterns runs once: it changes something."""
        patterns = [each.replace("NAMESPACE", self.name) for each in step.get("matches", ())]
        until = time.monotonic() + PATIENCE
        while True:
            try:
                printed = self.run(step["run"], step.get("stdin", ""))
            except AssertionError as failed:
                if not patterns:
                    raise
                printed = str(failed)
            missing = [each for each in patterns if not re.search(each, printed, re.M)]
            if not missing:
                return
            assert time.monotonic() < until, f"$ {step['run']}\n{printed}\ndoes not show: {missing}"
            time.sleep(0.5)


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_a_case_shows_what_a_real_cluster_showed(lab: LiveCluster, tmp_path: Path, path: Path) -> None:
    case = yaml.safe_load(path.read_text())
    namespace = Namespace(lab, f"case-{path.stem}"[:63].rstrip("-"), tmp_path)
    try:
        if "apply" in case:
            namespace.run("kubectl create -f -", case["apply"])
        for step in case["shows"]:
            namespace.shows(step)
    finally:
        if "cleanup" in case:
            namespace.run(case["cleanup"])
        namespace.run(f"kubectl delete namespace {namespace.name} --wait=false")
