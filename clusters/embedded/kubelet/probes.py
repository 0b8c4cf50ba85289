"""Startup, liveness and readiness probes of one running container.

`ContainerProbes.run` asks again and again and reports through callbacks; `check` makes one attempt. Words follow pkg/probe and
pkg/kubelet/prober.
"""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass

from clusters.embedded.kubelet import http_get
from clusters.embedded.kubelet.runtime import StartError
from clusters.embedded.network import Network
from kubeobjects import Object

# Runs a command in the container: (exit code, what it wrote).
Exec = Callable[[list[str]], Awaitable[tuple[int, str]]]

SUCCESS, FAILURE, UNKNOWN = "success", "failure", "unknown"
_MAX_OUTPUT = 10 * 1024
# So long after its start a container is seen to run at the latest (the kubelet's relist).
_RELIST_SECONDS = 1.0
_EXEC_FAILED = (
    'rpc error: code = Unknown desc = failed to exec in container: failed to start exec "{id}": OCI runtime exec failed: exec failed: '
    "unable to start container process: {why}"
)


def named_port(container: Object, port: int | str) -> int:
    """The number of a port, or of the container's port of that name. Raises ValueError, with the words of Go's number parser as upstream."""
    if isinstance(port, int) or str(port).isdigit():
        return int(port)
    for each in container.get("ports") or []:
        if each.get("name") == port:
            return each["containerPort"]
    raise ValueError(f'strconv.Atoi: parsing "{port}": invalid syntax')


@dataclass(frozen=True)
class Target:
    """What a probe of this container needs to reach it."""

    container: Object
    ip: str
    network: Network
    exec: Exec


async def check(probe: Object, target: Target) -> tuple[str, str]:
    """(success, failure or unknown; what to say)."""
    seconds = float(probe.get("timeoutSeconds") or 1)
    if action := probe.get("httpGet"):
        return await _http(action, target, seconds)
    if action := probe.get("tcpSocket"):
        return await _tcp(action, target, seconds)
    if action := probe.get("exec"):
        return await _exec(action, target, seconds)
    if action := probe.get("grpc"):
        return await _grpc(action, target, seconds)
    return UNKNOWN, "missing probe handler"


async def _http(action: Object, target: Target, seconds: float) -> tuple[str, str]:
    host = action.get("host") or target.ip
    try:
        port = named_port(target.container, action["port"])
    except ValueError as error:
        return UNKNOWN, str(error)
    url = http_get.go_url(action.get("scheme") or "HTTP", host, port, action.get("path") or "/")
    headers = {header["name"]: header["value"] for header in action.get("httpHeaders") or []}
    try:
        answer = await http_get.get(target.network, host, url, headers, seconds)
    except http_get.RequestFailed as failure:
        return FAILURE, f'Get "{url}": {failure}'
    except http_get.TooManyRedirects:
        return FAILURE, f'Get "{url}": stopped after 10 redirects'
    if 200 <= answer.status < 400:
        return SUCCESS, answer.body
    return FAILURE, f"HTTP probe failed with statuscode: {answer.status}"


async def _tcp(action: Object, target: Target, seconds: float) -> tuple[str, str]:
    host = action.get("host") or target.ip
    try:
        port = named_port(target.container, action["port"])
        async with asyncio.timeout(seconds):
            _, writer = await http_get.dial(target.network, host, port)
        writer.close()
    except ValueError as error:
        return UNKNOWN, str(error)
    except http_get.RequestFailed as failure:
        return FAILURE, str(failure)
    except TimeoutError:
        return FAILURE, f"dial tcp {host}:{port}: i/o timeout"
    return SUCCESS, ""


async def _exec(action: Object, target: Target, seconds: float) -> tuple[str, str]:
    command = action.get("command") or []
    try:
        async with asyncio.timeout(seconds):
            code, output = await target.exec(command)
    except TimeoutError:
        return FAILURE, f'command timed out: "{" ".join(command)}" timed out after {round(seconds)}s'
    except StartError as error:
        # Each try has an id of its own, so that no two events are the same.
        return UNKNOWN, _EXEC_FAILED.format(id=secrets.token_hex(32), why=error)
    return (SUCCESS if code == 0 else FAILURE), output[:_MAX_OUTPUT]


async def _grpc(action: Object, target: Target, seconds: float) -> tuple[str, str]:
    from clusters.embedded.kubelet import grpc_health

    return await grpc_health.check(target.network, target.ip, action["port"], action.get("service") or "", seconds)


@dataclass(frozen=True)
class Callbacks:
    """Who is told: `event(type of probe, result, text)` of each failed attempt, the others when a threshold is reached."""

    event: Callable[[str, str, str], None]
    startup: Callable[[bool], None]
    readiness: Callable[[bool], None]
    liveness: Callable[[], None]


class ContainerProbes:
    """The probes of one instance of a container; cancelled when it ends."""

    def __init__(self, target: Target, started: float, callbacks: Callbacks):
        self._target = target
        self._started = started
        self._callbacks = callbacks

    async def run(self) -> None:
        """The startup probe first; the others begin when it has succeeded."""
        spec = self._target.container
        if spec.get("startupProbe"):
            if not await self._until_settled("Startup", spec["startupProbe"]):
                self._callbacks.startup(False)
                return
            self._callbacks.startup(True)
        async with asyncio.TaskGroup() as tasks:
            if spec.get("livenessProbe"):
                tasks.create_task(self._liveness(spec["livenessProbe"]))
            if spec.get("readinessProbe"):
                tasks.create_task(self._readiness(spec["readinessProbe"]))

    def _ticks(self, kind: str, period: float) -> Iterator[float]:
        """When to ask, in monotonic seconds: once a period. Readiness is also asked as soon as the container is seen to run.

        An attempt that takes longer than a period does not make the next ones come in a bunch.
        """
        due = time.monotonic()
        if kind == "Readiness" and period > _RELIST_SECONDS:
            yield due + _RELIST_SECONDS
        while True:
            due = max(due + period, time.monotonic())
            yield due

    async def _results(self, kind: str, probe: Object) -> AsyncIterator[bool]:
        """One True or False for each threshold that is reached, for ever."""
        period = float(probe.get("periodSeconds") or 10)
        delay = float(probe.get("initialDelaySeconds") or 0)
        failures_wanted = probe.get("failureThreshold") or 3
        successes_wanted = probe.get("successThreshold") or 1
        run, last = 0, ""
        for due in self._ticks(kind, period):
            await asyncio.sleep(due - time.monotonic())
            if time.time() - self._started >= delay:
                result, text = await check(probe, self._target)
                if result != SUCCESS:
                    self._callbacks.event(kind, result, text)
                if result != UNKNOWN:
                    run = run + 1 if result == last else 1
                    last = result
                    if run >= (successes_wanted if result == SUCCESS else failures_wanted):
                        yield result == SUCCESS

    async def _until_settled(self, kind: str, probe: Object) -> bool:
        async for passed in self._results(kind, probe):
            return passed
        return False

    async def _liveness(self, probe: Object) -> None:
        async for passed in self._results("Liveness", probe):
            if not passed:
                self._callbacks.liveness()
                return

    async def _readiness(self, probe: Object) -> None:
        async for passed in self._results("Readiness", probe):
            self._callbacks.readiness(passed)
