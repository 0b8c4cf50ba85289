"""`nvidia-smi --query-gpu` and `--query-compute-apps`: CSV."""

from __future__ import annotations

import time

from .node import NOT_SUPPORTED, Device, Failure, Node, Report, mig_mode, state, uncorrected_errors

_OTHER_NAMES = {
    "gpu_name": "name",
    "gpu_uuid": "uuid",
    "gpu_bus_id": "pci.bus_id",
    "clocks.sm": "clocks.current.sm",
    "clocks.gr": "clocks.current.graphics",
    "clocks.mem": "clocks.current.memory",
}


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
        "pstate": (f"P{state(used)}", ""),
        "persistence_mode": ("Enabled", ""),
        "compute_mode": ("Default", ""),
        "memory.total": (device["memory"], "MiB"),
        "memory.reserved": (0, "MiB"),
        "memory.used": (used["memory"], "MiB"),
        "memory.free": (device["memory"] - used["memory"], "MiB"),
        "utilization.gpu": (used["utilization"], "%"),
        "utilization.memory": (used["memory_utilization"], "%"),
        "temperature.gpu": (used["temperature"], ""),
        "temperature.memory": (NOT_SUPPORTED, ""),
        "power.draw": (f"{used['power']:.2f}", "W"),
        "power.draw.instant": (f"{used['power']:.2f}", "W"),
        "power.limit": (f"{device['power_limit']:.2f}", "W"),
        "enforced.power.limit": (f"{device['power_limit']:.2f}", "W"),
        "clocks.current.sm": (used["sm_clock"], "MHz"),
        "clocks.current.graphics": (used["sm_clock"], "MHz"),
        "clocks.current.memory": (used["memory_clock"], "MHz"),
        "fan.speed": (NOT_SUPPORTED, ""),
        "ecc.errors.uncorrected.volatile.total": (uncorrected_errors(device), ""),
        "ecc.mode.current": ("Enabled", ""),
        "mig.mode.current": (mig_mode(device) or NOT_SUPPORTED, ""),
        "mig.mode.pending": (mig_mode(device) or NOT_SUPPORTED, ""),
    }
    found = fields.get(_OTHER_NAMES.get(name, name))
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


_UNITS = {
    "memory": "MiB",
    "utilization": "%",
    "power": "W",
    "enforced": "W",
    "clocks": "MHz",
    "used_memory": "MiB",
    "used_gpu_memory": "MiB",
}


def _csv(names: list[str], rows: list[list[tuple[str, str] | None]], form: list[str]) -> str:
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


def gpus(node: Node, devices: list[Device], fields: str, form: str) -> str:
    """A line a device. Raises Failure."""
    names = _names(fields)
    _check_fields(names, [_gpu_field(name, node, devices[0]) for name in names])
    return _csv(names, [[_gpu_field(name, node, device) for name in names] for device in devices], _names(form))


def programs(devices: list[Device], fields: str, form: str) -> str:
    """A line a program. Raises Failure."""
    names = _names(fields)
    _check_fields(names, [_process_field(name, devices[0], {}) for name in names])
    rows = [[_process_field(name, device, program) for name in names] for device in devices for program in device["programs"]]
    return _csv(names, rows, _names(form))
