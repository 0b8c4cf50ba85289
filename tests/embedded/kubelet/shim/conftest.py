from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.embedded.pods_without_kubelet import Lab


@pytest.fixture
def lab() -> Iterator[Lab]:
    with tempfile.TemporaryDirectory(prefix="ai-lab-net-") as folder:
        found = Lab(Path(folder))
        try:
            yield found
        finally:
            found.stop()
