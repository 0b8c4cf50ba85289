"""One lab cluster for all notebooks, brought up by the command that learners type."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import BIN


@pytest.fixture(scope="session")
def lab_home() -> Iterator[Path]:
    """An AI_LAB_HOME of its own with a cluster up: the embedded one, or the one that AI_LAB_TEST_CLUSTER names."""
    home = Path(tempfile.mkdtemp(prefix="ai-lab-notebooks-"))
    environment = {**os.environ, "AI_LAB_HOME": str(home)}
    cluster = os.environ.get("AI_LAB_TEST_CLUSTER", "embedded")
    subprocess.run([str(BIN / "ai-lab"), "up", "--cluster", cluster], env=environment, check=True, timeout=1800)
    try:
        yield home
    finally:
        subprocess.run([str(BIN / "ai-lab"), "down"], env=environment, check=False, timeout=300)
        shutil.rmtree(home, ignore_errors=True)
