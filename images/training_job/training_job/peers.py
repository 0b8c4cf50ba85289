"""How the Pods of a training meet: by their names in a headless Service, each worker with Pod 0, by lines of JSON over TCP."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]
Say = Callable[[str], None]
_AGAIN = 0.5
# Seconds without a word after which a peer counts as lost.
_SILENT = 30.0


class Lost(Exception):
    """A peer that was met has gone; the message names it."""


class Line:
    """A connection that carries one JSON object a line; `name` is who is at its other end."""

    def __init__(self, connection: socket.socket, name: str):
        self.name = name
        self._connection = connection
        self._connection.settimeout(_SILENT)
        self._reader = connection.makefile("r")

    def send(self, message: Message) -> None:
        """Raises Lost."""
        try:
            self._connection.sendall((json.dumps(message) + "\n").encode())
        except OSError as problem:
            raise Lost(f"{self.name} ({problem})") from None

    def receive(self) -> Message:
        """Raises Lost."""
        try:
            line = self._reader.readline()
            if not line.endswith("\n"):
                raise Lost(f"{self.name} (it closed the connection)")
            found: Message = json.loads(line)
        except (OSError, ValueError) as problem:
            raise Lost(f"{self.name} ({problem})") from None
        return found

    def close(self) -> None:
        self._reader.close()
        self._connection.close()


def names(job: str, size: int, service: str, namespace: str) -> list[str]:
    """The full name of each Pod: `train-classifier-0.training.ai-platform.svc`."""
    return [f"{job}-{index}.{service}.{namespace}.svc" for index in range(size)]


def unknown(name: str) -> str:
    """What the resolver says of a name that it does not know; empty for one that it does."""
    try:
        socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    except socket.gaierror as problem:
        return str(problem.strerror or problem)
    return ""


class Waiting:
    """Tells whom this Pod waits for, and says the same thing once."""

    def __init__(self, say: Say):
        self._say = say
        self._told = ""

    def for_(self, missing: list[str]) -> None:
        whom = "; ".join(f"{name}: {unknown(name) or 'it has a name, and has not called yet'}" for name in missing)
        if whom != self._told:
            self._told = whom
            self._say(f"waiting for {whom}")


def gather(server: socket.socket, everybody: list[str], say: Say) -> list[Line]:
    """Pod 0's side: the connections of all others, in the order of their indexes, once every one has called."""
    met: dict[int, Line] = {}
    waiting = Waiting(say)
    server.settimeout(_AGAIN)
    while len(met) < len(everybody) - 1:
        waiting.for_([name for index, name in enumerate(everybody) if index and index not in met])
        try:
            connection, _ = server.accept()
        except TimeoutError:
            continue
        line = Line(connection, "a caller")
        try:
            index = int(line.receive()["index"])
            if not 0 < index < len(everybody):
                raise Lost(f"a caller that says it is Pod {index}")
        except (Lost, KeyError, TypeError, ValueError) as problem:
            say(f"a caller was turned away: {problem}")
            line.close()
            continue
        line.name = everybody[index]
        if index in met:
            met[index].close()
        met[index] = line
    return [met[index] for index in sorted(met)]


def join(index: int, everybody: list[str], port: int, say: Say) -> Line:
    """A worker's side: its connection to Pod 0, as soon as that one answers."""
    waiting = Waiting(say)
    while True:
        try:
            line = Line(socket.create_connection((everybody[0], port), timeout=_SILENT), everybody[0])
            line.send({"index": index})
            return line
        except (OSError, Lost):
            waiting.for_([name for place, name in enumerate(everybody) if place != index and (place == 0 or unknown(name))])
            time.sleep(_AGAIN)


def listen(port: int) -> socket.socket:
    """Raises OSError."""
    server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    server.bind(("", port))
    server.listen(16)
    return server
