"""One lab cluster for all labs' tests, brought up by the command that learners type, and a learner's session on it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab_checks.engine.session import Session
from tests.conftest import BIN


@pytest.fixture(scope="session")
def lab_session() -> Iterator[Session]:
    home = Path(tempfile.mkdtemp(prefix="ai-lab-labs-"))
    environment = {**os.environ, "AI_LAB_HOME": str(home)}
    subprocess.run([str(BIN / "ai-lab"), "up", "--cluster", "embedded"], env=environment, check=True, timeout=120)
    before = os.environ.get("AI_LAB_HOME")
    os.environ["AI_LAB_HOME"] = str(home)
    try:
        yield Session()
    finally:
        if before is None:
            del os.environ["AI_LAB_HOME"]
        else:
            os.environ["AI_LAB_HOME"] = before
        subprocess.run([str(BIN / "ai-lab"), "down"], env=environment, check=False, timeout=60)
        shutil.rmtree(home, ignore_errors=True)
