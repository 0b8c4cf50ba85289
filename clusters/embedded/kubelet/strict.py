"""The launcher for Linux with user namespaces: a container has a root folder of its own, and paths in it are what they say.

The root is a folder of links and bind mounts: this machine's programs that the image would have, its shared libraries (read only), the
interpreter (read only), the container's own writable folders, and its mounts. Its processes see and signal only each other, where this
machine allows a /proc of one's own.
"""

from __future__ import annotations

import errno
import fcntl
import functools
import hashlib
import os
import pty
import shutil
import struct
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from clusters.embedded.images import Image
from clusters.embedded.kubelet import beneath, namespaces, rootfs
from clusters.embedded.kubelet.capabilities import DEFAULT
from clusters.embedded.kubelet.inner_process import InnerPopen, Pipe
from clusters.embedded.kubelet.namespaces import Bind, Report, Rights, Root
from clusters.embedded.kubelet.process import ChildProcess
from clusters.embedded.kubelet.runtime import Container, ContainerConfig, Output, Process, StartError
from clusters.embedded.kubelet.toolbox import INTERPRETERS, find_tools

# Where the parts of this machine are seen inside; a plain `ls /` does not show it.
_HIDDEN = ".ai-lab"
_PYTHON = f"python3.{sys.version_info.minor}"
# asm/ioctls.h: TIOCSPTLCK and TIOCGPTPEER.
_UNLOCK_TERMINAL, _OTHER_END = 0x40045431, 0x5441
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
# What the container runtime gives a container as /dev/shm.
_SHM_BYTES = 64 * 1024 * 1024
_COPIED = ("etc/os-release", "etc/nsswitch.conf", "etc/protocols", "etc/services", "etc/localtime", "etc/ld.so.cache")
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
_GROUP = "root:x:0:\nnogroup:x:65534:\n"


class StrictLauncher:
    """Implements `runtime.Launcher`. `folder` is for what its containers share."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._own_pids = has_own_pids()

    def start(self, config: ContainerConfig, output: Output) -> Container:
        container = StrictContainer(config, self._folder, own_pids=self._own_pids)
        container.run(output)
        return container


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


@functools.cache
def _programs(tools: frozenset[str]) -> list[tuple[str, str, str]]:
    """(name, where it is seen inside or nothing, its file) of each program that this machine has."""
    found = [(tool, os.path.realpath(path)) for tool, path in find_tools(tools).items()]
    return [(tool, f"/{_HIDDEN}{real}" if real.startswith("/usr/") else "", real) for tool, real in found]


def _fill(programs: Path, tools: frozenset[str]) -> list[Bind]:
    """Links to the programs that the image would have, in an empty folder that will be /usr/bin."""
    binds = []
    for tool, inside, real in _programs(tools):
        if inside:
            os.symlink(inside, f"{programs}/{tool}")
        else:
            binds.append(Bind(real, f"usr/bin/{tool}", read_only=True))
    return binds


def _shared_programs(shared: Path, tools: frozenset[str]) -> Path:
    """The folder of links that containers with these tools share, made at first use."""
    named = hashlib.sha256(repr(_programs(tools)).encode()).hexdigest()[:12]
    folder = shared / named
    if not folder.is_dir():
        # Made aside and moved into place: another kubelet may make the same at the same time.
        building = Path(tempfile.mkdtemp(prefix=named, dir=shared))
        building.chmod(0o755)
        _fill(building, tools)
        try:
            building.rename(folder)
        except OSError:
            shutil.rmtree(building)
    return folder


def lay_system(root: Path, image: Image, shared: Path, own_programs: bool) -> list[Bind]:
    """The parts of this machine that the image would have brought: links in `root`, and what must be mounted for them to lead somewhere.

    /usr/bin is a read-only folder in `shared` unless the container wants `own_programs`.
    """
    binds = [Bind("/usr", f"{_HIDDEN}/usr", read_only=True)]
    for name in sorted(os.listdir("/usr")):
        if name.startswith("lib") or name == "share":
            _link(root / "usr" / name, f"/{_HIDDEN}/usr/{name}")
    for name in (each for each in os.listdir("/") if each.startswith("lib") and os.path.isdir(f"/{each}")):
        if os.path.islink(f"/{name}"):
            _link(root / name, os.readlink(f"/{name}"))
        else:
            binds.append(Bind(f"/{name}", name, read_only=True))
    for name in ("bin", "sbin"):
        _link(root / name, "usr/bin")
    (root / "usr/bin").mkdir(parents=True, exist_ok=True)
    _link(root / "usr/sbin", "bin")
    if own_programs or not all(inside for _, inside, _ in _programs(image.tools)):
        binds += _fill(root / "usr/bin", image.tools)
    else:
        shared.mkdir(parents=True, exist_ok=True)
        binds.append(Bind(str(_shared_programs(shared, image.tools)), "usr/bin", read_only=True))
    if image.python:
        binds += _lay_python(root, image.python)
    binds += [Bind(f"/dev/{name}", f"dev/{name}") for name in _DEVICES if os.path.exists(f"/dev/{name}")]
    for name in ("proc", "dev/pts"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "dev/console").touch()
    _link(root / "dev/ptmx", "pts/ptmx")
    _lay_etc(root)
    return binds


def _lay_python(root: Path, kind: str) -> list[Bind]:
    """/usr/local as in the official Python images: an environment whose standard library is that of this interpreter."""
    real = Path(os.path.realpath(sys.executable))
    base = Path(sys.base_prefix)
    # An interpreter of its own keeps its path: its shared library may be looked for there. One of the system is with the system.
    of_system = real.is_relative_to("/usr")
    home = f"/{_HIDDEN}{real.parent}" if of_system else str(real.parent)
    if not real.is_relative_to(base):
        raise StartError(f"the interpreter {real} is not below its prefix {base}")
    local = root / "usr/local"
    for name in INTERPRETERS:
        _link(local / "bin" / name, f"{home}/{real.name}")
    (local / "pyvenv.cfg").write_text(f"home = {home}\ninclude-system-site-packages = false\n")
    packages = local / "lib" / _PYTHON / "site-packages"
    packages.mkdir(parents=True)
    binds = [] if of_system else [Bind(str(base), str(base).lstrip("/"), read_only=True)]
    if kind == "packages":
        binds.append(Bind(sysconfig.get_paths()["purelib"], str(packages.relative_to(root)), read_only=True))
    return binds


def _lay_etc(root: Path) -> None:
    (root / "etc").mkdir(exist_ok=True)
    for name in _COPIED:
        if os.path.exists(f"/{name}"):
            shutil.copyfile(f"/{name}", root / name)
    (root / "etc/passwd").write_text(_PASSWD)
    (root / "etc/group").write_text(_GROUP)
    if os.path.isdir("/etc/ssl/certs"):
        (root / "etc/ssl").mkdir()


def _make_targets(root: Path, binds: list[Bind]) -> None:
    """A bind mount needs something to be mounted on."""
    for bind in binds:
        target = root / bind.target
        if os.path.isdir(bind.source):
            target.mkdir(parents=True, exist_ok=True)
        elif not os.path.lexists(target) or target.is_symlink():
            target.unlink(missing_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()


class StrictContainer:
    """Implements `runtime.Container`."""

    process: Process

    def __init__(self, config: ContainerConfig, shared: Path, *, own_pids: bool):
        self._config = config
        self._shared = shared
        self._own_pids = own_pids
        self._rights = Rights(config.capabilities, config.no_new_privileges)
        self._folder = config.folder / "rootfs"

    def _root(self) -> tuple[Root, dict[str, str]]:
        """The root to enter, and the shim's variables with the paths that they have inside."""
        config = self._config
        # A program that is mounted among the others (nvidia-smi) needs a folder in which its place can be made.
        own_programs = any(mount.container_path.startswith(("/usr/bin/", "/bin/", "/usr/sbin/", "/sbin/")) for mount in config.mounts)
        with beneath.container_modes():
            self._folder.mkdir(parents=True)
            rootfs.lay(self._folder, config.image, (*rootfs.FOLDERS, "/root", "/dev"))
            binds = lay_system(self._folder, config.image, self._shared, own_programs)
            hidden: dict[str, str] = {}
            for name, value in config.hidden_env.items():
                hidden[name] = value
                if value.startswith("/") and os.path.isdir(value):
                    binds.append(Bind(value, f"{_HIDDEN}/{name.lower()}", read_only=True))
                    hidden[name] = f"/{_HIDDEN}/{name.lower()}"
            if own := config.writable_below:
                binds += [Bind(f"{config.hidden_env[name]}/{below}", f"{_HIDDEN}/{name.lower()}/{below}") for name, below in own]
            if os.path.isdir("/etc/ssl/certs"):
                binds.append(Bind("/etc/ssl/certs", "etc/ssl/certs", read_only=True))
            _make_targets(self._folder, binds)
        memory = [("dev/shm", _SHM_BYTES)] if all(mount.container_path != "/dev/shm" for mount in config.mounts) else []
        # The outer mounts come before those that lie in them.
        mounts = sorted(config.mounts, key=lambda each: each.container_path.count("/"))
        volumes = [Bind(str(mount.host_path), mount.container_path, mount.read_only) for mount in mounts]
        user = config.user
        return Root(str(self._folder), binds, volumes, memory, config.hostname, user[0], user[1], self._own_pids), hidden

    def run(self, output: Output) -> None:
        config = self._config
        root, hidden = self._root()
        self._env = self._environment(hidden)
        if config.target is not None and self._own_pids:
            try:
                root = replace(root, joined=namespaces.pid_handles(config.target))
            except OSError:
                raise StartError("container is not running") from None

        def prepare(report: Report) -> None:
            namespaces.enter(root, config.cwd, self._rights, report)

        try:
            self.process = self._spawn(config.argv, output, prepare, stdin=config.stdin, tty=config.tty)
        finally:
            if root.joined is not None:
                root.joined.close()

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


@functools.cache
def _roots() -> tuple[bool, bool]:
    """Whether this machine lets an ordinary process make such a root, and the interpreter runs in it; whether also with PIDs of its own."""
    if sys.platform != "linux":
        return False, False
    if _try_root(own_pids=True):
        return True, True
    return _try_root(own_pids=False), False


def is_possible() -> bool:
    """Whether this machine lets an ordinary process make such a root, and the interpreter runs in it. Tried once."""
    return _roots()[0]


def has_own_pids() -> bool:
    """Whether a container can have processes of its own here. Tried once."""
    return _roots()[1]


def _try_root(*, own_pids: bool) -> bool:
    image = Image(name="probe", python="bare", tools=frozenset({"sh", "true"}))
    rights = Rights(DEFAULT)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        pipe = Pipe()
        try:
            binds = lay_system(root, image, root, own_programs=True)
            _make_targets(root, binds)
            made = Root(str(root), binds, [], [], "probe", 0, 0, own_pids)
            with InnerPopen(
                pipe,
                ["/usr/local/bin/python3", "-I", "-c", "import socket, ssl"],
                env={},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=pipe.guarded(lambda report: namespaces.enter(made, "/", rights, report)),
            ) as process:
                try:
                    return process.wait(timeout=10) == 0
                finally:
                    process.kill()
        except (OSError, subprocess.SubprocessError, StartError):
            return False
