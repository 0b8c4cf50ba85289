"""Pod garbage collection: Pods whose node is no more are ended by the control plane (pkg/controller/podgc)."""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.errors import ApiError
from kubeobjects import meta

# quarantineTime: a node that is back within that many seconds keeps its Pods.
QUARANTINE = 40.0


class PodGCController(Controller):
    """Keys are nodes that Pods name and that may not exist, and Pods (`namespace/name`) that are on their way out and have no node."""

    name = "pod-garbage-collector"

    def __init__(self, context: Context):
        super().__init__(context)
        self._nodes = self.informers("nodes")
        self._pods = self.informers("pods")
        self._nodes.on_change(self._node_changed)
        self._pods.on_change(self._pod_changed)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self.queue.add_after(old["metadata"]["name"], QUARANTINE)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            return
        node = new["spec"].get("nodeName")
        if not node:
            if meta.is_deleting(new):
                self.queue.add(meta.key(new))
        elif (old is None or old["spec"].get("nodeName") != node) and self._nodes.get(node) is None:
            # A node that is gone, one that has not registered yet, or a name that no node ever had. Pods that were there come here as well.
            self.queue.add_after(node, QUARANTINE)

    async def reconcile(self, key: str) -> None:
        namespace, name = meta.split_key(key)
        if namespace:
            pod = self._pods.by_key(key)
            if pod is not None and meta.is_deleting(pod) and not pod["spec"].get("nodeName"):
                await self._end(pod, None)
            return
        if self._nodes.get(name) is not None:
            return
        for pod in self._pods.list():
            if pod["spec"].get("nodeName") == name:
                await self._end(pod, pods.disruption_target(pod, "DeletionByPodGC", "PodGC: node no longer exists"))

    async def _end(self, pod: Object, condition: Object | None) -> None:
        metadata = pod["metadata"]
        try:
            if not pods.is_terminal(pod):
                body = {"status": {"phase": "Failed", **({"conditions": [condition]} if condition else {})}}
                await self.client.patch("pods", metadata["name"], body, metadata["namespace"], subresource="status", type="strategic")
            await self.client.delete("pods", metadata["name"], metadata["namespace"], grace_period_seconds=0, uid=metadata["uid"])
        except ApiError as error:
            if error.code != 404:
                raise
