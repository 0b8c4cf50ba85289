"""WebSockets as kubectl and the Python client open them: negotiation of the subprotocol, and channels inside binary messages."""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import WSMsgType, web

from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.errors import ApiError, bad_request

# The client sends no more than this at once, however much it has to say.
_LARGEST_MESSAGE = 64 * 1024 * 1024


async def accept(exchange: Exchange, protocols: Sequence[str]) -> web.WebSocketResponse:
    """Switches the request to a WebSocket with the first of the client's subprotocols that is in `protocols`.

    Raises ApiError 400 where the request asks for no upgrade or for another one.
    """
    http = exchange.http
    upgrade = http.headers.get("Upgrade", "").lower()
    if "upgrade" not in http.headers.get("Connection", "").lower() or not upgrade:
        raise bad_request("Upgrade request required")
    if upgrade != "websocket":
        raise ApiError(
            400, "BadRequest", f"unable to upgrade: {upgrade} streams are served inside WebSockets only; kubectl 1.31 and later use them"
        )
    asked = [each.strip() for each in ",".join(http.headers.getall("Sec-WebSocket-Protocol", [])).split(",") if each.strip()]
    if asked and not any(each in protocols for each in asked):
        listed = " ".join(protocols)
        raise ApiError(
            403, "Forbidden", f"unable to upgrade: unable to negotiate protocol: client supports {asked}, server accepts [{listed}]"
        )
    response = web.WebSocketResponse(protocols=protocols, compress=False, max_msg_size=_LARGEST_MESSAGE, timeout=5.0)
    exchange.response = response
    for name, value in exchange.headers().items():
        response.headers[name] = value
    await response.prepare(http)
    exchange.started()
    return response


async def receive(socket: web.WebSocketResponse) -> bytes | None:
    """The next message, whether it came as binary or as text; None once the client has closed or gone."""
    message = await socket.receive()
    if message.type is WSMsgType.BINARY:
        data: bytes = message.data
        return data
    if message.type is WSMsgType.TEXT:
        text: str = message.data
        return text.encode()
    return None


async def send(socket: web.WebSocketResponse, data: bytes) -> bool:
    """Sends a binary message once there is room for it; False where the client has gone."""
    if socket.closed:
        return False
    try:
        await socket.send_bytes(data)
    except (ConnectionError, RuntimeError):
        return False
    return True
