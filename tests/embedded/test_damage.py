"""State that was damaged is not served: each start serves all that was acknowledged or says what is wrong, and `recover` goes on with it."""

from __future__ import annotations

import random
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from clusters.embedded.store import Delete, Put, Store, StoreError, acknowledged
from clusters.embedded.store.acknowledged import Acknowledged
from clusters.embedded.store.files import LAYOUT, PAGE
from kubeobjects import Object

# Of each object, by name, every state that was acknowledged, oldest first; None where it was deleted.
States = dict[str, list[Object | None]]

FILES = ("state.db", "state.db-wal", "state.acknowledged")
OBJECTS = 200

# Ends as a killed server does: everything is handed to the system, and nothing is closed.
_KILLED = f"""
import os, sys
from pathlib import Path
import orjson
from tests.embedded.test_damage import fill
folder = Path(sys.argv[1])
states = fill(folder / "state", {OBJECTS})
(folder / "states.json").write_bytes(orjson.dumps(states))
os._exit(9)
"""


def write(store: Store, name: str, value: int, size: int = 300) -> Object:
    old = store.get("things", name, "default")
    obj = {
        "metadata": {"name": name, "namespace": "default"},
        "value": value,
        "text": random.Random(f"{name} {value}").randbytes(size).hex(),
    }
    store.write([Put("things", obj, old["metadata"]["resourceVersion"] if old else None)])
    return obj


def remove(store: Store, name: str) -> None:
    old = store.get("things", name, "default")
    assert old is not None
    store.write([Delete("things", {**old, "metadata": dict(old["metadata"])}, old["metadata"]["resourceVersion"])])


def fill(folder: Path, objects: int) -> States:
    """A quarter of the objects is in the database only, a quarter was changed since, half is new: what is newer is in the log only.

    Some objects are large, and some are deleted again.
    """
    names = [f"n{number:04}" for number in range(objects)]
    states: States = {name: [] for name in names}
    store = Store(folder)
    for name in names[: objects // 2]:
        states[name].append(write(store, name, 1))
    store.close()
    store = Store(folder)
    for number, name in list(enumerate(names))[objects // 4 :]:
        states[name].append(write(store, name, 2, size=9000 if number % 20 == 5 else 300))
        if number % 10 == 3:
            remove(store, name)
            states[name].append(None)
    return states


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, States]:
    folder = tmp_path_factory.mktemp("killed")
    process = subprocess.run([sys.executable, "-c", _KILLED, str(folder)], check=False)
    assert process.returncode == 9
    assert (folder / "state" / "state.db-wal").stat().st_size > 500_000
    return folder / "state", orjson.loads((folder / "states.json").read_bytes())


@pytest.fixture
def state(killed: tuple[Path, States], tmp_path: Path) -> tuple[Path, States]:
    copy(killed[0], tmp_path / "state")
    return tmp_path / "state", {name: list(versions) for name, versions in killed[1].items()}


def copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for name in FILES:
        shutil.copyfile(source / name, target / name)


@contextmanager
def opened(folder: Path, **options: Any) -> Iterator[Store]:
    store = Store(folder, **options)
    try:
        yield store
    finally:
        store.close()


def newest(states: States) -> dict[str, Object]:
    return {name: versions[-1] for name, versions in states.items() if versions[-1] is not None}


def served(store: Store) -> dict[str, Object]:
    return {each["metadata"]["name"]: each for each in store.list("things")}


def contents(folder: Path) -> dict[str, bytes]:
    """The files; reading a database leaves an empty log beside it, which is as good as none."""
    found = {name: (folder / name).read_bytes() for name in FILES if (folder / name).exists()}
    return {name: content for name, content in found.items() if content or name != "state.db-wal"}


def check(folder: Path, states: States) -> dict[str, Object] | None:
    """What every start on these files has to keep; returns what `recover` saved, None where nothing was refused."""
    before = contents(folder)
    refused = None
    try:
        with opened(folder) as store:
            assert served(store) == newest(states)
    except StoreError as error:
        refused = error
    if refused is None:
        return None
    assert "is damaged" in str(refused)
    assert "ai-lab down --wipe" in refused.next
    # What is to be saved is still there.
    assert contents(folder) == before, "a refused start changed a file"
    with opened(folder, recover=True) as store:
        saved = served(store)
        assert all(obj in states[name] for name, obj in saved.items())
        assert store.revision > max((int(each["metadata"]["resourceVersion"]) for each in saved.values()), default=0)
        (kept,) = folder.glob("damaged-*")
        assert str(kept) in store.recovered
        assert contents(kept) == before
        write(store, "afterwards", 1)
    with opened(folder) as store:
        assert served(store).keys() == saved.keys() | {"afterwards"}
    return saved


def test_a_killed_store_comes_back_whole(state: tuple[Path, States]) -> None:
    assert check(*state) is None


@pytest.mark.parametrize(("name", "count"), [("state.db", 40), ("state.db-wal", 40), ("state.acknowledged", 12)])
def test_a_changed_byte_is_found_or_does_no_harm(killed: tuple[Path, States], tmp_path: Path, name: str, count: int) -> None:
    chosen = random.Random(name)
    content = (killed[0] / name).read_bytes()
    found = 0
    for _ in range(count):
        copy(killed[0], tmp_path / "state")
        place = chosen.randrange(len(content))
        changed = bytearray(content)
        changed[place] ^= chosen.randrange(1, 256)
        (tmp_path / "state" / name).write_bytes(changed)
        saved = check(tmp_path / "state", killed[1])
        if saved is not None:
            found += 1
            # One byte costs the objects of one page at most.
            assert len(saved) >= len(newest(killed[1])) - 15, (place, len(saved))
    assert found > count // 20


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("page", [0, 1])
def test_each_byte_of_a_header_may_be_changed(killed: tuple[Path, States], tmp_path: Path, name: str, page: int) -> None:
    content = (killed[0] / name).read_bytes()
    for place in range(page * 4096, min(page * 4096 + 100, len(content)), 9):
        copy(killed[0], tmp_path / "state")
        (tmp_path / "state" / name).write_bytes(content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :])
        saved = check(tmp_path / "state", killed[1])
        assert saved is None or len(saved) >= len(newest(killed[1])) - 15, (place, len(saved))


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


def _halved(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _shorter(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def _zeros(path: Path) -> None:
    path.write_bytes(bytes(path.stat().st_size))


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("change", [Path.unlink, _emptied, _halved, _shorter, _zeros])
@pytest.mark.parametrize("clean", [False, True])
def test_a_file_that_is_cut_emptied_or_gone(state: tuple[Path, States], name: str, change: Callable[[Path], None], clean: bool) -> None:
    folder, states = state
    if clean:
        Store(folder).close()
    if (folder / name).exists():
        change(folder / name)
    saved = check(folder, states)
    # After a clean end there is no log; and pages that the log holds may be missing in the database.
    assert saved is not None or (name == "state.db-wal" and clean) or (name == "state.db" and not clean)


def test_what_is_damaged_is_said_with_names_and_the_next_command(state: tuple[Path, States]) -> None:
    folder, states = state
    Store(folder).close()
    content = (folder / "state.db").read_bytes()
    place = content.index(states["n0007"][-1]["text"].encode())  # type: ignore[index]
    (folder / "state.db").write_bytes(content[:place] + b"!" + content[place + 1 :])
    with pytest.raises(StoreError) as refused:
        Store(folder)
    whole = len(newest(states)) - 1
    assert str(refused.value) == (
        f"the cluster's state in {folder} is damaged: an object was changed on the disk. "
        f"{whole} objects are whole, 1 is lost: things default/n0007."
    )
    assert refused.value.next == (
        f"ai-lab up --recover (goes on with the {whole} whole objects and keeps the damaged files); "
        "or, as the last resort: ai-lab down --wipe (deletes everything; the cluster then begins empty)"
    )


def test_changes_that_went_with_the_log_are_said(state: tuple[Path, States]) -> None:
    folder, _ = state
    (folder / "state.db-wal").unlink()
    with pytest.raises(
        StoreError, match=r"state.db-wal is missing or empty: state.db ends at revision 101, and revision 266 was acknowledged"
    ):
        Store(folder)
    with opened(folder, recover=True) as store:
        assert "of revisions 102 to 266" in store.recovered
        assert store.revision == 267


def test_changes_that_never_reached_the_disk_in_a_power_cut_are_no_damage(state: tuple[Path, States]) -> None:
    folder, states = state
    record = acknowledged.read(folder / "state.acknowledged")
    assert record is not None
    assert record.synced == 101
    acknowledged.create(folder / "state.acknowledged", replace(record, boot=bytes(range(16))))
    log = folder / "state.db-wal"
    log.write_bytes(log.read_bytes()[: log.stat().st_size // 2])
    with opened(folder) as store:
        assert 0 < len(served(store)) < OBJECTS
        assert all(obj in states[name] for name, obj in served(store).items())
        # No resourceVersion is given out twice.
        assert store.revision == record.revision
    assert check(folder, {name: [*versions, served(store).get(name)] for name, versions in states.items()}) is None


def test_changes_that_were_synced_must_outlive_a_power_cut(state: tuple[Path, States]) -> None:
    folder, states = state
    Store(folder).close()
    record = acknowledged.read(folder / "state.acknowledged")
    assert record is not None
    assert record.synced == record.revision
    Store(folder).close()
    old = folder.parent / "old"
    copy_database(folder, old)
    with opened(folder) as store:
        states["n0000"].append(write(store, "n0000", 3))
    record = acknowledged.read(folder / "state.acknowledged")
    assert record is not None
    acknowledged.create(folder / "state.acknowledged", replace(record, boot=bytes(range(16))))
    shutil.copyfile(old / "state.db", folder / "state.db")
    assert check(folder, states) is not None


def copy_database(folder: Path, target: Path) -> None:
    target.mkdir()
    shutil.copyfile(folder / "state.db", target / "state.db")


def test_an_older_copy_of_the_database_is_not_taken_for_the_newest(state: tuple[Path, States]) -> None:
    folder, states = state
    Store(folder).close()
    copy_database(folder, folder.parent / "old")
    with opened(folder) as store:
        states["n0000"].append(write(store, "n0000", 3))
    shutil.copyfile(folder.parent / "old" / "state.db", folder / "state.db")
    saved = check(folder, states)
    assert saved is not None
    assert saved.keys() == newest(states).keys()


def test_another_json_that_parses_is_found(state: tuple[Path, States]) -> None:
    folder, states = state
    Store(folder).close()
    database = sqlite3.connect(folder / "state.db")
    with database:
        database.execute("UPDATE objects SET value = replace(value, '\"value\":2', '\"value\":7') WHERE name = 'n0107'")
    database.close()
    saved = check(folder, states)
    assert saved is not None
    assert newest(states).keys() - saved.keys() == {"n0107"}


def test_a_missing_object_is_found_and_counted(state: tuple[Path, States]) -> None:
    folder, states = state
    Store(folder).close()
    database = sqlite3.connect(folder / "state.db")
    with database:
        database.execute("DELETE FROM objects WHERE name = 'n0007'")
    database.close()
    with pytest.raises(StoreError, match=r"1 is lost \(the names cannot be read\)"):
        Store(folder)
    saved = check(folder, states)
    assert saved is not None
    assert newest(states).keys() - saved.keys() == {"n0007"}


def test_a_lost_root_of_the_table_costs_no_object(state: tuple[Path, States]) -> None:
    folder, states = state
    Store(folder).close()
    database = sqlite3.connect(folder / "state.db")
    (root,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'objects'").fetchone()
    database.close()
    content = (folder / "state.db").read_bytes()
    (folder / "state.db").write_bytes(content[: (root - 1) * PAGE] + bytes(PAGE) + content[root * PAGE :])
    with pytest.raises(StoreError, match=f"All {len(newest(states))} objects are whole"):
        Store(folder)
    saved = check(folder, states)
    assert saved is not None
    assert saved == newest(states)


def test_damaged_words_of_the_schema_are_refused_in_words(state: tuple[Path, States]) -> None:
    folder, states = state
    Store(folder).close()
    content = (folder / "state.db").read_bytes()
    # Each byte of the page that describes the tables: some come back in SQLite's own error, as bytes that are no text.
    end = content.rindex(b"CREATE TABLE objects", 0, PAGE) + 60
    for place in range(end - 100, end, 7):
        copy_database(folder, folder.parent / f"at-{place}")
        shutil.copyfile(folder / "state.acknowledged", folder.parent / f"at-{place}" / "state.acknowledged")
        (folder.parent / f"at-{place}" / "state.db").write_bytes(content[:place] + b"\x9c" + content[place + 1 :])
        assert check(folder.parent / f"at-{place}", states) is not None


def layout_1(folder: Path) -> None:
    """A folder as the first version of the lab left it."""
    folder.mkdir()
    database = sqlite3.connect(folder / "state.db", isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.executescript(
        """
                BEGIN;
                CREATE TABLE objects (
                    resource TEXT, namespace TEXT, name TEXT, value BLOB NOT NULL,
                    PRIMARY KEY (resource, namespace, name)
                ) WITHOUT ROWID;
                CREATE TABLE counter (revision INTEGER NOT NULL);
                INSERT INTO counter VALUES (77);
                PRAGMA application_id=1634298978;
                PRAGMA user_version=1;
                COMMIT;
        """
    )
    for number in range(OBJECTS):
        value = orjson.dumps({"metadata": {"name": f"n{number:04}", "namespace": "default", "resourceVersion": "70"}, "value": number})
        database.execute("INSERT INTO objects VALUES ('things', 'default', ?, ?)", (f"n{number:04}", value))
    database.close()


def test_the_state_of_the_first_layout_is_taken_over(tmp_path: Path) -> None:
    layout_1(tmp_path / "state")
    for _ in range(2):
        with opened(tmp_path / "state") as store:
            assert store.revision == 77
            assert {name: each["value"] for name, each in served(store).items()} == {f"n{number:04}": number for number in range(OBJECTS)}
    record = acknowledged.read(tmp_path / "state" / "state.acknowledged")
    assert record is not None
    assert (record.layout, record.revision, record.objects, record.synced) == (LAYOUT, 77, OBJECTS, 77)


def test_damaged_state_of_the_first_layout_is_refused_and_recovered(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    layout_1(folder)
    content = (folder / "state.db").read_bytes()
    place = content.index(b'"name":"n0007"')
    (folder / "state.db").write_bytes(content[:place] + b"#" + content[place + 1 :])
    with pytest.raises(StoreError, match=r"1 is lost: things default/n0007"):
        Store(folder)
    with opened(folder, recover=True) as store:
        assert len(served(store)) == OBJECTS - 1


def test_a_replacement_that_was_interrupted_is_finished(state: tuple[Path, States]) -> None:
    folder, states = state
    Store(folder).close()
    (folder / "state.db").rename(folder / "state.db.next")
    # The old files are still there, and of no use with the new database.
    (folder / "state.db").write_bytes(b"old")
    (folder / "state.db-wal").write_bytes(b"old")
    acknowledged.create(folder / "state.acknowledged", Acknowledged(LAYOUT, revision=10_000))
    assert check(folder, states) is None


def test_a_state_that_is_whole_is_not_recovered(state: tuple[Path, States]) -> None:
    folder, states = state
    with opened(folder, recover=True) as store:
        assert store.recovered == ""
        assert served(store) == newest(states)
    assert not list(folder.glob("damaged-*"))
