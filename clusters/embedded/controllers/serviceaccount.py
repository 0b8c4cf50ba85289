"""Every namespace has a ServiceAccount called default (pkg/controller/serviceaccount)."""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.errors import ApiError
from kubeobjects import meta


class ServiceAccountController(Controller):
    name = "service-account-controller"
    workers = 2

    def __init__(self, context: Context):
        super().__init__(context)
        self._namespaces = self.watch("namespaces")
        self._accounts = self.informers("serviceaccounts")
        self._accounts.on_change(self._account_changed)

    def _account_changed(self, old: Object | None, new: Object | None) -> None:
        if new is None and old is not None and old["metadata"]["name"] == "default":
            self.queue.add(old["metadata"]["namespace"])

    async def reconcile(self, key: str) -> None:
        namespace = self._namespaces.by_key(key)
        if namespace is None or meta.is_deleting(namespace) or self._accounts.get("default", key) is not None:
            return
        body = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": key}}
        try:
            await self.client.create("serviceaccounts", body, key)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
