#!/usr/bin/env python3
"""nvidia-smi for lab GPUs: the node's description of its devices in, the real tool's tables and CSV out.

The device plugin lays this file down on the node and Allocate mounts it into containers, so it needs python3 and nothing else. It reads
`description/devices.json` (identity, driver, health) and the reports of the programs that use a device.

A report is a JSON document `{"process", "pid", "memory" (MiB), "utilization" (%)}` in a file of the device's usage folder. The program
holds a lock (flock) on it for as long as it lives: when it ends, however it ends, the kernel takes the lock away, and the report no
longer counts.
"""

import fcntl
import json
import os
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import argparse

Device = dict[str, Any]
Report = dict[str, Any]

_IDLE_CELSIUS, _CELSIUS_PER_PERCENT = 33, 0.42
_NOT_SUPPORTED = "[N/A]"


def reports(folder: Path, *, clean: bool = False) -> list[Report]:
    """The reports in a device's usage folder whose programs live. With `clean`, files that a program left behind are removed."""
    found: list[Report] = []
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix == ".json")
    except OSError:
        return []
    for path in paths:
        try:
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                except BlockingIOError:
                    found.append(json.loads(file.read()))
                else:
                    if clean:
                        path.unlink(missing_ok=True)
        except (OSError, ValueError):
            continue
    return found


def usage(device: Device, programs: list[Report]) -> dict[str, int]:
    """What a device shows that these programs use: memory (MiB) and utilization (%), and what follows from it (°C, W, MHz)."""
    utilization = min(100, sum(int(each.get("utilization", 0)) for each in programs))
    memory = min(device["memory"], sum(int(each.get("memory", 0)) for each in programs))
    idle, limit = device["idle_power"], device["power_limit"]
    return {
        "utilization": utilization,
        "memory": memory,
        "memory_utilization": utilization * memory // device["memory"],
        "temperature": round(_IDLE_CELSIUS + _CELSIUS_PER_PERCENT * utilization + (3 if programs else 0)),
        "power": round(idle + (limit - idle) * utilization / 100),
    }


class Failure(Exception):
    """What the real tool says before it ends with that status."""

    def __init__(self, message: str, status: int):
        super().__init__(message)
        self.status = status


class Node:
    """What this container sees of the node's GPUs."""

    def __init__(self, root: Path, visible: str | None):
        try:
            document = json.loads((root / "description/devices.json").read_text())
        except (OSError, ValueError):
            raise Failure(
                "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. "
                "Make sure that the latest NVIDIA driver is installed and running.\n",
                9,
            ) from None
        self.driver = document["driver"]
        self.devices: list[Device] = _visible(document["devices"], visible)
        for number, device in enumerate(self.devices):
            device["number"] = number
            device["programs"] = reports(root / "usage" / device["uuid"])
            device["usage"] = usage(device, device["programs"])


def _visible(devices: list[Device], visible: str | None) -> list[Device]:
    """The devices that NVIDIA_VISIBLE_DEVICES names (UUIDs, indices, `all`), in the order of the bus."""
    wanted = (visible or "").split(",")
    if wanted == ["all"]:
        return devices
    return [each for each in devices if each["uuid"] in wanted or str(each["index"]) in wanted]


def _choose(node: Node, ids: str | None) -> list[Device]:
    if ids is None:
        return node.devices
    wanted = ids.split(",")
    chosen = [each for each in node.devices if {str(each["number"]), each["uuid"], each["bus_id"]} & set(wanted)]
    if not chosen:
        raise Failure("No devices were found", 6)
    return chosen


def _check_lost(devices: list[Device]) -> None:
    for device in devices:
        if device["lost"]:
            handle = f"GPU{device['number']}: {device['bus_id'][4:]}"
            raise Failure(
                f"Unable to determine the device handle for {handle}: GPU is lost.  Reboot the system to recover this GPU",
                15,
            )


def table(node: Node, devices: list[Device]) -> str:
    """What plain `nvidia-smi` prints."""
    version, cuda = node.driver["version"], node.driver["cuda"]
    left, middle, right = 41, 24, 22
    rule = f"+{'-' * left}+{'-' * middle}+{'-' * right}+"
    full = f"+{'-' * (left + middle + right + 2)}+"
    lines = [
        time.strftime("%a %b %e %H:%M:%S %Y       "),
        full,
        f"| NVIDIA-SMI {version:<23}Driver Version: {version:<15}CUDA Version: {cuda:<9}|",
        f"|{rule[1:]}",
        "| GPU  Name                 Persistence-M | Bus-Id          Disp.A | Volatile Uncorr. ECC |",
        "| Fan  Temp   Perf          Pwr:Usage/Cap |           Memory-Usage | GPU-Util  Compute M. |",
        "|                                         |                        |               MIG M. |",
        f"|{rule[1:-1].replace('-', '=')}|",
    ]
    for device in devices:
        used = device["usage"]
        memory = f"{used['memory']}MiB / {device['memory']:>6}MiB"
        power = f"{used['power']}W / {device['power_limit']:>4}W"
        lines += [
            f"| {device['number']:>3}  {device['product']:<31}On  |   {device['bus_id']} Off | {_ecc(device):>20} |",
            f"| N/A  {used['temperature']:>3}C    P{_state(used)}    {power:>20} | {memory:>22} | {used['utilization']:>6}%      Default |",
            f"|{' ' * left}|{' ' * middle}| {'Disabled' if device['mig'] else 'N/A':>20} |",
            rule,
        ]
    processes = [
        f"| {device['number']:>4}   N/A  N/A {program.get('pid', 0):>15}      C   {_shortened(program.get('process', '-'), 36):<36}"
        f"{int(program.get('memory', 0)):>7}MiB |"
        for device in devices
        for program in device["programs"]
    ]
    width = len(full) - 2
    lines += [
        " " * len(full),
        full,
        f"|{' Processes:':<{width}}|",
        f"|{'  GPU   GI   CI              PID   Type   Process name':<{width - 11}}{'GPU Memory':<11}|",
        f"|{'        ID   ID':<{width - 11}}{'Usage':<11}|",
        f"|{'=' * width}|",
        *(processes or [f"|{'  No running processes found':<{width}}|"]),
        full,
    ]
    return "\n".join(lines)


def _shortened(name: str, width: int) -> str:
    return name if len(name) <= width else f"...{name[len(name) - width + 3 :]}"


def _ecc(device: Device) -> str:
    return "1" if device["xid"] in (48, 94, 95) else "0"


def _state(used: dict[str, int]) -> int:
    return 0 if used["utilization"] or used["memory"] else 8


def listing(devices: list[Device]) -> str:
    """What `nvidia-smi -L` prints."""
    return "\n".join(f"GPU {each['number']}: {each['product']} (UUID: {each['uuid']})" for each in devices)


def _gpu_field(name: str, node: Node, device: Device) -> tuple[str, str] | None:
    """(value, unit) of a field of --query-gpu, or None where there is no such field."""
    used = device["usage"]
    fields: dict[str, tuple[object, str]] = {
        "timestamp": (time.strftime("%Y/%m/%d %H:%M:%S.000"), ""),
        "index": (device["number"], ""),
        "count": (len(node.devices), ""),
        "name": (device["product"], ""),
        "uuid": (device["uuid"], ""),
        "pci.bus_id": (device["bus_id"], ""),
        "driver_version": (node.driver["version"], ""),
        "compute_cap": (device["compute_capability"], ""),
        "pstate": (f"P{_state(used)}", ""),
        "memory.total": (device["memory"], "MiB"),
        "memory.used": (used["memory"], "MiB"),
        "memory.free": (device["memory"] - used["memory"], "MiB"),
        "utilization.gpu": (used["utilization"], "%"),
        "utilization.memory": (used["memory_utilization"], "%"),
        "temperature.gpu": (used["temperature"], ""),
        "power.draw": (f"{used['power']:.2f}", "W"),
        "power.limit": (f"{device['power_limit']:.2f}", "W"),
        "fan.speed": (_NOT_SUPPORTED, ""),
        "ecc.errors.uncorrected.volatile.total": (_ecc(device), ""),
        "mig.mode.current": ("Disabled" if device["mig"] else _NOT_SUPPORTED, ""),
    }
    found = fields.get({"gpu_name": "name", "gpu_uuid": "uuid", "gpu_bus_id": "pci.bus_id"}.get(name, name))
    return (str(found[0]), found[1]) if found else None


def _process_field(name: str, device: Device, program: Report) -> tuple[str, str] | None:
    fields: dict[str, tuple[object, str]] = {
        "gpu_name": (device["product"], ""),
        "gpu_uuid": (device["uuid"], ""),
        "gpu_bus_id": (device["bus_id"], ""),
        "pid": (program.get("pid", 0), ""),
        "process_name": (program.get("process", "-"), ""),
        "used_gpu_memory": (int(program.get("memory", 0)), "MiB"),
    }
    found = fields.get({"name": "process_name", "used_memory": "used_gpu_memory"}.get(name, name))
    return (str(found[0]), found[1]) if found else None


_UNITS = {"memory": "MiB", "utilization": "%", "power": "W", "used_memory": "MiB", "used_gpu_memory": "MiB"}


def query(names: list[str], rows: list[list[tuple[str, str] | None]], form: list[str]) -> str:
    """CSV as --format asks for: `csv`, with `noheader` and `nounits` or without. Raises Failure for fields that do not exist."""
    if "csv" not in form:
        raise Failure('A query needs "--format=csv", with ",noheader" and ",nounits" where they are wanted.', 2)
    lines: list[str] = []
    if "noheader" not in form:
        units = {name: _UNITS.get(name, _UNITS.get(name.split(".")[0], "")) for name in names}
        lines.append(", ".join(f"{name} [{units[name]}]" if units[name] and "nounits" not in form else name for name in names))
    for row in rows:
        lines.append(", ".join(f"{cell[0]} {cell[1]}" if cell[1] and "nounits" not in form else cell[0] for cell in row if cell))
    return "\n".join(lines)


def _names(text: str) -> list[str]:
    return [each.strip() for each in text.split(",")]


def _check_fields(names: list[str], known: list[tuple[str, str] | None]) -> None:
    for name, field in zip(names, known, strict=True):
        if field is None:
            raise Failure(f'Field "{name}" is not a valid field to query.\n', 2)


def report(options: "argparse.Namespace", root: Path, visible: str | None) -> str:
    """What the tool prints for these options. Raises Failure."""
    node = Node(root, visible)
    if not node.devices:
        raise Failure("No devices were found", 6)
    devices = _choose(node, options.id)
    _check_lost(devices)
    if options.list_gpus:
        return listing(devices)
    form = [each.strip() for each in options.format.split(",")]
    if options.query_gpu:
        names = _names(options.query_gpu)
        _check_fields(names, [_gpu_field(name, node, devices[0]) for name in names])
        return query(names, [[_gpu_field(name, node, device) for name in names] for device in devices], form)
    if options.query_compute_apps:
        names = _names(options.query_compute_apps)
        _check_fields(names, [_process_field(name, devices[0], {}) for name in names])
        rows = [[_process_field(name, device, program) for name in names] for device in devices for program in device["programs"]]
        return query(names, rows, form)
    return table(node, devices)


def _options(arguments: list[str]) -> "argparse.Namespace":
    # Here and not above: the plugin uses this module's reading part, and should not pay for the rest.
    import argparse

    parser = argparse.ArgumentParser(prog="nvidia-smi", description="Shows the GPUs that this container was given.", allow_abbrev=False)
    parser.add_argument("-L", "--list-gpus", action="store_true", help="name and UUID of each GPU")
    parser.add_argument("-i", "--id", help="only these GPUs: index, UUID or bus id, separated by commas")
    parser.add_argument("--query-gpu", metavar="FIELDS", help="such as name,uuid,memory.total,memory.used,utilization.gpu")
    parser.add_argument("--query-compute-apps", metavar="FIELDS", help="such as pid,process_name,used_memory")
    parser.add_argument("--format", default="", help="csv[,noheader][,nounits]")
    parser.add_argument("-l", "--loop", type=float, nargs="?", const=5.0, metavar="SECONDS", help="again every so many seconds")
    return parser.parse_args(arguments)


def main() -> int:
    options = _options(sys.argv[1:])
    root = Path(os.environ.get("AI_LAB_GPU_ROOT", "/run/ai-lab-gpu"))
    while True:
        try:
            print(report(options, root, os.environ.get("NVIDIA_VISIBLE_DEVICES")), flush=True)
        except Failure as failure:
            print(failure)
            return failure.status
        if not options.loop:
            return 0
        time.sleep(options.loop)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (KeyboardInterrupt, BrokenPipeError):
        sys.exit(130)
