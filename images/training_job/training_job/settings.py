"""What the environment says about a training. Raises Wrong for what no further try would change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path


class Wrong(Exception):
    """A setting that cannot be; the message names it and what was expected."""


@dataclass(frozen=True)
class Settings:
    """`seconds` is the least time of a step, `every` after how many steps a checkpoint is saved."""

    job: str
    index: int
    size: int
    service: str
    namespace: str
    steps: int
    seconds: float
    folder: Path
    every: int
    rate: float
    devices: str
    port: int

    @property
    def checkpoint(self) -> Path:
        return self.folder / f"{self.job}.json"


def read(environment: Mapping[str, str]) -> Settings:
    """Raises Wrong."""

    def number(name: str, default: str, least: float) -> float:
        text = environment.get(name, default)
        try:
            value = float(text)
        except ValueError:
            raise Wrong(f"{name} is {text!r}; expected: a number") from None
        if value < least:
            raise Wrong(f"{name} is {text}; expected: {least:g} or more")
        return value

    index = int(number("JOB_COMPLETION_INDEX", "0", 0))
    size = int(number("WORLD_SIZE", "1", 1))
    if index >= size:
        raise Wrong(f"this is Pod {index}, and WORLD_SIZE is {size}")
    rate = number("LEARNING_RATE", "0.5", 0)
    if not rate:
        raise Wrong("LEARNING_RATE is 0; expected: a number above 0")
    devices = environment.get("NVIDIA_VISIBLE_DEVICES", "")
    if devices in ("", "void", "none"):
        raise Wrong("there is no GPU in this container; expected: nvidia.com/gpu under its limits")
    return Settings(
        job=environment.get("HOSTNAME", "train-0").partition(".")[0].removesuffix(f"-{index}"),
        index=index,
        size=size,
        service=environment.get("SERVICE", "training"),
        namespace=environment.get("NAMESPACE", "default"),
        steps=int(number("STEPS", "40", 1)),
        seconds=number("STEP_SECONDS", "0.25", 0),
        folder=Path(environment.get("CHECKPOINTS", "/checkpoints")),
        every=int(number("CHECKPOINT_EVERY", "10", 1)),
        rate=rate,
        devices=devices,
        port=int(number("PORT", "7777", 1)),
    )
