"""The launcher for Linux with user namespaces: a container has a root folder of its own, and paths in it are what they say.

The root is a folder of links and bind mounts: what the image would have brought (`system_layer`), the container's own writable folders, and
its mounts. Its processes see and signal only each other, where this machine allows a /proc of one's own.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import os
import pty
import struct
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from clusters.embedded.kubelet import beneath, namespaces, python_programs, rootfs, system_layer
from clusters.embedded.kubelet.inner_process import InnerPopen, Pipe
from clusters.embedded.kubelet.memory_volumes import HeldVolumes
from clusters.embedded.kubelet.mounts import Bind
from clusters.embedded.kubelet.namespace_support import ROOT_OUTSIDE, has_own_pids, may_map_ids
from clusters.embedded.kubelet.namespaces import Report, Rights, Root
from clusters.embedded.kubelet.process import ChildProcess
from clusters.embedded.kubelet.runtime import Container, ContainerConfig, MemoryVolumes, Mount, Output, Process, StartError
from clusters.embedded.kubelet.system_layer import HIDDEN

# asm/ioctls.h: TIOCSPTLCK and TIOCGPTPEER.
_UNLOCK_TERMINAL, _OTHER_END = 0x40045431, 0x5441
# What the container runtime gives a container as /dev/shm.
_SHM_BYTES = 64 * 1024 * 1024


class StrictLauncher:
    """Implements `runtime.Launcher`. `folder` is for what its containers share."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._own_pids = has_own_pids()

    def owner(self, group: int, *, of_root: bool) -> tuple[int, int] | None:
        return (0 if of_root else ROOT_OUTSIDE, group) if may_map_ids() else None

    def memory_volumes(self, sizes: Mapping[Path, int], owner: tuple[int, int] | None) -> MemoryVolumes | None:
        return HeldVolumes(sizes, owner)

    def start(self, config: ContainerConfig, output: Output) -> Container:
        container = StrictContainer(config, self._folder, own_pids=self._own_pids)
        container.run(output)
        return container


class StrictContainer:
    """Implements `runtime.Container`."""

    process: Process

    def __init__(self, config: ContainerConfig, shared: Path, *, own_pids: bool):
        self._config = config
        self._shared = shared
        self._own_pids = own_pids
        # A container that joins another one's processes begins in its namespaces, with the numbers that are known there.
        self._maps = config.target is None and may_map_ids()
        groups = tuple(each for each in config.groups if each not in (0, config.user[1])) if self._maps else ()
        self._rights = Rights(config.capabilities, config.no_new_privileges, groups)
        self._folder = config.folder / "rootfs"

    def _root(self) -> tuple[Root, dict[str, str]]:
        """The root to enter, and the shim's variables with the paths that they have inside."""
        config = self._config
        with beneath.container_modes():
            config = replace(config, mounts=python_programs.replaced(config, self._stand_in))
        # A program that is mounted among the others (nvidia-smi) needs a folder in which its place can be made.
        own_programs = any(mount.container_path.startswith(("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/")) for mount in config.mounts)
        with beneath.container_modes():
            self._folder.mkdir(parents=True)
            rootfs.lay(self._folder, config.image, (*rootfs.FOLDERS, "/root", "/dev"))
            binds = system_layer.lay(self._folder, config.image, self._shared, own_programs)
            if any(mount.container_path.startswith(f"/{HIDDEN}/programs/") for mount in config.mounts):
                binds += system_layer.lay_python(self._folder, "bare", f"{HIDDEN}/python")
            hidden: dict[str, str] = {}
            for name, value in config.hidden_env.items():
                hidden[name] = value
                if value.startswith("/") and os.path.isdir(value):
                    binds.append(Bind(value, f"{HIDDEN}/{name.lower()}", read_only=True))
                    hidden[name] = f"/{HIDDEN}/{name.lower()}"
            if own := config.writable_below:
                binds += [Bind(f"{config.hidden_env[name]}/{below}", f"{HIDDEN}/{name.lower()}/{below}") for name, below in own]
            if os.path.isdir("/etc/ssl/certs"):
                binds.append(Bind("/etc/ssl/certs", "etc/ssl/certs", read_only=True))
            system_layer.make_targets(self._folder, binds)
        memory = [("dev/shm", _SHM_BYTES)] if all(mount.container_path != "/dev/shm" for mount in config.mounts) else []
        # The outer mounts come before those that lie in them.
        mounts = sorted(config.mounts, key=lambda each: each.container_path.count("/"))
        volumes = [Bind(str(mount.host_path), mount.container_path, mount.read_only) for mount in mounts]
        user = config.user
        root = Root(str(self._folder), binds, volumes, memory, config.hostname, user[0], user[1], self._own_pids)
        root_outside = ROOT_OUTSIDE if self._maps and user[0] != 0 else None
        return replace(root, read_only=config.read_only_root, root_outside=root_outside), hidden

    def _stand_in(self, mount: Mount) -> list[Mount]:
        program = f"/{HIDDEN}/programs/{mount.host_path.name}"
        script = python_programs.stand_in(self._config, mount, f"/{HIDDEN}/python/bin/python3", program)
        return [Mount(program, mount.host_path, read_only=True), script]

    def run(self, output: Output) -> None:
        config = self._config
        root, hidden = self._root()
        self._env = self._environment(hidden)
        if config.target is not None and self._own_pids:
            try:
                root = replace(root, joined=namespaces.pid_handles(config.target))
            except OSError:
                raise StartError("container is not running") from None

        if config.memory is not None:
            root = replace(root, pod=namespaces.holder_handles(config.memory.holder))

        def prepare(report: Report) -> None:
            namespaces.enter(root, config.cwd, self._rights, report)

        try:
            self.process = self._spawn(config.argv, output, prepare, stdin=config.stdin, tty=config.tty)
        finally:
            for handles in (root.joined, root.pod):
                if handles is not None:
                    handles.close()

    def _environment(self, hidden: dict[str, str]) -> dict[str, str]:
        env = {"PATH": ":".join(self._config.image.path), "HOME": "/root", **self._config.env}
        for name, value in hidden.items():
            own = env.get(name)
            env[name] = f"{value}:{own}" if name == "PYTHONPATH" and own else value
        return env

    def exec(self, argv: list[str], output: Output, *, stdin: bool = False, tty: bool = False) -> Process:
        try:
            joined = namespaces.handles(self.process.pid, self._own_pids)
        except OSError:
            raise StartError("container is not running") from None

        def prepare(report: Report) -> None:
            namespaces.join(joined, self._config.cwd, self._rights, report)

        terminal = functools.partial(_open_terminal, self.process.pid)
        try:
            return self._spawn(argv, output, prepare, stdin=stdin, tty=tty, terminal=terminal)
        finally:
            joined.close()

    def _spawn(
        self,
        argv: list[str],
        output: Output,
        prepare: Callable[[Report], None],
        *,
        stdin: bool,
        tty: bool,
        terminal: Callable[[], tuple[int, int]] = pty.openpty,
    ) -> Process:
        program = argv[0]
        pipe = Pipe()
        popen = functools.partial(InnerPopen, pipe)
        try:
            return ChildProcess(
                argv,
                env=self._env,
                cwd="/",
                output=output,
                stdin=stdin,
                tty=tty,
                prepare=pipe.guarded(prepare),
                popen=popen,
                terminal=terminal,
            )
        except FileNotFoundError:
            if "/" in program:
                raise StartError(f'exec: "{program}": stat {program}: no such file or directory') from None
            raise StartError(f'exec: "{program}": executable file not found in $PATH') from None
        except PermissionError:
            raise StartError(f'exec: "{program}": permission denied') from None
        except subprocess.SubprocessError:
            raise StartError(pipe.error or f"the container's root could not be made in {self._folder}") from None
        except OSError as error:
            raise StartError(f"exec {program}: {(error.strerror or str(error)).lower()}") from None

    def remove(self) -> None:
        beneath.remove_tree(self._config.folder)


def _open_terminal(pid: int) -> tuple[int, int]:
    """Both ends of a new terminal of the container in which the process runs, so that it has a name there; one of this machine if need be."""
    try:
        folder = beneath.open_folder(Path(f"/proc/{pid}/root"), "dev/pts")
        try:
            near = os.open("ptmx", os.O_RDWR | os.O_NOCTTY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
        finally:
            os.close(folder)
        try:
            if os.fstat(near).st_rdev != os.makedev(5, 2):
                raise OSError(errno.ENOTTY, os.strerror(errno.ENOTTY))
            fcntl.ioctl(near, _UNLOCK_TERMINAL, struct.pack("i", 0))
            return near, fcntl.ioctl(near, _OTHER_END, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError:
            os.close(near)
            raise
    except OSError:
        return pty.openpty()
