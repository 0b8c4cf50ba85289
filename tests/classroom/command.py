"""`ai-lab class serve` as an instructor runs it: a process with two links."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.classroom.served import until
from tests.conftest import BIN


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])


class Serving:
    def __init__(self, process: subprocess.Popen[bytes], said: Path, port: int):
        self.process = process
        self._said = said
        self.port = port

    @property
    def said(self) -> str:
        return self._said.read_text()

    def _link(self, kind: str) -> str:
        found = re.search(rf"https?://\S+#{kind}=[\w-]+", self.said)
        assert found, self.said
        return found[0]

    @property
    def view(self) -> str:
        """The instructor's link."""
        return self._link("view")

    @property
    def join(self) -> str:
        """The learners' link."""
        return self._link("join")

    def interrupt(self) -> int:
        """Ctrl-C: the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@contextmanager
def serving(home: Path, *arguments: str) -> Iterator[Serving]:
    """The class of a state folder, at a free port."""
    home.mkdir(parents=True, exist_ok=True)
    said, port = home / "said", free_port()
    path = f"{BIN}{os.pathsep}{os.environ['PATH']}"
    with said.open("w") as output:
        process = subprocess.Popen(
            [str(BIN / "ai-lab"), "class", "serve", "--port", str(port), *arguments],
            env={**os.environ, "PATH": path, "AI_LAB_HOME": str(home), "PYTHONUNBUFFERED": "1"}, cwd=home,
            stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT,
        )  # fmt: skip
    found = Serving(process, said, port)
    try:
        until(lambda: "Ctrl-C stops" in found.said or process.poll() is not None, lambda: found.said)
        assert process.poll() is None, found.said
        yield found
    finally:
        process.terminate()
        process.wait(60)
