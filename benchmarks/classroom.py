"""A class of 100: how soon the instructor's page shows a report, and how soon it opens, in headless Chromium.

99 learners are simulated, and speak HTTP as a learner's machine does; one is real: it records a verdict, and the process in the background reports it.
A moment is noted in the page itself, when the row's text is there.
"""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from lab_checks.classroom import membership, report, wire
from lab_checks.engine import course
from lab_checks.engine.progress import Progress
from tests.browser.conftest import chromium

LEARNERS = 100
_PATIENCE = 120.0  # seconds
_REAL = "real"
# Notes when a marker (round and learner) is first in a row: milliseconds since the epoch, by the browser's clock, which is this machine's.
_WATCH = """
window.shown = {};
const look = () => {
  const now = performance.timeOrigin + performance.now();
  for (const each of document.querySelectorAll("#learners .words")) {
    for (const [marker] of each.textContent.matchAll(/marker-\\d+-\\w+/g)) window.shown[marker] ??= now;
  }
};
new MutationObserver(look).observe(document.querySelector("#learners"), { childList: true, subtree: true, characterData: true });
look();
"""


@dataclass(frozen=True)
class Found:
    """Seconds. `together`: 99 reports at the same moment, each until it is on the page; `alone`: one report in a quiet class; `real`: from the verdict of
    a learner's machine, through its process in the background; `opened`: the page, from its address to all rows.
    """

    together: list[float]
    alone: list[float]
    real: list[float]
    opened: list[float]


def _told(name: str, marker: str) -> dict[str, Any]:
    """A learner in the middle of the course, who has failed a check a moment ago."""
    exercises, now = course.load().exercises[:50], time.time()
    rows = [
        {
            "exercise": each.key, "state": "passed", "passed": True, "started": now - 9000, "last_start": now - 9000, "last_check": now - 8000,
            "checks": 3, "hints": 1, "headline": "as it should be",
            "failures": [{"headline": f"{each.title}: not what was expected, way {way}", "times": 1} for way in range(2)],
        }
        for each in exercises
    ]  # fmt: skip
    rows[-1] |= {"state": "failed", "passed": False, "last_check": now, "headline": f"{marker} the Pod still asks for 2 GPUs"}
    return {"format": report.FORMAT, "name": name, "at": now, "of": len(course.load().exercises), "exercises": rows}


class _Server:
    def __init__(self, home: Path):
        said = home / "said"
        with said.open("w") as output:
            self.process = subprocess.Popen(
                [str(Path(sys.executable).parent / "ai-lab"), "class", "serve", "--port", "18765"],
                env={**os.environ, "AI_LAB_HOME": str(home / "teacher"), "PYTHONUNBUFFERED": "1"}, stdout=output, stderr=output,
            )  # fmt: skip
        deadline = time.monotonic() + _PATIENCE
        while "Ctrl-C stops" not in said.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"ai-lab class serve failed:\n{said.read_text()}")
            time.sleep(0.1)
        self.view, self.join = (re.search(rf"http://\S+#{kind}=[\w-]+", said.read_text())[0] for kind in ("view", "join"))  # type: ignore[index]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(_PATIENCE)


async def _until(page: Any, expression: str, argument: object = None) -> None:
    await page.wait_for_function(expression, arg=argument, timeout=_PATIENCE * 1000, polling=20)


async def _measured(home: Path, server: _Server, runs: int) -> Found:
    from playwright.async_api import async_playwright

    executable = chromium()
    if executable is None:
        raise SystemExit("this needs Chromium: sh tests/browser/get-chromium.sh .venv/bin")
    url, secret = wire.read_link(server.join)
    (home / "real").mkdir()
    async with async_playwright() as playwright, aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        browser = await playwright.chromium.launch(executable_path=executable or None, args=["--no-sandbox", "--disable-gpu"])

        async def post(path: str, key: str, body: object) -> Any:
            async with session.post(url + path, json=body, headers={"Authorization": f"Bearer {key}"}) as answer:
                answer.raise_for_status()
                return await answer.json()

        names = [f"learner {number}" for number in range(LEARNERS - 1)]
        keys = [(await post(wire.TO_JOIN, secret, {"format": report.FORMAT, "name": each}))["key"] for each in names]
        real = (await post(wire.TO_JOIN, secret, {"format": report.FORMAT, "name": _REAL}))["key"]
        membership.keep(home / "real", membership.Membership(url, _REAL, real, time.time()))
        page = await browser.new_page(viewport={"width": 1400, "height": 1000})
        await page.goto(server.view)
        await _until(page, "count => document.querySelectorAll('#learners tbody tr').length === count", LEARNERS)
        await page.evaluate(_WATCH)

        async def seen(sent: dict[str, float]) -> list[float]:
            await _until(page, "markers => markers.every((each) => window.shown[each])", list(sent))
            shown = await page.evaluate("window.shown")
            return [shown[marker] / 1000 - at for marker, at in sent.items()]

        async def send(at: int, turn: int, sent: dict[str, float]) -> None:
            marker = f"marker-{turn}-{at}"
            body = _told(names[at], marker)
            sent[marker] = time.time()
            await post(wire.TO_REPORT, keys[at], body)

        together, alone, by_itself, opened = [], [], [], []
        for turn in range(runs):
            sent: dict[str, float] = {}
            await asyncio.gather(*(send(at, turn, sent) for at in range(LEARNERS - 1)))
            together += await seen(sent)
        for turn in range(runs, 3 * runs):
            sent = {}
            await send(turn % (LEARNERS - 1), turn, sent)
            alone += await seen(sent)
        progress = Progress(home / "real", wrote=membership.nudge)
        progress.start("03-pending/moved-in", 1, "", {})
        for turn in range(3 * runs, 4 * runs):
            sent = {f"marker-{turn}-{_REAL}": time.time()}
            progress.record("03-pending/moved-in", 1, "failed", f"marker-{turn}-{_REAL} the Pod still asks for 2 GPUs", 0)
            by_itself += await seen(sent)
        for _ in range(runs):
            context = await browser.new_context(viewport={"width": 1400, "height": 1000})
            fresh = await context.new_page()
            began = time.perf_counter()
            await fresh.goto(server.view, wait_until="commit")
            await _until(fresh, "count => document.querySelectorAll('#learners tbody tr').length === count", LEARNERS)
            opened.append(time.perf_counter() - began)
            await context.close()
        await browser.close()
    return Found(together, alone, by_itself, opened)


def measure(home: Path, runs: int) -> Found:
    """Serves a class in `home`, and measures `runs` times."""
    server = _Server(home)
    try:
        return asyncio.run(_measured(home, server, runs))
    finally:
        server.stop()
