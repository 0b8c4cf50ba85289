"""Taint eviction: Pods leave a node whose NoExecute taint they do not tolerate, or no longer (pkg/controller/tainteviction)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.errors import ApiError
from kubeobjects import meta, node_selection

MARKING = "Marking for deletion Pod {pod}"
CANCELLING = "Cancelling deletion of Pod {pod}"


def grace(pod: Object, taints: list[Object]) -> float | None:
    """Seconds that the Pod may stay from the moment of tainting: 0 for at once, None for ever."""
    tolerations = pod["spec"].get("tolerations") or []
    limits: list[float] = []
    for taint in taints:
        covering = [each for each in tolerations if node_selection.tolerates([each], taint)]
        if not covering:
            return 0.0
        limits += [max(0.0, each["tolerationSeconds"]) for each in covering if each.get("tolerationSeconds") is not None]
    return min(limits) if limits else None


class TaintEvictionController(Controller):
    """Keys are Pods on tainted nodes."""

    name = "taint-eviction-controller"

    def __init__(self, context: Context):
        super().__init__(context)
        self._since: dict[str, datetime] = {}
        self._pods = self.informers("pods")
        self._nodes = self.informers("nodes")
        self._pods.on_change(self._pod_changed)
        self._nodes.on_change(self._node_changed)

    def _taints(self, node: str) -> list[Object]:
        found = self._nodes.get(node)
        return [each for each in (found or {}).get("spec", {}).get("taints") or [] if each.get("effect") == "NoExecute"]

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None:
            self._since.pop(meta.key(old or {}), None)
        elif (old is None or old["spec"] != new["spec"]) and self._taints(new["spec"].get("nodeName") or ""):
            self.enqueue(new)

    def _node_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None or (old is not None and old["spec"].get("taints") == new["spec"].get("taints")):
            return
        if not (new["spec"].get("taints") or (old or {}).get("spec", {}).get("taints")):
            return
        for pod in self._pods.list():
            if pod["spec"].get("nodeName") == new["metadata"]["name"]:
                self.enqueue(pod)

    async def reconcile(self, key: str) -> None:
        pod = self._pods.by_key(key)
        if pod is None or meta.is_deleting(pod):
            self._since.pop(key, None)
            return
        taints = self._taints(pod["spec"].get("nodeName") or "")
        seconds = grace(pod, taints) if taints else None
        if seconds is None:
            if self._since.pop(key, None) is not None:
                await self.events.event(pod, "Normal", "TaintManagerEviction", CANCELLING.format(pod=key))
            return
        left = 0.0
        if seconds > 0:
            now = datetime.now(UTC)
            left = (self._since.setdefault(key, now) + timedelta(seconds=seconds) - now).total_seconds()
        if left > 0:
            self.queue.add_after(key, left)
            return
        self._since.pop(key, None)
        await self.events.event(pod, "Normal", "TaintManagerEviction", MARKING.format(pod=key))
        await self._delete(pod)

    async def _delete(self, pod: Object) -> None:
        metadata = pod["metadata"]
        condition = pods.disruption_target(pod, "DeletionByTaintManager", "Taint manager: deleting due to NoExecute taint")
        try:
            if not pods.is_terminal(pod):
                await self.client.patch(
                    "pods",
                    metadata["name"],
                    {"status": {"conditions": [condition]}},
                    metadata["namespace"],
                    subresource="status",
                    type="strategic",
                )
            await self.client.delete("pods", metadata["name"], metadata["namespace"], uid=metadata["uid"])
        except ApiError as error:
            if error.code != 404:
                raise
