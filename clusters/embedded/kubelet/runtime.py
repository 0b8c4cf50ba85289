"""Launching containers: the small interface between the kubelet and the way in which this platform runs a process.

A `ContainerConfig` goes in, a running `Process` comes out, or a `StartError` with the words of runc. The kubelet knows nothing of how a
launcher gives a container its files: `portable.py` rewrites paths and works everywhere, a stricter launcher may use namespaces.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from clusters.embedded.images import Image
from clusters.embedded.kubelet.capabilities import DEFAULT

# Called with 1 (stdout) or 2 (stderr) and what was written.
Output = Callable[[int, bytes], None]


class StartError(Exception):
    """A container's or an exec's program that cannot be started; the text is runc's."""


@dataclass(frozen=True)
class Mount:
    """`host_path` (a file or a folder of this machine) seen at `container_path`."""

    container_path: str
    host_path: Path
    read_only: bool = False


@dataclass(frozen=True)
class ContainerConfig:
    """All that a launcher needs. `argv`, `env`, `cwd` and mounts are what the container sees; `folder` is for the launcher's own use.

    `user` is (uid, gid), `groups` are supplementary; `capabilities` are names without `CAP_`; `target` is the first process of the container
    whose processes are to be seen; with `read_only_root` only mounts can be written; `memory` holds the volumes of the Pod that lie in
    memory. `hidden_env` is for the shim and never rewritten: folders that it names are to be read, but for those of `writable_below` (a
    variable of it, a folder below the one it names). Paths in the container are absolute and without `..`, the mounts' `host_path` without
    links.
    """

    id: str
    argv: list[str]
    env: dict[str, str]
    cwd: str
    mounts: list[Mount]
    image: Image
    folder: Path
    hostname: str
    user: tuple[int, int] = (0, 0)
    groups: tuple[int, ...] = ()
    capabilities: frozenset[str] = DEFAULT
    no_new_privileges: bool = False
    read_only_root: bool = False
    target: int | None = None
    memory: MemoryVolumes | None = None
    hidden_env: dict[str, str] = field(default_factory=dict)
    writable_below: tuple[tuple[str, str], ...] = ()
    stdin: bool = False
    tty: bool = False


class MemoryVolumes(Protocol):
    """Volumes of one Pod that lie in memory; `holder` is the process in whose mount namespace they are."""

    holder: int

    def used(self, folder: Path) -> int:
        """Bytes that lie in the volume at this path."""
        ...

    def make_folder(self, folder: Path, below: Path, mode: int) -> None:
        """Makes a folder in the volume at this path. Raises OSError."""
        ...

    def release(self) -> None:
        """The Pod is over, and what was in them is gone."""
        ...


class Process(Protocol):
    """A program that was started, with everything it started itself."""

    pid: int

    async def wait(self) -> int:
        """The exit code, once it is over and its output has been read; 128 + signal for one that a signal ended."""
        ...

    def terminate(self) -> None:
        """SIGTERM as the first process of a container gets it: ignored by a program that has no handler for it."""
        ...

    def kill(self) -> None:
        """SIGKILL for the whole tree."""
        ...

    async def write_stdin(self, data: bytes) -> None: ...

    def close_stdin(self) -> None: ...

    def resize(self, columns: int, rows: int) -> None: ...

    def hold(self, held: bool) -> None:
        """Stops or goes on reading what the program writes, which makes it wait as a full pipe does."""
        ...


class Container(Protocol):
    """A started container: its first process, and more processes inside it."""

    process: Process

    def exec(self, argv: list[str], output: Output, *, stdin: bool = False, tty: bool = False) -> Process:
        """Raises StartError."""
        ...

    def remove(self) -> None:
        """Frees what the launcher keeps for it; the container has ended."""
        ...


class Launcher(Protocol):
    def owner(self, group: int, *, of_root: bool) -> tuple[int, int] | None:
        """Who has to own a volume on this machine so that containers see it as root's and the group's; None where they cannot.

        `of_root`: the containers run as root themselves.
        """
        ...

    def memory_volumes(self, sizes: Mapping[Path, int], owner: tuple[int, int] | None) -> MemoryVolumes | None:
        """Volumes in memory at existing folders, which take so many bytes; None where the folders themselves have to do.

        Raises StartError.
        """
        ...

    def start(self, config: ContainerConfig, output: Output) -> Container:
        """Raises StartError where the program cannot be started."""
        ...
