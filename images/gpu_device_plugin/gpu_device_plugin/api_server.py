"""The API server as the programs of a node use it: requests, and threads that list, watch and call back.

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


class Refused(OSError):
    """An answer that is no success; `code` is its HTTP status, the text ends with the Status' message."""

    def __init__(self, code: int, reason: str, message: str):
        super().__init__(f"{code} {reason}: {message}")
        self.code = code
        self.message = message


class ApiServer:
    """`server` is the API server's URL, the Pod's own by default; for https the Pod's service account gives token and CA."""

    def __init__(self, agent: str, server: str | None = None):
        host = os.environ.get("KUBERNETES_SERVICE_HOST", "kubernetes.default.svc")
        port = os.environ.get("KUBERNETES_SERVICE_PORT_HTTPS", os.environ.get("KUBERNETES_SERVICE_PORT", "443"))
        bracketed = f"[{host}]" if ":" in host else host
        self._agent = agent
        self._server = urllib.parse.urlsplit(server or os.environ.get("KUBERNETES_API_SERVER") or f"https://{bracketed}:{port}")
        self._tls: ssl.SSLContext | None = None

    def connect(self, seconds: float) -> http.client.HTTPConnection:
        """A connection on which the server may be silent for so many seconds."""
        host, port = self._server.hostname or "", self._server.port
        if self._server.scheme == "http":
            return http.client.HTTPConnection(host, port, timeout=seconds)
        if self._tls is None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            self._tls.load_verify_locations(_SERVICE_ACCOUNT / "ca.crt")
        return http.client.HTTPSConnection(host, port, timeout=seconds, context=self._tls)

    def send(
        self, connection: http.client.HTTPConnection, path: str, method: str = "GET", body: Object | None = None
    ) -> http.client.HTTPResponse:
        """The answer, its body still to be read. Raises Refused, and OSError or HTTPException where there is none."""
        headers = {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": self._agent}
        if self._server.scheme == "https":
            # Read each time: the kubelet renews it.
            headers["Authorization"] = f"Bearer {(_SERVICE_ACCOUNT / 'token').read_text().strip()}"
        connection.request(method, path, body=None if body is None else json.dumps(body), headers=headers)
        response = connection.getresponse()
        if response.status not in (200, 201):
            text = response.read(4096)
            try:
                message = json.loads(text)["message"]
            except (ValueError, KeyError, TypeError):
                message = text.decode(errors="replace")
            raise Refused(response.status, response.reason, message)
        return response

    def request(self, method: str, path: str, body: Object | None = None) -> Object:
        """One request and the object that it answers. Raises as `send` does."""
        connection = self.connect(15)
        try:
            answer: Object = json.load(self.send(connection, path, method, body))
            return answer
        finally:
            connection.close()


class Watch(threading.Thread):
    """Lists and watches `path` (with a query) for as long as the process lives.

    Calls, in this thread, `on_list` with the list and `on_event` with each later change's type and object. `what` is its name in messages.
    """

    def __init__(self, server: ApiServer, path: str, what: str, on_list: Callable[[Object], None], on_event: Callable[[str, Object], None]):
        super().__init__(name=f"watch {what}", daemon=True)
        self._api = server
        self._path = path
        self._what = what
        self._on_list = on_list
        self._on_event = on_event
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
                self.report(f"Failed to watch {self._what}: {error}")
                self._pause.wait(min(_LONGEST_PAUSE, 0.1 * 2**failures))

    def report(self, text: str) -> None:
        """Says what is wrong once, not at every attempt."""
        if text != self._reported:
            log.warning(text)
            self._reported = text

    def _list_and_watch(self) -> None:
        connection = self._api.connect(_WATCH_SECONDS + 15)
        try:
            found = json.load(self._api.send(connection, self._path))
            self._on_list(found)
            version = found["metadata"]["resourceVersion"]
            stream = self._api.send(
                connection, f"{self._path}&watch=true&allowWatchBookmarks=true&resourceVersion={version}&timeoutSeconds={_WATCH_SECONDS}"
            )
            for line in stream:
                event = json.loads(line)
                if event["type"] == "ERROR":
                    # Mostly 410: what happened since is no longer known, so that it has to be listed again.
                    return
                if event["type"] != "BOOKMARK":
                    self._on_event(event["type"], event["object"])
        finally:
            connection.close()


class NodeWatch(Watch):
    """Calls `on_node` (in this thread) with the Node as it is now and after every change."""

    def __init__(self, name: str, on_node: Callable[[Object], None], server: ApiServer):
        def listed(found: Object) -> None:
            if found["items"]:
                on_node(found["items"][0])
            else:
                self.report(f"Node {name} is not registered")

        def changed(kind: str, node: Object) -> None:
            if kind != "DELETED":
                on_node(node)

        super().__init__(server, f"/api/v1/nodes?fieldSelector=metadata.name%3D{name}", f"node {name}", listed, changed)
