"""A GET as the kubelet's probes and hooks make it, over the Pod network; failures read as Go's net/http writes them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from dataclasses import dataclass, field
from urllib.parse import urljoin, urlsplit

from clusters.embedded.network import Network

_MAX_BODY = 10 * 1024
_MAX_REDIRECTS = 10


class RequestFailed(Exception):
    """No answer; the text follows `Get "<url>": `."""


class TooManyRedirects(Exception):
    pass


@dataclass
class Answer:
    """`body` is cut after 10 KiB."""

    status: int
    body: str
    headers: dict[str, str] = field(default_factory=dict)


def go_url(scheme: str, host: str, port: int, path: str) -> str:
    return f"{scheme.lower()}://{host}:{port}{path if path.startswith('/') else '/' + path}"


async def dial(network: Network, host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """Raises RequestFailed with Go's words."""
    try:
        return await network.dial(host, port)
    except ConnectionRefusedError:
        raise RequestFailed(f"dial tcp {host}:{port}: connect: connection refused") from None
    except OSError as error:
        raise RequestFailed(f"dial tcp {host}:{port}: connect: {(error.strerror or str(error)).lower()}") from None


async def _once(network: Network, dial_host: str, url: str, headers: dict[str, str]) -> Answer:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    reader, writer = await dial(network, dial_host, port)
    try:
        if parts.scheme == "https":
            # Probes do not verify the certificate of the container.
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            await writer.start_tls(context)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
        writer.write("\r\n".join(lines).encode())
        await writer.drain()
        return await _answer(reader)
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


async def _answer(reader: asyncio.StreamReader) -> Answer:
    head = await reader.readuntil(b"\r\n\r\n")
    first, *rest = head.decode("latin-1").split("\r\n")
    words = first.split(" ", 2)
    if len(words) < 2 or not words[0].startswith("HTTP/") or not words[1].isdigit():
        raise RequestFailed(f'net/http: HTTP/1.x transport connection broken: malformed HTTP response "{first}"')
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in rest if line)}
    body = b""
    if headers.get("transfer-encoding", "").lower() == "chunked":
        while len(body) < _MAX_BODY:
            size = int((await reader.readline()).split(b";")[0].strip() or b"0", 16)
            if size == 0:
                break
            body += await reader.readexactly(size)
            await reader.readline()
    elif "content-length" in headers:
        body = await reader.readexactly(min(int(headers["content-length"]), _MAX_BODY))
    else:
        while len(body) < _MAX_BODY and (data := await reader.read(4096)):
            body += data
    return Answer(int(words[1]), body[:_MAX_BODY].decode(errors="replace"), headers)


async def get(network: Network, ip: str, url: str, headers: dict[str, str], seconds: float) -> Answer:
    """The answer after redirects to the same host; a redirect elsewhere is an answer itself.

    Raises RequestFailed, TooManyRedirects.
    """
    host = urlsplit(url).hostname
    sent = {"Host": urlsplit(url).netloc, "User-Agent": "kube-probe/1.36", "Accept": "*/*", "Connection": "close"} | headers
    try:
        async with asyncio.timeout(seconds):
            for _ in range(_MAX_REDIRECTS):
                answer = await _once(network, ip, url, sent)
                location = answer.headers.get("location")
                if not (300 <= answer.status < 400 and location):
                    return answer
                url = urljoin(url, location)
                if urlsplit(url).hostname != host:
                    return answer
            raise TooManyRedirects
    except TimeoutError:
        raise RequestFailed("context deadline exceeded (Client.Timeout exceeded while awaiting headers)") from None
    except asyncio.IncompleteReadError:
        raise RequestFailed("EOF") from None
    except asyncio.LimitOverrunError:
        raise RequestFailed("net/http: server response headers exceeded 1048576 bytes; aborted") from None
    except ConnectionResetError:
        raise RequestFailed(f"read tcp {ip}: read: connection reset by peer") from None
    except ssl.SSLError as error:
        raise RequestFailed(f"tls: {error.reason or 'handshake failure'}".lower()) from None
    except BrokenPipeError:
        raise RequestFailed("write: broken pipe") from None
