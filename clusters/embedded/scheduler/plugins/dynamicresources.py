"""DynamicResources: a Pod's ResourceClaims must have devices that its node reaches, or be able to get them there.

Source: pkg/scheduler/framework/plugins/dynamicresources. The allocator is loaded with the first Pod that needs it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from clusters.embedded.client import Object
from clusters.embedded.scheduler.framework import (
    Cycle,
    Devices,
    NodeInfo,
    Plugin,
    PluginError,
    Status,
    node_labels,
    normalize_by_most,
    unresolvable,
)
from kubeobjects import meta, node_selection, resourceclaims
from kubeobjects.equality import same

if TYPE_CHECKING:
    from clusters.embedded.scheduler.structured import Allocator

NAME = "DynamicResources"
NOT_FOUND = 'resourceclaim.resource.k8s.io "{name}" not found'
DELETING = 'resourceclaim "{name}" is being deleted'
NO_CLASS = "request {request}: device class {name} does not exist"
ALLOCATING = "resource claim {claim} is in the process of being allocated"
CANNOT_ALLOCATE = "cannot allocate all claims"
NOT_ON_NODE = "resourceclaim not available on the node"
FILTER_FAILED = 'running "DynamicResources" filter plugin: {error}'

NO_CLAIMS = "no new claims to deallocate"
NOT_SCHEDULABLE = "still not schedulable"
DEALLOCATED = "deallocation of ResourceClaim completed"

# FirstAvailableDeviceRequestMaxSize: the first of the alternatives scores so much, each further one less.
_MOST_ALTERNATIVES = 8


class _ClaimError(LookupError):
    """A claim of the Pod that cannot be used now; the message is the reason."""


@dataclass
class _State:
    claims: list[Object]
    open: list[Object]
    allocator: Allocator | None = None
    allocations: dict[str, list[Object]] = field(default_factory=dict)
    unavailable: list[Object] = field(default_factory=list)


@dataclass(frozen=True)
class Reservation:
    """What binding a Pod needs done first: each of its claims, with the devices for those that have none yet."""

    claims: tuple[tuple[Object, Object | None], ...] = ()


def claims_of(pod: Object, find: Callable[[str, str], Object | None]) -> list[Object]:
    """The Pod's claims. Raises LookupError with the reason why it cannot be scheduled where one is missing or about to go."""
    found = []
    for entry in pod["spec"].get("resourceClaims") or []:
        name = resourceclaims.claim_name(pod, entry)
        if name is None:
            continue
        claim = find(pod["metadata"]["namespace"], name)
        if claim is None:
            raise _ClaimError(NOT_FOUND.format(name=name))
        if meta.is_deleting(claim):
            raise _ClaimError(DELETING.format(name=name))
        if resourceclaims.is_from_template(entry) and not resourceclaims.is_for_pod(pod, claim):
            raise _ClaimError(resourceclaims.NOT_OWNED.format(claim=meta.key(claim), pod=meta.key(pod)))
        found.append(claim)
    return found


def is_gated(pod: Object, devices: Devices) -> bool:
    """Whether the Pod is not even tried yet: its claims are not all there."""
    try:
        claims_of(pod, devices.claim)
    except LookupError:
        return True
    return False


def pre_filter(cycle: Cycle) -> Status | set[str] | None:
    devices = cycle.snapshot.devices
    try:
        claims = claims_of(cycle.pod.pod, devices.claim)
    except LookupError as error:
        return unresolvable(str(error))
    if not claims:
        return None
    state = _State(claims, [claim for claim in claims if resourceclaims.allocation(claim) is None])
    for claim in state.open:
        if claim["metadata"]["uid"] in devices.pending:
            return unresolvable(ALLOCATING.format(claim=meta.key(claim)))
        for request, class_name in _classes(claim):
            if devices.device_class(class_name) is None:
                return unresolvable(NO_CLASS.format(request=request, name=class_name))
    if state.open:
        from clusters.embedded.scheduler.structured import Allocator, Taken

        state.allocator = Allocator(devices.device_class, devices.slices(), Taken.of(devices.allocations()))
    cycle.state[NAME] = state
    return None


def _classes(claim: Object) -> list[tuple[str, str]]:
    """(request, or request and alternative; name of its class) for everything that the claim may ask for."""
    found = []
    for request in claim["spec"]["devices"].get("requests") or []:
        if request.get("exactly"):
            found.append((request["name"], request["exactly"]["deviceClassName"]))
        for each in request.get("firstAvailable") or []:
            found.append((f"{request['name']}/{each['name']}", each["deviceClassName"]))
    return found


def filter(cycle: Cycle, node: NodeInfo) -> Status | None:
    state: _State | None = cycle.state.get(NAME)
    if state is None:
        return None
    unavailable = [claim for claim in state.claims if not _reaches(claim, node)]
    if state.allocator is not None:
        from clusters.embedded.scheduler.structured import AllocationError, PoolError

        try:
            found = state.allocator.allocate(node.node, state.open)
        except PoolError as error:
            return unresolvable(str(error))
        except AllocationError as error:
            raise PluginError(FILTER_FAILED.format(error=error)) from None
        if found is None:
            return unresolvable(CANNOT_ALLOCATE)
        if not unavailable:
            state.allocations[node.name] = found
    if unavailable:
        state.unavailable += [claim for claim in unavailable if not any(claim is each for each in state.unavailable)]
        return unresolvable(NOT_ON_NODE)
    return None


def _reaches(claim: Object, node: NodeInfo) -> bool:
    allocation = resourceclaims.allocation(claim)
    return allocation is None or node_selection.selector_matches(allocation.get("nodeSelector"), node.node)


def score(cycle: Cycle, node: NodeInfo) -> float:
    """Nodes where earlier alternatives of `firstAvailable` can be had are better."""
    state: _State | None = cycle.state.get(NAME)
    if state is None:
        return 0
    fresh = iter(state.allocations.get(node.name, []))
    total = 0
    for claim in state.claims:
        allocation = resourceclaims.allocation(claim) or next(fresh, {})
        given = {each["request"] for each in (allocation.get("devices") or {}).get("results") or []}
        for request in claim["spec"]["devices"].get("requests") or []:
            alternatives = enumerate(request.get("firstAvailable") or [])
            total += sum(_MOST_ALTERNATIVES - rank for rank, each in alternatives if f"{request['name']}/{each['name']}" in given)
    return total


def reservation_for(cycle: Cycle, node: str) -> Reservation:
    """What is to be done before the cycle's Pod may be bound to `node`."""
    state: _State | None = cycle.state.get(NAME)
    if state is None:
        return Reservation()
    fresh = iter(state.allocations.get(node, []))
    return Reservation(tuple((claim, next(fresh) if resourceclaims.allocation(claim) is None else None) for claim in state.claims))


def post_filter(cycle: Cycle) -> tuple[str, Object | None]:
    """(what the plugin says after no node took the Pod, a claim whose devices should be given back so that others can be tried)."""
    state: _State | None = cycle.state.get(NAME)
    if state is None:
        return NO_CLAIMS, None
    own = cycle.pod.uid
    for claim in state.unavailable:
        if all(each.get("uid") == own for each in resourceclaims.reserved_for(claim)):
            return DEALLOCATED, claim
    return NOT_SCHEDULABLE, None


def claim_changed(pod: Object, old: Object | None, new: Object | None) -> bool:
    """A claim of the Pod that is new or whose status changed, or any claim that has given its devices back."""
    if new is None:
        return False
    if old is not None and resourceclaims.allocation(old) is not None and resourceclaims.allocation(new) is None:
        return True
    metadata = new["metadata"]
    if metadata["namespace"] != pod["metadata"]["namespace"] or metadata["name"] not in resourceclaims.names(pod):
        return False
    return old is None or not same(old.get("status"), new.get("status"))


def is_there(pod: Object, old: Object | None, new: Object | None) -> bool:
    return new is not None


def node_changed(pod: Object, old: Object | None, new: Object | None) -> bool:
    if node_labels(pod, old, new):
        return True
    return old is not None and new is not None and old["status"].get("allocatable") != new["status"].get("allocatable")


PLUGIN = Plugin(
    NAME,
    pre_filter=pre_filter,
    filter=filter,
    score=score,
    normalize=lambda cycle, scores: normalize_by_most(scores),
    weight=2,
    events={
        "nodes": node_changed,
        "resourceclaims.resource.k8s.io": claim_changed,
        "deviceclasses.resource.k8s.io": is_there,
        "resourceslices.resource.k8s.io": is_there,
    },
)
