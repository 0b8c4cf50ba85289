"""ResourceQuota status: what a namespace uses now (pkg/controller/resourcequota).

Admission counts what is added; this controller counts again when objects end or go away.
"""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.resources import by_name
from kubeobjects import meta, quota_usage

_QUOTAS = "resourcequotas"


class ResourceQuotaController(Controller):
    name = "resourcequota-controller"

    def __init__(self, context: Context):
        super().__init__(context)
        self._quotas = self.watch(_QUOTAS)
        self._counted: set[str] = set()
        self._count("pods")

    def _count(self, resource: str) -> None:
        """Objects of `resource` that come, go or end make the quotas of their namespace be counted again."""
        if resource in self._counted:
            return
        self._counted.add(resource)

        def handler(old: Object | None, new: Object | None) -> None:
            # A Pod's heartbeat of status changes matters only when it ends.
            if resource == "pods" and old is not None and new is not None and pods.is_terminal(old) == pods.is_terminal(new):
                return
            for quota in self._quotas.list((new or old or {})["metadata"].get("namespace")):
                self.enqueue(quota)

        self.informers(resource).on_change(handler)

    async def reconcile(self, key: str) -> None:
        quota = self._quotas.by_key(key)
        if quota is None or meta.is_deleting(quota):
            return
        hard: dict[str, str] = quota["spec"].get("hard") or {}
        namespace = quota["metadata"]["namespace"]
        for resource in sorted(quota_usage.sources(hard, by_name())):
            self._count(resource)
            await self.informers(resource).synced.wait()
        used = quota_usage.used(quota, by_name(), lambda resource: self.informers(resource).list(namespace))
        await self.update_status(_QUOTAS, quota, {"hard": hard, "used": used})
