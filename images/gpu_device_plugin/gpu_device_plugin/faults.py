"""What is wrong with a node's GPUs on purpose: the node's annotations in, `Faults` out. Removing an annotation heals.

| annotation `gpu.ai-lab.dev/…` | value | what happens |
|---|---|---|
| `xid` | `79` or `0=79,1=48`: (device index=)Xid, or `all=79` | those devices become unhealthy (not by an Xid of programs: 13, 31, …) |
| `no-devices` | `true` | the plugin finds no device |
| `allocate-delay` | `5`, `5s`, `500ms` | Allocate answers that much later |
| `allocate-error` | any text | Allocate fails with that text |
| `not-injected` | `true` | Allocate succeeds, but the container gets neither driver nor nvidia-smi |
| `driver-version` | `470.57.02` | the node's driver is this one, with the CUDA version that belongs to it |
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

PREFIX = "gpu.ai-lab.dev/"

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, None: 1.0}
_DRIVER = re.compile(r"\d+(\.\d+)+")
_TRUE, _FALSE = ("true", "yes", "1", ""), ("false", "no", "0")
ALL = -1


@dataclass(frozen=True)
class Faults:
    """What the annotations ask for. `xids` maps a device's index (ALL: every one) to an Xid; `mistakes` are values that made no sense."""

    xids: Mapping[int, int] = field(default_factory=dict)
    no_devices: bool = False
    allocate_delay: float = 0.0
    allocate_error: str = ""
    not_injected: bool = False
    driver_version: str = ""
    mistakes: tuple[str, ...] = ()

    def xid(self, index: int) -> int:
        """The Xid of the device with that index; 0 for none."""
        return self.xids.get(index, self.xids.get(ALL, 0))


def parse(annotations: Mapping[str, str]) -> Faults:
    """Never raises: a value that makes no sense is named in `mistakes` and otherwise ignored."""
    values = {name[len(PREFIX) :]: value.strip() for name, value in annotations.items() if name.startswith(PREFIX)}
    mistakes: list[str] = []

    def mistake(name: str, expected: str) -> None:
        mistakes.append(f'annotation {PREFIX}{name}="{values[name]}" is ignored: expected {expected}')

    def flag(name: str) -> bool:
        value = values.get(name, "false").lower()
        if value not in _TRUE and value not in _FALSE:
            mistake(name, '"true" or "false"')
        return value in _TRUE

    xids: dict[int, int] = {}
    if "xid" in values:
        try:
            xids = _xids(values["xid"])
        except ValueError:
            mistake("xid", 'an Xid such as "79", or "index=Xid" pairs such as "0=79,1=48"')
    delay = 0.0
    if "allocate-delay" in values:
        found = _DURATION.fullmatch(values["allocate-delay"])
        if found:
            delay = float(found[1]) * _SECONDS[found[2]]
        else:
            mistake("allocate-delay", 'seconds, such as "5s"')
    driver = values.get("driver-version", "")
    if driver and not _DRIVER.fullmatch(driver):
        mistake("driver-version", 'a version such as "470.57.02"')
        driver = ""
    return Faults(
        xids=xids,
        no_devices=flag("no-devices"),
        allocate_delay=delay,
        allocate_error=values.get("allocate-error", ""),
        not_injected=flag("not-injected"),
        driver_version=driver,
        mistakes=tuple(mistakes),
    )


def _xids(text: str) -> dict[int, int]:
    """`79` is the first device's; raises ValueError for anything that is no number."""
    found: dict[int, int] = {}
    for part in filter(None, re.split(r"[,;\s]+", text)):
        index, equals, xid = part.rpartition("=")
        if equals and index == "all":
            found[ALL] = _number(xid)
        else:
            found[_number(index) if equals else 0] = _number(xid)
    if not found:
        raise ValueError(text)
    return found


def _number(text: str) -> int:
    if not text.isdecimal():
        raise ValueError(text)
    return int(text)
