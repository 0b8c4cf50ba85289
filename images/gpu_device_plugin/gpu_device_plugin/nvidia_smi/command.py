"""The command line: what is asked for, once or again and again."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from typing import NoReturn

from . import details, monitor, query, table, topology
from .node import Failure, Node, check_lost, choose, visible_devices

_HELP = """NVIDIA System Management Interface

nvidia-smi [OPTION1 [ARG1]] [OPTION2 [ARG2]] ...

    -h,   --help                Print usage information and exit.
    -L,   --list-gpus           Display a list of GPUs connected to the system.
    -i,   --id=                 Target a specific GPU: index, UUID or bus id.
    -q,   --query               Display GPU info.
    -d,   --display=            Display only selected information, with -q: MEMORY, UTILIZATION, ECC, TEMPERATURE, POWER, CLOCK, COMPUTE, PIDS.
    -l,   --loop=               Probe until Ctrl+C at specified second interval.
    --query-gpu=                Information about GPUs: name,uuid,memory.total,memory.used,utilization.gpu,...
    --query-compute-apps=       List of currently active compute processes: pid,process_name,used_memory,...
    --format=                   csv[,noheader][,nounits]

    topo -m                     Display GPU topology.
    dmon [-c COUNT] [-d SEC]    Displays device stats in scrolling format.
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Failure("Invalid combination of input arguments. Please run 'nvidia-smi -h' for help.\n", 1)


def _options(arguments: list[str]) -> argparse.Namespace:
    """Raises Failure."""
    parser = _Parser(prog="nvidia-smi", allow_abbrev=False, add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("-L", "--list-gpus", action="store_true")
    parser.add_argument("-q", "--query", action="store_true")
    parser.add_argument("-d", "--display", default="")
    parser.add_argument("-i", "--id")
    parser.add_argument("--query-gpu")
    parser.add_argument("--query-compute-apps")
    parser.add_argument("--format", default="")
    parser.add_argument("-l", "--loop", type=float, nargs="?", const=5.0)
    return parser.parse_args(arguments)


def _report(options: argparse.Namespace, root: Path, visible: str | None) -> str:
    """What the tool prints for these options. Raises Failure."""
    node = Node(root, visible)
    devices = choose(node, options.id)
    check_lost(devices)
    if options.list_gpus:
        return table.listing(node, devices)
    if options.query:
        return details.report(node, devices, options.display)
    if options.query_gpu:
        return query.gpus(node, devices, options.query_gpu, options.format)
    if options.query_compute_apps:
        return query.programs(devices, options.query_compute_apps, options.format)
    return table.table(node, devices)


def _run(arguments: list[str], root: Path, visible: str | None) -> None:
    """Raises Failure."""
    if arguments[:1] == ["topo"]:
        print(topology.matrix(Node(root, visible), arguments[1:]))
    elif arguments[:1] == ["dmon"]:
        monitor.run(lambda: Node(root, visible), arguments[1:])
    else:
        options = _options(arguments)
        if options.help:
            print(_HELP)
            return
        while True:
            print(_report(options, root, visible), flush=True)
            if not options.loop:
                return
            time.sleep(options.loop)


def main() -> int:
    root = Path(os.environ.get("AI_LAB_GPU_ROOT", "/run/ai-lab-gpu"))
    try:
        _run(sys.argv[1:], root, visible_devices(os.environ))
    except Failure as failure:
        print(failure)
        return failure.status
    except (KeyboardInterrupt, BrokenPipeError):
        return 130
    return 0
