"""`nvidia-smi dmon`: a line for each device, again and again."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import NoReturn

from .node import Device, Failure, Node, check_lost

_HEADER = (
    "# gpu    pwr  gtemp  mtemp     sm    mem    enc    dec    jpg    ofa   mclk   pclk \n"
    "# Idx      W      C      C      %      %      %      %      %      %    MHz    MHz \n"
)
# The header comes again after so many lines, about a screen of them.
_LINES = 24


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise Failure("Invalid combination of input arguments. Please run 'nvidia-smi dmon -h' for help.\n", 1)


def _line(device: Device) -> str:
    used = device["usage"]
    cells = [device["number"], used["power"], used["temperature"], "-", used["utilization"], used["memory_utilization"], 0, 0, 0, 0]
    return (
        "".join(f"{cell:>{5 if column == 0 else 7}}" for column, cell in enumerate([*cells, used["memory_clock"], used["sm_clock"]])) + " "
    )


def run(look: Callable[[], Node], arguments: list[str]) -> None:
    """Prints until it was done `-c` times, for ever without it. `look` reads the node anew. Raises Failure."""
    parser = _Parser(allow_abbrev=False, add_help=False)
    parser.add_argument("-c", "--count", type=int, default=0)
    parser.add_argument("-d", "--delay", type=float, default=1.0)
    parser.add_argument("-i", "--id", default="")
    options = parser.parse_args(arguments)
    lines = _LINES
    done = 0
    while True:
        devices = look().devices
        if options.id:
            devices = [each for each in devices if str(each["number"]) in options.id.split(",")]
        if not devices:
            raise Failure("No devices were found", 6)
        check_lost(devices)
        if lines >= _LINES:
            print(_HEADER, end="")
            lines = 0
        for device in devices:
            print(_line(device), flush=True)
        lines += len(devices)
        done += 1
        if done == options.count:
            return
        time.sleep(options.delay)
