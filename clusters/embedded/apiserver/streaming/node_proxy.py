"""`nodes/{name}/proxy/…`: the kubelet's own pages, as far as there is something true to tell (pkg/kubelet/server)."""

from __future__ import annotations

import orjson
from aiohttp import web

from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.services import Services
from clusters.embedded.apiserver.streaming import location
from clusters.embedded.nodes import KubeletServer
from clusters.embedded.resources import by_name
from kubeobjects import Object, meta


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


def _page(kubelet: KubeletServer, node: str, version: str, path: str, pods: list[Object]) -> tuple[str, bytes] | None:
    if path == "/healthz":
        return "text/plain", b"ok"
    if path in ("/pods", "/pods/"):
        return "application/json", orjson.dumps({"kind": "PodList", "apiVersion": "v1", "metadata": {}, "items": pods})
    if path in ("/stats/summary", "/stats/summary/"):
        return "application/json", orjson.dumps(summary(node, kubelet.usage(), pods), option=orjson.OPT_INDENT_2)
    if path.startswith("/metrics"):
        return _metrics(kubelet, version, path)
    return None


def _metrics(kubelet: KubeletServer, version: str, path: str) -> tuple[str, bytes] | None:
    from clusters.embedded.apiserver import component_metrics, prometheus

    if path == "/metrics":
        families = component_metrics.kubelet({"gitVersion": version}, kubelet.usage())
    elif path == "/metrics/resource":
        families = component_metrics.resource(kubelet.usage())
    elif path == "/metrics/cadvisor":
        families = component_metrics.cadvisor(kubelet.usage())
    elif path == "/metrics/probes":
        families = [each for each in component_metrics.process() if each.name == "process_start_time_seconds"]
    else:
        return None
    return "text/plain", prometheus.render(families)


async def serve(services: Services, exchange: Exchange, node: str, path: str) -> web.StreamResponse:
    location.node_address(services, node)
    kubelet = location.kubelet_of(services, node, path)
    pods = [pod for pod in services.registry.store.list("pods") if pod["spec"].get("nodeName") == node]
    info = (services.registry.get(by_name()["nodes"], node, None).get("status") or {}).get("nodeInfo") or {}
    page = _page(kubelet, node, info.get("kubeletVersion", ""), path, pods)
    if page is None:
        return web.Response(status=404, text="404 page not found\n", headers=exchange.headers())
    return web.Response(body=page[1], content_type=page[0], headers=exchange.headers())
