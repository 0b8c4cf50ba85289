#!/usr/bin/env python3
"""ps as busybox has it: every process that the container sees, with the columns that -o names or the usual four."""

from __future__ import annotations

import os
import pwd
import re
import sys
from pathlib import Path

_USUAL = ("pid", "user", "time", "args")
_WIDTHS = {"pid": 5, "ppid": 5, "user": 8, "time": 5, "stat": 4, "vsz": 5, "rss": 5}
_HEADS = {"args": "COMMAND", "comm": "COMMAND"}
# A program of ours that the kubelet runs in busybox's place is known by its own name.
_OURS = re.compile(r"^\S*/python3 \S*/(?:programs|applets)/([a-z]+)(?:\.py)?(?= |$)")
_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_KIB = os.sysconf("SC_PAGE_SIZE") // 1024


def _size(kib: int) -> str:
    """Four digits at most, as busybox shortens them."""
    return f"{kib}" if kib < 10_000 else f"{kib // 1024}m" if kib < 10_000 * 1024 else f"{kib // 1024 // 1024}g"


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def process(pid: int) -> dict[str, str] | None:
    """The columns of one process; None for one that has gone."""
    folder = Path(f"/proc/{pid}")
    try:
        line = (folder / "stat").read_text()
        words = (folder / "cmdline").read_bytes().rstrip(b"\0").replace(b"\0", b" ").decode(errors="replace")
        uid = folder.stat().st_uid
    except OSError:
        return None
    name = line[line.index("(") + 1 : line.rindex(")")]
    fields = line[line.rindex(")") + 2 :].split()
    seconds = (int(fields[11]) + int(fields[12])) // _TICKS
    return {
        "pid": str(pid),
        "ppid": fields[1],
        "user": _user(uid),
        "time": f"{seconds // 60:>2}:{seconds % 60:02}",
        "stat": fields[0],
        "vsz": _size(int(fields[20]) // 1024),
        "rss": _size(int(fields[21]) * _PAGE_KIB),
        "comm": name,
        "args": _OURS.sub(r"\1", words) or f"[{name}]",
    }


def processes() -> list[dict[str, str]]:
    pids = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
    return [found for pid in pids if (found := process(pid)) is not None]


def main() -> int:
    columns: tuple[str, ...] = _USUAL
    arguments = sys.argv[1:]
    if "-o" in arguments[:-1]:
        columns = tuple(each.strip().lower() for each in arguments[arguments.index("-o") + 1].split(","))
    for each in columns:
        if each not in ("comm", "args", *_WIDTHS):
            sys.stderr.write(f"ps: bad -o argument '{each}', supported arguments: {','.join([*_WIDTHS, 'comm', 'args'])}\n")
            return 1
    for row in [{each: _HEADS.get(each, each.upper()) for each in columns}, *processes()]:
        cells = [row[each].rjust(_WIDTHS[each]) if each in ("pid", "ppid") else row[each].ljust(_WIDTHS.get(each, 0)) for each in columns]
        print(" ".join(cells).rstrip())
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)
