"""DaemonSet: a Pod on every node that will have it (pkg/controller/daemon).

In: DaemonSets, nodes, and the Pods on them. Out: Pods pinned to their node by affinity (the scheduler binds them), revisions, status.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field

from clusters.embedded.client import Object
from clusters.embedded.controllers import history, ownership, pods
from clusters.embedded.controllers.context import Context, Controller, without_zeros
from kubeobjects import meta, node_selection, selectors
from kubeobjects.int_or_string import scaled

_DAEMONSETS = "daemonsets.apps"
_GENERATION_LABEL = "pod-template-generation"
_GENERATION_ANNOTATION = "deprecated.daemonset.template.generation"

# What daemon Pods put up with besides what their template tolerates (util.AddOrUpdateDaemonPodTolerations).
_TOLERATED = (
    ("node.kubernetes.io/not-ready", "NoExecute"),
    ("node.kubernetes.io/unreachable", "NoExecute"),
    ("node.kubernetes.io/disk-pressure", "NoSchedule"),
    ("node.kubernetes.io/memory-pressure", "NoSchedule"),
    ("node.kubernetes.io/pid-pressure", "NoSchedule"),
    ("node.kubernetes.io/unschedulable", "NoSchedule"),
)
_HOST_NETWORK_TOLERATED = ("node.kubernetes.io/network-unavailable", "NoSchedule")

FAILED_POD = "Found failed daemon pod {pod} on node {node}, will try to kill it"
SUCCEEDED_POD = "Found succeeded daemon pod {pod} on node {node}, will try to delete it"


def tolerations_for(spec: Object) -> list[Object]:
    """The tolerations of a daemon Pod with this template spec."""
    wanted = [*_TOLERATED, *([_HOST_NETWORK_TOLERATED] if spec.get("hostNetwork") else [])]
    found = list(spec.get("tolerations") or [])
    for key, effect in wanted:
        toleration = {"key": key, "operator": "Exists", "effect": effect}
        if toleration not in found:
            found.append(toleration)
    return found


def should_run(daemonset: Object, node: Object) -> tuple[bool, bool]:
    """(whether the node should get a Pod, whether a Pod that is there may stay): NoSchedule taints only keep new ones off."""
    spec = daemonset["spec"]["template"]["spec"]
    if spec.get("nodeName") not in (None, "", node["metadata"]["name"]) or not node_selection.pod_matches_node(spec, node):
        return False, False
    taints = node["spec"].get("taints") or []
    tolerations = tolerations_for(spec)
    if node_selection.untolerated(taints, tolerations, ("NoExecute",)):
        return False, False
    return node_selection.untolerated(taints, tolerations, ("NoSchedule",)) is None, True


def target_node(pod: Object) -> str:
    """The node that the Pod is on, or is pinned to by its affinity."""
    if pod["spec"].get("nodeName"):
        return pod["spec"]["nodeName"]
    affinity = node_selection.required_affinity(pod["spec"]) or {}
    for term in affinity.get("nodeSelectorTerms") or []:
        for each in term.get("matchFields") or []:
            if each["key"] == "metadata.name" and each["operator"] == "In" and len(each.get("values") or []) == 1:
                return each["values"][0]
    return ""


@dataclass
class Plan:
    """Nodes that need a Pod and Pods that must go; `notes` are the events to write about Pods that have ended."""

    create: list[str] = field(default_factory=list)
    delete: list[Object] = field(default_factory=list)
    notes: list[tuple[str, str, str]] = field(default_factory=list)


def plan(daemonset: Object, nodes: list[Object], by_node: dict[str, list[Object]]) -> Plan:
    """What brings every node to exactly one living Pod where there should be one."""
    result = Plan()
    names = {node["metadata"]["name"] for node in nodes}
    for node in nodes:
        name = node["metadata"]["name"]
        run, stay = should_run(daemonset, node)
        here = by_node.get(name, [])
        if run and not here:
            result.create.append(name)
        elif stay:
            running = []
            for pod in here:
                if meta.is_deleting(pod):
                    continue
                if pods.phase(pod) == "Failed":
                    result.notes.append(("Warning", "FailedDaemonPod", FAILED_POD.format(pod=meta.key(pod), node=name)))
                    result.delete.append(pod)
                elif pods.phase(pod) == "Succeeded":
                    result.notes.append(("Normal", "SucceededDaemonPod", SUCCEEDED_POD.format(pod=meta.key(pod), node=name)))
                    result.delete.append(pod)
                else:
                    running.append(pod)
            # During a rolling update with a surge, an old Pod and its successor may run side by side.
            if not _surge(daemonset, len(nodes)):
                result.delete += sorted(running, key=lambda pod: pod["metadata"]["creationTimestamp"])[1:]
        elif not stay:
            result.delete += [pod for pod in here if not meta.is_deleting(pod)]
    # Pods that never got onto a node that is no more.
    for name, here in by_node.items():
        if name not in names:
            result.delete += [pod for pod in here if not pod["spec"].get("nodeName") and not meta.is_deleting(pod)]
    return result


def _rolling(daemonset: Object) -> Object:
    return (daemonset["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}


def _surge(daemonset: Object, desired: int) -> int:
    return scaled(_rolling(daemonset).get("maxSurge"), desired, up=True)


def _unavailable(daemonset: Object, desired: int) -> int:
    return scaled(_rolling(daemonset).get("maxUnavailable"), desired, up=True) or (0 if _surge(daemonset, desired) else 1)


def roll(daemonset: Object, by_node: dict[str, list[Object]], wanted_nodes: list[str], revision: str) -> Plan:
    """The next step of a rolling update: old Pods that may go now, and nodes on which a successor may start beside the old Pod."""
    ready_seconds = daemonset["spec"].get("minReadySeconds") or 0
    surge, result = _surge(daemonset, len(wanted_nodes)), Plan()
    unavailable, surging = 0, 0
    broken: list[Object] = []
    candidates: list[Object] = []
    to_surge: list[str] = []
    for name in wanted_nodes:
        here = [pod for pod in by_node.get(name, []) if not pods.is_terminal(pod)]
        new = next((pod for pod in here if is_updated(pod, revision)), None)
        old = next((pod for pod in here if not is_updated(pod, revision) and not meta.is_deleting(pod)), None)
        if surge:
            if new is not None and old is not None:
                surging += 1
                if pods.is_available(new, ready_seconds):
                    result.delete.append(old)
            elif old is not None and new is None:
                to_surge.append(name)
        elif new is not None:
            unavailable += not pods.is_available(new, ready_seconds)
        elif old is None:
            unavailable += 1
        elif pods.is_available(old, ready_seconds):
            candidates.append(old)
        else:
            unavailable += 1
            broken.append(old)
    if surge:
        result.create = to_surge[: max(0, surge - surging)]
    else:
        # What is not available anyway may be replaced at once.
        result.delete = broken + candidates[: max(0, _unavailable(daemonset, len(wanted_nodes)) - unavailable)]
    return result


def is_updated(pod: Object, revision: str) -> bool:
    return (pod["metadata"].get("labels") or {}).get(history.HASH_LABEL) == revision


def _shape(node: Object) -> tuple[object, ...]:
    """What decides whether daemon Pods may run on the node; heartbeats leave it alone."""
    spec = node["spec"]
    return spec.get("taints"), spec.get("unschedulable"), node["metadata"].get("labels")


class DaemonSetController(Controller):
    name = "daemonset-controller"
    workers = 2

    def __init__(self, context: Context):
        super().__init__(context)
        self._sets = self.watch(_DAEMONSETS)
        self._pods = self.watch_owned("pods", "DaemonSet")
        self._revisions = self.watch_owned(history.RESOURCE, "DaemonSet")
        self._nodes = self.informers("nodes")
        self._nodes.on_change(self._node_changed)
        self._control = pods.PodControl(self.client, self.events, self._pods, "DaemonSet")
        self._history = history.History(self.client)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and _shape(old) == _shape(new):
            return
        for each in self._sets.list():
            self.enqueue(each)

    async def reconcile(self, key: str) -> None:
        daemonset = self._sets.by_key(key)
        if daemonset is None:
            self._control.expectations.forget(key)
            return
        if meta.is_deleting(daemonset):
            return
        namespace, uid = daemonset["metadata"]["namespace"], daemonset["metadata"]["uid"]
        known = [each for each in self._revisions.list(namespace) if (meta.controller_of(each) or {}).get("uid") == uid]
        current, old = await self._history.sync(daemonset, known)
        matches = selectors.from_object(daemonset["spec"]["selector"])
        mine = await ownership.claim(self.client, "pods", daemonset, self._pods.list(namespace), matches)
        by_node: dict[str, list[Object]] = defaultdict(list)
        for pod in mine:
            by_node[target_node(pod)].append(pod)
        nodes = sorted(self._nodes.list(), key=lambda node: node["metadata"]["name"])
        revision = history.hash_of(current)
        if self._control.expectations.satisfied(key):
            await self._manage(daemonset, nodes, by_node, revision)
        await self._history.truncate(daemonset, old, {(pod["metadata"].get("labels") or {}).get(history.HASH_LABEL, "") for pod in mine})
        await self.update_status(_DAEMONSETS, daemonset, calculate_status(daemonset, nodes, by_node, revision))
        wait = pods.next_available(mine, daemonset["spec"].get("minReadySeconds") or 0)
        if wait is not None:
            self.queue.add_after(key, wait)

    async def _manage(self, daemonset: Object, nodes: list[Object], by_node: dict[str, list[Object]], revision: str) -> None:
        steps = plan(daemonset, nodes, by_node)
        for type, reason, message in steps.notes:
            await self.events.event(daemonset, type, reason, message)
        if not steps.create and not steps.delete and (daemonset["spec"].get("updateStrategy") or {}).get("type") != "OnDelete":
            wanted = [node["metadata"]["name"] for node in nodes if should_run(daemonset, node)[0]]
            steps = roll(daemonset, by_node, wanted, revision)
        failure = None
        if steps.delete:
            failure = await self._control.delete_many(daemonset, steps.delete)
        if steps.create:
            failure = await self._control.create_many(daemonset, [self._pod(daemonset, node, revision) for node in steps.create]) or failure
        if failure is not None:
            raise failure

    @staticmethod
    def _pod(daemonset: Object, node: str, revision: str) -> Object:
        pod = pods.from_template(daemonset["spec"]["template"], daemonset)
        labels = pod["metadata"].setdefault("labels", {})
        labels[history.HASH_LABEL] = revision
        generation = (daemonset["metadata"].get("annotations") or {}).get(_GENERATION_ANNOTATION)
        if generation:
            labels[_GENERATION_LABEL] = generation
        spec = pod["spec"]
        term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}
        node_affinity = spec.setdefault("affinity", {}).setdefault("nodeAffinity", {})
        node_affinity["requiredDuringSchedulingIgnoredDuringExecution"] = {"nodeSelectorTerms": [term]}
        spec["tolerations"] = tolerations_for(spec)
        return pod


def calculate_status(daemonset: Object, nodes: list[Object], by_node: dict[str, list[Object]], revision: str) -> Object:
    ready_seconds = daemonset["spec"].get("minReadySeconds") or 0
    desired = current = ready = available = updated = misscheduled = 0
    for node in nodes:
        here = sorted((pod for pod in by_node.get(node["metadata"]["name"], [])), key=lambda pod: pod["metadata"]["creationTimestamp"])
        run, _ = should_run(daemonset, node)
        if not run:
            misscheduled += bool(here)
            continue
        desired += 1
        if not here:
            continue
        current += 1
        pod = here[0]
        if pods.is_ready(pod):
            ready += 1
            available += pods.is_available(pod, ready_seconds)
        updated += any(is_updated(each, revision) for each in here)
    status = {
        "currentNumberScheduled": current,
        "numberMisscheduled": misscheduled,
        "desiredNumberScheduled": desired,
        "numberReady": ready,
        "observedGeneration": daemonset["metadata"].get("generation", 0),
        "updatedNumberScheduled": updated,
        "numberAvailable": available,
        "numberUnavailable": desired - available,
        "collisionCount": (daemonset.get("status") or {}).get("collisionCount"),
        "conditions": (daemonset.get("status") or {}).get("conditions"),
    }
    return without_zeros(status, "currentNumberScheduled", "numberMisscheduled", "desiredNumberScheduled", "numberReady")
