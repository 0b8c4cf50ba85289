"""EndpointSlice: the Pods behind each Service for kube-proxy and DNS (pkg/controller/endpointslice)."""

from __future__ import annotations

from collections import defaultdict

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

RESOURCE = "endpointslices.discovery.k8s.io"
SERVICE_LABEL = "kubernetes.io/service-name"
MANAGED_BY = {"endpointslice.kubernetes.io/managed-by": "endpointslice-controller.k8s.io"}

# --max-endpoints-per-slice.
_MOST = 100


def endpoint(service: Object, backend: Backend, zone: str) -> Object:
    found: Object = {
        "addresses": [backend.address],
        "conditions": {"ready": backend.ready, "serving": backend.serving, "terminating": backend.terminating},
        "targetRef": backend.target,
    }
    if backend.pod["spec"].get("nodeName"):
        found["nodeName"] = backend.pod["spec"]["nodeName"]
    if zone:
        found["zone"] = zone
    if name := hostname(service, backend.pod):
        found["hostname"] = name
    return found


def _port(port: Port) -> Object:
    name, number, protocol, app_protocol = port
    return {"name": name, "port": number, "protocol": protocol} | ({"appProtocol": app_protocol} if app_protocol else {})


def desired(service: Object, found: list[Backend], zones: dict[str, str]) -> list[Object]:
    """The contents (`ports`, `endpoints`) of a Service's slices: one for each set of ports, in hundreds; an empty one if there is none."""
    by_ports: dict[tuple[Port, ...], list[Object]] = defaultdict(list)
    for each in found:
        by_ports[each.ports].append(endpoint(service, each, zones.get(each.pod["spec"].get("nodeName") or "", "")))
    wanted = []
    for ports, endpoints in by_ports.items():
        for start in range(0, len(endpoints), _MOST):
            wanted.append({"ports": [_port(each) for each in ports], "endpoints": endpoints[start : start + _MOST]})
    return wanted or [{"ports": [], "endpoints": []}]


class EndpointSliceController(ServiceBackendsController):
    name = "endpoint-slice-controller"

    def __init__(self, context: Context):
        super().__init__(context)
        # Slices made and not yet in the cache, by uid, with the key of their Service: until they are, no more are made for it.
        self._unseen: dict[str, str] = {}
        self._slices = self.informers(RESOURCE)
        self._slices.on_change(self._slice_changed)
        self._nodes = self.informers("nodes")

    def _slice_changed(self, old: Object | None, new: Object | None) -> None:
        changed = new or old or {}
        self._unseen.pop(changed["metadata"]["uid"], None)
        name = (changed["metadata"].get("labels") or {}).get(SERVICE_LABEL)
        if name and self._is_ours(changed):
            self.queue.add(f"{changed['metadata']['namespace']}/{name}")

    @staticmethod
    def _is_ours(endpoint_slice: Object) -> bool:
        return MANAGED_BY.items() <= (endpoint_slice["metadata"].get("labels") or {}).items()

    async def reconcile(self, key: str) -> None:
        service = self._services.by_key(key)
        if service is None or not has_endpoints(service) or meta.is_deleting(service):
            return
        if key in self._unseen.values():
            return
        metadata = service["metadata"]
        zones = {
            node["metadata"]["name"]: (node["metadata"].get("labels") or {}).get("topology.kubernetes.io/zone", "")
            for node in self._nodes.list()
        }
        wanted = desired(service, backends(service, self._pods.list(metadata["namespace"])), zones)
        labels = labels_for(service, {**MANAGED_BY, SERVICE_LABEL: metadata["name"]})
        present = [
            each
            for each in self._slices.list(metadata["namespace"])
            if self._is_ours(each) and each["metadata"]["labels"].get(SERVICE_LABEL) == metadata["name"] and not meta.is_deleting(each)
        ]
        await self._converge(service, wanted, labels, sorted(present, key=lambda each: each["metadata"]["name"]))

    async def _converge(self, service: Object, wanted: list[Object], labels: dict[str, str], present: list[Object]) -> None:
        """Slices with the same ports are kept and changed; what is left over is rewritten before new ones are made."""
        free = list(present)
        pairs: list[tuple[Object, Object | None]] = []
        for contents in wanted:
            match = next((each for each in free if (each.get("ports") or []) == contents["ports"]), None)
            if match is not None:
                free.remove(match)
            pairs.append((contents, match))
        for contents, match in pairs:
            if match is None and free:
                match = free.pop(0)
            if match is None:
                await self._create(service, contents, labels)
            elif not _same(match, contents, labels):
                changed = meta.copy(match)
                changed["metadata"]["labels"] = labels
                changed["metadata"].setdefault("annotations", {})[TRIGGER_TIME] = meta.now()
                await self.client.update(RESOURCE, {**changed, **contents})
        for each in free:
            try:
                await self.client.delete(RESOURCE, each["metadata"]["name"], each["metadata"]["namespace"], uid=each["metadata"]["uid"])
            except ApiError as error:
                if error.code != 404:
                    raise

    async def _create(self, service: Object, contents: Object, labels: dict[str, str]) -> None:
        metadata = service["metadata"]
        body = {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "generateName": f"{metadata['name']}-",
                "namespace": metadata["namespace"],
                "labels": labels,
                "annotations": {TRIGGER_TIME: meta.now()},
                "ownerReferences": [meta.owner_reference(service)],
            },
            "addressType": (service["spec"].get("ipFamilies") or ["IPv4"])[0],
            **contents,
        }
        created = await self.client.create(RESOURCE, body, metadata["namespace"])
        if self._slices.by_key(meta.key(created)) is None:
            self._unseen[created["metadata"]["uid"]] = meta.key(service)


def _same(endpoint_slice: Object, contents: Object, labels: dict[str, str]) -> bool:
    return (
        (endpoint_slice.get("ports") or []) == contents["ports"]
        and (endpoint_slice.get("endpoints") or []) == contents["endpoints"]
        and (endpoint_slice["metadata"].get("labels") or {}) == labels
    )
