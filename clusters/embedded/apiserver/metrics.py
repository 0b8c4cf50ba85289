"""metrics.k8s.io/v1beta1, what metrics-server serves: the CPU and memory in use of nodes and Pods, as their kubelets measure them now."""

from __future__ import annotations

from collections.abc import Iterator

from aiohttp import web

from clusters.embedded.apiserver import representation
from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.services import Services
from clusters.embedded.errors import ApiError, bad_request, method_not_allowed, not_found
from kubeobjects import Object, meta, selectors

_GROUP, _VERSION = "metrics.k8s.io", "v1beta1"
# metrics-server's names for what it serves, in messages.
_NAMES = {"nodes": "nodemetrics", "pods": "podmetrics"}
_KINDS = {"nodes": "NodeMetrics", "pods": "PodMetrics"}
# The kubelet measures since the last time it was asked, at most this long ago.
_WINDOW = "15s"


def _usage(amounts: dict[str, int]) -> Object:
    """Millicores and bytes as quantities: `12345000n`, `2048Ki`."""
    return {"cpu": f"{amounts['cpu'] * 1_000_000}n" if amounts["cpu"] else "0", "memory": f"{amounts['memory'] // 1024}Ki"}


def _item(kind: str, of: Object, content: Object) -> Object:
    metadata: Object = {"name": of["metadata"]["name"]}
    if namespace := of["metadata"].get("namespace"):
        metadata["namespace"] = namespace
    metadata["creationTimestamp"] = meta.now()
    if labels := of["metadata"].get("labels"):
        metadata["labels"] = labels
    head = {"kind": kind, "apiVersion": f"{_GROUP}/{_VERSION}", "metadata": metadata}
    return head | {"timestamp": meta.now(), "window": _WINDOW} | content


def _nodes(services: Services) -> Iterator[Object]:
    for node in services.registry.store.list("nodes"):
        kubelet = services.connections.get(node["metadata"]["name"])
        if kubelet is not None:
            yield _item("NodeMetrics", node, {"usage": _usage(kubelet.usage()["node"])})


def _pods(services: Services, namespace: str | None) -> Iterator[Object]:
    measured: dict[str, Object] = {}
    pods = services.registry.store.list("pods", namespace)
    for node in {pod["spec"].get("nodeName") for pod in pods}:
        kubelet = services.connections.get(node) if node else None
        if kubelet is not None:
            measured |= kubelet.usage()["pods"]
    for pod in pods:
        containers = measured.get(meta.key(pod))
        if containers:
            listed = [{"name": name, "usage": _usage(amounts)} for name, amounts in containers.items()]
            yield _item("PodMetrics", pod, {"containers": listed})


def _table(items: list[Object], metadata: Object) -> Object:
    """As metrics-server writes it: name, the resources in use, and the time they were measured over."""
    names = ["Name", "cpu", "memory", "Window"]
    columns = [
        {"name": name, "type": "string", "format": "name" if name == "Name" else "", "description": "", "priority": 0} for name in names
    ]
    rows = []
    for item in items:
        used = [item["usage"]] if "usage" in item else [each["usage"] for each in item["containers"]]
        cells = [
            item["metadata"]["name"],
            f"{sum(int(each['cpu'].rstrip('n')) for each in used)}n",
            f"{sum(int(each['memory'].removesuffix('Ki')) for each in used)}Ki",
            item["window"],
        ]
        part = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": item["metadata"]}
        rows.append({"cells": cells, "object": part})
    return {"kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": metadata, "columnDefinitions": columns, "rows": rows}


def listed(services: Services, resource: str, namespace: str | None = None, label_selector: str = "") -> list[Object]:
    """NodeMetrics or PodMetrics, measured now, of those whose labels match. Raises ApiError for a selector that cannot be read."""
    try:
        matches = selectors.parse(label_selector)
    except selectors.SelectorError as error:
        raise bad_request(str(error)) from None
    items = _nodes(services) if resource == "nodes" else _pods(services, namespace)
    return [each for each in items if matches(each["metadata"].get("labels") or {})]


def _selected(found: list[Object], exchange: Exchange) -> list[Object]:
    for term in filter(None, exchange.query.get("fieldSelector", "").split(",")):
        key, _, value = term.replace("==", "=").partition("=")
        if key not in ("metadata.name", "metadata.namespace"):
            raise bad_request(f"field label not supported: {key}")
        found = [each for each in found if each["metadata"].get(key.rpartition(".")[2]) == value]
    return found


async def serve(services: Services, exchange: Exchange) -> web.StreamResponse:
    """Answers a get or list of nodes or pods. Raises ApiError."""
    info = exchange.info
    if info.version != _VERSION or info.resource not in _NAMES or info.subresource or (info.resource == "nodes" and info.namespace):
        raise ApiError(404, "NotFound", "the server could not find the requested resource")
    if exchange.http.method not in ("GET", "HEAD") or info.verb == "watch":
        raise method_not_allowed()
    items = listed(services, info.resource, info.namespace, exchange.query.get("labelSelector", ""))
    form = representation.negotiate(exchange.http.headers.get("Accept", ""), exchange.query)
    if info.name_in_path:
        found = next((each for each in items if each["metadata"]["name"] == info.name), None)
        if found is None:
            name = f"{info.namespace}/{info.name}" if info.namespace else info.name
            raise not_found(_NAMES[info.resource], _GROUP, name)
        body = _table([found], {}) if form.kind == "Table" else found
    else:
        chosen = _selected(items, exchange)
        plain = {"kind": f"{_KINDS[info.resource]}List", "apiVersion": f"{_GROUP}/{_VERSION}", "metadata": {}, "items": chosen}
        body = _table(chosen, {}) if form.kind == "Table" else plain
    response = web.Response(body=representation.encode(body, form.media), headers=exchange.headers())
    response.headers["Content-Type"] = form.content_type if form.kind == "Table" else form.media
    return response
