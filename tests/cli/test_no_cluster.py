"""No cluster answers: every command that needs one says so in one sentence, with the one command that changes it."""

from __future__ import annotations

import socketserver
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
import yaml

from tests.cli.test_command import run

KEY = "03-pending/moved-in"
COMMANDS = [
    ["check", "03-pending"],
    ["check", KEY],
    ["start", KEY],
    ["reset", KEY],
    ["reset", "03-pending"],
    ["dev", "check", "03-pending"],
]


class _Teapot(BaseHTTPRequestHandler):
    """A program that is no API server."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"<html>")

    def log_message(self, *words: object) -> None:
        pass


@pytest.fixture(scope="module")
def other_program() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Teapot) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_address[1]
        server.shutdown()


def kubeconfig(home: Path, server: str) -> None:
    folder = home / "embedded"
    folder.mkdir()
    (home / "cluster").write_text("embedded\n")
    (folder / "kubeconfig").write_text(
        yaml.safe_dump(
            {
                "apiVersion": "v1", "kind": "Config", "current-context": "c", "users": [{"name": "u", "user": {"token": "t"}}],
                "clusters": [{"name": "c", "cluster": {"server": server}}], "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
            }
        )
    )  # fmt: skip


@pytest.mark.parametrize("state", ["never started", "refused", "another program", "garbage"])
@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda each: " ".join(each))
def test_one_sentence_and_one_command(arguments: list[str], state: str, other_program: int, tmp_path: Path) -> None:
    if state == "refused":
        kubeconfig(tmp_path, "https://127.0.0.1:1")
    elif state == "another program":
        kubeconfig(tmp_path, f"http://127.0.0.1:{other_program}")
    elif state == "garbage":
        kubeconfig(tmp_path, "https://127.0.0.1:1")
        (tmp_path / "embedded" / "kubeconfig").write_text("{{{")
    done = run(tmp_path, *arguments)
    assert done.returncode == 5, done.stdout + done.stderr
    told = done.stderr.splitlines()
    assert told == [
        f"✘ {'No lab cluster has been started yet.' if state == 'never started' else 'The embedded cluster is stopped.'}",
        "  next: ai-lab up",
    ]


def test_a_hint_needs_no_cluster_and_says_that_there_is_none(tmp_path: Path) -> None:
    done = run(tmp_path, "hint", KEY)
    assert done.returncode == 0
    assert "[hint 1 of" in done.stdout
    assert "No lab cluster has been started yet." in done.stderr
