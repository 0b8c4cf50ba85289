"""What the store does under steady writes: how long its log grows, how long a write takes meanwhile, how soon it is back after a kill -9."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from clusters.embedded.store import Put, Store

# (what, objects, bytes of each, pause between two writes in seconds)
LOADS = (
    ("300 bytes, as fast as it goes", 200, 300, 0.0),
    ("5 kB, 100 a second", 200, 5_000, 0.01),
    ("5 kB, as fast as it goes", 200, 5_000, 0.0),
    ("100 kB, 100 a second", 40, 100_000, 0.01),
    ("100 kB, as fast as it goes", 40, 100_000, 0.0),
)
_SECONDS = 10.0


async def write(folder: Path, objects: int, size: int, pause: float) -> dict[str, Any]:
    """Writes for some seconds on an event loop with something else to do; milliseconds of each write, and of the loop's longest stalls."""
    store = Store(folder)
    log = folder / "state.db-wal"
    took: list[float] = []
    largest, number = 0, 0
    lags: list[float] = []

    async def tick() -> None:
        while True:
            asked = time.perf_counter()
            await asyncio.sleep(0.001)
            lags.append((time.perf_counter() - asked - 0.001) * 1000)

    ticking = asyncio.create_task(tick())
    end = time.monotonic() + _SECONDS
    while time.monotonic() < end:
        name = f"n{number % objects}"
        old = store.get("things", name, "default")
        obj = {"metadata": {"name": name, "namespace": "default"}, "number": number, "text": "x" * size}
        began = time.perf_counter()
        store.write([Put("things", obj, old["metadata"]["resourceVersion"] if old else None)])
        took.append((time.perf_counter() - began) * 1000)
        number += 1
        if log.exists():
            largest = max(largest, log.stat().st_size)
        await asyncio.sleep(pause)
    ticking.cancel()
    took.sort()
    lags.sort()
    return {
        "writes": number,
        "log": largest / 1e6,
        "median": took[len(took) // 2],
        "p99": took[len(took) * 99 // 100],
        "longest": took[-1],
        "stall": lags[-1],
    }


def measure(home: Path) -> None:
    """Prints a line for each load. The writer is killed without warning, and the time until the next process has opened the store is taken."""
    print(f"{'writes of':<32}{'writes':>8}{'log, MB':>9}{'median':>9}{'p99':>8}{'longest':>9}{'loop stall':>12}{'back after kill -9':>20}")
    for what, *load in LOADS:
        with tempfile.TemporaryDirectory(dir=home) as folder:
            arguments = [folder, *map(str, load)]
            writer = subprocess.Popen(
                [sys.executable, "-m", "benchmarks.writes", "write", *arguments], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
            )
            assert writer.stdout is not None
            found = json.loads(writer.stdout.readline())
            writer.kill()
            writer.wait()
            opened = subprocess.run(
                [sys.executable, "-m", "benchmarks.writes", "open", folder], stdout=subprocess.PIPE, text=True, check=True
            )
            print(
                f"{what:<32}{found['writes']:>8}{found['log']:>9.1f}{found['median']:>6.3f} ms{found['p99']:>5.1f} ms{found['longest']:>6.0f} ms"
                f"{found['stall']:>9.0f} ms{float(opened.stdout):>17.2f} s",
                flush=True,
            )


if __name__ == "__main__":
    command, place, *rest = sys.argv[1:]
    if command == "write":
        print(json.dumps(asyncio.run(write(Path(place), int(rest[0]), int(rest[1]), float(rest[2])))), flush=True)
        sys.stdin.read()
    else:
        began = time.perf_counter()
        Store(Path(place))
        print(time.perf_counter() - began)
