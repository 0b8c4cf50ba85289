"""An OpenAI-compatible endpoint on 127.0.0.1 that replies what a test tells it to, and keeps what it was sent."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from lab_checks.endpoint import Endpoint

Reply = Callable[[BaseHTTPRequestHandler, dict[str, Any]], None]


@dataclass
class Fake:
    """`sent` are the bodies that came, `keys` the Authorization headers with them."""

    endpoint: Endpoint
    sent: list[dict[str, Any]] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)


@contextlib.contextmanager
def fake(reply: Reply) -> Iterator[Fake]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            running.sent.append(body)
            running.keys.append(self.headers.get("Authorization", ""))
            with contextlib.suppress(ConnectionError):
                reply(self, body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    running = Fake(Endpoint(f"http://127.0.0.1:{server.server_port}/v1", "fake", "sesame"))
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


def says(text: str) -> Reply:
    """A chat completion with this text."""
    return lambda handler, _: send(handler, completion(text))


def completion(text: str) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


def fails(status: int, **headers: str) -> Reply:
    return lambda handler, _: send(handler, b'{"error": {"message": "no"}}', status, **headers)
