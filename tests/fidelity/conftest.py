"""A cluster of its own for what is held against a real one: scenarios cordon nodes and take all GPUs."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BIN, LiveCluster, start_cluster, stop_cluster


@pytest.fixture(scope="module")
def lab() -> Iterator[LiveCluster]:
    """One cluster a module."""
    state = Path(tempfile.mkdtemp(prefix="ai-lab-fidelity-"))
    process = start_cluster(state)
    before = {name: os.environ.get(name) for name in ("KUBECONFIG", "PATH")}
    os.environ["KUBECONFIG"] = str(state / "kubeconfig")
    os.environ["PATH"] = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    try:
        yield LiveCluster(state, process)
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
        stop_cluster(process)
        shutil.rmtree(state, ignore_errors=True)
