"""Pod garbage collection: Pods whose node is no more are ended by the control plane (pkg/controller/podgc)."""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.controllers.tainteviction import disruption_target
from clusters.embedded.errors import ApiError

# quarantineTime: a node that is back within that many seconds keeps its Pods.
QUARANTINE = 40.0


class PodGCController(Controller):
    """Keys are nodes that Pods name and that may not exist."""

    name = "pod-garbage-collector"

    def __init__(self, context: Context):
        super().__init__(context)
        self._nodes = self.informers("nodes")
        self._pods = self.informers("pods")
        self._nodes.on_change(self._node_changed)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None:
            self.queue.add_after(old["metadata"]["name"], QUARANTINE)

    async def run(self) -> None:
        for name in {pod["spec"].get("nodeName") or "" for pod in self._pods.list()} - {""}:
            if self._nodes.get(name) is None:
                self.queue.add_after(name, QUARANTINE)
        await super().run()

    async def reconcile(self, key: str) -> None:
        if self._nodes.get(key) is not None:
            return
        for pod in self._pods.list():
            if pod["spec"].get("nodeName") == key:
                await self._end(pod)

    async def _end(self, pod: Object) -> None:
        metadata = pod["metadata"]
        try:
            if not pods.is_terminal(pod):
                condition = disruption_target(pod, "DeletionByPodGC", "PodGC: node no longer exists")
                body = {"status": {"phase": "Failed", "conditions": [condition]}}
                await self.client.patch("pods", metadata["name"], body, metadata["namespace"], subresource="status", type="strategic")
            await self.client.delete("pods", metadata["name"], metadata["namespace"], grace_period_seconds=0, uid=metadata["uid"])
        except ApiError as error:
            if error.code != 404:
                raise
