"""What an idle watch costs the API server: its resident memory before, with and after many of them."""

from __future__ import annotations

import asyncio
import json
import resource
import ssl
import time
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil

_PATH = "/api/v1/namespaces/default/configmaps?watch=1"
# How long memory may take to go back after the last watch has ended.
_SETTLE_SECONDS = 15


@dataclass(frozen=True)
class Cost:
    """`each` in KiB; `before` and `after` in MiB."""

    each: float
    before: float
    after: float


def raise_open_files() -> None:
    """Lets this process, and the server that it starts, open as many files as the system allows."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def measure(state: Path, count: int) -> Cost:
    """`state` is the folder of a running embedded cluster."""
    process = psutil.Process(json.loads((state / "server.pid").read_text())["pid"])
    context = ssl.create_default_context(cafile=str(state / "pki" / "ca.crt"))
    context.load_cert_chain(state / "pki" / "admin.crt", state / "pki" / "admin.key")
    url = f"https://127.0.0.1:{(state / 'port').read_text()}{_PATH}"
    return asyncio.run(_measure(process, context, url, count))


async def _measure(process: psutil.Process, context: ssl.SSLContext, url: str, count: int) -> Cost:
    before = process.memory_info().rss
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, limit=0)) as session:
        watches = []
        for _ in range(count):
            watch = await session.get(url, timeout=aiohttp.ClientTimeout(total=None))
            watch.raise_for_status()
            watches.append(watch)
        with_all = process.memory_info().rss
        for watch in watches:
            watch.close()
    deadline, after = time.monotonic() + _SETTLE_SECONDS, with_all
    while time.monotonic() < deadline:
        await asyncio.sleep(1)
        after = min(after, process.memory_info().rss)
    return Cost((with_all - before) / count / 1024, before / 1024**2, after / 1024**2)
