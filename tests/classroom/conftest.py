from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.classroom.served import ServedClass, served


@pytest.fixture
def room(tmp_path: Path) -> Iterator[ServedClass]:
    """A class that nobody has joined yet."""
    with served(tmp_path / "teacher") as found:
        yield found
