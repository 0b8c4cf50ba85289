"""The one object that the plugin reads from the API server, its own node: a thread that lists, watches and calls back.

The standard library's HTTP client in a thread takes a third of the memory of an asyncio client library, and there is
one such process on each GPU node.
"""

from __future__ import annotations

import http.client
import json
import logging
import os
import ssl
import threading
import urllib.parse
from collections.abc import Callable
from pathlib import Path
from typing import Any

Object = dict[str, Any]

log = logging.getLogger(__name__)

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
# The server ends a watch after so many seconds, and this side gives up a little later on a connection that has died unnoticed.
_WATCH_SECONDS = 240
_LONGEST_PAUSE = 5.0


class NodeWatch(threading.Thread):
    """Calls `on_node` (in this thread) with the Node as it is now and after every change, for as long as the process lives.

    `server` is the API server's URL; for https the Pod's service account gives token and CA.
    """

    def __init__(self, name: str, on_node: Callable[[Object], None], server: str | None = None):
        super().__init__(name="node-watch", daemon=True)
        self._node = name
        self._on_node = on_node
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        port = os.environ.get("KUBERNETES_SERVICE_PORT_HTTPS", os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
        bracketed = f"[{host}]" if ":" in host else host
        self._server = urllib.parse.urlsplit(server or os.environ.get("KUBERNETES_API_SERVER") or f"https://{bracketed}:{port}")
        self._tls: ssl.SSLContext | None = None
        self._pause = threading.Event()
        self._reported = ""

    def run(self) -> None:
        failures = 0
        while True:
            try:
                self._list_and_watch()
                failures = 0
            except (OSError, http.client.HTTPException, ValueError) as error:
                failures += 1
                self._report(f"Failed to watch node {self._node}: {error}")
                self._pause.wait(min(_LONGEST_PAUSE, 0.1 * 2**failures))

    def _report(self, text: str) -> None:
        """Says what is wrong once, not at every attempt."""
        if text != self._reported:
            log.warning(text)
            self._reported = text

    def _list_and_watch(self) -> None:
        path = f"/api/v1/nodes?fieldSelector=metadata.name%3D{self._node}"
        connection = self._connect()
        try:
            nodes = json.load(self._get(connection, path))
            if nodes["items"]:
                self._on_node(nodes["items"][0])
            else:
                self._report(f"Node {self._node} is not registered")
            version = nodes["metadata"]["resourceVersion"]
            stream = self._get(
                connection, f"{path}&watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={_WATCH_SECONDS}"
            )
            for line in stream:
                event = json.loads(line)
                if event["type"] in ("ADDED", "MODIFIED"):
                    self._on_node(event["object"])
                elif event["type"] == "ERROR":
                    # Mostly 410: what happened since is no longer known, so that it has to be listed again.
                    return
        finally:
            connection.close()

    def _connect(self) -> http.client.HTTPConnection:
        host, port = self._server.hostname or "", self._server.port
        if self._server.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=_WATCH_SECONDS + 15)
        if self._tls is None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._tls.load_verify_locations(_SERVICE_ACCOUNT / "ca.crt")
        return http.client.HTTPSConnection(host, port, timeout=_WATCH_SECONDS + 15, context=self._tls)

    def _get(self, connection: http.client.HTTPConnection, path: str) -> http.client.HTTPResponse:
        headers = {"Accept": "application/json", "User-Agent": "gpu-device-plugin"}
        if self._server.scheme == "https":
            # Read each time: the kubelet renews it.
            headers["Authorization"] = f"Bearer {(_SERVICE_ACCOUNT / 'token').read_text().strip()}"
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        if response.status != 200:
            body = response.read(4096)
            try:
                message = json.loads(body)["message"]
            except (ValueError, KeyError, TypeError):
                message = body.decode(errors="replace")
            raise OSError(f"{response.status} {response.reason}: {message}")
        return response
