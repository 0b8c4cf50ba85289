"""The store: durable, ordered, watchable, bounded."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded.store import Conflict, Delete, Expired, Put, Store, StoreError, acknowledged, history
from clusters.embedded.store.acknowledged import Acknowledged
from kubeobjects import Object
from tests.embedded.full_disk import no_space


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store(tmp_path)
    yield opened
    opened.close()


def thing(name: str, namespace: str = "default", **fields: Any) -> Object:
    return {"kind": "Thing", "metadata": {"name": name, "namespace": namespace}, **fields}


def put(store: Store, name: str, namespace: str = "default", **fields: Any) -> Object:
    old = store.get("things", name, namespace)
    obj = thing(name, namespace, **fields)
    store.write([Put("things", obj, old["metadata"]["resourceVersion"] if old else None)])
    return obj


def remove(store: Store, name: str) -> None:
    old = store.get("things", name, "default")
    assert old is not None
    store.write([Delete("things", {**old, "metadata": dict(old["metadata"])}, old["metadata"]["resourceVersion"])])


def test_versions_rise_over_all_resources(store: Store) -> None:
    versions = []
    for resource in ("a", "b", "a"):
        obj = thing(f"{resource}{len(versions)}")
        store.write([Put(resource, obj, None)])
        versions.append(int(obj["metadata"]["resourceVersion"]))
    assert versions == sorted(set(versions))


def test_lists_come_in_the_order_of_etcds_keys(store: Store) -> None:
    for namespace, name in (("team", "b"), ("team-a", "z"), ("team", "a"), ("other", "c")):
        put(store, name, namespace)
    # "team-a/" sorts before "team/": the slash belongs to the key.
    assert [(each["metadata"]["namespace"], each["metadata"]["name"]) for each in store.list("things")] == [
        ("other", "c"),
        ("team-a", "z"),
        ("team", "a"),
        ("team", "b"),
    ]
    assert [each["metadata"]["name"] for each in store.list("things", "team")] == ["a", "b"]
    assert store.list("things", "nowhere") == []


def test_a_write_on_another_version_changes_nothing(store: Store) -> None:
    first = put(store, "x", value=1)
    put(store, "x", value=2)
    before = store.revision
    with pytest.raises(Conflict) as caught:
        store.write([Put("things", thing("x", value=3), first["metadata"]["resourceVersion"])])
    assert caught.value.stored is not None
    assert caught.value.stored["value"] == 2
    assert store.revision == before


def test_a_batch_is_written_whole_or_not_at_all(store: Store) -> None:
    put(store, "taken")
    with pytest.raises(Conflict):
        store.write([Put("things", thing("new"), None), Put("things", thing("taken"), None)])
    assert store.get("things", "new", "default") is None


def test_everything_is_there_after_a_restart(tmp_path: Path) -> None:
    first = Store(tmp_path)
    put(first, "kept", value="ä")
    put(first, "gone")
    remove(first, "gone")
    revision = first.revision
    first.close()
    second = Store(tmp_path)
    assert second.revision == revision
    kept = second.get("things", "kept", "default")
    assert kept is not None
    assert kept["value"] == "ä"
    assert second.get("things", "gone", "default") is None
    assert int(put(second, "later")["metadata"]["resourceVersion"]) > revision
    second.close()


def test_a_watch_from_before_a_restart_has_to_start_over(tmp_path: Path) -> None:
    first = Store(tmp_path)
    put(first, "x")
    before = first.revision - 1
    first.close()
    second = Store(tmp_path)
    with pytest.raises(Expired):
        second.watch("things", before)
    second.watch("things", second.revision)
    second.close()


async def test_a_watch_sees_each_change_once_and_in_order(store: Store) -> None:
    watch = store.watch("things", store.revision)
    put(store, "x", value=1)
    put(store, "x", value=2)
    store.write([Put("others", thing("x"), None)])
    remove(store, "x")
    changes = await watch.next()
    assert [(change.type, change.object.get("value")) for change in changes] == [("ADDED", 1), ("MODIFIED", 2), ("DELETED", 2)]
    assert changes[1].previous is changes[0].object
    assert watch.ready() == []


async def test_a_watch_that_waits_is_woken_by_a_write(store: Store) -> None:
    watch = store.watch("things", store.revision)
    waiting = asyncio.create_task(watch.next())
    await asyncio.sleep(0)
    assert not waiting.done()
    put(store, "x")
    async with asyncio.timeout(1):
        assert [change.type for change in await waiting] == ["ADDED"]


async def test_a_cancelled_watch_loses_nothing(store: Store) -> None:
    watch = store.watch("things", store.revision)
    waiting = asyncio.create_task(watch.next())
    await asyncio.sleep(0)
    put(store, "x")
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert len(watch.ready()) == 1


def test_history_is_bounded_and_a_slow_watch_expires(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_HISTORY_CHANGES", 100)
    slow = store.watch("things", store.revision)
    start = store.revision
    for value in range(500):
        put(store, "x", value=value)
    with pytest.raises(Expired, match=rf"too old resource version: {start} \(\d+\)"):
        slow.ready()
    with pytest.raises(Expired):
        store.watch("things", start)
    assert len(store.watch("things", store.revision - 50).ready()) == 50


def test_history_is_bounded_in_bytes_too(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(history, "_HISTORY_BYTES", 50_000)
    start = store.revision
    for value in range(100):
        put(store, "x", value=value, text="x" * 5000)
    with pytest.raises(Expired):
        store.watch("things", start)


def test_versions_share_what_did_not_change(store: Store) -> None:
    first = put(store, "x", spec={"a": [1, 2]}, status={"phase": "Pending"})
    second = put(store, "x", spec={"a": [1, 2]}, status={"phase": "Running"})
    assert second["spec"] is first["spec"]
    assert second["status"] is not first["status"]


def test_a_damaged_file_is_told_with_what_to_do(tmp_path: Path) -> None:
    Store(tmp_path).close()
    (tmp_path / "state.db").write_bytes(b"not a database at all" * 500)
    (tmp_path / "state.db-wal").unlink(missing_ok=True)
    with pytest.raises(StoreError, match=r"the header of state\.db was changed on the disk") as refused:
        Store(tmp_path)
    assert "ai-lab down --wipe" in refused.value.next


def test_a_file_damaged_in_the_middle_is_told_too(tmp_path: Path) -> None:
    first = Store(tmp_path)
    for number in range(300):
        put(first, f"x{number}", text="y" * 200)
    first.close()
    path = tmp_path / "state.db"
    content = bytearray(path.read_bytes())
    content[8192:12288] = b"\xff" * 4096
    path.write_bytes(content)
    with pytest.raises(StoreError, match="is damaged"):
        Store(tmp_path)


def test_another_versions_layout_is_refused(tmp_path: Path) -> None:
    Store(tmp_path).close()
    with sqlite3.connect(tmp_path / "state.db") as database:
        database.execute("PRAGMA user_version=99")
    database.close()
    acknowledged.create(tmp_path / "state.acknowledged", Acknowledged(layout=99))
    with pytest.raises(StoreError, match="another version of the lab"):
        Store(tmp_path)


def test_an_error_at_the_start_frees_the_folder(tmp_path: Path) -> None:
    (tmp_path / "state.db").write_bytes(b"rubbish" * 1000)
    for _ in range(2):
        with pytest.raises(StoreError, match="is damaged"):
            Store(tmp_path)


def test_two_clusters_cannot_share_a_folder(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=f"another cluster \\(process {os.getpid()}\\) already runs"):
        Store(tmp_path)


def test_the_log_stays_short_while_it_is_written_to(tmp_path: Path) -> None:
    limit = 1_000_000
    store = Store(tmp_path, log_limit=limit)
    log = tmp_path / "state.db-wal"
    for number in range(800):
        put(store, f"x{number % 20}", value=number, text="y" * 20_000)
        assert log.stat().st_size < 2 * limit + 100_000
    store.close()
    assert not log.exists()
    reopened = Store(tmp_path)
    assert {each["value"] for each in reopened.list("things")} == set(range(780, 800))
    reopened.close()


def test_the_log_is_cut_again_after_the_disk_was_full(tmp_path: Path) -> None:
    limit = 200_000
    store = Store(tmp_path, log_limit=limit)
    log = tmp_path / "state.db-wal"

    def fill() -> None:
        for number in range(1000):
            put(store, f"x{number}", value=number, text="y" * 5000)

    # The database cannot grow: nothing is copied back, and the log grows up to the limit of all files.
    with no_space(beyond=500_000), pytest.raises(StoreError, match="cannot be written"):
        fill()
    stored = len(store.list("things"))
    assert 0 < stored < 1000
    put(store, "after")
    deadline = time.monotonic() + 60
    while log.stat().st_size > limit // 2:
        assert time.monotonic() < deadline
        put(store, "after", value=log.stat().st_size)
    store.close()
    reopened = Store(tmp_path)
    assert len(reopened.list("things")) == stored + 1
    reopened.close()


_WRITER = """
import sys
from pathlib import Path
from clusters.embedded.store import Put, Delete, Store
store = Store(Path(sys.argv[1]), log_limit=int(sys.argv[2]))
for number in range(1_000_000):
    name = f"x{number % 50}"
    old = store.get("things", name, "default")
    obj = {"metadata": {"name": name, "namespace": "default"}, "number": (old or {}).get("number", 0) + 1, "text": "y" * int(sys.argv[3])}
    store.write([Put("things", obj, old["metadata"]["resourceVersion"] if old else None)])
    print(name, obj["number"], obj["metadata"]["resourceVersion"], flush=True)
"""


def kill_a_writer(folder: Path, lines: int, *, log_limit: int = 16_000_000, size: int = 10) -> None:
    """Kills a process that writes after so many acknowledged writes, and holds what is stored against them."""
    arguments = [sys.executable, "-c", _WRITER, str(folder), str(log_limit), str(size)]
    process = subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    acknowledged: dict[str, tuple[int, int]] = {}
    try:
        for count, line in enumerate(process.stdout, 1):
            if count == lines:
                process.send_signal(signal.SIGKILL)
            if not line.endswith("\n"):
                break  # killed in the middle of a word
            name, number, version = line.split()
            acknowledged[name] = (int(number), int(version))
    finally:
        process.kill()
        process.wait()
    assert acknowledged
    reopened = Store(folder)
    for name, (number, version) in acknowledged.items():
        stored = reopened.get("things", name, "default")
        assert stored is not None
        # What was written but not yet acknowledged may be there too: it is newer.
        assert stored["number"] >= number
        assert int(stored["metadata"]["resourceVersion"]) >= version
    assert reopened.revision >= max(version for _, version in acknowledged.values())
    reopened.close()


@pytest.mark.parametrize("lines", [1, 40, 700, 2500])
def test_a_killed_writer_loses_nothing_that_it_acknowledged(tmp_path: Path, lines: int) -> None:
    kill_a_writer(tmp_path, lines)


def test_a_kill_in_the_middle_of_checkpoints_loses_nothing(tmp_path: Path) -> None:
    # With so short a log a checkpoint runs nearly always: it begins at every fifth write.
    for lines in (150, 201, 333, 287, 264, 219):
        kill_a_writer(tmp_path, lines, log_limit=200_000, size=10_000)
