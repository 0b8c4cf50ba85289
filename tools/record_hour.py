"""Records the hour on which alert rules of lab 06 are tried: a real model server under a steady load, scraped every five seconds.

    python tools/record_hour.py lab_checks/labs/observe/hour.om.gz

What happens (seconds since the beginning):

- 720: the Pod is replaced, and for 20 s requests meet a server that still loads its model (503);
- 1560: for 15 s ten times as many requests come as otherwise: they wait, and some are turned away (429);
- 2400: a release of v3, slow and wrong, with every fifth request failing (500), until the end.

The output is OpenMetrics text with timestamps, gzipped, series by series in the order of time.
"""

from __future__ import annotations

import argparse
import gzip
import os
import re
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

IMAGES = Path(__file__).parents[1] / "images"
STEP, END = 5.0, 3600.0
PORT = 18877
# Seconds at which a Pod takes over, its name, the version of its weights, and what its server is told.
PODS = (
    (0.0, "ai-log-summary-api-7c9f6d5b84-x2w4q", "v1", {"MODEL_LOAD_SECONDS": "1"}),
    (720.0, "ai-log-summary-api-7c9f6d5b84-lm8tz", "v1", {"MODEL_LOAD_SECONDS": "20"}),
    (2400.0, "ai-log-summary-api-5d88b9c6f7-q9hvn", "v3", {"MODEL_LOAD_SECONDS": "1", "INFERENCE_MS": "350", "ERROR_RATE": "0.2"}),
)
# Seconds at which clients begin, how many requests a second they send, and for how long.
CLIENTS = ((2.0, 4.0, END), (1560.0, 40.0, 15.0))
# What is kept: how many requests, how they ended, and what waits. How long they took says more about the machine that records than about the
# server; and which version answers is no symptom, so that no rule can go by it.
KEPT = "requests_total|errors_total|queue_depth|in_flight|ready"
_SAMPLE = re.compile(rf"^(model_(?:{KEPT}))(?:\{{(.*)\}})? (\S+)$")


def _server(version: str, variables: dict[str, str]) -> subprocess.Popen[bytes]:
    weights = IMAGES / f"model_server/models/log-classifier-{version}.safetensors"
    settings = {
        "PORT": str(PORT),
        "MODEL_PATH": str(weights),
        "MODEL_VERSION": version,
        "DEVICE": "cpu",
        "DRAIN_SECONDS": "0.1",
        "SHUTDOWN_GRACE_SECONDS": "1",
    }
    environment = os.environ | {"PYTHONPATH": str(IMAGES / "model_server")} | settings | variables
    return subprocess.Popen([sys.executable, "-m", "model_server"], env=environment, stdout=subprocess.DEVNULL)


def _clients(rate: float, seconds: float) -> subprocess.Popen[bytes]:
    command = [
        sys.executable,
        "-m",
        "load_generator",
        f"http://127.0.0.1:{PORT}/v1/summarize",
        "--rate",
        str(rate),
        "--seconds",
        str(seconds),
        "--stream",
        "--quiet",
    ]
    return subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(IMAGES / "load_generator")}, stdout=subprocess.DEVNULL)


def _scrape(pod: str, now: float) -> list[str]:
    """The server's model metrics as samples at `now` (seconds since the epoch), and `up`."""
    labels = f'namespace="ai-platform",pod="{pod}"'
    try:
        page = urllib.request.urlopen(f"http://127.0.0.1:{PORT}/metrics", timeout=4).read().decode()
    except (urllib.error.URLError, OSError):
        return [f"up{{{labels}}} 0 {now:.0f}"]
    found = [match.groups() for line in page.splitlines() if (match := _SAMPLE.match(line))]
    rows = [f"{name}{{{labels}{',' + own if own else ''}}} {value} {now:.0f}" for name, own, value in found]
    return [f"up{{{labels}}} 1 {now:.0f}", *rows]


def record(seconds: float) -> list[str]:
    """The samples of that many seconds, in the order of time."""
    began = time.time()
    samples: list[str] = []
    pods, clients = list(PODS), list(CLIENTS)
    server, senders = None, []
    pod = ""
    due = 0.0
    try:
        while due <= seconds:
            elapsed = time.time() - began
            if pods and elapsed >= pods[0][0]:
                if server:
                    server.terminate()
                    server.wait()
                _, pod, version, variables = pods.pop(0)
                server = _server(version, variables)
            if clients and elapsed >= clients[0][0]:
                _, rate, lasting = clients.pop(0)
                senders.append(_clients(rate, lasting))
            if elapsed >= due:
                samples += _scrape(pod, began + due)
                due += STEP
            time.sleep(0.2)
    finally:
        for each in [*senders, *([server] if server else [])]:
            each.terminate()
            each.wait()
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", type=Path)
    parser.add_argument("--seconds", type=float, default=END, help="how long to record")
    options = parser.parse_args()
    samples = record(options.seconds)
    # Each row is `series value time`: the sort is by series alone, and keeps the order of time in it.
    samples.sort(key=lambda row: row.rsplit(" ", 2)[0])
    with options.file.open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as packed:
        packed.write(("\n".join([*samples, "# EOF"]) + "\n").encode())


if __name__ == "__main__":
    main()
