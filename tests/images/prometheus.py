"""Prometheus itself for tests: a process on data of its own, and samples put into it as they are, marks of an end included."""

from __future__ import annotations

import json
import os
import re
import shutil
import struct
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

# Where get-prometheus.sh unpacks it.
UNPACKED = Path(__file__).resolve().parents[2] / "build" / "prometheus"
# Prometheus' own mark of an end (model/value/value.go); ours has the quiet bit as well.
STALE_BITS = 0x7FF0_0000_0000_0002

Labels = Mapping[str, str]


def program() -> str:
    """Prometheus on this machine. Without one the test is skipped by name; in CI it fails where a package could have been fetched."""
    found = shutil.which("prometheus") or str(UNPACKED / "usr/bin/prometheus")
    if os.access(found, os.X_OK):
        return found
    said = "no Prometheus here to hold the answers against: sh tests/images/get-prometheus.sh build/prometheus"
    if os.environ.get("CI") and shutil.which("apt-get"):
        pytest.fail(f"{said} (this is CI, and there is apt-get)")
    pytest.skip(said)


def version(found: str) -> tuple[int, int]:
    """The first two numbers of its version."""
    said = subprocess.run([found, "--version"], capture_output=True, text=True, check=True)
    match = re.search(r"version (\d+)\.(\d+)", said.stdout + said.stderr)
    assert match, said
    return int(match[1]), int(match[2])


@dataclass
class Running:
    url: str
    process: subprocess.Popen[bytes]
    log: Path

    def ready(self) -> None:
        """Waits until it answers."""
        deadline = time.monotonic() + 60
        while True:
            try:
                with urllib.request.urlopen(f"{self.url}/-/ready", timeout=5) as reply:
                    if reply.status == 200:
                        return
            except (OSError, urllib.error.URLError):
                assert self.process.poll() is None, self.log.read_text()
                assert time.monotonic() < deadline, self.log.read_text()
                time.sleep(0.05)

    def write(self, series: Sequence[tuple[Labels, Sequence[tuple[int, bytes]]]]) -> None:
        """Stores samples, (milliseconds, eight bytes of a double), by remote write: the one door that takes them with their own times and bits."""
        body = _snappy(b"".join(_field(1, _series(labels, samples)) for labels, samples in series))
        headers = {
            "Content-Encoding": "snappy",
            "Content-Type": "application/x-protobuf",
            "X-Prometheus-Remote-Write-Version": "0.1.0",
        }
        with urllib.request.urlopen(urllib.request.Request(f"{self.url}/api/v1/write", body, headers), timeout=30) as reply:
            assert reply.status in (200, 204)


def start(found: str, config: Path, data: Path, port: int, *flags: str) -> Running:
    log = data / "prometheus.log"
    process = subprocess.Popen(
        [
            found, f"--config.file={config}", f"--storage.tsdb.path={data / 'tsdb'}", f"--web.listen-address=127.0.0.1:{port}",
            "--storage.tsdb.retention.time=50y", "--log.level=warn", *flags,
        ],
        stdout=log.open("wb"), stderr=subprocess.STDOUT, cwd=data,
    )  # fmt: skip
    return Running(f"http://127.0.0.1:{port}", process, log)


def get(url: str) -> tuple[int, Any]:
    """Status and JSON of an address, errors too."""
    try:
        with urllib.request.urlopen(url, timeout=30) as reply:
            return reply.status, json.load(reply)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


# Remote write: protobuf (prometheus/prompb/remote.proto) in a snappy block.


def _varint(number: int) -> bytes:
    written = bytearray()
    while number > 0x7F:
        written.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*written, number])


def _field(number: int, body: bytes) -> bytes:
    return _varint(number << 3 | 2) + _varint(len(body)) + body


def _series(labels: Labels, samples: Sequence[tuple[int, bytes]]) -> bytes:
    pairs = b"".join(_field(1, _field(1, name.encode()) + _field(2, value.encode())) for name, value in sorted(labels.items()))
    return pairs + b"".join(_field(2, b"\x09" + value + b"\x10" + _varint(when)) for when, value in samples)


def _snappy(body: bytes) -> bytes:
    """A block of literals alone, which is one of the ways to write a snappy block."""
    parts = [body[place : place + 60] for place in range(0, len(body), 60)]
    return _varint(len(body)) + b"".join(bytes([(len(part) - 1) << 2]) + part for part in parts)


# Series written down


def expanded(text: str) -> list[float | str | None]:
    """`1+2x3 _x2 stale` as one entry a scrape: a number, "stale", or None where there is nothing."""
    found: list[float | str | None] = []
    for word in text.split():
        if word == "stale":
            found.append("stale")
        elif match := re.fullmatch(r"_(?:x(\d+))?", word):
            found += [None] * int(match[1] or 1)
        else:
            found += _numbers(word)
    return found


_NUMBER = r"[+-]?(?:NaN|Inf|\d+(?:\.\d+)?(?:e[+-]?\d+)?)"


def _numbers(word: str) -> Iterator[float]:
    match = re.fullmatch(rf"({_NUMBER})([+-](?:\d+(?:\.\d+)?(?:e\d+)?))?(?:x(\d+))?", word)
    assert match, word
    first, step = float(match[1]), float(match[2] or 0)
    return (first + step * count if step else first for count in range(int(match[3] or 0) + 1))


def load(path: Path, base: int) -> list[tuple[Labels, list[tuple[int, float | str]]]]:
    """The series of a file, with times from `base` on, in milliseconds."""
    data = yaml.safe_load(path.read_text())
    return [
        (
            {"__name__": name, **labels},
            [
                (base + 1000 * data["interval"] * place, value)
                for place, value in enumerate(expanded(text))
                if value is not None
            ],
        )
        for name, labels, text in data["series"]
    ]  # fmt: skip


def encoded(value: float | str) -> bytes:
    return struct.pack("<Q", STALE_BITS) if value == "stale" else struct.pack("<d", value)


def in_order(
    series: Sequence[tuple[Labels, Sequence[tuple[int, float | str]]]], batch: int = 20
) -> Iterator[list[tuple[Labels, list[tuple[int, bytes]]]]]:
    """The samples in portions by time, as a head block takes them; `batch` different times each."""
    times = sorted({when for _, samples in series for when, _ in samples})
    for portion in (times[place : place + batch] for place in range(0, len(times), batch)):
        first, last = portion[0], portion[-1]
        yield [
            (labels, chosen)
            for labels, samples in series
            if (chosen := [(when, encoded(value)) for when, value in samples if first <= when <= last])
        ]
