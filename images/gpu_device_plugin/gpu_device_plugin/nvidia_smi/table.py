"""Plain `nvidia-smi` and `nvidia-smi -L`."""

from __future__ import annotations

import time

from .node import Device, Node, mig_mode, state, uncorrected_errors


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
    cards = node.cards(devices)
    for number, (card, parts) in enumerate(cards):
        used = card["usage"]
        memory = "N/A" if parts else f"{used['memory']}MiB / {card['memory']:>6}MiB"
        power = f"{used['power']}W / {card['power_limit']:>4}W"
        busy = "N/A" if parts else f"{used['utilization']}%"
        errors = "On" if parts else uncorrected_errors(card)
        mig = mig_mode(parts[0] if parts else card) or "N/A"
        lines += [
            f"| {_number(card, parts, number):>3}  {card['product']:<31}On  |   {card['bus_id']} Off | {errors:>20} |",
            f"| N/A  {used['temperature']:>3}C    P{state(used)}    {power:>20} | {memory:>22} | {busy:>7}      Default |",
            f"|{' ' * left}|{' ' * middle}| {mig:>20} |",
            rule,
        ]
    lines += _parts(cards)
    processes = [
        f"| {_number(card, parts, number):>4}{_instance(device)} {program.get('pid', 0):>15}      C   "
        f"{_shortened(program.get('process', '-'), 36):<36}{int(program.get('memory', 0)):>7}MiB |"
        for number, (card, parts) in enumerate(cards)
        for device in parts or [card]
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


def _number(card: Device, parts: list[Device], number: int) -> int:
    """With `-i` a card keeps its number; one of which only parts are seen is counted as it comes."""
    return number if parts else int(card["number"])


def _instance(device: Device) -> str:
    """GPU instance and compute instance of a process' device."""
    part = device.get("mig_device")
    return f"{part['gi']:>6}{0:>5}" if part else f"{'N/A':>6}{'N/A':>5}"


def _parts(cards: list[tuple[Device, list[Device]]]) -> list[str]:
    """The table of MIG devices, where there are some."""
    if not any(parts for _, parts in cards):
        return []
    rule = f"+{'-' * 18}+{'-' * 34}+{'-' * 11}+{'-' * 23}+"
    lines = [
        " " * len(rule),
        f"+{'-' * (len(rule) - 2)}+",
        f"| {'MIG devices:':<{len(rule) - 4}} |",
        rule,
        "| GPU  GI  CI  MIG |                     Memory-Usage |        Vol|        Shared         |",
        "|      ID  ID  Dev |                       BAR1-Usage | SM     Unc| CE ENC  DEC  OFA  JPG |",
        "|                  |                                  |        ECC|                       |",
        rule.replace("-", "="),
    ]
    for number, (_, parts) in enumerate(cards):
        for index, device in enumerate(parts):
            part, used = device["mig_device"], device["usage"]
            lines += [
                f"|{number:>3}{part['gi']:>5}{0:>4}{index:>4}  |{used['memory']:>16}MiB / {device['memory']:>5}MiB    "
                f"|{part['multiprocessors']:>3}{uncorrected_errors(device):>7} "
                f"|{part['copy_engines']:>3}{part['encoders']:>4}{part['decoders']:>5}{part['ofa_engines']:>5}{part['jpeg_engines']:>5} |",
                f"|{' ' * 18}|{0:>18}MiB / {part['slices'] * 8192 - 1:>5}MiB  |{' ' * 11}|{' ' * 23}|",
                rule,
            ]
    return lines


def listing(node: Node, devices: list[Device]) -> str:
    """What `nvidia-smi -L` prints."""
    lines: list[str] = []
    for number, (card, parts) in enumerate(node.cards(devices)):
        lines.append(f"GPU {_number(card, parts, number)}: {card['product']} (UUID: {card['uuid']})")
        for index, device in enumerate(parts):
            lines.append(f"  MIG {device['mig_device']['profile']:<11} Device {index:>2}: (UUID: {device['uuid']})")
    return "\n".join(lines)
