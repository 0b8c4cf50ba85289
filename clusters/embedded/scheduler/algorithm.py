"""One scheduling cycle: which node a Pod goes to, or why it goes to none. Decides only; `scheduler.py` acts.

The words of a refusal are those of FitError.Error() (pkg/scheduler/framework/types.go).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from clusters.embedded.scheduler.framework import Code, Cycle, NodeInfo, Plugin, PodInfo, Snapshot, Status
from clusters.embedded.scheduler.plugins.registry import PLUGINS

NO_NODES = "no nodes available to schedule pods"
NODES_AVAILABLE = "0/{nodes} nodes are available:"
NARROWED = "node(s) didn't satisfy plugin(s) [{plugins}]"
NARROWED_TO_NOTHING = "node(s) didn't satisfy plugin(s) [{plugins}] simultaneously"


@dataclass
class Diagnosis:
    """Why no node took the Pod. `absent` is the status of nodes that were not looked at; `pre_filter` refused all at once."""

    nodes: int
    statuses: dict[str, Status] = field(default_factory=dict)
    absent: Status | None = None
    pre_filter: Status | None = None

    @property
    def plugins(self) -> set[str]:
        """The plugins that refused at least one node: a change that concerns one of them may help."""
        every = [*self.statuses.values(), self.absent, self.pre_filter]
        return {status.plugin for status in every if status is not None and status.plugin}

    def message(self, post_filter: str = "") -> str:
        """`0/4 nodes are available: 1 node(s) had untolerated taint(s), 3 Insufficient cpu.` and what preemption had to say."""
        if not self.nodes:
            return NO_NODES
        text = NODES_AVAILABLE.format(nodes=self.nodes)
        if self.pre_filter is not None:
            text += f" {', '.join(self.pre_filter.reasons)}."
        else:
            text += f" {histogram(self.statuses.values(), self.absent, self.nodes)}."
        return f"{text} {post_filter}" if post_filter else text


def histogram(statuses: Iterable[Status], absent: Status | None, nodes: int) -> str:
    """Reasons with the number of nodes that gave them, sorted as text: `1 Too many pods, 3 Insufficient memory`."""
    reasons: Counter[str] = Counter()
    seen = 0
    for status in statuses:
        seen += 1
        reasons.update(status.reasons)
    if absent is not None and seen < nodes:
        reasons.update(dict.fromkeys(absent.reasons, nodes - seen))
    return ", ".join(sorted(f"{count} {reason}" for reason, count in reasons.items()))


@dataclass
class Result:
    """`node` where the Pod goes, or None and a `diagnosis`."""

    cycle: Cycle
    diagnosis: Diagnosis
    node: str | None = None


def _named(status: Status, plugin: Plugin) -> Status:
    return Status(status.code, status.reasons, plugin.name)


def run_pre_filters(cycle: Cycle) -> tuple[Status | None, set[str] | None]:
    """(status that refuses the Pod everywhere, names of the nodes that are left); None for each that does not apply."""
    names: set[str] | None = None
    narrowed: list[str] = []
    for plugin in PLUGINS:
        if plugin.pre_filter is None:
            continue
        answer = plugin.pre_filter(cycle)
        if isinstance(answer, Status):
            return _named(answer, plugin), None
        if answer is None:
            continue
        names = set(answer) if names is None else names & answer
        narrowed.append(plugin.name)
        if not names:
            reason = NARROWED_TO_NOTHING.format(plugins=" ".join(narrowed))
            return Status(Code.UNRESOLVABLE, (reason,), plugin.name), None
    return None, names


def run_filters(cycle: Cycle, node: NodeInfo) -> Status | None:
    """The first refusal of the node, or None where the Pod fits."""
    for plugin in PLUGINS:
        if plugin.filter is not None:
            status = plugin.filter(cycle, node)
            if status is not None:
                return _named(status, plugin)
    return None


def fits(pod: PodInfo, snapshot: Snapshot, node: str) -> Status | None:
    """Whether the Pod fits `node` of `snapshot`, everything computed afresh: for a cluster that is only supposed."""
    cycle = Cycle(pod, snapshot)
    refused, _ = run_pre_filters(cycle)
    return refused if refused is not None else run_filters(cycle, snapshot.nodes[node])


def filter_with_nominated(cycle: Cycle, node: NodeInfo, nominated: list[PodInfo]) -> Status | None:
    """The node is asked twice where Pods of equal or higher priority are promised to it: with them there and without."""
    rivals = [each for each in nominated if each.uid != cycle.pod.uid and each.priority >= cycle.pod.priority]
    if rivals:
        crowded = cycle.snapshot.replace(node.with_pods(rivals))
        status = fits(cycle.pod, crowded, node.name)
        if status is not None:
            return status
    return run_filters(cycle, node)


def score_nodes(cycle: Cycle, nodes: list[NodeInfo]) -> dict[str, float]:
    """The weighted sum of all plugins' scores by node."""
    totals = {node.name: 0.0 for node in nodes}
    for plugin in PLUGINS:
        if plugin.score is None:
            continue
        scores = {node.name: plugin.score(cycle, node) for node in nodes}
        if plugin.normalize is not None:
            scores = plugin.normalize(cycle, scores)
        for name, points in scores.items():
            totals[name] += points * plugin.weight
    return totals


def schedule(pod: PodInfo, snapshot: Snapshot, nominated: dict[str, list[PodInfo]] | None = None) -> Result:
    """Filters and scores all nodes. Among equals the node with fewer Pods wins, then the first by name.

    `nominated` holds, by node, the Pods that preemption has promised it to.
    """
    promised = nominated or {}
    cycle = Cycle(pod, snapshot)
    diagnosis = Diagnosis(len(snapshot.nodes))
    result = Result(cycle, diagnosis)
    if not snapshot.nodes:
        return result
    refused, names = run_pre_filters(cycle)
    if refused is not None:
        diagnosis.pre_filter = refused
        return result
    if names is not None:
        diagnosis.absent = Status(Code.UNRESOLVABLE, (NARROWED.format(plugins="NodeAffinity"),), "NodeAffinity")
    own = (pod.pod.get("status") or {}).get("nominatedNodeName")
    if (
        own in snapshot.nodes
        and (names is None or own in names)
        and filter_with_nominated(cycle, snapshot.nodes[own], promised.get(own, [])) is None
    ):
        result.node = own
        return result
    feasible = []
    for node in snapshot.nodes.values():
        if names is not None and node.name not in names:
            continue
        status = filter_with_nominated(cycle, node, promised.get(node.name, []))
        if status is None:
            feasible.append(node)
        else:
            diagnosis.statuses[node.name] = status
    if feasible:
        totals = score_nodes(cycle, feasible) if len(feasible) > 1 else {feasible[0].name: 0.0}
        result.node = min(feasible, key=lambda node: (-totals[node.name], len(node.pods), node.name)).name
    return result
