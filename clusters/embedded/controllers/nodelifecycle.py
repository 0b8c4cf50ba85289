"""Node lifecycle: turns what a node's kubelet says, or its silence, into conditions and taints (pkg/controller/nodelifecycle).

In: nodes and the leases that their kubelets renew. Out: conditions Unknown for silent nodes, taints for conditions and cordons,
Pods of a node that is not ready marked as not ready.
"""

from __future__ import annotations

import asyncio

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.errors import ApiError
from kubeobjects import meta

# --node-monitor-grace-period, seconds without a renewed lease before a node counts as unreachable.
GRACE = 50.0
_LEASES = "kube-node-lease"

# (condition, status) to the taint that stands for it.
_TAINTS: dict[tuple[str, str], str] = {
    ("Ready", "False"): "node.kubernetes.io/not-ready",
    ("Ready", "Unknown"): "node.kubernetes.io/unreachable",
    ("MemoryPressure", "True"): "node.kubernetes.io/memory-pressure",
    ("DiskPressure", "True"): "node.kubernetes.io/disk-pressure",
    ("PIDPressure", "True"): "node.kubernetes.io/pid-pressure",
    ("NetworkUnavailable", "True"): "node.kubernetes.io/network-unavailable",
}
_UNSCHEDULABLE = "node.kubernetes.io/unschedulable"
_NO_EXECUTE = ("node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable")
_OURS = frozenset({*_TAINTS.values(), _UNSCHEDULABLE})

_REPORTED = ("MemoryPressure", "DiskPressure", "PIDPressure", "Ready")
SILENT = "Kubelet stopped posting node status."
NEVER_HEARD = "Kubelet never posted node status."


def taints_for(node: Object) -> list[Object]:
    """The node's taints as they should be: other people's kept, ours by its conditions and its cordon."""
    wanted: list[tuple[str, str]] = []
    for each in (node.get("status") or {}).get("conditions") or []:
        key = _TAINTS.get((each["type"], each["status"]))
        if key:
            wanted.append((key, "NoSchedule"))
            if key in _NO_EXECUTE:
                wanted.append((key, "NoExecute"))
    if node["spec"].get("unschedulable"):
        wanted.append((_UNSCHEDULABLE, "NoSchedule"))
    present = node["spec"].get("taints") or []
    kept = [each for each in present if each["key"] not in _OURS or (each["key"], each["effect"]) in wanted]
    have = {(each["key"], each["effect"]) for each in kept}
    # A NoSchedule not-ready taint that the kubelet registered with is the API's own; its end comes with readiness as well.
    added = [{"key": key, "effect": effect, "timeAdded": meta.now()} for key, effect in wanted if (key, effect) not in have]
    return kept + added


def silent_conditions(node: Object) -> list[Object]:
    """The conditions of a node that is no longer heard of."""
    known = {each["type"]: each for each in (node.get("status") or {}).get("conditions") or []}
    stamp = meta.now()
    for kind in _REPORTED:
        old = known.get(kind)
        if old is not None and old["status"] == "Unknown":
            continue
        known[kind] = {
            "type": kind,
            "status": "Unknown",
            "reason": "NodeStatusUnknown" if old else "NodeStatusNeverUpdated",
            "message": SILENT if old else NEVER_HEARD,
            "lastHeartbeatTime": (old or {}).get("lastHeartbeatTime") or node["metadata"]["creationTimestamp"],
            "lastTransitionTime": stamp,
        }
    return list(known.values())


class NodeLifecycleController(Controller):
    name = "node-controller"

    def __init__(self, context: Context):
        super().__init__(context)
        self._nodes = self.informers("nodes")
        self._nodes.on_change(self._node_changed)
        self._pods = self.informers("pods")
        self._leases = self.informers("leases.coordination.k8s.io")
        self._leases.on_change(self._lease_changed)
        # When each node was last heard of, by this controller's own clock: clocks of nodes are not trusted.
        self._heard: dict[str, float] = {}
        self._registered: set[str] = set()

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            name = (old or {})["metadata"]["name"]
            self._heard.pop(name, None)
            self._registered.discard(name)
            return
        name = new["metadata"]["name"]
        if old is None:
            self._heard[name] = asyncio.get_running_loop().time()
        self.queue.add(name)

    def _lease_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None or new["metadata"]["namespace"] != _LEASES:
            return
        if old is None or old["spec"].get("renewTime") != new["spec"].get("renewTime"):
            self._heard[new["metadata"]["name"]] = asyncio.get_running_loop().time()

    async def reconcile(self, key: str) -> None:
        node = self._nodes.by_key(key)
        if node is None:
            return
        if key not in self._registered:
            self._registered.add(key)
            await self.events.event(node, "Normal", "RegisteredNode", f"Node {key} event: Registered Node {key} in Controller")
        silence = asyncio.get_running_loop().time() - self._heard.setdefault(key, asyncio.get_running_loop().time())
        self.queue.add_after(key, max(1.0, GRACE - silence))
        ready = meta.condition(node, "Ready")
        if silence >= GRACE and (ready is None or ready["status"] != "Unknown"):
            changed = {**node, "status": {**(node.get("status") or {}), "conditions": silent_conditions(node)}}
            await self.events.event(node, "Normal", "NodeNotReady", f"Node {key} status is now: NodeNotReady")
            node = await self.client.update("nodes", changed, subresource="status")
            ready = meta.condition(node, "Ready")
        taints = taints_for(node)
        if taints != (node["spec"].get("taints") or []):
            await self.client.patch(
                "nodes", key, {"metadata": {"resourceVersion": node["metadata"]["resourceVersion"]}, "spec": {"taints": taints or None}}
            )
        if ready is not None and ready["status"] != "True":
            await self._mark_pods(key)

    async def _mark_pods(self, node: str) -> None:
        """Nobody vouches for the Pods of a node that is not ready: Services leave them out."""
        for pod in self._pods.list():
            if pod["spec"].get("nodeName") != node or not pods.is_ready(pod):
                continue
            metadata = pod["metadata"]
            condition = {
                "type": "Ready",
                "status": "False",
                "lastTransitionTime": meta.now(),
                "observedGeneration": metadata.get("generation", 1),
            }
            try:
                await self.client.patch(
                    "pods",
                    metadata["name"],
                    {"status": {"conditions": [condition]}},
                    metadata["namespace"],
                    subresource="status",
                    type="strategic",
                )
            except ApiError as error:
                if error.code != 404:
                    raise
            await self.events.event(pod, "Warning", "NodeNotReady", "Node is not ready")
