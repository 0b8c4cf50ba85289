"""The API server, as the operator's own ServiceAccount reaches it."""

from __future__ import annotations

import os
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import aiohttp

Object = dict[str, Any]
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_SECONDS = 10.0
_MERGE = "application/merge-patch+json"


class ClusterError(Exception):
    """The API server refused or did not answer; `code` is its status, 0 without an answer."""

    def __init__(self, message: str, code: int = 0):
        super().__init__(message)
        self.code = code


class Cluster:
    """`folder` has the token and the CA of the ServiceAccount; the token is read anew each time, as kubelets renew it."""

    def __init__(self, folder: Path = _ACCOUNT):
        self._folder = folder
        host, port = os.environ["KUBERNETES_SERVICE_HOST"], os.environ["KUBERNETES_SERVICE_PORT"]
        self._url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        self._context = ssl.create_default_context(cafile=str(folder / "ca.crt"))

    async def get(self, path: str, query: Mapping[str, str] | None = None) -> Object:
        """Raises ClusterError."""
        return await self._send("GET", path, query=query)

    async def create(self, path: str, body: Object) -> Object:
        """Raises ClusterError."""
        return await self._send("POST", path, body)

    async def patch(self, path: str, body: Object) -> Object:
        """A JSON merge patch. Raises ClusterError."""
        return await self._send("PATCH", path, body, content=_MERGE)

    async def _send(
        self,
        method: str,
        path: str,
        body: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
        content: str = "application/json",
    ) -> Object:
        token = (self._folder / "token").read_text()
        headers = {"Authorization": f"Bearer {token}", "Accept": "application/json", "User-Agent": "job-queue-operator"}
        if body is not None:
            headers["Content-Type"] = content
        try:
            # Never by a proxy: the API server is in the cluster. trust_env is off unless it is asked for.
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(_SECONDS)) as session,
                session.request(method, self._url + path, params=query, json=body, headers=headers, ssl=self._context) as response,
            ):
                found: Object = await response.json(content_type=None)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as problem:
            raise ClusterError(f"{method} {path}: {problem!r}") from None
        if response.status >= 300:
            message = found.get("message") if isinstance(found, dict) else found
            raise ClusterError(f"{method} {path}: {response.status} {message}", response.status)
        return found
