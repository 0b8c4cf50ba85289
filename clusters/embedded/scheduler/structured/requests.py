"""What a claim asks for: each request, or each alternative of a request with `firstAvailable`, with its class and number of devices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from clusters.embedded.client import Object
from clusters.embedded.scheduler.structured import pools, selectors
from clusters.embedded.scheduler.structured.pools import Pool
from clusters.embedded.scheduler.structured.taken import DeviceId
from kubeobjects import meta

# AllocationResultsMaxSize: so many devices may one claim have.
MOST_DEVICES = 32

UPDATED = "claim {claim}, request {request}: asks for all devices, but resource pool {pool} is currently being updated"
INVALID = "claim {claim}, request {request}: asks for all devices, but resource pool {pool} is currently invalid"
NO_CLASS = 'claim {claim}, request {request}: could not retrieve device class {name}: deviceclass.resource.k8s.io "{name}" not found'
TOO_MANY = "claim {claim}: number of requested devices {count} exceeds the claim limit of {most}"


class AllocationError(ValueError):
    """Something is wrong with the claim, its class or the pools: no node is looked at any further. The words are the scheduler's."""


@dataclass(frozen=True)
class Candidate:
    id: DeviceId
    device: Object
    slice: Object
    pool: Pool


@dataclass(eq=False)
class Wanted:
    """`spec` is a request's `exactly`, or one alternative (`name`) of a request (`request`); `every` are the devices of mode All."""

    claim: Object
    request: str
    name: str
    spec: Object
    device_class: Object
    count: int = 0
    every: list[Candidate] | None = None
    _selected: dict[DeviceId, bool] = field(default_factory=dict)

    @property
    def reference(self) -> str:
        """The name in `status.allocation`: `gpu`, or `gpu/big` for an alternative."""
        return f"{self.request}/{self.name}" if self.name else self.request

    @property
    def own_name(self) -> str:
        return self.name or self.request

    @property
    def admin(self) -> bool:
        return bool(self.spec.get("adminAccess"))

    @property
    def amounts(self) -> Object:
        found: Object = (self.spec.get("capacity") or {}).get("requests") or {}
        return found

    def selects(self, candidate: Candidate, node: Object) -> bool:
        """Whether class and request select the device, and the device is for the node. Raises AllocationError."""
        known = self._selected.get(candidate.id)
        if known is None:
            known = self._selected[candidate.id] = self._matches(candidate) and (
                not candidate.slice["spec"].get("perDeviceNodeSelection") or pools.is_for_node(candidate.device, node)
            )
        return known

    def _matches(self, candidate: Candidate) -> bool:
        # Devices that are made ready after the decision, and may fail then, are not given out (DRADeviceBindingConditions off).
        if candidate.device.get("bindingConditions"):
            return False
        sources = (
            (f"class {self.device_class['metadata']['name']}", (self.device_class.get("spec") or {}).get("selectors") or []),
            (f"claim {meta.key(self.claim)}", self.spec.get("selectors") or []),
        )
        for source, given in sources:
            for index, selector in enumerate(given):
                try:
                    if not selectors.matches(selector["cel"]["expression"], candidate.id[0], candidate.device):
                        return False
                except selectors.SelectorError as error:
                    raise AllocationError(f"{source}: selector #{index}: {error}") from None
        return True


def candidates(usable: list[Pool]) -> list[Candidate]:
    return [
        Candidate(ident, device, each, pool)
        for pool in usable
        if pool.usable
        for each in pool.slices
        for ident, device in pools.devices([each])
    ]


def of_claim(claim: Object, classes: Callable[[str], Object | None], found: list[Pool], node: Object) -> list[list[Wanted]]:
    """The alternatives of each request, best first; one alone for a request without any. Raises AllocationError."""
    wanted = [[_completed(each, found, node) for each in _alternatives(claim, request, classes)] for request in _requests(claim)]
    least = sum(min(each.count for each in alternatives) for alternatives in wanted)
    if least > MOST_DEVICES:
        raise AllocationError(TOO_MANY.format(claim=meta.key(claim), count=least, most=MOST_DEVICES))
    return wanted


def _requests(claim: Object) -> list[Object]:
    return (claim["spec"].get("devices") or {}).get("requests") or []


def _alternatives(claim: Object, request: Object, classes: Callable[[str], Object | None]) -> Iterator[Wanted]:
    given = [("", request["exactly"])] if request.get("exactly") else [(each["name"], each) for each in request["firstAvailable"]]
    for name, spec in given:
        device_class = classes(spec["deviceClassName"])
        if device_class is None:
            words = NO_CLASS.format(claim=meta.key(claim), request=name or request["name"], name=spec["deviceClassName"])
            raise AllocationError(words)
        yield Wanted(claim, request["name"], name, spec, device_class)


def _completed(wanted: Wanted, found: list[Pool], node: Object) -> Wanted:
    if wanted.spec.get("allocationMode") != "All":
        wanted.count = wanted.spec.get("count", 1)
        return wanted
    for pool in found:
        if not pool.usable:
            words = (UPDATED if pool.incomplete else INVALID).format(claim=meta.key(wanted.claim), request=wanted.own_name, pool=pool.name)
            raise AllocationError(words)
    wanted.every = [each for each in candidates(found) if wanted.selects(each, node)]
    wanted.count = len(wanted.every)
    return wanted
