"""What keeps the server alive and small: its limit of open files, its log, its parts that are started again, its socket folders."""

from __future__ import annotations

import asyncio
import logging
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from clusters.embedded import open_files, server_log, short_folders, supervision
from clusters.embedded.whole_cluster import _remembered_port

# The control plane and the two GPU nodes keep ordinary Pods away.
TAINTED = [True, False, True, True]


@pytest.mark.parametrize(
    ("limit", "expected"), [(65536, [110, 110, 110, 110]), (1024, [51, 110, 51, 51]), (256, [8, 26, 8, 8]), (100, [1, 1, 1, 1])]
)
def test_the_limit_of_open_files_is_shared_out_as_pods(limit: int, expected: list[int]) -> None:
    assert open_files.pods_allowed(limit, TAINTED) == expected


def _in_a_process(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (128, 512)),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_the_limit_is_raised_for_the_server_and_restored_for_its_children() -> None:
    script = (
        "import resource, subprocess; from clusters.embedded import open_files as f; print(f.raise_limit());"
        "print(subprocess.run(['sh', '-c', 'ulimit -Sn; ulimit -Hn'], preexec_fn=f.restore_limit, capture_output=True, text=True).stdout)"
    )
    assert _in_a_process(script).split() == ["512", "128", "512"]


def test_the_last_files_are_not_given_to_containers() -> None:
    script = """
import os
from clusters.embedded import open_files
open_files.check_room()
taken = []
try:
    while True:
        open_files.check_room()
        taken.append(os.dup(0))
except OSError as error:
    print(error.strerror, 128 - len(taken) > 40)
"""
    assert _in_a_process(script) == "Too many open files True"


async def test_a_part_that_fails_is_started_again_and_no_other_ends() -> None:
    made, survived = [], asyncio.Event()

    class Part:
        def __init__(self) -> None:
            made.append(self)

        async def run(self) -> None:
            if len(made) < 3:
                raise OSError(24, "Too many open files")
            survived.set()
            await asyncio.Event().wait()

    run = supervision.made_anew(Part)
    assert len(made) == 1
    async with asyncio.TaskGroup() as tasks:
        other = tasks.create_task(asyncio.sleep(0), name="other")
        part = tasks.create_task(supervision.keep_running("part", run))
        await asyncio.wait_for(survived.wait(), 30)
        assert other.done()
        assert other.exception() is None
        part.cancel()


def test_the_log_is_bounded_keeps_one_old_file_and_takes_stdout_along(tmp_path: Path) -> None:
    file = tmp_path / "server.log"
    script = f"""
import logging, os, sys
from pathlib import Path
from clusters.embedded import server_log
server_log.MAX_BYTES = 20_000
server_log.start(Path({str(file)!r}))
for number in range(2000):
    logging.info("line %d", number)
os.write(2, b"the last words\\n")
"""
    _in_a_process(script)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["server.log", "server.log.1"]
    assert max(path.stat().st_size for path in tmp_path.iterdir()) <= 20_100
    assert file.read_text().splitlines()[-1] == "the last words"


def test_the_same_error_over_and_over_is_told_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(server_log.time, "monotonic", lambda: now)
    told: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: told.append(record.getMessage())  # type: ignore[method-assign]
    handler.addFilter(server_log.Repetitions())
    logger = logging.Logger("test")
    logger.addHandler(handler)
    for _ in range(1000):
        try:
            raise OSError(24, "Too many open files")
        except OSError:
            logger.exception("accept failed")
    logger.info("something else")
    assert told == ["accept failed"] * 5 + ["something else"]
    now += 61
    logger.error("accept failed", exc_info=OSError(24, "Too many open files"))
    assert told[-1] == "accept failed (and 995 times more in 61 s)"


def test_a_remembered_port_that_is_none_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "port"
    assert _remembered_port(file) == 0
    for content, expected in (("99999", 0), ("-1", 0), ("", 0), ("x", 0), ("8443\n", 8443)):
        file.write_text(content)
        assert _remembered_port(file) == expected
    assert _remembered_port(tmp_path) == 0


def test_a_socket_folder_of_another_is_not_used_and_ours_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(short_folders.tempfile, "gettempdir", lambda: str(tmp_path / "tmp"))
    monkeypatch.setattr(short_folders.tempfile, "tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    squatted = tmp_path / "tmp" / f"ai-lab-{os.getuid()}"
    links = [tmp_path / "state/nodes" / name / "var/lib/kubelet/device-plugins" for name in ("a", "b")]
    for link in links:
        link.parent.mkdir(parents=True)
    short_folders.ensure(links[0])
    assert links[0].readlink().parent == squatted
    # Anyone may write to it: as good as another user's.
    squatted.chmod(0o777)
    short_folders.ensure(links[1])
    assert links[1].readlink().parent == tmp_path / "tmp"
    assert links[1].readlink().stat().st_mode & 0o777 == 0o700
    short_folders.ensure(links[1])
    short_folders.remove(short_folders.below(tmp_path / "state"))
    assert list((tmp_path / "tmp").iterdir()) == []
