"""Endpoints: the older form of the same, one object a Service (pkg/controller/endpoint)."""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers.context import Context
from clusters.embedded.controllers.endpoints.backends import (
    TRIGGER_TIME,
    Backend,
    Port,
    ServiceBackendsController,
    backends,
    has_endpoints,
    hostname,
    labels_for,
)
from clusters.embedded.errors import ApiError
from kubeobjects import meta

MANAGED_BY = {"endpoints.kubernetes.io/managed-by": "endpoint-controller"}


def _address(service: Object, backend: Backend) -> Object:
    found: Object = {"ip": backend.address, "targetRef": backend.target}
    if backend.pod["spec"].get("nodeName"):
        found["nodeName"] = backend.pod["spec"]["nodeName"]
    if name := hostname(service, backend.pod):
        found["hostname"] = name
    return found


def _port(port: Port) -> Object:
    name, number, protocol, app_protocol = port
    found: Object = {"port": number, "protocol": protocol}
    return ({"name": name} if name else {}) | found | ({"appProtocol": app_protocol} if app_protocol else {})


def subsets(service: Object, found: list[Backend]) -> list[Object]:
    """Addresses with the same ports together, those that are ready apart from those that are not; Pods that end are left out."""
    groups: dict[tuple[Port, ...], Object] = {}
    for each in found:
        if each.terminating and not service["spec"].get("publishNotReadyAddresses"):
            continue
        if service["spec"].get("ports") and not each.ports:
            continue
        group = groups.setdefault(each.ports, {})
        group.setdefault("addresses" if each.ready else "notReadyAddresses", []).append(_address(service, each))
    return [{**group, "ports": [_port(each) for each in ports]} if ports else group for ports, group in groups.items()]


class EndpointsController(ServiceBackendsController):
    name = "endpoint-controller"

    def __init__(self, context: Context):
        super().__init__(context)
        self._endpoints = self.informers("endpoints")
        self._endpoints.on_change(self._endpoints_changed)

    def _endpoints_changed(self, old: Object | None, new: Object | None) -> None:
        """Endpoints that somebody else changed or deleted are put right."""
        changed = new or old or {}
        if MANAGED_BY.items() <= (changed["metadata"].get("labels") or {}).items():
            self.enqueue(changed)

    async def reconcile(self, key: str) -> None:
        service, present = self._services.by_key(key), self._endpoints.by_key(key)
        if service is None:
            await self._delete(present)
            return
        if not has_endpoints(service) or meta.is_deleting(service):
            return
        metadata = service["metadata"]
        wanted = subsets(service, backends(service, self._pods.list(metadata["namespace"])))
        labels = labels_for(service, MANAGED_BY)
        if present is not None and (present.get("subsets") or []) == wanted and (present["metadata"].get("labels") or {}) == labels:
            return
        body: Object = (
            meta.copy(present)
            if present
            else {"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": metadata["name"], "namespace": metadata["namespace"]}}
        )
        body["metadata"]["labels"] = labels
        body["metadata"].setdefault("annotations", {})[TRIGGER_TIME] = meta.now()
        body.pop("subsets", None)
        if wanted:
            body["subsets"] = wanted
        if present:
            await self.client.update("endpoints", body)
        else:
            await self.client.create("endpoints", body, metadata["namespace"])

    async def _delete(self, present: Object | None) -> None:
        if present is None or not MANAGED_BY.items() <= (present["metadata"].get("labels") or {}).items():
            return
        try:
            await self.client.delete(
                "endpoints", present["metadata"]["name"], present["metadata"]["namespace"], uid=present["metadata"]["uid"]
            )
        except ApiError as error:
            if error.code != 404:
                raise
