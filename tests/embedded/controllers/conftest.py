"""A hollow cluster for each test, and small ways to write what tests put into it."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from hollow import HollowCluster, hollow_cluster


@pytest_asyncio.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[HollowCluster]:
    async with hollow_cluster(tmp_path) as running:
        yield running
