"""VolumeBinding: a Pod's claims must be bound to volumes that the node can reach, or be such that they can be bound there.

Claims of a class with `volumeBindingMode: Immediate` must be bound before; those that wait for their first consumer
are matched here with free volumes, or left to the class's provisioner, once a node has been chosen.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from clusters.embedded import volume_match
from clusters.embedded.client import Object
from clusters.embedded.scheduler.framework import Cycle, NodeInfo, Plugin, Status, always, node_labels, unresolvable
from clusters.embedded.scheduler.plugins import volumes
from kubeobjects import meta, node_selection

NAME = "VolumeBinding"
UNBOUND_IMMEDIATE = "pod has unbound immediate PersistentVolumeClaims"
NODE_CONFLICT = "node(s) didn't match PersistentVolume's node affinity"
BIND_CONFLICT = "node(s) didn't find available persistent volumes to bind"
VOLUME_MISSING = "node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)"

NOT_FOUND = 'persistentvolumeclaim "{name}" not found'
LOST = 'persistentvolumeclaim "{name}" bound to non-existent persistentvolume "{volume}"'
DELETING = 'persistentvolumeclaim "{name}" is being deleted'
WAITING_FOR_EPHEMERAL = 'waiting for ephemeral volume controller to create the persistentvolumeclaim "{name}"'


@dataclass(frozen=True)
class Binding:
    """What binding a Pod to a node needs done first: claims to volumes by name, and claims to provision on the node."""

    static: tuple[tuple[Object, Object], ...] = ()
    provision: tuple[Object, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.static or self.provision)


@dataclass
class _State:
    bound: list[Object] = field(default_factory=list)
    delayed: list[Object] = field(default_factory=list)
    bindings: dict[str, Binding] = field(default_factory=dict)


def _complaint(name: str, ephemeral: bool, claim: Object | None) -> str | None:
    if claim is None:
        return (WAITING_FOR_EPHEMERAL if ephemeral else NOT_FOUND).format(name=name)
    if (claim.get("status") or {}).get("phase") == "Lost":
        return LOST.format(name=name, volume=claim["spec"].get("volumeName") or "")
    if meta.is_deleting(claim):
        return DELETING.format(name=name)
    return None


def pre_filter(cycle: Cycle) -> Status | set[str] | None:
    state = _State()
    immediate = False
    for name, ephemeral in volumes.claim_names(cycle.pod.pod):
        claim = cycle.snapshot.storage.claims(cycle.pod.namespace, name)
        complaint = _complaint(name, ephemeral, claim)
        if claim is None or complaint:
            return unresolvable(complaint or "")
        if volumes.is_bound(claim):
            state.bound.append(claim)
        elif volumes.waits_for_first_consumer(claim, cycle.snapshot.storage.storage_class(volumes.class_of(claim))) and not claim[
            "spec"
        ].get("volumeName"):
            state.delayed.append(claim)
        else:
            immediate = True
    if immediate:
        return unresolvable(UNBOUND_IMMEDIATE)
    cycle.state[NAME] = state
    return None


def filter(cycle: Cycle, node: NodeInfo) -> Status | None:
    state: _State = cycle.state[NAME]
    for claim in state.bound:
        volume = cycle.snapshot.storage.volume(claim["spec"]["volumeName"])
        if volume is None:
            return unresolvable(VOLUME_MISSING)
        if not node_selection.selector_matches((volume["spec"].get("nodeAffinity") or {}).get("required"), node.node):
            return unresolvable(NODE_CONFLICT)
    if not state.delayed:
        return None
    binding = _bind_on(cycle, state.delayed, node)
    if binding is None:
        return unresolvable(BIND_CONFLICT)
    state.bindings[node.name] = binding
    return None


def _bind_on(cycle: Cycle, claims: list[Object], node: NodeInfo) -> Binding | None:
    """A free volume for each claim, the smallest that fits, or its class's provisioner; None where neither will do."""
    static, provision, taken = [], [], set()
    for claim in claims:
        chosen = (claim["metadata"].get("annotations") or {}).get(volumes.SELECTED_NODE)
        if chosen is not None:
            # Another Pod's node was told to the provisioner already: the volume will be there and nowhere else.
            if chosen != node.name:
                return None
            provision.append(claim)
            continue
        free = [each for each in cycle.snapshot.storage.volumes() if each["metadata"]["name"] not in taken]
        volume = volume_match.match(claim, free, node.node)
        if volume is not None:
            taken.add(volume["metadata"]["name"])
            static.append((claim, volume))
            continue
        storage_class = cycle.snapshot.storage.storage_class(volumes.class_of(claim))
        if storage_class is None or storage_class["provisioner"] == volumes.NO_PROVISIONER or not _topology_allowed(storage_class, node):
            return None
        provision.append(claim)
    return Binding(tuple(static), tuple(provision))


def _topology_allowed(storage_class: Object, node: NodeInfo) -> bool:
    terms = storage_class.get("allowedTopologies") or []
    return not terms or any(
        all(node.labels.get(each["key"]) in each["values"] for each in term.get("matchLabelExpressions") or []) for term in terms
    )


def binding_for(cycle: Cycle, node: str) -> Binding:
    """What is to be done before the cycle's Pod may be bound to `node`."""
    state: _State | None = cycle.state.get(NAME)
    return state.bindings.get(node, Binding()) if state else Binding()


PLUGIN = Plugin(
    NAME,
    pre_filter=pre_filter,
    filter=filter,
    events={
        "nodes": node_labels,
        "persistentvolumeclaims": volumes.is_own_claim,
        "persistentvolumes": always,
        "storageclasses.storage.k8s.io": always,
    },
)
