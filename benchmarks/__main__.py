"""`python -m benchmarks [PART …]`: how fast and how small, as medians of several runs. The parts:

    start     `ai-lab up --cluster embedded` from a warm state to 4 Ready nodes with GPUs, and the memory that all its processes then hold
    requests  what one create, get, list and patch through the API server takes
    verdicts  what a check on an unchanged cluster takes
    writes    the store under steady writes: size of its log, time of a write and of the loop's stalls, and of a start after kill -9
    masking   what it takes to mask 1 MB and 2 MB of logs; needs no cluster
    learner   the memory of one learner who has begun a notebook and reads: JupyterLab, its kernel, the cluster
    interview how fairly open answers are scored: right ones that pass, wrong ones that pass; needs no cluster
    grading   thirty submitted notebooks, hostile ones among them, graded two at a time; it takes some minutes and has to be named
    panel     what a button in JupyterLab takes to its verdict, and how soon the cluster's picture shows a change
    class     100 learners: how soon the instructor's page shows a report, and how soon it opens; needs Chromium and no cluster
    watches   what an idle watch costs the API server, and what is left of it afterwards

For comparison, kind 0.33 on a machine of the same size: 29 s to create, 50 s until images are loaded and the plugin has registered, 1.17 GiB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

BIN = Path(sys.executable).parent
_WATCHES = 2000


def _spread(values: list[float], unit: str, digits: int = 2) -> str:
    return f"median {statistics.median(values):.{digits}f} {unit} (min {min(values):.{digits}f}, max {max(values):.{digits}f}, {len(values)} runs)"


def _lab(home: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(BIN / "ai-lab"), *arguments], env={**os.environ, "AI_LAB_HOME": str(home)}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise SystemExit(f"ai-lab {' '.join(arguments)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def start(home: Path, runs: int) -> None:
    """Times `ai-lab up` as a whole process, and adds up the resident memory of the server and everything it runs."""
    seconds, mebibytes = [], []
    _lab(home, "up", "--cluster", "embedded")
    for _ in range(runs):
        _lab(home, "down")
        began = time.monotonic()
        _lab(home, "up", "--cluster", "embedded")
        seconds.append(time.monotonic() - began)
        status = json.loads(_lab(home, "status", "--json"))
        gpus = sorted(node["gpus"] for node in status["nodes"])
        if status["state"] != "ready" or gpus != [0, 0, 1, 2]:
            raise SystemExit(f"up returned and the cluster is not ready: {status}")
        mebibytes.append(status["memory"] / 1024**2)
    print(f"ai-lab up, warm:        {_spread(seconds, 's')}")
    print(f"memory of the cluster:  {_spread(mebibytes, 'MiB', 1)}")


def _timed(what: Callable[[], object], runs: int) -> list[float]:
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        what()
        found.append((time.perf_counter() - began) * 1000)
    return found


def requests(home: Path, runs: int) -> None:
    """Times single requests of the Python client over TLS."""
    from kubernetes import client, config

    _lab(home, "up", "--cluster", "embedded")
    status = json.loads(_lab(home, "status", "--json"))
    api = client.CoreV1Api(config.new_client_from_config(status["kubeconfig"]))
    body = {"metadata": {"name": "bench"}, "data": {"a": "1"}}
    api.create_namespaced_config_map("default", body)
    try:
        print(f"get a ConfigMap:        {_spread(_timed(lambda: api.read_namespaced_config_map('bench', 'default'), runs * 10), 'ms')}")
        patch = {"data": {"a": "2"}}
        print(
            f"patch a ConfigMap:      {_spread(_timed(lambda: api.patch_namespaced_config_map('bench', 'default', patch), runs * 10), 'ms')}"
        )
        print(f"list all Pods:          {_spread(_timed(api.list_pod_for_all_namespaces, runs * 10), 'ms')}")
    finally:
        api.delete_namespaced_config_map("bench", "default")


def verdicts(home: Path, runs: int) -> None:
    """Times checks of the first lab that has a start laid, on a cluster that does not change meanwhile."""
    from benchmarks.verdicts import measure

    _lab(home, "up", "--cluster", "embedded")
    print(f"a verdict:              {_spread(measure(home, runs * 5), 'ms', 1)}")


def writes(home: Path, runs: int) -> None:
    """Writes to a store of its own, without a cluster, once for each kind of load."""
    from benchmarks.writes import measure

    measure(home)


def masking(home: Path, runs: int) -> None:
    """Times the masking of logs with a secret and an address in each line, of one size and of twice that size."""
    from benchmarks.masking import measure

    for size in (1_000_000, 2_000_000):
        print(f"mask {size // 1_000_000} MB of logs:      {_spread(measure(size, runs), 'ms', 0)}")


def learner(home: Path, runs: int) -> None:
    """Adds up the memory of an idle session, part by part."""
    from benchmarks.learner import measure

    _lab(home, "up", "--cluster", "embedded")
    cluster = json.loads(_lab(home, "status", "--json"))["pids"]
    found = [measure(home, cluster) for _ in range(min(runs, 3))]
    for part in found[0]:
        print(f"{part + ':':<24}{_spread([each[part] for each in found], 'MiB', 1)}")
    print(f"{'a learner, idle:':<24}{_spread([sum(each.values()) for each in found], 'MiB', 1)}")


def watches(home: Path, runs: int) -> None:
    """Opens 2,000 watches, and closes them again."""
    from benchmarks.watches import measure, raise_open_files

    _lab(home, "down")
    raise_open_files()
    _lab(home, "up", "--cluster", "embedded")
    found = [measure(home / "embedded", _WATCHES) for _ in range(max(1, runs // 3))]
    print(f"an idle watch:          {_spread([each.each for each in found], 'KiB', 1)}")
    print(f"server before, after:   {found[0].before:.1f} MiB, {found[-1].after:.1f} MiB")


def panel(home: Path, runs: int) -> None:
    """Times checks by button and changes in the picture, over the panel's own line. Aims: 300 ms and 500 ms (medians)."""
    from benchmarks.panel import measure

    checks, changes = measure(home, runs * 2)
    print(f"a verdict by button:    {_spread(checks, 'ms', 0)}")
    print(f"kubectl to the picture: {_spread(changes, 'ms', 0)}")


def classroom(home: Path, runs: int) -> None:
    """A class of 100 learners on its instructor's page. Aims: 2 s from a report to the page, and 1 s until the page is open."""
    from benchmarks.classroom import measure

    found = measure(home, runs)
    print(f"99 reports at once:     {_spread(found.together, 's')}")
    print(f"one report:             {_spread(found.alone, 's')}")
    print(f"a real verdict:         {_spread(found.real, 's')}")
    print(f"the page opens:         {_spread(found.opened, 's')}")


def interview(home: Path, runs: int) -> None:
    """Scores the answers of the evaluation once."""
    from benchmarks.interview import told

    print("\n".join(told()))


def grading(home: Path, runs: int) -> None:
    """Grades a class once, each submission on a cluster of its own."""
    from benchmarks.grading import JOBS, measure

    found = measure(home)
    print(f"grade {found['submissions']} notebooks:     {found['seconds']:.0f} s, {JOBS} at a time; {len(found['wrong'])} not as expected")
    for kind, (count, seconds) in sorted(found["kinds"].items()):
        print(f"{f'  {count} {kind}:':<24}{seconds:.1f} s each")
    print("\n".join(f"  {each}" for each in found["wrong"]))


PARTS: dict[str, Callable[[Path, int], None]] = {
    "start": start,
    "requests": requests,
    "verdicts": verdicts,
    "writes": writes,
    "masking": masking,
    "learner": learner,
    "panel": panel,
    "class": classroom,
    "watches": watches,
    "interview": interview,
    "grading": grading,
}
_ONLY_WHERE_NAMED = ("grading",)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], default=[])
    parser.add_argument("--runs", type=int, default=7)
    arguments = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="ai-lab-bench-"))
    try:
        for part in arguments.parts or [each for each in PARTS if each not in _ONLY_WHERE_NAMED]:
            PARTS[part](home, arguments.runs)
    finally:
        _lab(home, "down")
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
