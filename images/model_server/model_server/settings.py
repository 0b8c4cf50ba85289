"""What the environment decides: variables in, `Settings` out. README.md lists them for the people who write manifests."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


class SettingsError(Exception):
    """A variable with a value that makes no sense; the message names it and says what was expected."""


def _number(text: str) -> float:
    value = float(text)
    if not 0 <= value < 1e9:
        raise ValueError(text)
    return value


def _whole(text: str) -> int:
    value = int(text)
    if not 0 <= value < 10**9:
        raise ValueError(text)
    return value


def _share(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise ValueError(text)
    return value


def _flag(text: str) -> bool:
    return {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False, "": False}[text.lower()]


def _digest(text: str) -> str:
    found = text.lower().removeprefix("sha256:")
    if not re.fullmatch(r"[0-9a-f]{64}", found):
        raise ValueError(text)
    return found


def _one_of(*choices: str) -> Callable[[str], str]:
    def chosen(text: str) -> str:
        if text.lower() not in choices:
            raise ValueError(text)
        return text.lower()

    return chosen


@dataclass(frozen=True)
class Settings:
    """One field a variable, named like it in lower case. Memory in MiB, times in seconds unless the name says milliseconds."""

    port: int = 8080
    log_level: str = "info"
    model_path: Path = Path("/models/log-classifier.safetensors")
    model_version: str = ""
    model_sha256: str = ""
    model_load_seconds: float = 0.0
    model_memory_mib: int = 0
    memory_per_request_mib: int = 0
    shm_mib: int = 0
    max_concurrency: int = 4
    max_queue: int = 64
    inference_ms: float = 20.0
    token_ms: float = 5.0
    cpu_ms: float = 0.0
    error_rate: float = 0.0
    device: str = "auto"
    cuda_version: str = "12.4"
    gpu_memory_mib: int = 2048
    gpu_memory_per_request_mib: int = 64
    gpu_root: Path = Path("/run/ai-lab-gpu")
    ready_lies: bool = False
    api_tokens: str = ""
    api_tokens_file: Path | None = None
    log_prompts: str = "none"
    on_load_error: str = "exit"
    drain_seconds: float = 0.5
    shutdown_grace_seconds: float = 20.0


_PARSERS: dict[str, tuple[Callable[[str], Any], str]] = {
    "int": (_whole, "a whole number, 0 or more"),
    "float": (_number, "a number, 0 or more"),
    "bool": (_flag, "true or false"),
    "Path": (Path, "a path"),
    "Path | None": (lambda text: Path(text) if text else None, "a path"),
    "str": (str, "text"),
}
_SPECIAL: dict[str, tuple[Callable[[str], Any], str]] = {
    "device": (_one_of("auto", "cpu", "cuda"), "auto, cpu or cuda"),
    "log_level": (_one_of("debug", "info", "warning", "error"), "debug, info, warning or error"),
    "on_load_error": (_one_of("exit", "wait"), "exit or wait"),
    "log_prompts": (_one_of("none", "size", "full"), "none, size or full"),
    "model_sha256": (_digest, "the SHA-256 of the file of weights: 64 hexadecimal digits, with or without sha256: in front"),
    "error_rate": (_share, "a share between 0 and 1"),
}


def from_environment(environment: Mapping[str, str]) -> Settings:
    """Raises SettingsError for the first variable whose value makes no sense."""
    values: dict[str, Any] = {}
    for field in fields(Settings):
        name = field.name.upper()
        if name not in environment:
            continue
        parse, expected = _SPECIAL.get(field.name) or _PARSERS[str(field.type)]
        try:
            values[field.name] = parse(environment[name].strip())
        except (ValueError, KeyError):
            raise SettingsError(f'{name}="{environment[name]}": expected {expected}') from None
    settings = Settings(**values)
    if settings.max_concurrency < 1:
        raise SettingsError(f"MAX_CONCURRENCY={settings.max_concurrency}: expected 1 or more")
    return settings
