"""The GPU that this container was given: found as a framework finds it, with the errors that a framework ends with, and shared honestly.

What the container sees of the node's devices is the device plugin's description under /run/ai-lab-gpu. While a `Gpu` is open, a report
of the memory and the time that this process uses lies in the device's usage folder, under a lock that the kernel drops when the
process ends.
"""

from __future__ import annotations

import fcntl
import json
import os
import socket
import sys
import time
from pathlib import Path
from typing import Any

_RECORD = 256


class CudaError(RuntimeError):
    """What a framework raises: no driver, no device, a driver too old, a device that has failed."""


class OutOfMemoryError(CudaError):
    """The device's memory is spent; the container's memory has nothing to do with it."""


def _description(root: Path) -> dict[str, Any]:
    try:
        document: dict[str, Any] = json.loads((root / "description/devices.json").read_text())
    except (OSError, ValueError):
        raise CudaError(
            "Found no NVIDIA driver on your system. Please check that you have an NVIDIA GPU, and that its driver reaches this container"
        ) from None
    return document


def _cuda(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def wanted(device: str, visible: str) -> bool:
    """Whether this process is to use a GPU: `cuda` always, `auto` where the container was given one."""
    return device == "cuda" or (device == "auto" and visible not in ("", "none", "void"))


class Gpu:
    """The first device that NVIDIA_VISIBLE_DEVICES names. Raises CudaError where it cannot be used."""

    def __init__(self, root: Path, visible: str, cuda_version: str):
        self._root = root
        document = _description(root)
        names = visible.split(",")
        devices = [each for each in document["devices"] if names == ["all"] or each["uuid"] in names or str(each["index"]) in names]
        driver = document["driver"]
        if _cuda(driver["cuda"]) < _cuda(cuda_version):
            raise CudaError(
                "CUDA error: CUDA driver version is insufficient for CUDA runtime version "
                f"(driver {driver['version']} serves CUDA {driver['cuda']} at most, this image was built for CUDA {cuda_version})"
            )
        if not devices:
            raise CudaError("No CUDA GPUs are available")
        self.uuid: str = devices[0]["uuid"]
        self.name: str = devices[0]["product"]
        self.memory: int = devices[0]["memory"]
        # What MPS lets each of its clients take; without it, all of the device.
        self._most: int = devices[0].get("client_memory") or self.memory
        self.driver: str = driver["version"]
        self._usage = _Usage(root / "usage" / self.uuid)
        self.check()

    def check(self) -> None:
        """Raises CudaError where the device has failed since."""
        device = next((each for each in _description(self._root)["devices"] if each["uuid"] == self.uuid), None)
        if device is None:
            raise CudaError("CUDA error: no CUDA-capable device is detected")
        if not device["healthy"]:
            raise CudaError(f"CUDA error: unspecified launch failure (device {self.uuid} reported Xid {device['xid']})")

    def allocate(self, mebibytes: int) -> None:
        """Takes memory of the device. Raises OutOfMemoryError where less is free."""
        free = min(self.memory - self._usage.others(), self._most) - self._usage.memory
        if mebibytes > free:
            raise OutOfMemoryError(
                f"CUDA out of memory. Tried to allocate {_size(mebibytes)}. GPU 0 has a total capacity of {_size(self.memory)} "
                f"of which {_size(max(0, free))} is free. Of the allocated memory {_size(self._usage.memory)} is used by this process."
            )
        self._usage.memory += mebibytes
        self._usage.write()

    def free(self, mebibytes: int) -> None:
        self._usage.memory -= mebibytes
        self._usage.write()

    def report(self, busy: float) -> None:
        """Says which share of the last moments (0 to 1) the device was busy with this process."""
        self._usage.utilization = round(100 * min(1.0, busy))
        self._usage.write()

    @property
    def memory_used(self) -> int:
        return self._usage.memory


def _size(mebibytes: int) -> str:
    return f"{mebibytes / 1024:.2f} GiB" if mebibytes >= 1024 else f"{mebibytes}.00 MiB"


class _Usage:
    """This process's report in the device's usage folder, written in place: a rename would leave the lock behind."""

    def __init__(self, folder: Path):
        self.memory = 0
        self.utilization = 0
        self._folder = folder
        self._path = folder / f"{socket.gethostname()}-{os.getpid()}-{time.time_ns():x}.json"
        self._file = self._open()
        self.write()

    def _open(self) -> int:
        try:
            while True:
                file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o644)
                fcntl.flock(file, fcntl.LOCK_EX)
                # Whoever clears up may have taken the file away before the lock was there.
                try:
                    if os.stat(self._path).st_ino == os.fstat(file).st_ino:
                        return file
                except FileNotFoundError:
                    pass
                os.close(file)
        except OSError as error:
            raise CudaError(
                f"CUDA error: initialization error (the device's folder {self._folder} cannot be written: {error.strerror})"
            ) from None

    def write(self) -> None:
        record = {
            "process": Path(sys.executable).name,
            "pid": os.getpid(),
            "memory": self.memory,
            "utilization": self.utilization,
        }
        os.pwrite(self._file, json.dumps(record).ljust(_RECORD - 1).encode() + b"\n", 0)

    def others(self) -> int:
        """The memory (MiB) that other live programs report of this device."""
        total = 0
        for path in self._folder.glob("*.json"):
            if path.name == self._path.name:
                continue
            try:
                with path.open("rb") as file:
                    try:
                        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                    except BlockingIOError:
                        total += int(json.loads(file.read())["memory"])
            except (OSError, ValueError, KeyError):
                continue
        return total
