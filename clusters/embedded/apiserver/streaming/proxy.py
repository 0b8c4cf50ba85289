"""`…/proxy/…` of Pods, Services and nodes: the request goes on to what listens there, the answer comes back as it is.

Follows ResourceLocation of pkg/registry/core/{pod,service,node} and apimachinery's UpgradeAwareHandler; `[scheme:]name[:port]` names the
target.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import ssl
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from aiohttp import web

from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.services import Services
from clusters.embedded.apiserver.streaming import location, node_proxy
from clusters.embedded.errors import ApiError, bad_request
from clusters.embedded.resources import Resource, by_name
from kubeobjects import Object

_HOP_BY_HOP = frozenset(
    (
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    )
)
_CHUNK = 64 * 1024


@dataclass(frozen=True)
class Target:
    scheme: str
    address: str
    port: int


def unavailable(message: str) -> ApiError:
    return ApiError(503, "ServiceUnavailable", message)


def split_name(text: str, resource: str) -> tuple[str, str, str]:
    """`[scheme:]name[:port]` as (scheme, name, port). Raises ApiError 400."""
    parts = text.split(":")
    if len(parts) == 1:
        return "", parts[0], ""
    if len(parts) == 2:
        # Two parts are a name and a port, unless the first is a scheme that could be no name with an empty port.
        return "", parts[0], parts[1]
    if len(parts) == 3 and parts[0] in ("http", "https", ""):
        return parts[0], parts[1], parts[2]
    raise bad_request(f'invalid {resource} request "{text}"')


def pod_target(pod: Object, scheme: str, port: str) -> Target:
    """Without a port, the first that a container names (pkg/registry/core/pod ResourceLocation)."""
    ports = [each["containerPort"] for container in pod["spec"]["containers"] for each in container.get("ports") or []]
    if port and not port.isdigit():
        named = [each for container in pod["spec"]["containers"] for each in container.get("ports") or [] if each.get("name") == port]
        if not named:
            raise bad_request(f'invalid pod request "{pod["metadata"]["name"]}:{port}"')
        port = str(named[0]["containerPort"])
    address = (pod.get("status") or {}).get("podIP") or ""
    if not address:
        raise bad_request("address not allowed")
    return Target(scheme or "http", address, int(port) if port else ports[0] if ports else 443 if scheme == "https" else 80)


def service_target(service: Object, slices: list[Object], scheme: str, port: str) -> Target:
    """A ready endpoint of the Service's port (by name or number; its only one without). Raises ApiError 503."""
    name, ports = service["metadata"]["name"], service["spec"].get("ports") or []
    if port.isdigit():
        chosen = next((each for each in ports if each["port"] == int(port)), None)
    elif port or len(ports) != 1:
        chosen = next((each for each in ports if (each.get("name") or "") == port), None)
    else:
        chosen = ports[0]
    if chosen is None:
        raise unavailable(f'no service port "{port}" found for service "{name}"')
    found = [
        (endpoint["addresses"][0], each["port"])
        for slice_ in slices
        for each in slice_.get("ports") or []
        if (each.get("name") or "") == (chosen.get("name") or "")
        for endpoint in slice_.get("endpoints") or []
        if (endpoint.get("conditions") or {}).get("ready") is not False
    ]
    if not found:
        shown = f"{name}:{port}" if port else name
        raise unavailable(f'no endpoints available for service "{shown}"')
    address, number = random.choice(found)
    return Target(scheme or "http", address, number)


async def serve(services: Services, exchange: Exchange, resource: Resource) -> web.StreamResponse:
    scheme, name, port = split_name(exchange.info.name, resource.singular)
    namespace = exchange.info.namespace
    raw = exchange.http.rel_url.raw_path
    path = raw.partition("/proxy")[2] if "/proxy" in raw else ""
    if not path and exchange.http.method in ("GET", "HEAD"):
        query = exchange.http.rel_url.raw_query_string
        where = raw + "/" + (f"?{query}" if query else "")
        return web.Response(status=301, headers=exchange.headers() | {"Location": where})
    if resource.plural == "nodes":
        if port in ("", "10250"):
            return await node_proxy.serve(services, exchange, name, path)
        target = Target(scheme or "http", location.node_address(services, name), int(port) if port.isdigit() else 0)
    elif resource.plural == "pods":
        target = pod_target(services.registry.get(resource, name, namespace), scheme, port)
    else:
        service = services.registry.get(resource, name, namespace)
        stored = services.registry.store.list(by_name()["endpointslices.discovery.k8s.io"].name, namespace)
        slices = [each for each in stored if (each["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name]
        target = service_target(service, slices, scheme, port)
    return await _forward(services, exchange, target, path or "/")


async def _forward(services: Services, exchange: Exchange, target: Target, path: str) -> web.StreamResponse:
    if services.network is None:
        raise unavailable("error trying to reach service: there is no Pod network")
    try:
        reader, writer = await services.network.dial(target.address, target.port)
        if target.scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            await writer.start_tls(context)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise unavailable(f"error trying to reach service: dial tcp {target.address}:{target.port}: connect: {why}") from None
    try:
        return await carry(exchange, reader, writer, path)
    except BrokenOff:
        raise unavailable("error trying to reach service: EOF") from None


class BrokenOff(Exception):
    """The other end went before it had begun to answer."""


async def carry(
    exchange: Exchange,
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    path: str,
    *,
    without: tuple[str, ...] = (),
    added: Iterable[tuple[str, str]] = (),
) -> web.StreamResponse:
    """Sends the request on and its answer back, and closes the connection. Raises BrokenOff.

    `without` are beginnings (in small letters) of headers that stay here, `added` are further ones.
    """
    sending = asyncio.create_task(_send_request(exchange, writer, path, without, added))
    try:
        return await _receive_answer(exchange, reader)
    except (asyncio.IncompleteReadError, ValueError, ConnectionError):
        if exchange.response is not None and exchange.response.prepared:
            raise ConnectionResetError("the answer broke off") from None
        raise BrokenOff from None
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


async def _send_request(
    exchange: Exchange, writer: asyncio.StreamWriter, path: str, without: tuple[str, ...], added: Iterable[tuple[str, str]]
) -> None:
    http = exchange.http
    query = http.rel_url.raw_query_string
    lines = [f"{http.method} {path}{'?' + query if query else ''} HTTP/1.1"]
    chunked = "chunked" in http.headers.get("Transfer-Encoding", "").lower()
    for name, value in http.headers.items():
        if name.lower() not in (*_HOP_BY_HOP, "authorization") and not name.lower().startswith(without):
            lines.append(f"{name}: {value}")
    lines += [f"{name}: {value}" for name, value in added]
    peer = http.transport.get_extra_info("peername") if http.transport else None
    lines += [f"X-Forwarded-For: {peer[0] if peer else '127.0.0.1'}", f"X-Forwarded-Uri: {http.rel_url.raw_path}", "Connection: close"]
    if chunked:
        lines.append("Transfer-Encoding: chunked")
    writer.write("\r\n".join([*lines, "", ""]).encode("latin-1"))
    with contextlib.suppress(ConnectionError):
        if http.can_read_body:
            async for data in http.content.iter_chunked(_CHUNK):
                writer.write(b"%x\r\n%b\r\n" % (len(data), data) if chunked else data)
                await writer.drain()
        if chunked:
            writer.write(b"0\r\n\r\n")
        await writer.drain()


async def _receive_answer(exchange: Exchange, reader: asyncio.StreamReader) -> web.StreamResponse:
    while True:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *rest = head.split("\r\n")
        version, status, *reason = first.split(" ", 2)
        if not version.startswith("HTTP/"):
            raise ValueError(first)
        if not 100 <= int(status) < 200:
            break
    response = web.StreamResponse(status=int(status), reason=reason[0] if reason else None)
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in rest if line)]
    for name, value in pairs:
        if name.lower() not in _HOP_BY_HOP:
            response.headers.add(name, value)
    response.headers["Audit-Id"] = exchange.record.audit_id
    lower = {name.lower(): value for name, value in pairs}
    if "content-length" not in lower:
        response.enable_chunked_encoding()
    exchange.response = response
    await response.prepare(exchange.http)
    if exchange.http.method != "HEAD" and int(status) not in (204, 304):
        async for data in _body(reader, lower):
            await response.write(data)
    await response.write_eof()
    return response


async def _body(reader: asyncio.StreamReader, headers: dict[str, str]) -> AsyncIterator[bytes]:
    """Raises IncompleteReadError where the answer breaks off."""
    if "chunked" in headers.get("transfer-encoding", "").lower():
        while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
            while size:
                data = await reader.readexactly(min(size, _CHUNK))
                size -= len(data)
                yield data
            await reader.readexactly(2)
        return
    left = int(headers["content-length"]) if "content-length" in headers else None
    while left is None or left > 0:
        data = await reader.read(min(left, _CHUNK) if left is not None else _CHUNK)
        if not data:
            if left is not None:
                raise asyncio.IncompleteReadError(b"", left)
            return
        if left is not None:
            left -= len(data)
        yield data
