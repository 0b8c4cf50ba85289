"""A class at an address of its own, in a thread of the test's process, and learners' reports to send there."""

from __future__ import annotations

import asyncio
import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from aiohttp import web

from kubeobjects import Object
from lab_checks.classroom import report, server, wire
from lab_checks.classroom.roll import Roll

PATIENCE = 60.0  # seconds


def row(exercise: str, *failures: str, passed: bool = False, started: float = 100.0, checked: float | None = None, **more: Any) -> Object:
    """An exercise of a report, by default begun and not passed."""
    return {
        "exercise": exercise, "state": "passed" if passed else "failed" if failures else "started", "passed": passed, "started": started,
        "last_start": started, "last_check": checked, "checks": len(failures) + passed, "hints": 0,
        "headline": failures[-1] if failures else "", "failures": [{"headline": each, "times": 1} for each in failures],
    } | more  # fmt: skip


def told(name: str, *rows: Object, at: float = 1000.0) -> Object:
    """A report as a learner's machine sends it; `at` is the time on that machine."""
    return {"format": report.FORMAT, "name": name, "at": at, "of": 114, "exercises": list(rows)}


class Answer:
    def __init__(self, found: http.client.HTTPResponse):
        self.status = found.status
        self.headers = found.headers
        self.text = found.read().decode()

    @property
    def json(self) -> Any:
        return json.loads(self.text)


class ServedClass:
    """`now` is what the class's clock shows, in seconds since the epoch; a test sets it."""

    def __init__(self, state: Path, base: str = "/", renew: bool = False, secure: bool = False):
        self.now = 1000.0
        self.base = base
        self._arguments = (state, base, renew, secure)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        self._in_loop(self._start())

    async def _start(self) -> None:
        state, base, renew, secure = self._arguments
        self.room = server.Classroom(Roll(state), renew=renew, clock=lambda: self.now)
        self._runner = web.AppRunner(server.application(self.room, base, secure=secure), shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        self.port = self._runner.addresses[0][1]
        self.url = f"http://127.0.0.1:{self.port}{base}"

    def _in_loop(self, work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(PATIENCE)

    def stop(self) -> None:
        self._in_loop(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(PATIENCE)

    @property
    def link(self) -> str:
        """The link for learners."""
        return wire.link(self.url, wire.JOIN, self.room.join_secret)

    def ask(self, method: str, path: str, body: object = None, token: str = "", **headers: str) -> Answer:
        """A request to a path below the class's; `body` is sent as JSON, and bytes as they are."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        try:
            sent = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
            more = {"Authorization": f"Bearer {token}"} if token else {}
            connection.request(method, self.base + path, sent, more | headers)
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def join(self, name: str) -> str:
        """A learner joins: the key of that machine."""
        answer = self.ask("POST", wire.TO_JOIN, {"format": report.FORMAT, "name": name}, self.room.join_secret)
        assert answer.status == 200, answer.text
        key = answer.json["key"]
        assert isinstance(key, str)
        return key

    def hear(self, key: str, body: object) -> Answer:
        return self.ask("POST", wire.TO_REPORT, body, key)

    def view(self) -> Any:
        answer = self.ask("GET", "api/view", token=self.room.view_token)
        assert answer.status == 200, answer.text
        return answer.json

    def people(self) -> dict[str, Object]:
        """The rows of the page by the learners' names."""
        return {each["name"]: each for each in self.view()["learners"]}


@contextmanager
def served(state: Path, base: str = "/", renew: bool = False, secure: bool = False) -> Iterator[ServedClass]:
    found = ServedClass(state, base, renew, secure)
    found.start()
    try:
        yield found
    finally:
        found.stop()


def until(holds: Callable[[], Any], told: Callable[[], object]) -> Any:
    """Waits until `holds()` is true and gives it; fails with what `told()` says."""
    ended = threading.Event()
    for _ in range(int(PATIENCE / 0.05)):
        if found := holds():
            return found
        ended.wait(0.05)
    raise AssertionError(told())
