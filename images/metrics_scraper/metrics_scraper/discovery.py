"""Pods as targets: a list and a watch of the Kubernetes API, made into the labels that Prometheus' role `pod` has.

https://prometheus.io/docs/prometheus/latest/configuration/configuration/#kubernetes_sd_config
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import aiohttp

log = logging.getLogger("metrics_scraper.discovery")

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_META = "__meta_kubernetes_"
# How long a watch is asked to last; and the pause after one that failed, longer each time.
_WATCH_SECONDS = 290
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0

Group = list[dict[str, str]]


def _sane(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", name)


def targets(pod: Mapping[str, Any]) -> Group:
    """One set of labels for each declared port of each container, one for a container without ports; none while the Pod has no address."""
    status, spec, meta = pod.get("status") or {}, pod.get("spec") or {}, pod["metadata"]
    address = status.get("podIP") or ""
    if not address:
        return []
    common = _of_pod(meta, spec, status)
    states = {each["name"]: each for each in status.get("containerStatuses") or []}
    found = []
    for container in spec.get("containers") or []:
        own = {
            f"{_META}pod_container_name": container["name"],
            f"{_META}pod_container_image": container.get("image") or "",
            f"{_META}pod_container_id": (states.get(container["name"]) or {}).get("containerID") or "",
            f"{_META}pod_container_init": "false",
        }
        host = f"[{address}]" if ":" in address else address
        ports = container.get("ports") or []
        if not ports:
            found.append({**common, **own, "__address__": host})
        for port in ports:
            number = str(port["containerPort"])
            of_port = {
                f"{_META}pod_container_port_number": number,
                f"{_META}pod_container_port_name": port.get("name") or "",
                f"{_META}pod_container_port_protocol": port.get("protocol") or "TCP",
            }
            found.append({**common, **own, **of_port, "__address__": f"{host}:{number}"})
    return found


def _of_pod(meta: Mapping[str, Any], spec: Mapping[str, Any], status: Mapping[str, Any]) -> dict[str, str]:
    ready = next((each["status"] for each in status.get("conditions") or [] if each["type"] == "Ready"), "unknown")
    labels = {
        f"{_META}namespace": meta["namespace"],
        f"{_META}pod_name": meta["name"],
        f"{_META}pod_uid": meta.get("uid") or "",
        f"{_META}pod_ip": status.get("podIP") or "",
        f"{_META}pod_host_ip": status.get("hostIP") or "",
        f"{_META}pod_node_name": spec.get("nodeName") or "",
        f"{_META}pod_phase": status.get("phase") or "",
        f"{_META}pod_ready": ready.lower(),
    }
    for owner in meta.get("ownerReferences") or []:
        if owner.get("controller"):
            labels |= {f"{_META}pod_controller_kind": owner["kind"], f"{_META}pod_controller_name": owner["name"]}
    for kind, entries in (("label", meta.get("labels")), ("annotation", meta.get("annotations"))):
        for name, value in (entries or {}).items():
            labels[f"{_META}pod_{kind}_{_sane(name)}"] = value
            labels[f"{_META}pod_{kind}present_{_sane(name)}"] = "true"
    return labels


class ApiServer:
    """Where the API answers, and as whom: what a Pod finds in its own root."""

    def __init__(self, environment: Mapping[str, str] = os.environ, account: Path = _ACCOUNT):
        host, port = environment.get("KUBERNETES_SERVICE_HOST", ""), environment.get("KUBERNETES_SERVICE_PORT", "443")
        self.url = f"https://[{host}]:{port}" if ":" in host else f"https://{host}:{port}"
        self.there = bool(host) and (account / "token").exists()
        self._account = account

    def connect(self) -> aiohttp.ClientSession:
        context = ssl.create_default_context(cafile=str(self._account / "ca.crt"))
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), read_bufsize=2**20)

    def headers(self) -> dict[str, str]:
        """Read at every request: the kubelet renews the token in its file."""
        return {"Authorization": f"Bearer {(self._account / 'token').read_text().strip()}"}


class Pods:
    """Follows the Pods of one namespace (empty: of all) and tells `changed` at every change; `groups` has the targets by Pod."""

    def __init__(self, server: ApiServer, namespace: str, changed: Callable[[], None]):
        self.groups: dict[str, Group] = {}
        self._server = server
        self._path = f"/api/v1/namespaces/{namespace}/pods" if namespace else "/api/v1/pods"
        self._changed = changed

    async def run(self) -> None:
        """Lists and watches for ever. What the API server refuses is logged, and asked for again after a pause."""
        pause = _FIRST_PAUSE
        async with self._server.connect() as session:
            while True:
                try:
                    version = await self._list(session)
                    pause = _FIRST_PAUSE
                    while version:
                        version = await self._watch(session, version)
                    # Too old to go on from: listed again, though not at once, should that be said of every version.
                    await asyncio.sleep(_FIRST_PAUSE)
                except (aiohttp.ClientError, OSError, ValueError, TimeoutError) as problem:
                    log.warning("cannot follow Pods path=%s error=%s: %s", self._path, type(problem).__name__, problem)
                    await asyncio.sleep(pause)
                    pause = min(2 * pause, _LONGEST_PAUSE)

    async def _list(self, session: aiohttp.ClientSession) -> str:
        """Reads all Pods; returns the version to watch from."""
        async with session.get(self._server.url + self._path, headers=self._server.headers(), timeout=aiohttp.ClientTimeout(30)) as reply:
            body = await reply.read()
            if reply.status != 200:
                raise ValueError(_said(reply.status, body))
        found = json.loads(body)
        self.groups = {_key(pod): targets(pod) for pod in found["items"]}
        self._changed()
        return str(found["metadata"]["resourceVersion"])

    async def _watch(self, session: aiohttp.ClientSession, version: str) -> str:
        """Follows changes until the server ends the watch; returns the version to go on from, empty where all has to be listed again."""
        query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_SECONDS)}
        wait = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=_WATCH_SECONDS + 30)
        async with session.get(self._server.url + self._path, params=query, headers=self._server.headers(), timeout=wait) as reply:
            if reply.status != 200:
                raise ValueError(_said(reply.status, await reply.read()))
            async for line in reply.content:
                event = json.loads(line)
                pod, kind = event["object"], event["type"]
                if kind == "ERROR":
                    return ""
                version = pod["metadata"]["resourceVersion"]
                if kind != "BOOKMARK":
                    self._take(kind, pod)
        return version

    def _take(self, kind: str, pod: Mapping[str, Any]) -> None:
        key, group = _key(pod), targets(pod) if kind != "DELETED" else []
        if group == self.groups.get(key, []):
            return
        if group:
            self.groups[key] = group
        else:
            self.groups.pop(key, None)
        self._changed()


def _key(pod: Mapping[str, Any]) -> str:
    return f"{pod['metadata']['namespace']}/{pod['metadata']['name']}"


def _said(status: int, body: bytes) -> str:
    try:
        return f"{status}: {json.loads(body)['message']}"
    except (ValueError, KeyError, TypeError):
        return str(status)
