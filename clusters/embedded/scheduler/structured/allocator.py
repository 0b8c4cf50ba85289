"""The search: the first set of devices, in the order of pools, slices and devices, that satisfies all claims together.

Source: structured/internal/incubating/allocator_incubating.go. Every combination is tried; within one request each set of devices once.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from clusters.embedded.client import Object
from clusters.embedded.scheduler.structured import capacity, outcome, pools, requests
from clusters.embedded.scheduler.structured.constraints import Constraint
from clusters.embedded.scheduler.structured.counters import Counters
from clusters.embedded.scheduler.structured.outcome import Given
from clusters.embedded.scheduler.structured.requests import AllocationError, Candidate, Wanted
from clusters.embedded.scheduler.structured.taken import DeviceId, Taken
from kubeobjects import meta, node_selection

# Upstream gives a node ten seconds. Here the whole cluster waits for the search, so it is ended sooner.
_LONGEST = 1.0

TIMED_OUT = "node {node}: timed out trying to allocate devices"
INVALID_POOLS = "invalid resource pools were encountered"
CONSTRAINED = "claim {claim}, request {request}: cannot add device {device} because a claim constraint would not be satisfied"


class PoolError(ValueError):
    """The node has no devices for the claims, and some of its pools make no sense."""


class _TooManyError(Exception):
    """The claim would get more devices than it may have: other devices would not help, another alternative might."""


class Allocator:
    """`classes` finds a DeviceClass by name; `slices` are all of the cluster."""

    def __init__(self, classes: Callable[[str], Object | None], slices: Iterable[Object], taken: Taken):
        self._classes = classes
        self._slices = list(slices)
        self._taken = taken

    def allocate(self, node: Object, claims: list[Object]) -> list[Object] | None:
        """`status.allocation` for each claim in turn, or None. Raises AllocationError, and PoolError for a node with invalid pools."""
        found = pools.gather(self._slices, node)
        wanted = [requests.of_claim(claim, self._classes, found, node) for claim in claims]
        search = _Search(node, claims, wanted, requests.candidates(found), self._taken)
        if not search.run():
            if any(pool.invalid for pool in found):
                raise PoolError(INVALID_POOLS)
            return None
        name = node["metadata"]["name"]
        return [outcome.allocation(claim, search.chosen(index), search.given[index], name) for index, claim in enumerate(claims)]


@dataclass(frozen=True)
class _Place:
    """Where the search stands: a request of a claim."""

    claim: int
    request: int


class _Search:
    def __init__(self, node: Object, claims: list[Object], wanted: list[list[list[Wanted]]], candidates: list[Candidate], taken: Taken):
        self.given: list[list[Given]] = [[] for _ in claims]
        self._node = node
        self._wanted = wanted
        self._candidates = candidates
        self._taken = taken
        self._constraints = [[Constraint(each) for each in claim["spec"]["devices"].get("constraints") or []] for claim in claims]
        self._exclusive: list[set[DeviceId]] = [set() for _ in claims]
        self._shared: dict[DeviceId, list[capacity.Amounts]] = {}
        self._counters = Counters(taken)
        self._chosen: dict[_Place, Wanted] = {}
        self._ends = time.monotonic() + _LONGEST

    def run(self) -> bool:
        try:
            return self._request(_Place(0, 0))
        except _TooManyError:
            return False

    def chosen(self, claim: int) -> list[Wanted]:
        """Of each request of the claim the alternative that was taken."""
        return [self._chosen[_Place(claim, index)] for index in range(len(self._wanted[claim]))]

    def _request(self, place: _Place) -> bool:
        if place.claim == len(self._wanted):
            return True
        if place.request == len(self._wanted[place.claim]):
            try:
                return self._request(_Place(place.claim + 1, 0))
            except _TooManyError:
                return False
        alternatives = self._wanted[place.claim][place.request]
        too_many = 0
        for wanted in alternatives:
            self._chosen[place] = wanted
            try:
                if self._devices(place, wanted, 0, 0):
                    return True
            except _TooManyError:
                too_many += 1
        if too_many == len(alternatives):
            raise _TooManyError
        return False

    def _devices(self, place: _Place, wanted: Wanted, number: int, start: int) -> bool:
        """Finds device `number` of a request among the candidates from `start` on, and then everything that follows."""
        if wanted.every is not None and not wanted.every:
            return False
        if number >= wanted.count:
            return self._request(_Place(place.claim, place.request + 1))
        if len(self.given[place.claim]) + wanted.count - number > requests.MOST_DEVICES:
            raise _TooManyError
        must = wanted.every is not None
        among = wanted.every[number : number + 1] if wanted.every is not None else self._candidates[start:]
        for position, candidate in enumerate(among, start):
            if time.monotonic() > self._ends:
                raise AllocationError(TIMED_OUT.format(node=self._node["metadata"]["name"]))
            with self._taking(place, wanted, candidate, must) as keep:
                if keep is not None and self._devices(place, wanted, number + 1, position + 1):
                    keep.stay = True
                    return True
        return False

    @contextmanager
    def _taking(self, place: _Place, wanted: Wanted, candidate: Candidate, must: bool) -> Iterator[_Keep | None]:
        """The device is taken inside the block, and given back at its end unless it is to stay; None where it cannot be had."""
        undo = self._take(place, wanted, candidate, must)
        if undo is None:
            yield None
            return
        keep = _Keep()
        try:
            yield keep
        finally:
            if not keep.stay:
                _undo(undo)

    def _take(self, place: _Place, wanted: Wanted, candidate: Candidate, must: bool) -> list[Callable[[], object]] | None:
        ident, device = candidate.id, candidate.device
        if not self._is_free(place, wanted, ident) or not wanted.selects(candidate, self._node) or _is_tainted(device, wanted):
            return None
        amounts = capacity.consumed(wanted.amounts, device)
        in_use = [*self._shared.get(ident, []), self._taken.capacity.get(ident, {})]
        if amounts is None or not capacity.fits(amounts, in_use, device):
            return None
        undo: list[Callable[[], object]] = []
        for constraint in self._constraints[place.claim]:
            if not constraint.concerns(wanted.request, wanted.name):
                continue
            if not constraint.add(ident, device):
                if must:
                    words = CONSTRAINED.format(claim=meta.key(wanted.claim), request=wanted.own_name, device="/".join(ident))
                    raise AllocationError(words)
                _undo(undo)
                return None
            undo.append(constraint.remove)
        shared = bool(device.get("allowMultipleAllocations"))
        # The counters of a device that several use are taken once.
        if device.get("consumesCounters") and not (shared and any(in_use)):
            if not self._counters.take(candidate.pool, device):
                _undo(undo)
                return None
            undo.append(lambda: self._counters.give_back(candidate.pool, device))
        given = Given(wanted, candidate, amounts if shared else {}, str(uuid.uuid4()) if shared else "")
        self.given[place.claim].append(given)
        undo.append(self.given[place.claim].pop)
        if shared:
            self._shared.setdefault(ident, []).append(amounts)
            undo.append(self._shared[ident].pop)
        elif ident not in self._exclusive[place.claim]:
            self._exclusive[place.claim].add(ident)
            undo.append(lambda: self._exclusive[place.claim].discard(ident))
        return undo

    def _is_free(self, place: _Place, wanted: Wanted, ident: DeviceId) -> bool:
        """For administration a device may be in use, but not twice in one claim."""
        if wanted.admin:
            return ident not in self._exclusive[place.claim]
        return ident not in self._taken.devices and not any(ident in each for each in self._exclusive)


@dataclass
class _Keep:
    stay: bool = False


def _undo(undo: list[Callable[[], object]]) -> None:
    for each in reversed(undo):
        each()


def _is_tainted(device: Object, wanted: Wanted) -> bool:
    tolerations = wanted.spec.get("tolerations") or []
    effects = ("NoSchedule", "NoExecute")
    return node_selection.untolerated(device.get("taints") or [], tolerations, effects) is not None
