"""portforward: connections of the client to ports inside a Pod.

kubectl speaks SPDY/3.1 inside a WebSocket (`portforward_spdy`), the Python client channels (`portforward_channels`). Back-pressure holds in both
directions: what one side does not read, the other does not get rid of.
"""

from __future__ import annotations

from collections.abc import Sequence

from aiohttp import web

from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.services import Services
from clusters.embedded.apiserver.streaming import location, websocket
from clusters.embedded.apiserver.streaming.pod_ports import PodPorts
from clusters.embedded.apiserver.streaming.portforward_channels import ChannelForwarder
from clusters.embedded.apiserver.streaming.portforward_spdy import SpdyForwarder
from clusters.embedded.errors import bad_request

SPDY_PROTOCOL = "SPDY/3.1+portforward.k8s.io"
CHANNEL_PROTOCOL = "v4.channel.k8s.io"


async def serve(services: Services, exchange: Exchange) -> web.StreamResponse:
    pod = location.find_pod(services, exchange)
    namespace, name = pod["metadata"]["namespace"], pod["metadata"]["name"]
    kubelet = location.running_on(services, pod, f"/portForward/{namespace}/{name}")
    ports = PodPorts(kubelet, pod)
    asked = exchange.http.query.getall("ports", [])
    # The Python client names its ports in the query; kubectl names each in its streams.
    numbers = _numbers(asked) if asked else []
    socket = await websocket.accept(exchange, (SPDY_PROTOCOL, CHANNEL_PROTOCOL))
    if socket.ws_protocol == SPDY_PROTOCOL:
        await SpdyForwarder(socket, ports).run()
    else:
        await ChannelForwarder(socket, ports, numbers).run()
    return socket


def _numbers(asked: Sequence[str]) -> list[int]:
    """`ports=80&ports=443` or `ports=80,443`. Raises ApiError 400."""
    found = []
    for text in ",".join(asked).split(","):
        if not text.isdigit() or not 0 < int(text) < 65536:
            raise bad_request(f'unable to parse "{text}" as a port: it must be a number from 1 to 65535')
        found.append(int(text))
    return found
