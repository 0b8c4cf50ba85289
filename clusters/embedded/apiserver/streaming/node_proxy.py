"""`nodes/{name}/proxy/…`: the kubelet's own pages, as far as there is something true to tell (pkg/kubelet/server)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson
from aiohttp import web

from clusters.embedded import meta
from clusters.embedded.apiserver.streaming import location
from clusters.embedded.nodes import KubeletServer
from kubeobjects import Object

if TYPE_CHECKING:
    from clusters.embedded.apiserver.server import ApiServer, Exchange


def _amounts(used: dict[str, int], now: str) -> Object:
    return {
        "cpu": {"time": now, "usageNanoCores": used["cpu"] * 1_000_000},
        "memory": {"time": now, "usageBytes": used["memory"], "workingSetBytes": used["memory"], "rssBytes": used["memory"]},
    }


def summary(node: str, usage: Object, pods: list[Object]) -> Object:
    """/stats/summary: the CPU and memory in use, of the node and of each container."""
    now = meta.now()
    uids = {meta.key(pod): pod["metadata"]["uid"] for pod in pods}
    listed = []
    for key, containers in usage["pods"].items():
        namespace, name = meta.split_key(key)
        total = {field: sum(each[field] for each in containers.values()) for field in ("cpu", "memory")}
        each = {"podRef": {"name": name, "namespace": namespace, "uid": uids.get(key, "")}}
        listed.append(
            each | {"containers": [{"name": one, **_amounts(used, now)} for one, used in containers.items()]} | _amounts(total, now)
        )
    return {"node": {"nodeName": node, **_amounts(usage["node"], now)}, "pods": listed}


def _page(kubelet: KubeletServer, node: str, path: str, pods: list[Object]) -> tuple[str, bytes] | None:
    if path == "/healthz":
        return "text/plain", b"ok"
    if path in ("/pods", "/pods/"):
        return "application/json", orjson.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods})
    if path in ("/stats/summary", "/stats/summary/"):
        return "application/json", orjson.dumps(summary(node, kubelet.usage(), pods), option=orjson.OPT_INDENT_2)
    return None


async def serve(server: ApiServer, exchange: Exchange, node: str, path: str) -> web.StreamResponse:
    location.node_address(server, node)
    kubelet = location.kubelet_of(server, node, path)
    pods = [pod for pod in server.registry.store.list("pods") if pod["spec"].get("nodeName") == node]
    page = _page(kubelet, node, path, pods)
    if page is None:
        return web.Response(status=404, text="404 page not found\n", headers=exchange.headers())
    return web.Response(body=page[1], content_type=page[0], headers=exchange.headers())
