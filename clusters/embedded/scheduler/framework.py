"""What a scheduling cycle hands to its plugins, and what a plugin answers (pkg/scheduler/framework).

In: one Pod and a `Snapshot` of nodes with the Pods on them. Out: a `Status` that names why a node (or every node) is refused,
and scores for the nodes that are left. Nothing here writes to the cluster.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from clusters.embedded.client import Object
from kubeobjects import podresources, quantity

MAX_NODE_SCORE = 100

# What the scheduler assumes of a container without requests when it spreads load (util.DefaultMilliCPURequest, DefaultMemoryRequest).
DEFAULT_MILLI_CPU = 100
DEFAULT_MEMORY = 200 * 1024 * 1024


class Code(Enum):
    """Why a node was refused: UNSCHEDULABLE might change if Pods went away, UNRESOLVABLE would not."""

    UNSCHEDULABLE = "Unschedulable"
    UNRESOLVABLE = "UnschedulableAndUnresolvable"


@dataclass(frozen=True)
class Status:
    code: Code
    reasons: tuple[str, ...]
    plugin: str = ""


def unschedulable(*reasons: str) -> Status:
    return Status(Code.UNSCHEDULABLE, reasons)


def unresolvable(*reasons: str) -> Status:
    return Status(Code.UNRESOLVABLE, reasons)


def amounts(resources: dict[str, Any]) -> dict[str, int]:
    """Quantities as the scheduler counts them: CPU in millicores, everything else in whole units."""
    return {name: quantity.milli(value) if name == "cpu" else quantity.whole(value) for name, value in resources.items()}


@dataclass(frozen=True)
class PodInfo:
    """A Pod with what its plugins need again and again."""

    pod: Object
    requests: dict[str, int]
    # CPU and memory as the spreading scores see them: containers without requests count with the defaults.
    non_zero_cpu: int
    non_zero_memory: int
    host_ports: tuple[tuple[str, str, int], ...]

    @property
    def uid(self) -> str:
        return self.pod["metadata"]["uid"]

    @property
    def namespace(self) -> str:
        return self.pod["metadata"]["namespace"]

    @property
    def labels(self) -> dict[str, str]:
        return self.pod["metadata"].get("labels") or {}

    @property
    def priority(self) -> int:
        return self.pod["spec"].get("priority") or 0


def pod_info(pod: Object) -> PodInfo:
    requests = amounts(podresources.requests(pod))
    containers = pod["spec"].get("containers") or []
    cpu = sum(1 for each in containers if "cpu" not in ((each.get("resources") or {}).get("requests") or {})) * DEFAULT_MILLI_CPU
    memory = sum(1 for each in containers if "memory" not in ((each.get("resources") or {}).get("requests") or {})) * DEFAULT_MEMORY
    ports = tuple(
        (port.get("hostIP") or "0.0.0.0", port.get("protocol") or "TCP", port["hostPort"])
        for each in [*containers, *(pod["spec"].get("initContainers") or [])]
        for port in each.get("ports") or []
        if port.get("hostPort")
    )
    return PodInfo(pod, requests, requests.get("cpu", 0) + cpu, requests.get("memory", 0) + memory, ports)


@dataclass
class NodeInfo:
    """A node and the Pods that are on it or about to be."""

    node: Object
    allocatable: dict[str, int]
    pods: list[PodInfo] = field(default_factory=list)

    @property
    def name(self) -> str:
        return self.node["metadata"]["name"]

    @property
    def labels(self) -> dict[str, str]:
        return self.node["metadata"].get("labels") or {}

    @property
    def taints(self) -> list[Object]:
        return self.node["spec"].get("taints") or []

    def requested(self, resource: str) -> int:
        return sum(each.requests.get(resource, 0) for each in self.pods)

    def without(self, victims: Iterable[PodInfo]) -> NodeInfo:
        gone = {each.uid for each in victims}
        return NodeInfo(self.node, self.allocatable, [each for each in self.pods if each.uid not in gone])

    def with_pods(self, added: Iterable[PodInfo]) -> NodeInfo:
        return NodeInfo(self.node, self.allocatable, [*self.pods, *added])


def node_info(node: Object) -> NodeInfo:
    return NodeInfo(node, amounts((node.get("status") or {}).get("allocatable") or {}))


@dataclass
class Storage:
    """Claims, volumes and classes as the volume plugins look them up."""

    claims: Callable[[str, str], Object | None] = lambda namespace, name: None
    volume: Callable[[str], Object | None] = lambda name: None
    volumes: Callable[[], list[Object]] = list
    storage_class: Callable[[str], Object | None] = lambda name: None


@dataclass
class Devices:
    """ResourceClaims, DeviceClasses and ResourceSlices as DynamicResources looks them up.

    `allocations` are those of all claims, `pending` those by the claim's uid that were decided on and are not yet written down.
    """

    claim: Callable[[str, str], Object | None] = lambda namespace, name: None
    device_class: Callable[[str], Object | None] = lambda name: None
    slices: Callable[[], list[Object]] = list
    allocations: Callable[[], list[Object]] = list
    pending: dict[str, Object] = field(default_factory=dict)


@dataclass
class Snapshot:
    """The cluster as one scheduling cycle sees it."""

    nodes: dict[str, NodeInfo]
    namespace_labels: dict[str, dict[str, str]] = field(default_factory=dict)
    storage: Storage = field(default_factory=Storage)
    devices: Devices = field(default_factory=Devices)
    # Label selectors (metav1 or plain maps turned into matchers) of Services and controllers that select a given Pod.
    default_selectors: Callable[[Object], list[Callable[[dict[str, str]], bool]]] = lambda pod: []

    def replace(self, node: NodeInfo) -> Snapshot:
        """The same cluster with one node changed: what preemption and nominations ask about."""
        return Snapshot({**self.nodes, node.name: node}, self.namespace_labels, self.storage, self.devices, self.default_selectors)


@dataclass
class Cycle:
    """One attempt to place one Pod. Plugins keep what they computed once in `state` under their own name."""

    pod: PodInfo
    snapshot: Snapshot
    state: dict[str, Any] = field(default_factory=dict)

    @property
    def spec(self) -> Object:
        return self.pod.pod["spec"]


class PluginError(Exception):
    """A plugin could not say whether the Pod fits: the attempt ends, and is made again after a while. The message is for the event."""


PreFilter = Callable[[Cycle], "Status | set[str] | None"]
Filter = Callable[[Cycle, NodeInfo], "Status | None"]
Score = Callable[[Cycle, NodeInfo], float]
Normalize = Callable[[Cycle, dict[str, float]], dict[str, float]]
# (pod, old, new) → whether this change may let the Pod in.
Hint = Callable[[Object, "Object | None", "Object | None"], bool]


@dataclass(frozen=True)
class Plugin:
    """`pre_filter` refuses the Pod for every node (Status) or narrows the nodes to a set of names; `filter` refuses one node.

    `score` is any number; `normalize` brings the scores of all nodes into 0..100, `weight` multiplies them.
    `events` names the resources whose changes may make a Pod that this plugin refused schedulable.
    """

    name: str
    pre_filter: PreFilter | None = None
    filter: Filter | None = None
    score: Score | None = None
    normalize: Normalize | None = None
    weight: int = 0
    events: dict[str, Hint] = field(default_factory=dict)


def normalize_by_most(scores: dict[str, float], *, reverse: bool = False) -> dict[str, float]:
    """helper.DefaultNormalizeScore: the largest becomes 100; reversed, it becomes 0."""
    most = max(scores.values(), default=0)
    if most == 0:
        return dict.fromkeys(scores, float(MAX_NODE_SCORE)) if reverse else scores
    scaled = {node: value * MAX_NODE_SCORE // most for node, value in scores.items()}
    return {node: MAX_NODE_SCORE - value for node, value in scaled.items()} if reverse else scaled


def always(pod: Object, old: Object | None, new: Object | None) -> bool:
    return True


def _labels(obj: Object) -> dict[str, str]:
    return obj["metadata"].get("labels") or {}


def node_taints(pod: Object, old: Object | None, new: Object | None) -> bool:
    """A node that is new, or whose taints or cordon changed."""
    if old is None or new is None:
        return new is not None
    return any(old["spec"].get(name) != new["spec"].get(name) for name in ("taints", "unschedulable"))


def node_labels(pod: Object, old: Object | None, new: Object | None) -> bool:
    """A node that is new, or whose labels changed."""
    if old is None or new is None:
        return new is not None
    return _labels(old) != _labels(new)


def node_shape(pod: Object, old: Object | None, new: Object | None) -> bool:
    """A node that is new, gone or changed in labels or taints: what domains and the Pods in them depend on."""
    return new is None or node_labels(pod, old, new) or node_taints(pod, old, new)


def pod_gone(pod: Object, old: Object | None, new: Object | None) -> bool:
    """A placed Pod that has ended or was deleted."""
    return new is None
