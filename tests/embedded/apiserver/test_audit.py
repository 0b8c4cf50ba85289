"""The audit log's file."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from clusters.embedded.apiserver import audit
from clusters.embedded.apiserver.audit import AuditLog, Record
from clusters.embedded.apiserver.request import User
from tests.embedded.full_disk import no_space


def record(number: int) -> Record:
    return Record("get", f"/api/v1/namespaces/default/pods/p{number}", User("somebody", ("system:authenticated",)))


def test_a_long_log_begins_anew_and_keeps_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_MAX_BYTES", 5000)
    log = AuditLog(tmp_path / "audit.log")
    for number in range(100):
        log.write(record(number), "ResponseComplete", 200)
    log.close()
    files = sorted(tmp_path.iterdir())
    assert [each.name for each in files] == ["audit.log", "audit.log.1"]
    assert all(each.stat().st_size < 6000 for each in files)
    uris = [orjson.loads(line)["requestURI"] for each in reversed(files) for line in each.read_bytes().splitlines()]
    assert uris[-1].endswith("/p99")
    assert uris == sorted(uris, key=lambda uri: int(uri.rpartition("p")[2]))


def test_a_log_goes_on_where_it_ended(tmp_path: Path) -> None:
    for number in range(2):
        log = AuditLog(tmp_path / "audit.log")
        log.write(record(number), "ResponseComplete", 200)
        log.close()
    assert len((tmp_path / "audit.log").read_bytes().splitlines()) == 2


@pytest.mark.parametrize(
    ("resource", "subresource", "kept"), [("configmaps", "", True), ("secrets", "", False), ("serviceaccounts", "token", False)]
)
def test_bodies_with_secrets_are_left_out(resource: str, subresource: str, kept: bool) -> None:
    body = {"data": {"a": "b"}}
    assert (audit.loggable(resource, subresource, body, 10) == body) is kept


def uris(path: Path) -> list[str]:
    return [orjson.loads(line)["requestURI"].rpartition("/")[2] for line in path.read_bytes().splitlines()]


def test_a_disk_that_takes_half_a_line_spoils_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    log = AuditLog(tmp_path / "audit.log")
    log.write(record(0), "ResponseComplete", 200)
    with no_space(beyond=(tmp_path / "audit.log").stat().st_size + 50):
        for number in range(1, 4):
            log.write(record(number), "ResponseComplete", 200)
    log.write(record(4), "ResponseComplete", 200)
    log.close()
    assert uris(tmp_path / "audit.log") == ["p0", "p4"]
    # Said once, and again when it is over.
    assert [each.message.partition("audit.log ")[2] for each in caplog.records] == [
        "cannot be written, and lines are left out: No space left on device",
        "is written again; 3 lines were left out",
    ]


def test_the_half_line_of_a_killed_server_is_cut_off(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    whole = record(0).line("ResponseComplete", 200)
    path.write_bytes(whole + record(1).line("ResponseComplete", 200)[:100])
    log = AuditLog(path)
    log.write(record(2), "ResponseComplete", 200)
    log.close()
    assert uris(path) == ["p0", "p2"]


def test_a_log_that_cannot_begin_anew_goes_on_in_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "_MAX_BYTES", 1000)
    log = AuditLog(tmp_path / "audit.log")
    in_the_way = tmp_path / "audit.log.1"
    in_the_way.mkdir()
    for number in range(10):
        log.write(record(number), "ResponseComplete", 200)
    assert len(uris(tmp_path / "audit.log")) == 10
    in_the_way.rmdir()
    log.write(record(10), "ResponseComplete", 200)
    log.close()
    assert uris(tmp_path / "audit.log") == ["p10"]
    assert len(uris(tmp_path / "audit.log.1")) == 10
