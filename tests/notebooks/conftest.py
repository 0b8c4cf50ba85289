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
    """An AI_LAB_HOME of its own with the embedded cluster up."""
    home = Path(tempfile.mkdtemp(prefix="ai-lab-notebooks-"))
    environment = {**os.environ, "AI_LAB_HOME": str(home)}
    subprocess.run([str(BIN / "ai-lab"), "up", "--cluster", "embedded"], env=environment, check=True, timeout=120)
    try:
        yield home
    finally:
        subprocess.run([str(BIN / "ai-lab"), "down"], env=environment, check=False, timeout=60)
        shutil.rmtree(home, ignore_errors=True)
