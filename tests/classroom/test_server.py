"""The class over real HTTP: who is told what, what is refused and in which words, what is kept."""

from __future__ import annotations

import json
import stat
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from lab_checks.classroom import report, server, wire
from lab_checks.classroom.roll import Roll
from tests.classroom.served import PATIENCE, ServedClass, row, served, told

SECRET_NAME = "Mira Zebra"


def test_nobody_without_the_token_sees_a_name(room: ServedClass) -> None:
    key = room.join(SECRET_NAME)
    assert room.hear(key, told(SECRET_NAME, row("03-pending/moved-in", "zebra words"))).status == 200
    tokens = ("", "x", "ä", room.room.join_secret, key, room.room.session)
    for path in (
        "",
        "api/view",
        "export.csv",
        "export.json",
        "api/session",
        "api/join",
        "api/report",
        "api/leave",
        "class.db",
        "../class.db",
    ):
        for method in ("GET", "HEAD", "POST", "PUT", "DELETE"):
            for token in tokens:
                if (method, path, token) == ("POST", "api/join", room.room.join_secret):
                    continue
                answer = room.ask(method, path, {} if method == "POST" else None, token.encode().decode("latin-1"))
                assert "zebra" not in answer.text.lower(), (method, path)
                assert answer.status in (200, 401, 403, 404, 405, 422), (method, path, answer.status)
                assert answer.status != 200 or path in ("", "api/leave", "api/session"), (method, path)
    assert "Zebra" not in room.ask("GET", "", Cookie="ai-lab-class=x").text


def test_the_link_is_exchanged_for_a_cookie_that_no_script_reads(room: ServedClass) -> None:
    room.join(SECRET_NAME)
    assert room.ask("POST", "api/session", {"token": room.room.join_secret}).status == 403
    answer = room.ask("POST", "api/session", {"token": room.room.view_token})
    cookie = answer.headers["Set-Cookie"]
    assert answer.status == 200
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(cookie.split("; "))
    assert room.room.view_token not in cookie
    kept = cookie.split(";")[0]
    assert SECRET_NAME in room.ask("GET", "api/view", Cookie=kept).text
    assert SECRET_NAME in room.ask("GET", "export.csv", Cookie=kept).text
    assert 'ai-lab-class=""' in room.ask("DELETE", "api/session", Cookie=kept).headers["Set-Cookie"]


def test_behind_tls_the_cookie_goes_over_tls_only(tmp_path: Path) -> None:
    with served(tmp_path, "/services/class/", secure=True) as room:
        cookie = room.ask("POST", "api/session", {"token": room.room.view_token}).headers["Set-Cookie"]
        assert {"Secure", "Path=/services/class/"} <= set(cookie.split("; "))


def test_everything_is_below_the_base_url(tmp_path: Path) -> None:
    with served(tmp_path, "/services/class/") as room:
        room.hear(room.join("Mira"), told("Mira"))
        assert "<h1>The class" in room.ask("GET", "").text
        room.base = "/"
        assert room.ask("GET", "").status == 404
        without = room.ask("GET", "services/class")
        assert (without.status, without.headers["Location"]) == (308, "/services/class/")


def test_the_page_may_load_nothing_and_is_kept_by_no_cache(room: ServedClass) -> None:
    answer = room.ask("GET", "")
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    assert answer.headers["X-Frame-Options"] == "DENY"
    policy = answer.text.split('http-equiv="Content-Security-Policy" content="')[1].split('"')[0]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy


def test_a_report_is_on_the_page(room: ServedClass) -> None:
    key = room.join("Mira")
    assert room.people()["Mira"]["mark"] == "waiting"
    room.hear(key, told("Mira", row("03-pending/moved-in", "the taint is gone", hints=2, started=900.0, checked=990.0)))
    mira = room.people()["Mira"]
    assert (mira["exercise"], mira["state"], mira["hints"], mira["words"]) == ("03-pending/moved-in", "failed", 2, "the taint is gone")
    assert mira["title"]


def test_a_page_that_waits_is_told_at_once(room: ServedClass) -> None:
    key = room.join("Mira")
    version = room.view()["version"]
    heard: list[Any] = []
    waits = threading.Thread(
        target=lambda: heard.append((room.ask("GET", f"api/view?since={version}", token=room.room.view_token).json, time.monotonic()))
    )
    waits.start()
    waits.join(0.5)
    assert waits.is_alive(), "there was nothing new, and it was answered"
    room.hear(key, told("Mira", row("a")))
    sent = time.monotonic()
    waits.join(PATIENCE)
    (found, came) = heard[0]
    assert found["version"] != version
    assert found["learners"][0]["exercise"] == "a"
    assert came - sent < server._POLL / 2


def test_a_learner_named_like_a_program_is_text(room: ServedClass) -> None:
    name = "<script>alert(1)</script>"
    room.hear(room.join(name), told(name, row("<img src=x>", "<b>bold</b>")))
    answer = room.ask("GET", "api/view", token=room.room.view_token)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.json["learners"][0]["name"] == name
    assert "script>alert" not in room.ask("GET", "").text


BAD_REQUESTS: dict[str, tuple[str, object, int, str]] = {
    "not JSON": (wire.TO_REPORT, b"{", 400, "not JSON"),
    "deep": (wire.TO_REPORT, b"[" * 100_000, 400, "not JSON"),
    "binary": (wire.TO_REPORT, bytes(range(128, 256)), 400, "not JSON"),
    "a list": (wire.TO_REPORT, [], 400, "not a JSON object"),
    "another version": (wire.TO_REPORT, {"format": 99}, 409, "reads version 1"),
    "too large": (wire.TO_REPORT, b'{"a": "' + b"x" * wire.MOST_BYTES + b'"}', 413, "at most 512 KiB"),
    "no report": (wire.TO_REPORT, {"format": 1}, 422, "no report"),
}


@pytest.mark.parametrize("kind", BAD_REQUESTS)
def test_what_is_no_report_is_refused_in_words_and_changes_nothing(kind: str, room: ServedClass) -> None:
    key = room.join("Mira")
    room.hear(key, told("Mira", row("a")))
    path, body, status, words = BAD_REQUESTS[kind]
    answer = room.ask("POST", path, body, key)
    assert (answer.status, words in answer.json["problem"]) == (status, True), answer.text
    assert answer.headers[wire.HEADER] == str(report.FORMAT)
    assert room.people()["Mira"]["exercise"] == "a"


def test_a_class_has_a_limit(room: ServedClass, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "MOST_LEARNERS", 2)
    room.join("Mira")
    room.join("Teo")
    full = room.ask("POST", wire.TO_JOIN, {"name": "Ada"}, room.room.join_secret)
    assert (full.status, full.json["problem"]) == (503, "the class is full: it has 2 learners")
    assert set(room.people()) == {"Mira", "Teo"}


def test_one_machine_joins_once_and_two_of_one_name_are_told_apart(room: ServedClass) -> None:
    key = room.join("Mira")
    again = room.ask("POST", wire.TO_JOIN, {"name": "Mira Kern", "key": key}, room.room.join_secret).json
    assert again["key"] == key
    assert set(room.people()) == {"Mira Kern"}
    room.join("Mira Kern")
    assert set(room.people()) == {"Mira Kern", "Mira Kern (2)"}


def test_a_machine_reports_for_itself_only(room: ServedClass) -> None:
    mira = room.join("Mira")
    assert room.hear(room.room.join_secret, told("Mira", row("a"))).status == 401
    assert room.hear(room.room.view_token, told("Mira", row("a"))).status == 401
    room.hear(room.join("Teo"), told("Mira", row("b")))
    assert room.people()["Mira"]["exercise"] == ""
    assert room.hear(mira, told("Mira", row("a"))).status == 200


def test_who_left_is_marked_and_reports_no_more(room: ServedClass) -> None:
    key = room.join("Mira")
    assert room.ask("POST", wire.TO_LEAVE, {}, key).status == 200
    assert room.people()["Mira"]["mark"] == "left"
    refused = room.hear(key, told("Mira", row("a")))
    assert (refused.status, "has left the class" in refused.text) == (403, True)


def test_who_wants_to_be_forgotten_is_forgotten_on_the_disk_too(room: ServedClass, tmp_path: Path) -> None:
    key = room.join(SECRET_NAME)
    room.hear(key, told(SECRET_NAME, row("a")))
    assert room.ask("POST", wire.TO_LEAVE, {"delete": True}, key).status == 200
    assert room.people() == {}
    assert b"Zebra" not in (tmp_path / "teacher" / "class" / "class.db").read_bytes()
    assert room.hear(key, told(SECRET_NAME)).status == 401


def test_the_class_is_there_again_after_a_restart_with_its_links(tmp_path: Path) -> None:
    with served(tmp_path) as room:
        key, links = room.join("Mira"), (room.room.view_token, room.room.join_secret)
        room.hear(key, told("Mira", row("a", "no")))
        before = room.view()
    with served(tmp_path) as room:
        assert (room.room.view_token, room.room.join_secret) == links
        assert {**room.view(), "version": 0} == {**before, "version": 0}
        assert room.hear(key, told("Mira", row("b"))).status == 200


def test_new_links_close_the_old_ones_and_machines_that_joined_stay(tmp_path: Path) -> None:
    with served(tmp_path) as room:
        key, old = room.join("Mira"), room.room
    with served(tmp_path, renew=True) as room:
        assert room.ask("GET", "api/view", token=old.view_token).status == 401
        assert room.ask("GET", "api/view", Cookie=f"ai-lab-class={old.session}").status == 401
        assert room.ask("POST", wire.TO_JOIN, {"name": "Teo"}, old.join_secret).status == 403
        assert room.hear(key, told("Mira")).status == 200


def test_the_file_is_for_its_owner_only_and_holds_no_learners_key(room: ServedClass, tmp_path: Path) -> None:
    key = room.join("Mira")
    folder = tmp_path / "teacher" / "class"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "class.db").stat().st_mode) == 0o600
    assert key.encode() not in (folder / "class.db").read_bytes()


def test_what_cannot_be_kept_is_not_taken(room: ServedClass, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab_checks.engine.store import StoreError

    def full(self: Roll, changes: object) -> None:
        raise StoreError("the disk is full", "free some space")

    monkeypatch.setattr(Roll, "write", full)
    refused = room.ask("POST", wire.TO_JOIN, {"name": "Mira"}, room.room.join_secret)
    assert (refused.status, "cannot keep anything" in refused.text) == (503, True)
    monkeypatch.undo()
    assert room.people() == {}


def test_reports_that_come_together_are_written_together(room: ServedClass, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = [room.join(f"learner {number}") for number in range(20)]
    write, sizes = Roll.write, []
    gate = threading.Event()

    def slow(self: Roll, changes: list[Any]) -> None:
        sizes.append(len(changes))
        gate.wait(PATIENCE)
        write(self, changes)

    monkeypatch.setattr(Roll, "write", slow)
    answers: list[int] = []
    sent = [
        threading.Thread(target=lambda key=key: answers.append(room.hear(key, told("x", row("a"))).status))  # type: ignore[misc]
        for key in keys
    ]
    for each in sent:
        each.start()
    deadline = time.monotonic() + PATIENCE
    while len(room.room._pending) < 19 and time.monotonic() < deadline:
        threading.Event().wait(0.02)
    assert answers == [], "a report was taken before it was kept"
    gate.set()
    for each in sent:
        each.join(PATIENCE)
    assert answers == [200] * 20
    assert sizes == [1, 19]
    assert all(each["exercise"] == "a" for each in room.view()["learners"])


def test_exports_are_files(room: ServedClass) -> None:
    room.hear(room.join("Mira"), told("Mira", row("a", "no")))
    sheet = room.ask("GET", "export.csv", token=room.room.view_token)
    assert sheet.headers["Content-Disposition"] == 'attachment; filename="class.csv"'
    assert sheet.text.splitlines()[1].startswith("Mira,")
    assert json.loads(room.ask("GET", "export.json", token=room.room.view_token).text)["details"][0]["headline"] == "no"
