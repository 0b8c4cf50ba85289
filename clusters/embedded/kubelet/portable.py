"""The launcher for every platform: a container is a process group, and its files are found through a table of paths.

Nothing of the operating system is needed but processes. The container's own folders (`/tmp`, home, what the image copied in) and its
mounts lie in folders of this machine; paths in the command, the environment and shell scripts are rewritten, and Python's file functions
are translated by the shim, which is told the table in AI_LAB_MOUNTS.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import orjson

from clusters.embedded.kubelet import beneath, python_programs, rootfs
from clusters.embedded.kubelet.paths import PathTable, script_position
from clusters.embedded.kubelet.process import ChildProcess
from clusters.embedded.kubelet.runtime import Container, ContainerConfig, MemoryVolumes, Mount, Output, Process, StartError
from clusters.embedded.kubelet.toolbox import Toolbox, is_python

# Folders that programs often write to, though no image has them: here they must be known beforehand to be the container's own.
_WRITTEN = ("/app", "/cache", "/data", "/models", "/workspace")
_SHELLS = ("sh", "bash", "dash", "ash")


def _not_found(program: str) -> StartError:
    if "/" in program:
        return StartError(f'exec: "{program}": stat {program}: no such file or directory')
    return StartError(f'exec: "{program}": executable file not found in $PATH')


class PortableLauncher:
    """Implements `runtime.Launcher`."""

    def __init__(self, toolbox: Toolbox, shielded: list[Path]):
        """`shielded` are folders of this machine that keep their paths inside containers (the interpreter, this project, the state)."""
        self._toolbox = toolbox
        self._shielded = [str(path) for path in shielded]

    def owner(self, group: int, *, of_root: bool) -> tuple[int, int] | None:
        return None

    def memory_volumes(self, sizes: Mapping[Path, int], owner: tuple[int, int] | None) -> MemoryVolumes | None:
        return None

    def start(self, config: ContainerConfig, output: Output) -> Container:
        python = self._toolbox.prefix(replace(config.image, python="bare")) / "bin/python3" if python_programs.wanted(config) else Path()
        container = PortableContainer(config, self._toolbox.prefix(config.image), self._shielded, python)
        container.prepare()
        container.run(output)
        return container


class PortableContainer:
    """Implements `runtime.Container`."""

    process: Process

    def __init__(self, config: ContainerConfig, prefix: Path, shielded: list[str], python: Path):
        """`prefix` has the image's programs; `python` is an interpreter for what is mounted and needs one that the image has not."""

        def make(mount: Mount) -> list[Mount]:
            return [python_programs.stand_in(config, mount, str(python), str(mount.host_path))]

        self._config = config = replace(config, mounts=python_programs.replaced(config, make))
        self._prefix = prefix
        self._root = config.folder / "rootfs"
        self._bin = config.folder / "bin"
        self._table = self._paths(shielded)

    def _paths(self, shielded: list[str]) -> PathTable:
        config = self._config
        entries = {path: str(self._root) + path for path in (*rootfs.FOLDERS, *_WRITTEN)}
        if config.cwd != "/":
            entries.setdefault(config.cwd, str(self._root) + config.cwd)
        for inside, _ in config.image.files:
            # A mount hides what the image has at its place.
            if not any(inside.startswith(f"{mount.container_path.rstrip('/')}/") for mount in config.mounts):
                entries[inside] = str(self._root) + inside
        for mount in config.mounts:
            entries[mount.container_path] = str(mount.host_path)
        for own in [*shielded, *(str(mount.host_path) for mount in config.mounts), str(config.folder)]:
            if any(own == inside or own.startswith(inside + "/") for inside in entries):
                entries[own] = own
        return PathTable(entries)

    def prepare(self) -> None:
        """Lays the container's own folders and files, as the image's layers would."""
        config = self._config
        with beneath.container_modes():
            rootfs.lay(self._root, config.image, (*rootfs.FOLDERS, *_WRITTEN, "/root", config.cwd))
        self._bin.mkdir(parents=True, exist_ok=True)
        # A program that is mounted into a folder of the PATH (nvidia-smi) must be found by its name.
        for mount in config.mounts:
            folder, _, name = mount.container_path.rpartition("/")
            if folder in config.image.path and mount.host_path.is_file():
                (self._bin / name).symlink_to(mount.host_path)

    def _resolve(self, program: str) -> str:
        """The file of this machine behind the first word of a command. Raises StartError."""
        if "/" not in program:
            for own in (self._bin, self._prefix / "bin"):
                if (own / program).exists():
                    return str(own / program)
            for place in self._config.image.path:
                found = self._table.host(f"{place}/{program}")
                if found and os.path.isfile(found):
                    return found
            raise _not_found(program)
        asked = os.path.normpath(os.path.join(self._config.cwd, program))
        mapped = self._table.host(asked)
        if mapped is not None and os.path.exists(mapped):
            if os.path.isdir(mapped):
                raise StartError(f'exec: "{program}": is a directory')
            if not os.access(mapped, os.X_OK):
                raise StartError(f'exec: "{program}": permission denied')
            return mapped
        folder, _, name = asked.rpartition("/")
        if folder in self._config.image.path and (self._prefix / "bin" / name).exists():
            return str(self._prefix / "bin" / name)
        raise _not_found(program)

    def command(self, argv: list[str]) -> list[str]:
        """The command line to run for `argv` of the container. Raises StartError."""
        program = self._resolve(argv[0])
        interpreter = _shebang(program)
        if interpreter:
            if os.path.basename(interpreter[0]) == "env" and len(interpreter) > 1:
                interpreter = interpreter[1:]
            try:
                first = self._resolve(interpreter[0])
            except StartError:
                raise _not_found(argv[0]) from None
            return [first, *interpreter[1:], program, *self._arguments(first, [first, *argv[1:]])[1:]]
        return [program, *self._arguments(program, argv)[1:]]

    def _arguments(self, program: str, argv: list[str]) -> list[str]:
        if is_python(program):
            position = script_position(argv)
            if position is not None:
                script = os.path.join(self._config.cwd, argv[position])
                argv = [*argv[:position], self._table.host(script) or argv[position], *argv[position + 1 :]]
            return argv
        arguments = [argv[0], *(self._table.rewrite(word) for word in argv[1:])]
        if os.path.basename(program) in _SHELLS:
            for index, word in enumerate(arguments[1:], 1):
                if word == "-c" or (word.startswith("-") and not word.startswith("--") and word.endswith("c")):
                    break
                if not word.startswith("-"):
                    arguments[index] = self._rewritten_script(word)
                    break
        return arguments

    def _rewritten_script(self, path: str) -> str:
        """A shell script from a mount, with the table applied to its text; the copy is the container's own."""
        try:
            text = Path(path).read_text()
        except (OSError, UnicodeDecodeError):
            return path
        rewritten = self._table.rewrite(text)
        if rewritten == text:
            return path
        copy = self._config.folder / "scripts" / Path(path).name
        copy.parent.mkdir(exist_ok=True)
        copy.write_text(rewritten)
        return str(copy)

    def environment(self, program: str) -> dict[str, str]:
        """What the process gets: the container's variables, made true for this machine, and the shim's."""
        config = self._config
        env = dict(config.env) if is_python(program) else {name: self._table.rewrite(value) for name, value in config.env.items()}
        env["PATH"] = f"{self._bin}:{self._prefix / 'bin'}"
        env.setdefault("HOME", str(self._root / "root"))
        env.setdefault("TMPDIR", str(self._root / "tmp"))
        for name, value in config.hidden_env.items():
            if name == "PYTHONPATH" and config.env.get("PYTHONPATH"):
                own = ":".join(self._table.host(path) or path for path in config.env["PYTHONPATH"].split(":"))
                value = f"{value}:{own}"
            env[name] = value
        env["AI_LAB_MOUNTS"] = orjson.dumps(self._table.entries).decode()
        env["AI_LAB_ROOT"] = str(self._root)
        # The API refuses a colon in the path of a mount.
        env["AI_LAB_READ_ONLY"] = ":".join(mount.container_path for mount in config.mounts if mount.read_only)
        if config.read_only_root:
            env["AI_LAB_READ_ONLY"] += ":/"
        return env

    def _spawn(self, argv: list[str], output: Output, *, stdin: bool, tty: bool) -> ChildProcess:
        command = self.command(argv)
        try:
            return ChildProcess(
                command,
                env=self.environment(command[0]),
                cwd=self._table.host(self._config.cwd) or str(self._root / self._config.cwd.lstrip("/")),
                output=output,
                stdin=stdin,
                tty=tty,
            )
        except PermissionError:
            raise StartError(f'exec: "{argv[0]}": permission denied') from None
        except OSError as error:
            raise StartError(f"exec {argv[0]}: {(error.strerror or str(error)).lower()}") from None

    def run(self, output: Output) -> None:
        config = self._config
        self.process = self._spawn(config.argv, output, stdin=config.stdin, tty=config.tty)

    def exec(self, argv: list[str], output: Output, *, stdin: bool = False, tty: bool = False) -> Process:
        return self._spawn(argv, output, stdin=stdin, tty=tty)

    def remove(self) -> None:
        beneath.remove_tree(self._config.folder)


def _shebang(path: str) -> list[str] | None:
    with open(path, "rb") as file:
        if file.read(2) != b"#!":
            return None
        return file.readline(256).decode(errors="replace").split() or None


def shielded_folders(state: Path) -> list[Path]:
    """Folders of this machine that a container may not see under another path: the interpreter with its packages, the code, the state."""
    project = Path(__file__).resolve().parents[3]
    return [Path(sys.prefix), Path(sys.base_prefix), Path(os.path.realpath(sys.executable)).parent.parent, project, state.resolve()]
