"""The API server, as a Pod's own ServiceAccount reaches it."""

from __future__ import annotations

import json
import os
import ssl
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

Object = dict[str, Any]
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS = 10.0


class ClusterError(Exception):
    """The API server refused or did not answer; `code` is its status, 0 without an answer."""

    def __init__(self, message: str, code: int = 0):
        super().__init__(message)
        self.code = code


class Cluster:
    """`folder` has the token and the CA of the ServiceAccount; they are read anew each time, as kubelets renew them."""

    def __init__(self, folder: Path = _ACCOUNT):
        self._folder = folder
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        self._url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._context = ssl.create_default_context(cafile=str(folder / "ca.crt"))

    def get(self, path: str, query: dict[str, str] | None = None) -> Object:
        """Raises ClusterError."""
        return self._send("GET", path + (f"?{urlencode(query)}" if query else ""), None)

    def create(self, path: str, body: Object) -> Object:
        """Raises ClusterError."""
        return self._send("POST", path, json.dumps(body).encode())

    def _send(self, method: str, path: str, body: bytes | None) -> Object:
        token = (self._folder / "token").read_text()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "metrics-adapter"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        request = urllib.request.Request(self._url + path, data=body, method=method, headers=headers)
        # Never by a proxy: the API server is in the cluster.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=self._context))
        try:
            with opener.open(request, timeout=_SECONDS) as response:
                found: Object = json.load(response)
                return found
        except urllib.error.HTTPError as error:
            raise ClusterError(f"{method} {path}: {error.code} {_message(error.read())}", error.code) from None
        except (OSError, ValueError) as error:
            raise ClusterError(f"{method} {path}: {error}") from None


def _message(body: bytes) -> str:
    try:
        return str(json.loads(body)["message"])
    except (ValueError, KeyError, TypeError):
        return body.decode("utf-8", "replace").strip()
