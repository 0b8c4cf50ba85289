"""A learner's machine: silent until it joined, and never slowed or stopped by a class that is away."""

from __future__ import annotations

import http.server
import json
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from lab_checks.classroom import membership, report, send, wire
from lab_checks.classroom.membership import Delivery, Membership
from lab_checks.engine.progress import Progress
from lab_checks.engine.session import Session
from tests.classroom.served import ServedClass, until

EXERCISE = "03-pending/moved-in"


def member_of(room: ServedClass, state: Path, name: str = "Mira") -> Membership:
    """Joins the class from `state`, as `ai-lab class join` does."""
    member = Membership(room.url, name, room.join(name), 1000.0)
    membership.keep(state, member)
    return member


def test_a_machine_that_joined_no_class_starts_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*arguments: object, **named: object) -> None:
        raise AssertionError("a process was started")

    monkeypatch.setattr(membership, "_start", refuse)
    progress = Session(tmp_path, wrote=membership.nudge).progress
    progress.start(EXERCISE, 1, "", {})
    progress.record(EXERCISE, 1, "failed", "no", 0)
    assert [each.name for each in tmp_path.iterdir()] == ["progress.db"]


def test_each_start_check_and_hint_is_reported_by_itself(room: ServedClass, tmp_path: Path) -> None:
    state = tmp_path / "mira"
    member_of(room, state)
    progress = Session(state, wrote=membership.nudge).progress
    progress.start(EXERCISE, 1, "", {})
    until(lambda: room.people()["Mira"]["state"] == "started", room.view)
    progress.hint(EXERCISE)
    until(lambda: room.people()["Mira"]["hints"] == 1, room.view)
    progress.record(EXERCISE, 1, "failed", "the taint is gone", 0)
    until(lambda: room.people()["Mira"]["words"] == "the taint is gone", room.view)
    progress.forget()
    until(lambda: room.people()["Mira"]["exercise"] == "", room.view)


def test_what_happens_while_a_report_is_on_its_way_is_reported_after_it(
    room: ServedClass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    state = tmp_path / "mira"
    member_of(room, state)
    progress = Progress(state)
    progress.start(EXERCISE, 1, "", {})
    post, sent = wire.post, []

    def meanwhile(url: str, path: str, secret: str, body: dict[str, object]) -> dict[str, object]:
        sent.append(body)
        if len(sent) == 1:
            progress.record(EXERCISE, 1, "failed", "the taint is gone", 0)
            with membership.sending(state) as free:
                assert not free
        return post(url, path, secret, body)

    monkeypatch.setattr(wire, "post", meanwhile)
    send.run(state)
    assert len(sent) == 2
    assert room.people()["Mira"]["words"] == "the taint is gone"
    send.run(state)
    assert len(sent) == 2, "nothing was new, and it was sent"


def test_a_class_that_is_away_stops_nobody_and_the_next_report_tells_all(tmp_path: Path) -> None:
    from tests.classroom.served import served

    state = tmp_path / "mira"
    with served(tmp_path / "teacher") as room:
        member = member_of(room, state)
    progress = Session(state, wrote=membership.nudge).progress
    progress.start(EXERCISE, 1, "", {})
    progress.record(EXERCISE, 1, "failed", "the taint is gone", 0)
    found = until(lambda: membership.delivery(state).problem, lambda: membership.delivery(state))
    assert found.startswith(f"no class answers at {member.url}")
    assert membership.delivery(state).at == 0
    with served(tmp_path / "teacher") as room:
        membership.keep(state, Membership(room.url, "Mira", member.key, 1000.0))
        progress.hint(EXERCISE)
        mira = until(lambda: room.people()["Mira"] if room.people()["Mira"]["hints"] else None, room.view)
        assert (mira["words"], mira["checks"]) == ("the taint is gone", 1)
        until(lambda: membership.delivery(state).at, lambda: membership.delivery(state))


def test_who_leaves_while_a_report_is_on_its_way_finds_no_trace(room: ServedClass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = tmp_path / "mira"
    member = member_of(room, state)
    monkeypatch.setattr(wire, "post", lambda *arguments: membership.leave(state))
    send.deliver(state, member)
    assert membership.delivery(state) == Delivery()
    send.run(state)
    assert membership.joined(state) is None


def test_the_key_is_for_its_owner_only(room: ServedClass, tmp_path: Path) -> None:
    member = member_of(room, tmp_path)
    kept = tmp_path / "class-joined.json"
    assert kept.stat().st_mode & 0o077 == 0
    assert member.key not in repr(member)


def test_a_learners_folder_cannot_change_what_is_run(room: ServedClass, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state, folder = tmp_path / "mira", tmp_path / "folder"
    folder.mkdir()
    (folder / "json.py").write_text("raise SystemExit(1)")
    monkeypatch.chdir(folder)
    member_of(room, state)
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def noted(*arguments: object, **named: object) -> subprocess.Popen[bytes]:
        started.append(popen(*arguments, **named))  # type: ignore[call-overload]
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", noted)
    Session(state, wrote=membership.nudge).progress.start(EXERCISE, 1, "", {})
    until(lambda: room.people()["Mira"]["exercise"], room.view)
    (process,) = started
    assert process.wait(60) == 0


# Links


@pytest.mark.parametrize(
    ("link", "words"),
    [
        ("", "begins with http"),
        ("mira", "begins with http"),
        ("ftp://host/#join=x", "begins with http"),
        ("http://#join=x", "begins with http"),
        ("http://[::1/#join=x", "no link"),
        ("http://host:port/#join=x", "no link"),
        ("http://host/", "that part is missing"),
        ("http://host/#join=", "that part is missing"),
        ("http://host/#join=ü", "that part is missing"),
        ("http://host/#view=x", "the instructor's own link"),
    ],
)
def test_a_link_that_joins_nothing_is_refused_in_words(link: str, words: str) -> None:
    with pytest.raises(wire.Refused, match=words):
        wire.read_link(link)


@pytest.mark.parametrize(
    ("link", "url"),
    [
        ("http://127.0.0.1:8765/#join=x", "http://127.0.0.1:8765/"),
        (" https://hub.example.org/services/class#join=x\n", "https://hub.example.org/services/class/"),
        ("http://[::1]:8765/#join=x", "http://[::1]:8765/"),
    ],
)
def test_a_link_is_an_address_and_a_secret(link: str, url: str) -> None:
    assert wire.read_link(link) == (url, "x")


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """The address of a server that says the same to everyone; it is no class."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name.replace("_", "-"), value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            raise AssertionError("a redirection was followed")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as found:
        thread = threading.Thread(target=found.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{found.server_port}/"
        finally:
            found.shutdown()
            thread.join(60)


@pytest.mark.parametrize(
    ("status", "body", "headers", "words"),
    [
        (200, b"<html>", {}, "is no class"),
        (200, b'{"key": "x"}', {}, "is no class"),
        (404, b"not found", {}, r"is no class \(HTTP 404\)"),
        (302, b"", {"Location": "/hub/login"}, "leads elsewhere, perhaps to a login page"),
        (502, b"bad gateway", {}, r"has a problem \(HTTP 502\)"),
        (409, json.dumps({"problem": "x"}).encode(), {"X_AI_Lab_Class": "7"}, "speaks version 7 of reports, and this ai-lab version 1"),
        (
            403,
            json.dumps({"problem": "the class is shut", "next": "go home"}).encode(),
            {"X_AI_Lab_Class": "1"},
            "the class is shut; go home",
        ),
        (403, b"[" * 9000, {"X_AI_Lab_Class": "1"}, r"is no class \(HTTP 403\)"),
    ],
)
def test_what_answers_and_is_no_class_is_told_in_words(status: int, body: bytes, headers: dict[str, str], words: str) -> None:
    with answering(status, body, **headers) as url, pytest.raises(wire.Refused, match=words):
        wire.post(url, wire.TO_REPORT, "x", {"format": report.FORMAT})


def test_a_proxy_of_the_environment_is_not_asked_for_this_machine(room: ServedClass, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1/")
    monkeypatch.delenv("no_proxy", raising=False)
    assert wire.post(room.url, wire.TO_JOIN, room.room.join_secret, {"name": "Mira"})["key"]
