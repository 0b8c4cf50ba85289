"""The audit log's file."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from clusters.embedded.apiserver import audit
from clusters.embedded.apiserver.audit import AuditLog, Record
from clusters.embedded.apiserver.request import User


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
