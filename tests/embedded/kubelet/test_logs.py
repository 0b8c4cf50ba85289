"""Log files: what is kept and what `kubectl logs` is given."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded.kubelet import logs
from clusters.embedded.kubelet.logs import LogWriter
from clusters.embedded.nodes import LogOptions


async def _read(writer: LogWriter, **options: Any) -> str:
    return b"".join([chunk async for chunk in logs.read(writer.path, LogOptions("main", **options), writer)]).decode()


@pytest.fixture
def writer(tmp_path: Path) -> LogWriter:
    return LogWriter(tmp_path / "main" / "0.log")


async def test_lines_are_kept_in_the_format_of_the_runtime(writer: LogWriter) -> None:
    writer.write(1, b"one\ntw")
    writer.write(2, b"error\n")
    writer.write(1, b"o\nend")
    writer.close()
    pattern = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z (stdout|stderr) [FP] .*"
    lines = writer.path.read_text().splitlines()
    assert all(re.fullmatch(pattern, line) for line in lines)
    assert [line.split(" ", 1)[1] for line in lines] == ["stdout F one", "stderr F error", "stdout F two", "stdout P end"]
    assert await _read(writer) == "one\nerror\ntwo\nend"


@pytest.mark.parametrize(
    ("wanted", "expected"), [(0, ""), (1, "line 4\n"), (2, "line 3\nline 4\n"), (99, "".join(f"line {n}\n" for n in range(5)))]
)
async def test_the_tail_is_counted_in_lines(writer: LogWriter, wanted: int, expected: str) -> None:
    writer.write(1, b"".join(b"line %d\n" % n for n in range(5)))
    assert await _read(writer, tail_lines=wanted) == expected


async def test_the_tail_of_a_long_log_is_found_from_its_end(writer: LogWriter) -> None:
    writer.write(1, b"".join(b"%d %s\n" % (n, b"x" * 200) for n in range(2000)))
    assert [line.split()[0] for line in (await _read(writer, tail_lines=500)).splitlines()] == [str(n) for n in range(1500, 2000)]


async def test_a_line_longer_than_a_piece_is_one_line_again(writer: LogWriter) -> None:
    writer.write(1, b"a" * 40_000 + b"\nb\n")
    assert await _read(writer) == "a" * 40_000 + "\nb\n"
    assert await _read(writer, tail_lines=2) == "a" * 40_000 + "\nb\n"
    assert await _read(writer, tail_lines=1) == "b\n"


async def test_following_ends_with_the_container(writer: LogWriter) -> None:
    writer.write(1, b"first\n")
    reading = asyncio.create_task(_read(writer, follow=True))
    await asyncio.sleep(0)
    writer.write(1, b"second\n")
    await asyncio.sleep(0)
    writer.close()
    assert await asyncio.wait_for(reading, 60) == "first\nsecond\n"


async def test_timestamps_bytes_and_age_limit_what_is_shown(writer: LogWriter) -> None:
    writer.write(1, b"hello\n")
    assert re.fullmatch(r"\d{4}-\S+Z hello\n", await _read(writer, timestamps=True))
    assert await _read(writer, limit_bytes=3) == "hel"
    assert await _read(writer, since_time="2099-01-01T00:00:00Z") == ""
    assert await _read(writer, since_seconds=60) == "hello\n"


async def test_a_log_that_grows_too_large_starts_anew(writer: LogWriter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "MAX_BYTES", 1000)
    for number in range(100):
        writer.write(1, b"line %d\n" % number)
    assert writer.path.stat().st_size <= 1000
    assert (await _read(writer)).endswith("line 99\n")
