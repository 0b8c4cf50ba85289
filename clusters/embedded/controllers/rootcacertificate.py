"""Every namespace has the cluster's CA certificate in a ConfigMap, for Pods that talk to the API server (rootcacertpublisher)."""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers.context import Context, Controller
from clusters.embedded.errors import ApiError
from kubeobjects import meta

NAME = "kube-root-ca.crt"
_ANNOTATION = "kubernetes.io/description"
# Part of every cluster's objects, word for word.
_DESCRIPTION = (
    "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or "
    "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters."
)


class RootCACertificatePublisher(Controller):
    name = "root-ca-certificate-publisher-controller"
    workers = 2

    def __init__(self, context: Context):
        super().__init__(context)
        self._root_ca = context.root_ca
        self._namespaces = self.watch("namespaces")
        self._maps = self.informers("configmaps")
        self._maps.on_change(self._map_changed)

    def _map_changed(self, old: Object | None, new: Object | None) -> None:
        changed = new or old
        if changed is not None and changed["metadata"]["name"] == NAME:
            self.queue.add(changed["metadata"]["namespace"])

    async def reconcile(self, key: str) -> None:
        namespace = self._namespaces.by_key(key)
        if namespace is None or meta.is_deleting(namespace):
            return
        data = {"ca.crt": self._root_ca}
        present = self._maps.get(NAME, key)
        if present is None:
            metadata = {"name": NAME, "namespace": key, "annotations": {_ANNOTATION: _DESCRIPTION}}
            try:
                await self.client.create("configmaps", {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}, key)
            except ApiError as error:
                if error.reason != "AlreadyExists":
                    raise
        elif present.get("data") != data:
            await self.client.update("configmaps", {**present, "data": data})
