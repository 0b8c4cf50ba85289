"""Sends the requests: at a rate or in a pattern (whatever the server does), or from a number of clients that each wait for their answer."""

from __future__ import annotations

import asyncio
import itertools
import json
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import aiohttp

from load_generator.record import Answer


@dataclass(frozen=True)
class Plan:
    """What to send. `pattern` wins over `rate`, and `rate` (requests a second) over `clients`; `requests` 0 means as many as fit into `seconds`.

    `pattern` are steps of (requests a second, seconds), gone through again and again.
    """

    url: str
    body: bytes
    seconds: float
    rate: float = 0.0
    clients: int = 1
    requests: int = 0
    timeout: float = 10.0
    # Far more than a test needs; keeps a server that hangs from filling this process's memory.
    most_open: int = 1000
    pattern: tuple[tuple[float, float], ...] = ()

    @property
    def steps(self) -> tuple[tuple[float, float], ...]:
        """The pattern; a rate is one of a single step. Empty for clients that wait."""
        return self.pattern or (((self.rate, math.inf),) if self.rate else ())


def moments(steps: tuple[tuple[float, float], ...]) -> Iterator[float]:
    """When to send, in seconds since the beginning, without an end: evenly within each step, first at its beginning."""
    begins = 0.0
    for rate, seconds in itertools.cycle(steps):
        number = 0
        while number < rate * seconds:
            yield begins + number / rate
            number += 1
        begins += seconds


class Sender:
    """Carries a plan out; `on_answer` hears of each answer. `stop` ends it early."""

    def __init__(self, plan: Plan, on_answer: Callable[[Answer], None]):
        self._plan = plan
        self._on_answer = on_answer
        self._sent = 0
        self._stopped = asyncio.Event()
        self.began = time.monotonic()

    def stop(self) -> None:
        self._stopped.set()

    @property
    def _over(self) -> bool:
        plan = self._plan
        elapsed = time.monotonic() - self.began
        return self._stopped.is_set() or elapsed >= plan.seconds or bool(plan.requests and self._sent >= plan.requests)

    async def run(self) -> float:
        """Answers how long it took, the last answers included."""
        self.began = time.monotonic()
        # A connection for each request: behind a Service the choice of a Pod is made when a connection is opened.
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        timeout = aiohttp.ClientTimeout(total=self._plan.timeout)
        async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
            if self._plan.steps:
                await self._at_a_rate(session)
            else:
                async with asyncio.TaskGroup() as clients:
                    for _ in range(self._plan.clients):
                        clients.create_task(self._client(session))
        return time.monotonic() - self.began

    async def _client(self, session: aiohttp.ClientSession) -> None:
        while not self._over:
            self._sent += 1
            answer = await self._request(session)
            self._on_answer(answer)
            if not answer.ok:
                # Not as fast as a refused connection comes back.
                await self._pause(0.05)

    async def _at_a_rate(self, session: aiohttp.ClientSession) -> None:
        open_requests: set[asyncio.Task[None]] = set()
        for moment in moments(self._plan.steps):
            await self._pause(self.began + moment - time.monotonic())
            if self._over:
                break
            if len(open_requests) < self._plan.most_open:
                task = asyncio.create_task(self._once(session))
                open_requests.add(task)
                task.add_done_callback(open_requests.discard)
            self._sent += 1
        if open_requests:
            await asyncio.wait(open_requests)

    async def _once(self, session: aiohttp.ClientSession) -> None:
        self._on_answer(await self._request(session))

    async def _pause(self, seconds: float) -> None:
        """Sleeps, but not past a stop or the end."""
        left = self.began + self._plan.seconds - time.monotonic()
        try:
            await asyncio.wait_for(self._stopped.wait(), max(0.0, min(seconds, left)))
        except TimeoutError:
            return

    async def _request(self, session: aiohttp.ClientSession) -> Answer:
        began = time.monotonic()
        model, first_token = "", None
        try:
            headers = {"Content-Type": "application/json"}
            async with session.request(
                "POST" if self._plan.body else "GET", self._plan.url, data=self._plan.body or None, headers=headers
            ) as response:
                outcome, ok = str(response.status), response.status < 400
                if response.content_type == "text/event-stream":
                    model, first_token = await _events(response, began)
                else:
                    model = _model(await response.read())
        except TimeoutError:
            outcome, ok = "timeout", False
        except aiohttp.ClientConnectorDNSError:
            outcome, ok = "name not found", False
        except aiohttp.ClientConnectorError as error:
            outcome, ok = os.strerror(error.os_error.errno).lower() if error.os_error.errno else "connection failed", False
        except aiohttp.ClientError as error:
            outcome, ok = (
                "connection lost" if isinstance(error, aiohttp.ServerDisconnectedError | aiohttp.ClientOSError) else "bad answer",
                False,
            )
        return Answer(began - self.began, time.monotonic() - began, outcome, ok, model, first_token)


def _model(body: bytes) -> str:
    """The version that an answer names, or nothing."""
    try:
        found: Any = json.loads(body)
    except ValueError:
        return ""
    model = found.get("model", "") if isinstance(found, dict) else ""
    return model if isinstance(model, str) else ""


async def _events(response: aiohttp.ClientResponse, began: float) -> tuple[str, float | None]:
    """(version, seconds to the first piece) of a stream of server-sent events."""
    model, first = "", None
    async for line in response.content:
        if line.startswith(b"data: "):
            first = first if first is not None else time.monotonic() - began
            model = _model(line[6:]) or model
    return model, first
