"""What a button takes from the click to its verdict, and how soon the picture shows a change: over the WebSocket that the panel itself uses."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.learner import PATIENCE, opened

_EXERCISE = "03-pending/moved-in"


class _Window:
    """A window of the panel, without a browser."""

    def __init__(self, socket: Any):
        self._socket = socket
        self._number = 0

    async def until(self, wanted: Any) -> dict[str, Any]:
        """The next message for which `wanted` holds."""
        async with asyncio.timeout(PATIENCE):
            while True:
                message: dict[str, Any] = json.loads((await self._socket.receive()).data)
                if wanted(message):
                    return message

    async def ask(self, verb: str, **fields: Any) -> dict[str, Any]:
        self._number += 1
        number = self._number
        await self._socket.send_str(json.dumps({"id": number, "verb": verb, **fields}))
        return await self.until(lambda message: message["kind"] == "answer" and message["id"] == number)


async def _measured(home: Path, address: str, runs: int) -> tuple[list[float], list[float]]:
    import aiohttp

    async with aiohttp.ClientSession() as session, session.ws_connect(address, max_msg_size=0) as socket:
        window = _Window(socket)
        await window.until(lambda message: message["kind"] == "state" and message["state"] == "ready")
        started = await window.ask("start", exercise=_EXERCISE)
        if "problem" in started:
            raise SystemExit(started["problem"])
        verdicts, changes = [], []
        for _ in range(runs):
            began = time.perf_counter()
            found = await window.ask("check", exercise=_EXERCISE)
            verdicts.append((time.perf_counter() - began) * 1000)
            if "verdict" not in found:
                raise SystemExit(f"no verdict: {found}")
        for number in range(runs):
            changes.append(await _change(home, window, f"bench-{number}"))
        return verdicts, changes


async def _change(home: Path, window: _Window, name: str) -> float:
    """Milliseconds from the moment at which kubectl has created a Pod to the moment at which the window is told of it."""
    kubectl = [str(Path(sys.executable).parent / "kubectl"), "--kubeconfig", str(home / "embedded" / "kubeconfig")]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "namespace": "default"},
        "spec": {"schedulerName": "none", "containers": [{"name": "c", "image": "pause"}]},
    }

    def has_it(message: dict[str, Any]) -> bool:
        rows = message.get("sections", {}).get("pods", {}).get("set", {}) if message["kind"] == "cluster" else {}
        return any(each["name"] == name for each in rows.values())

    waiting = asyncio.create_task(window.until(has_it))
    began = time.perf_counter()
    made = await asyncio.to_thread(
        subprocess.run, [*kubectl, "create", "-f", "-"], input=json.dumps(pod), text=True, capture_output=True, check=False
    )
    if made.returncode:
        raise SystemExit(made.stderr)
    await waiting
    found = (time.perf_counter() - began) * 1000
    await asyncio.to_thread(
        subprocess.run, [*kubectl, "-n", "default", "delete", "pod", name, "--grace-period=0", "--force"], capture_output=True, check=False
    )
    return found


def measure(home: Path, runs: int) -> tuple[list[float], list[float]]:
    """(milliseconds of `runs` checks by button; of `runs` changes, from the start of the kubectl that makes them until the window is told)."""
    with opened(home) as (_, server):
        address = f"{server['url'].replace('http', 'ws', 1)}ai-lab/live?token={server['token']}"
        return asyncio.run(_measured(home, address, runs))
