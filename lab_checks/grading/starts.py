"""The grader's end of `engine/remote_start.py`: makes the starts that a notebook asks for, so that their baselines are the grader's own."""

from __future__ import annotations

import json
import secrets
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from lab_checks.engine.setup import LessonError

Say = Callable[[str], None]
# A request is a line of some tens of bytes, and follows at once.
_LONGEST = 4096
_SECONDS = 10


class _Server(socketserver.TCPServer):
    allow_reuse_address = True
    word: str
    start: Callable[[str, Say], dict[str, Any]]
    clean: Callable[[Say], None]

    def handle_error(self, request: Any, client_address: Any) -> None:
        """An asker that has gone away, or asks for nonsense, gets no answer."""


class _Asked(socketserver.StreamRequestHandler):
    server: _Server
    timeout = _SECONDS

    def handle(self) -> None:
        told = json.loads(self.rfile.readline(_LONGEST))
        if not secrets.compare_digest(str(told.get("word")), self.server.word):
            return
        try:
            if "start" in told:
                self._answer({"before": self.server.start(str(told["start"]), self._say)})
            else:
                self.server.clean(self._say)
                self._answer({"before": {}})
        except LessonError as problem:
            self._answer({"refused": str(problem)})

    def _say(self, line: str) -> None:
        self._answer({"say": line})

    def _answer(self, what: dict[str, Any]) -> None:
        self.wfile.write(json.dumps(what).encode() + b"\n")


@contextmanager
def served(start: Callable[[str, Say], dict[str, Any]], clean: Callable[[Say], None]) -> Iterator[str]:
    """Answers as long as the block lasts, one request after the other, in a thread; gives the value of remote_start.VARIABLE.

    `start` gets LAB/EXERCISE and gives the baseline; it and `clean` raise LessonError.
    """
    with _Server(("127.0.0.1", 0), _Asked) as server:
        server.word, server.start, server.clean = secrets.token_hex(16), start, clean
        thread = threading.Thread(target=server.serve_forever, name="starts", daemon=True)
        thread.start()
        try:
            yield f"127.0.0.1:{server.server_address[1]}:{server.word}"
        finally:
            server.shutdown()
