"""A server on a free port with a state folder of its own, and HTTP to it as an administrator, an account or nobody."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import orjson
import pytest

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer
from clusters.embedded.network import Network
from clusters.embedded.nodes import NodeConnections
from clusters.embedded.store import Store


@dataclass
class Reply:
    status: int
    body: Any
    headers: Any = field(repr=False, default=None)


class Loopback:
    """A Pod network in which every address is this machine, at the port `real`."""

    def __init__(self) -> None:
        self.dialed: list[tuple[str, int]] = []
        self.real = 0

    async def dial(self, ip: str, port: int, *, loopback: bool = False) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        self.dialed.append((ip, port))
        return await asyncio.open_connection("127.0.0.1", self.real)

    def allocate(self, node_index: int, pod_uid: str) -> str:
        raise NotImplementedError

    def release(self, pod_uid: str) -> None:
        raise NotImplementedError

    def environment(self, pod_ip: str, namespace: str) -> dict[str, str]:
        raise NotImplementedError

    async def until_judged(self, pod_ip: str) -> None:
        raise NotImplementedError


class Http:
    """Requests to the server as one user; `headers` go with each of them."""

    def __init__(self, url: str, context: ssl.SSLContext, headers: dict[str, str] | None = None):
        self.url = url
        self.session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context), headers=headers)

    async def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        sent = {name.replace("_", "-"): value for name, value in headers.items()}
        data = body if isinstance(body, bytes) else orjson.dumps(body) if body is not None else None
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        async with self.session.request(method, self.url + path, data=data, headers=sent) as response:
            raw = await response.read()
            is_json = response.content_type == "application/json"
            return Reply(response.status, orjson.loads(raw) if is_json and raw else raw.decode(), response.headers)


@contextlib.asynccontextmanager
async def serving(folder: Path, network: Network | None = None) -> AsyncIterator[ApiServer]:
    store = Store(folder)
    server = ApiServer(store, folder, NodeConnections(), network)
    await server.start()
    yield server
    await server.stop()
    store.close()


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[ApiServer]:
    async with serving(tmp_path) as found:
        yield found


@pytest.fixture
def client(server: ApiServer) -> LocalClient:
    return LocalClient(server.services, "system:kube-controller-manager")


def trusting(server: ApiServer) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(server.certificates.ca))


@contextlib.asynccontextmanager
async def administrator(server: ApiServer) -> AsyncIterator[Http]:
    """The administrator, by certificate."""
    context = trusting(server)
    context.load_cert_chain(server.certificates.admin, server.certificates.admin_key)
    found = Http(server.url, context)
    try:
        yield found
    finally:
        await found.session.close()


@pytest.fixture
async def http(server: ApiServer) -> AsyncIterator[Http]:
    async with administrator(server) as found:
        yield found


@pytest.fixture
async def anonymous(server: ApiServer) -> AsyncIterator[Http]:
    found = Http(server.url, trusting(server))
    yield found
    await found.session.close()
