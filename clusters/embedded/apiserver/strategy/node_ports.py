"""The node ports of Services (pkg/registry/core/service/storage/alloc.go, portallocator).

Ports come from 30000-32767. What is taken is read off the stored Services: nothing has to be kept in step.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from clusters.embedded.apiserver.validation import field
from clusters.embedded.apiserver.validation.field import Path
from clusters.embedded.errors import ApiError, internal, invalid
from kubeobjects import Object

RANGE = range(30000, 32768)
TYPES = ("NodePort", "LoadBalancer")
# The lower band of the range is left to those who choose for themselves (ServiceNodePortStaticSubrange).
_STATIC = 86
# What a trial is answered with: ports outside the range, that nobody can take for a promise.
_FIRST_OF_TRIAL = 32769


class Ports:
    """The ports that one request takes. A trial (dry run) takes none: as in the real server its ports are held against no range."""

    def __init__(self, others: Iterable[Object], *, trial: bool):
        self._taken = {number for each in others for number in _numbers(each["spec"])}
        self._own: set[int] = set()
        self._trial = trial

    def refuses(self, port: int) -> str:
        """Takes `port`; why it cannot be had, or ""."""
        if not self._trial and port not in RANGE:
            return f"provided port is not in the valid range. The range of valid ports is {RANGE[0]}-{RANGE[-1]}"
        if port in self._taken | self._own:
            return "provided port is already allocated"
        self._own.add(port)
        return ""

    def next(self) -> int:
        """A free port of the server's choice, now taken."""
        if self._trial:
            port = max(self._own, default=_FIRST_OF_TRIAL - 1) + 1
        else:
            free = [each for each in RANGE if each not in self._taken | self._own]
            if not free:
                raise internal("failed to allocate a nodePort: range is full")
            port = random.choice([each for each in free if each >= RANGE[_STATIC]] or free)
        self._own.add(port)
        return port


def _numbers(spec: Object) -> set[int]:
    listed = {port.get("nodePort") for port in spec.get("ports") or []} | {spec.get("healthCheckNodePort")}
    return {number for number in listed if number}


def needs_health_check(spec: Object) -> bool:
    return spec.get("type") == "LoadBalancer" and spec.get("externalTrafficPolicy") == "Local"


def _wanted(spec: Object) -> bool:
    return spec.get("type") == "NodePort" or (spec.get("type") == "LoadBalancer" and spec.get("allocateLoadBalancerNodePorts", True))


def _take(obj: Object, index: int, number: int, ports: Ports) -> None:
    why = ports.refuses(number)
    if why:
        cause = field.invalid(Path("spec", "ports")[index].child("nodePort"), number, why)
        raise invalid("Service", "", obj["metadata"].get("name", ""), [cause])


def create(obj: Object, ports: Ports) -> None:
    """initNodePorts: ports of one number (of TCP and UDP) share a node port. Raises ApiError 422 where one cannot be had."""
    spec = obj["spec"]
    given: dict[int, int] = {}
    listed = spec.get("ports") or [] if spec.get("type") in TYPES else []
    for index, port in enumerate(listed):
        number = port.get("port", 0)
        if not port.get("nodePort") and not _wanted(spec):
            continue
        if not given.get(number):
            asked = next((each["nodePort"] for each in listed if each.get("port", 0) == number and each.get("nodePort")), 0)
            if asked:
                _take(obj, index, asked, ports)
            port["nodePort"] = given[number] = asked or ports.next()
        elif not port.get("nodePort"):
            port["nodePort"] = given[number]
        elif port["nodePort"] != given[number]:
            _take(obj, index, port["nodePort"], ports)
    if needs_health_check(spec):
        _give_health_check(spec, ports)


def update(new: Object, old: Object, ports: Ports) -> None:
    """updateNodePorts: what the Service had it keeps. Raises ApiError 422 where a port cannot be had, 500 where one is there twice."""
    spec = new["spec"]
    had = {port.get("nodePort") for port in old["spec"].get("ports") or []}
    seen: set[tuple[str, int]] = set()
    taken: set[int] = set()
    for index, port in enumerate(spec.get("ports") or [] if spec.get("type") in TYPES else []):
        if not port.get("nodePort"):
            if not _wanted(spec):
                continue
            port["nodePort"] = ports.next()
        elif port["nodePort"] not in had | taken:
            _take(new, index, port["nodePort"], ports)
            taken.add(port["nodePort"])
        key = (port.get("protocol", ""), port["nodePort"])
        if key in seen:
            raise ApiError(500, "", f"duplicate nodePort: {{{key[0]} {key[1]}}}")
        seen.add(key)
    if needs_health_check(spec) and not needs_health_check(old["spec"]):
        _give_health_check(spec, ports)


def _give_health_check(spec: Object, ports: Ports) -> None:
    asked = spec.get("healthCheckNodePort")
    if not asked:
        spec["healthCheckNodePort"] = ports.next()
        return
    why = ports.refuses(asked)
    if why:
        raise internal(f"failed to allocate requested HealthCheck NodePort {asked}: {why}")
