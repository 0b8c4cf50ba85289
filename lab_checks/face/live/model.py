"""From API objects to what the cluster's picture shows: nodes with their GPUs, Pods with their state, Services, Events.

Everything here is a pure function. A row is JSON; times are seconds since the epoch. Names of states, filters and reasons are Kubernetes' own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from kubeobjects import Object, meta, node_selection, placement, quantity
from kubeobjects.podresources import asked
from lab_checks.engine.observe import GPU, condition, is_pending_for_a_node, is_ready
from lab_checks.face.live import claimed_gpus

Row = dict[str, Any]

# How a state is drawn. The words are for the picture alone: each has a colour and a sign of its own there.
READY, STARTING, WAITING, TROUBLE, DONE, LEAVING = "ready", "starting", "waiting", "trouble", "done", "leaving"

_UNREADY = "Not ready"  # running, and not Ready
_OVER = ("Succeeded", "Failed")
_MIB = 1024 * 1024
_KEEP_EVENTS = 60
# Reasons for which a container waits that mean no trouble.
_ON_ITS_WAY = ("ContainerCreating", "PodInitializing")


@dataclass(frozen=True)
class State:
    """A Pod's state as `kubectl get pods` prints it, how it is drawn, and why it is so in the cluster's own words."""

    word: str
    tone: str
    why: str = ""


def seconds(text: str | None) -> float:
    """A time of the API in seconds since the epoch; 0 where there is none."""
    return meta.parse_time(text).timestamp() if text else 0.0


def _statuses(pod: Object, kind: str = "containerStatuses") -> list[Object]:
    return pod.get("status", {}).get(kind) or []


def _why_waiting(waiting: Object) -> State:
    reason = waiting.get("reason") or "ContainerCreating"
    return State(reason, STARTING if reason in _ON_ITS_WAY else TROUBLE, waiting.get("message", ""))


def pod_state(pod: Object) -> State:
    """How a Pod is: the most telling of its deletion, its phase, its containers and its conditions."""
    status = pod.get("status", {})
    if meta.is_deleting(pod):
        return State("Terminating", LEAVING, f"deleted at {pod['metadata']['deletionTimestamp']}")
    if status.get("phase") == "Succeeded":
        return State("Completed", DONE)
    if status.get("phase") == "Failed":
        ended = [each.get("state", {}).get("terminated") or {} for each in _statuses(pod)]
        reason = status.get("reason") or next((each["reason"] for each in ended if each.get("reason")), "Error")
        return State(reason, TROUBLE, status.get("message", ""))
    if is_pending_for_a_node(pod):
        scheduled = condition(pod, "PodScheduled")
        return State(
            "SchedulingGated" if scheduled.get("reason") == "SchedulingGated" else "Pending", WAITING, scheduled.get("message", "")
        )
    for each in _statuses(pod, "initContainerStatuses"):
        now = each.get("state", {})
        if "waiting" in now and now["waiting"].get("reason") not in (*_ON_ITS_WAY, None):
            told = _why_waiting(now["waiting"])
            return State(f"Init:{told.word}", told.tone, told.why)
        if now.get("terminated", {}).get("exitCode"):
            return State(f"Init:{now['terminated'].get('reason', 'Error')}", TROUBLE, now["terminated"].get("message", ""))
    for each in _statuses(pod):
        now, last = each.get("state", {}), each.get("lastState", {}).get("terminated") or {}
        if "waiting" in now:
            told = _why_waiting(now["waiting"])
            if told.word == "CrashLoopBackOff" and last.get("reason"):
                return State(told.word, told.tone, f"container {each['name']} ended: {last['reason']}, exit code {last.get('exitCode', 0)}")
            return told
        if "terminated" in now:
            ended = now["terminated"]
            tone = TROUBLE if ended.get("exitCode") else DONE
            return State(ended.get("reason", "Error"), tone, f"container {each['name']}: exit code {ended.get('exitCode', 0)}")
    if is_ready(pod):
        return State("Ready", READY)
    if status.get("phase") == "Running":
        unready = [each["name"] for each in _statuses(pod) if not each.get("ready")]
        return State(
            _UNREADY,
            STARTING,
            f"running, not Ready: container {', '.join(unready)}" if unready else condition(pod, "Ready").get("message", ""),
        )
    return State("ContainerCreating", STARTING)


def life(pod: Object) -> list[Row]:
    """The Pod's life so far as its own fields tell it: rows of what it was, since when. The end of one is the beginning of the next."""
    steps = [(seconds(pod["metadata"].get("creationTimestamp")), "Pending", WAITING)]
    scheduled, ready = condition(pod, "PodScheduled"), condition(pod, "Ready")
    if scheduled.get("status") == "True":
        steps.append((seconds(scheduled.get("lastTransitionTime")), "ContainerCreating", STARTING))
    for each in _statuses(pod):
        last, now = each.get("lastState", {}).get("terminated") or {}, each.get("state", {})
        if last:
            steps.append((seconds(last.get("startedAt")), _UNREADY, STARTING))
            steps.append((seconds(last.get("finishedAt")), last.get("reason") or "Error", TROUBLE))
        if now.get("running"):
            steps.append((seconds(now["running"].get("startedAt")), _UNREADY, STARTING))
        if now.get("terminated"):
            ended = now["terminated"]
            steps.append((seconds(ended.get("startedAt")), _UNREADY, STARTING))
            steps.append((seconds(ended.get("finishedAt")), ended.get("reason") or "Error", TROUBLE if ended.get("exitCode") else DONE))
    if ready.get("status") == "True":
        steps.append((seconds(ready.get("lastTransitionTime")), "Ready", READY))
    return [
        {"since": since, "word": word, "tone": tone}
        for since, word, tone in sorted((each for each in steps if each[0]), key=lambda step: step[0])
    ]


def gpus_asked(pod: Object) -> int:
    """How many whole GPUs the Pod asks for."""
    return int(asked(pod["spec"], GPU))


def name_of(pod: Object) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def gpus(node: Object, holders: Iterable[Object]) -> list[Row]:
    """The node's GPUs, one row each: `state` is held, free or unhealthy, `by` names the Pod that holds it.

    `holders` are the Pods on the node. Which card a Pod holds, the API does not say: held ones stand first. Those between what the kubelet offers
    (allocatable) and what the node has (capacity) are unhealthy; a Pod that holds one of them cannot be told from its neighbours.
    """
    status = node.get("status", {})
    total, offered = (int(quantity.parse((status.get(each) or {}).get(GPU, "0"))) for each in ("capacity", "allocatable"))
    held = [name_of(pod) for pod in holders for _ in range(gpus_asked(pod))]
    unhealthy = max(0, total - offered)
    free = max(0, offered - len(held))
    rows = [{"state": "held", "by": name} for name in held] + [{"state": "free", "by": ""}] * free
    room = max(0, max(total, len(held)) - len(rows))
    rows += [{"state": "unhealthy", "by": ""}] * min(unhealthy, room)
    return rows


@dataclass
class Room:
    """What nodes have left: cores, bytes or devices by (node, resource), worked out once for all Pods."""

    taken: dict[str, dict[str, Decimal]] = field(default_factory=lambda: defaultdict(lambda: defaultdict(Decimal)))
    pods: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    @classmethod
    def of(cls, pods: Iterable[Object], resources: Iterable[str]) -> Room:
        found, wanted = cls(), tuple(resources)
        for pod in pods:
            node = pod["spec"].get("nodeName")
            if node and pod.get("status", {}).get("phase") not in _OVER:
                found.pods[node] += 1
                for each in wanted:
                    found.taken[node][each] += asked(pod["spec"], each)
        return found

    def left(self, node: Object, resource: str) -> Decimal:
        return placement.allocatable(node, resource) - self.taken[node["metadata"]["name"]][resource]


def resources_of(nodes: Iterable[Object]) -> list[str]:
    """CPU, memory and every device that a node offers."""
    devices = {name for node in nodes for name in node.get("status", {}).get("allocatable") or {} if "/" in name}
    return ["cpu", "memory", *sorted(devices | {GPU})]


def _amount(resource: str, value: Decimal) -> str:
    return f"{value / _MIB:.0f}Mi" if resource == "memory" else f"{value.normalize():f}"


def filter_of(pod: Object, node: Object, room: Room, resources: Iterable[str]) -> Row:
    """The first of the scheduler's filters at which the node says no to the Pod, in its order, with the scheduler's own words in `says`.

    `filter` is empty where every filter worked out here says yes. Volumes, affinity to Pods, spreading and claims are not worked out: for those
    the scheduler's own line tells.
    """
    spec, name = pod["spec"], node["metadata"]["name"]
    if node["spec"].get("unschedulable") and not node_selection.tolerates(
        spec.get("tolerations") or [], {"key": "node.kubernetes.io/unschedulable", "effect": "NoSchedule"}
    ):
        return {"node": name, "filter": "NodeUnschedulable", "says": "node(s) were unschedulable", "detail": "cordoned"}
    taints = [each for each in placement.untolerated(spec, node) if each["key"] != "node.kubernetes.io/unschedulable"]
    if taints:
        taint = taints[0]
        text = f"{taint['key']}{'=' + taint['value'] if taint.get('value') else ''}:{taint['effect']}"
        return {"node": name, "filter": "TaintToleration", "says": "node(s) had untolerated taint(s)", "detail": text}
    if not node_selection.pod_matches_node(spec, node):
        wanted = ", ".join(f"{key}={value}" for key, value in (spec.get("nodeSelector") or {}).items()) or "required node affinity"
        return {"node": name, "filter": "NodeAffinity", "says": "node(s) didn't match Pod's node affinity/selector", "detail": wanted}
    short = [each for each in resources if (ask := asked(spec, each)) and ask > room.left(node, each)]
    if room.pods[name] >= placement.allocatable(node, "pods") > 0:
        return {"node": name, "filter": "NodeResourcesFit", "says": "Too many pods", "detail": f"{room.pods[name]} Pods"}
    if short:
        told = "; ".join(f"{each}: asks {_amount(each, asked(spec, each))}, left {_amount(each, room.left(node, each))}" for each in short)
        return {"node": name, "filter": "NodeResourcesFit", "says": ", ".join(f"Insufficient {each}" for each in short), "detail": told}
    return {"node": name, "filter": "", "says": "", "detail": ""}


def memory_limits(pod: Object) -> dict[str, int]:
    """Bytes that each container may use; containers without a limit are left out."""
    found = {}
    for each in pod["spec"].get("containers") or []:
        limit = ((each.get("resources") or {}).get("limits") or {}).get("memory")
        if limit:
            found[each["name"]] = int(quantity.parse(limit))
    return found


def kills(pod: Object) -> list[Row]:
    """The containers that the kernel killed at their memory limit: which, and when."""
    found = []
    for each in _statuses(pod):
        for ended in (each.get("lastState", {}).get("terminated"), each.get("state", {}).get("terminated")):
            if ended and ended.get("reason") == "OOMKilled":
                found.append({"container": each["name"], "at": seconds(ended.get("finishedAt"))})
    return found


def pod_row(pod: Object) -> Row:
    """A Pod without what depends on other objects."""
    state, owner = pod_state(pod), meta.controller_of(pod)
    return {
        "name": pod["metadata"]["name"],
        "namespace": pod["metadata"]["namespace"],
        "node": pod["spec"].get("nodeName", ""),
        "state": state.word,
        "tone": state.tone,
        "why": state.why,
        "created": seconds(pod["metadata"].get("creationTimestamp")),
        "restarts": sum(each.get("restartCount", 0) for each in _statuses(pod)),
        "gpus": gpus_asked(pod),
        "claimed": [],
        "owner": f"{owner['kind']}/{owner['name']}" if owner else "",
        "life": life(pod),
        "limits": memory_limits(pod),
        "kills": kills(pod),
        "filters": [],
    }


def all_gpus(node: Object, holders: Iterable[Object], claimed: list[Row]) -> list[Row]:
    """The node's GPUs: those that a DRA driver offers (`claimed`), each by its device's name, and those of the device plugin.

    Where a driver offers the node's cards, the device plugin's missing ones are these same cards and no broken ones.
    """
    plugin = gpus(node, holders)
    return [*claimed, *(each for each in plugin if not (claimed and each["state"] == "unhealthy"))]


def node_row(node: Object, pods: list[Object], room: Room, claimed: list[Row]) -> Row:
    name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
    told = condition(node, "Ready")
    holders = [each for each in pods if each.get("status", {}).get("phase") not in _OVER]
    used = {}
    for each in ("cpu", "memory"):
        of = placement.allocatable(node, each)
        used[each] = {"asked": float(room.taken[name][each]), "of": float(of)}
    return {
        "name": name,
        "ready": is_ready(node),
        "why": "" if is_ready(node) else (told.get("message") or told.get("reason") or "the kubelet has not said anything yet"),
        "cordoned": bool(node["spec"].get("unschedulable")),
        "product": labels.get("nvidia.com/gpu.product", ""),
        "control": "node-role.kubernetes.io/control-plane" in labels,
        "taints": [f"{each['key']}:{each['effect']}" for each in node["spec"].get("taints") or []],
        "gpus": all_gpus(node, holders, claimed),
        "devices": {
            each: {"asked": float(room.taken[name][each]), "of": float(quantity.parse(value))}
            for each, value in (node.get("status", {}).get("allocatable") or {}).items()
            if "/" in each and each != GPU
        },
        **used,
    }


def service_row(service: Object, slices: Iterable[Object]) -> Row:
    """A Service with the Pods behind it, those that get requests and those that do not."""
    spec = service["spec"]
    behind: dict[bool, set[str]] = {True: set(), False: set()}
    for each in slices:
        for endpoint in each.get("endpoints") or []:
            ready = (endpoint.get("conditions") or {}).get("ready") is not False
            behind[ready].add((endpoint.get("targetRef") or {}).get("name") or ", ".join(endpoint.get("addresses") or ()))
    return {
        "name": service["metadata"]["name"],
        "namespace": service["metadata"]["namespace"],
        "type": spec.get("type", "ClusterIP"),
        "ports": [f"{each['port']}/{each.get('protocol', 'TCP')}" for each in spec.get("ports") or []],
        "selects": bool(spec.get("selector")),
        "ready": sorted(behind[True]),
        "not_ready": sorted(behind[False] - behind[True]),
    }


def event_row(event: Object) -> Row:
    of = event.get("involvedObject") or {}
    series = event.get("series") or {}
    at = (
        series.get("lastObservedTime") or event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp")
    )
    return {
        "at": seconds(at),
        "warning": event.get("type") == "Warning",
        "reason": event.get("reason", ""),
        "object": f"{of.get('kind', '').lower()}/{of.get('name', '')}",
        "namespace": of.get("namespace", ""),
        "message": event.get("message", ""),
        "times": series.get("count") or event.get("count") or 1,
    }


def _key(obj: Object) -> str:
    return str(obj["metadata"].get("uid") or meta.key(obj))


Objects = Mapping[str, Iterable[Object]]
Sections = dict[str, dict[str, Row]]


class Assembler:
    """Makes the rows of all sections; a Pod that did not change is not read again."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, Row]] = {}

    def rows(self, objects: Objects) -> Sections:
        """`objects` by kind: pods, nodes, services, endpointslices, events, resourceclaims, resourceslices; one that is missing is empty.

        Out: rows of nodes, pods, services and events, each by its key.
        """
        nodes, pods = list(objects.get("nodes", ())), list(objects.get("pods", ()))
        resources = resources_of(nodes)
        room = Room.of(pods, resources)
        on: dict[str, list[Object]] = defaultdict(list)
        for pod in pods:
            on[pod["spec"].get("nodeName", "")].append(pod)
        slices: dict[tuple[str, str], list[Object]] = defaultdict(list)
        for each in objects.get("endpointslices", ()):
            labels = each["metadata"].get("labels") or {}
            slices[each["metadata"]["namespace"], labels.get("kubernetes.io/service-name", "")].append(each)
        claimed = claimed_gpus.read(objects.get("resourceslices", ()), objects.get("resourceclaims", ()), pods)
        in_order = sorted(nodes, key=lambda each: str(each["metadata"]["name"]))
        return {
            "nodes": {_key(each): self._node(each, on, room, claimed) for each in in_order},
            "pods": self._pods(pods, in_order, room, resources, claimed),
            "services": {
                _key(each): service_row(each, slices[each["metadata"]["namespace"], each["metadata"]["name"]])
                for each in objects.get("services", ())
            },
            "events": self._events(objects.get("events", ())),
        }

    @staticmethod
    def _node(node: Object, on: Mapping[str, list[Object]], room: Room, claimed: claimed_gpus.Claimed) -> Row:
        name = node["metadata"]["name"]
        return node_row(node, on[name], room, claimed.on.get(name, []))

    def _pods(
        self, pods: list[Object], nodes: list[Object], room: Room, resources: list[str], claimed: claimed_gpus.Claimed
    ) -> dict[str, Row]:
        found, known = {}, {}
        for pod in pods:
            key, version = _key(pod), str(pod["metadata"].get("resourceVersion", ""))
            before = self._known.get(key)
            row = before[1] if before and version and before[0] == version else pod_row(pod)
            known[key] = (version, row)
            if is_pending_for_a_node(pod):
                row = {**row, "filters": [filter_of(pod, node, room, resources) for node in nodes]}
            if devices := claimed.of_pod.get(str(pod["metadata"].get("uid", ""))):
                row = {**row, "claimed": devices}
            found[key] = row
        self._known = known
        return found

    @staticmethod
    def _events(events: Iterable[Object]) -> dict[str, Row]:
        rows = {_key(each): event_row(each) for each in events}
        newest = sorted(rows.items(), key=lambda each: each[1]["at"], reverse=True)[:_KEEP_EVENTS]
        return dict(newest)


def difference(before: Sections, after: Sections) -> dict[str, Row]:
    """What changed between two looks, by section: rows to `set`, keys that are `gone`. Sections without a change are left out."""
    found = {}
    for section, rows in after.items():
        old = before.get(section, {})
        changed = {key: row for key, row in rows.items() if old.get(key) != row}
        gone = [key for key in old if key not in rows]
        if changed or gone:
            found[section] = {"set": changed, "gone": gone}
    return found
