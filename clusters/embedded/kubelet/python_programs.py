"""Programs written in Python that are mounted into an image without Python: nvidia-smi, and busybox's network programs.

In place of such a program stands a shell script that runs it with an interpreter of the kubelet's own, which the image's PATH does not
show: as NVIDIA's runtime brings a program that needs nothing of the image.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path

from clusters.embedded.kubelet.runtime import ContainerConfig, Mount

_PROC = Path("/proc/self/stat")
APPLETS = Path(__file__).parent / "applets"


def _is_python(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(2) == b"#!" and b"python" in file.readline(80)
    except OSError:
        return False


def wanted(config: ContainerConfig) -> list[Mount]:
    """The mounts of programs that the image itself could not run."""
    if config.image.python:
        return []
    mounts = [each for each in config.mounts if each.container_path.rpartition("/")[0] in config.image.path]
    return [each for each in mounts if _is_python(each.host_path)]


def stand_in(config: ContainerConfig, mount: Mount, interpreter: str, program: str) -> Mount:
    """A mount of a script that runs `program` with `interpreter`, both as they are called where the container runs."""
    script = config.folder / "programs" / mount.host_path.name
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(f'#!/bin/sh\nexec {shlex.quote(interpreter)} {shlex.quote(program)} "$@"\n')
    script.chmod(0o755)
    return Mount(mount.container_path, script, read_only=True)


def applets(names: frozenset[str]) -> list[Mount]:
    """The mounts of the lab's own programs that an image has."""
    if not _PROC.exists():
        names = names - {"ps"}
    return [Mount(f"/usr/bin/{name}", APPLETS / f"{name}.py", read_only=True) for name in sorted(names)]


def replaced(config: ContainerConfig, make: Callable[[Mount], list[Mount]]) -> list[Mount]:
    """The container's mounts, with what `make` gives for each program that the image could not run."""
    programs = wanted(config)
    return [new for each in config.mounts for new in (make(each) if each in programs else [each])]
