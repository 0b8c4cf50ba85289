"""The grader makes the starts that a notebook asks for, and answers nobody else."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from lab_checks.engine import remote_start
from lab_checks.engine.setup import LessonError
from lab_checks.grading import starts

Say = Callable[[str], None]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """What the grader was asked for, in order."""
    found: list[str] = []

    def start(key: str, say: Say) -> dict[str, Any]:
        found.append(key)
        say("creating the start")
        if key == "03-pending/none":
            raise LessonError("there is no exercise none")
        return {"objects": {"pods": {}}}

    with starts.served(start, lambda say: found.append("clean")) as address:
        monkeypatch.setenv(remote_start.VARIABLE, address)
        yield found


def test_a_start_is_made_and_its_baseline_comes_back(asked: list[str]) -> None:
    said: list[str] = []
    assert remote_start.wanted()
    assert remote_start.start("03-pending/moved-in", said.append) == {"objects": {"pods": {}}}
    remote_start.clean(said.append)
    assert asked == ["03-pending/moved-in", "clean"]
    assert said == ["creating the start"]


def test_a_start_that_cannot_be_made_is_refused_in_its_own_words(asked: list[str]) -> None:
    with pytest.raises(LessonError, match=r"^there is no exercise none$"):
        remote_start.start("03-pending/none", lambda line: None)


@pytest.mark.parametrize("text", [b"", b"nonsense\n", b"[]\n", b'{"start": "x", "word": 7}\n', b"x" * 10_000])
def test_nonsense_gets_no_answer_and_stops_nobody(text: bytes, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    address = remote_start.os.environ[remote_start.VARIABLE]
    host, port, word = address.split(":")
    # It is reset where it is closed with some of the text unread.
    with socket.create_connection((host, int(port)), timeout=60) as line, contextlib.suppress(OSError):
        line.sendall(text)
        line.shutdown(socket.SHUT_WR)
        assert line.recv(100) == b""
    monkeypatch.setenv(remote_start.VARIABLE, f"{host}:{port}:{word[::-1]}x")
    with pytest.raises(LessonError, match="has gone away"):
        remote_start.start("03-pending/moved-in", lambda line: None)
    monkeypatch.setenv(remote_start.VARIABLE, address)
    assert asked == []
    assert remote_start.start("03-pending/moved-in", lambda line: None)


def test_nobody_there_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    monkeypatch.setenv(remote_start.VARIABLE, f"127.0.0.1:{port}:word")
    with pytest.raises(LessonError, match="does not answer"):
        remote_start.start("03-pending/moved-in", lambda line: None)
    monkeypatch.delenv(remote_start.VARIABLE)
    assert not remote_start.wanted()
