"""`nvidia-smi -q`: everything about each device, or the sections that `-d` names."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from .node import Device, Failure, Node, mig_mode, state, uncorrected_errors

# A value, or a section of them.
Section = Mapping[str, Any]

_WIDTH = 38
_ARCHITECTURES = {"7": "Volta", "8": "Ampere", "9": "Hopper"}


def _architecture(device: Device) -> str:
    exact = {"7.5": "Turing", "8.9": "Ada Lovelace"}
    return exact.get(device["compute_capability"], _ARCHITECTURES.get(device["compute_capability"].partition(".")[0], "N/A"))


def _identity(device: Device) -> Section:
    _, bus, slot = device["bus_id"].split(":")
    mig = mig_mode(device) or "N/A"
    return {
        "Product Name": device["product"],
        "Product Brand": "NVIDIA",
        "Product Architecture": _architecture(device),
        "Display Mode": "Disabled",
        "Display Active": "Disabled",
        "Persistence Mode": "Enabled",
        "MIG Mode": {"Current": mig, "Pending": mig},
        "Accounting Mode": "Disabled",
        "GPU UUID": device["uuid"],
        "Minor Number": device["index"],
        "MultiGPU Board": "No",
        "PCI": {"Bus": f"0x{bus}", "Device": f"0x{slot.partition('.')[0]}", "Domain": "0x0000", "Bus Id": device["bus_id"]},
        "Fan Speed": "N/A",
        "Performance State": f"P{state(device['usage'])}",
    }


def _sections(device: Device) -> dict[str, Section]:
    """By the name that `-d` has for it."""
    used = device["usage"]
    free = device["memory"] - used["memory"]
    errors = {"SRAM Correctable": 0, "SRAM Uncorrectable": 0, "DRAM Correctable": 0, "DRAM Uncorrectable": uncorrected_errors(device)}
    processes = {
        f"Process ID {program.get('pid', 0)}": {
            "Type": "C",
            "Name": program.get("process", "-"),
            "Used GPU Memory": f"{int(program.get('memory', 0))} MiB",
        }
        for program in device["programs"]
    }
    return {
        "MEMORY": {
            "FB Memory Usage": {
                "Total": f"{device['memory']} MiB",
                "Reserved": "0 MiB",
                "Used": f"{used['memory']} MiB",
                "Free": f"{free} MiB",
            }
        },
        "COMPUTE": {"Compute Mode": "Default"},
        "UTILIZATION": {"Utilization": {"GPU": f"{used['utilization']} %", "Memory": f"{used['memory_utilization']} %"}},
        "ECC": {"ECC Mode": {"Current": "Enabled", "Pending": "Enabled"}, "ECC Errors": {"Volatile": errors}},
        "TEMPERATURE": {"Temperature": {"GPU Current Temp": f"{used['temperature']} C"}},
        "POWER": {
            "GPU Power Readings": {
                "Instantaneous Power Draw": f"{used['power']:.2f} W",
                "Current Power Limit": f"{device['power_limit']:.2f} W",
                "Default Power Limit": f"{device['power_limit']:.2f} W",
            }
        },
        "CLOCK": {"Clocks": {"SM": f"{used['sm_clock']} MHz", "Memory": f"{used['memory_clock']} MHz"}},
        "PIDS": {"Processes": processes or "None"},
    }


def _lines(section: Section, depth: int) -> list[str]:
    found: list[str] = []
    for name, value in section.items():
        if isinstance(value, Mapping):
            found += [" " * depth + name, *_lines(value, depth + 4)]
        else:
            found.append(f"{' ' * depth + name:<{_WIDTH + 4}}: {value}")
    return found


def report(node: Node, devices: list[Device], display: str) -> str:
    """`display` is -d's value, "" for everything. Raises Failure."""
    wanted = [each.strip() for each in display.upper().split(",") if each.strip()]
    head = {
        "Timestamp": time.strftime("%a %b %e %H:%M:%S %Y"),
        "Driver Version": node.driver["version"],
        "CUDA Version": node.driver["cuda"],
    }
    lines = ["", "==============NVSMI LOG==============", "", *_lines(head, 0), "", *_lines({"Attached GPUs": len(node.devices)}, 0)]
    for device in devices:
        sections = _sections(device)
        if unknown := [each for each in wanted if each not in sections]:
            raise Failure(f"Invalid display type: {unknown[0]}. Please run 'nvidia-smi -h' for help.\n", 2)
        lines.append(f"GPU {device['bus_id']}")
        for section in [sections[each] for each in wanted] or [_identity(device), *sections.values()]:
            lines += _lines(section, 4)
        lines.append("")
    return "\n".join(lines)
