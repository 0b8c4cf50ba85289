"""The layer of an image that this machine stands in for: programs, shared libraries, the interpreter, /etc and /dev.

Nothing is copied that can be linked or mounted: an image's folder and its tools flow in, links in a root and bind mounts flow out.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import sys
import sysconfig
import tempfile
from pathlib import Path

from clusters.embedded.images import Image
from clusters.embedded.kubelet.mounts import Bind
from clusters.embedded.kubelet.runtime import StartError
from clusters.embedded.kubelet.toolbox import INTERPRETERS, find_tools

# Where the parts of this machine are seen inside; a plain `ls /` does not show it.
HIDDEN = ".ai-lab"
_PYTHON = f"python3.{sys.version_info.minor}"
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_COPIED = ("etc/os-release", "etc/nsswitch.conf", "etc/protocols", "etc/services", "etc/localtime", "etc/ld.so.cache")
_PASSWD = "root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
_GROUP = "root:x:0:\nnogroup:x:65534:\n"


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.symlink_to(target)


@functools.cache
def _programs(tools: frozenset[str]) -> list[tuple[str, str, str]]:
    """(name, where it is seen inside or nothing, its file) of each program that this machine has."""
    found = [(tool, os.path.realpath(path)) for tool, path in find_tools(tools).items()]
    return [(tool, f"/{HIDDEN}{real}" if real.startswith("/usr/") else "", real) for tool, real in found]


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


def lay(root: Path, image: Image, shared: Path, own_programs: bool) -> list[Bind]:
    """The parts of this machine that the image would have brought: links in `root`, and what must be mounted for them to lead somewhere.

    /usr/bin is a read-only folder in `shared` unless the container wants `own_programs`.
    """
    binds = [Bind("/usr", f"{HIDDEN}/usr", read_only=True)]
    for name in sorted(os.listdir("/usr")):
        if name.startswith("lib") or name == "share":
            _link(root / "usr" / name, f"/{HIDDEN}/usr/{name}")
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
        binds += lay_python(root, image.python, "usr/local")
    binds += [Bind(f"/dev/{name}", f"dev/{name}") for name in _DEVICES if os.path.exists(f"/dev/{name}")]
    for name in ("proc", "dev/pts"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "dev/console").touch()
    _link(root / "dev/ptmx", "pts/ptmx")
    _lay_etc(root)
    return binds


def lay_python(root: Path, kind: str, folder: str) -> list[Bind]:
    """`folder`, such as /usr/local in the official Python images: an environment whose standard library is that of this interpreter."""
    real = Path(os.path.realpath(sys.executable))
    base = Path(sys.base_prefix)
    # An interpreter of its own keeps its path: its shared library may be looked for there. One of the system is with the system.
    of_system = real.is_relative_to("/usr")
    home = f"/{HIDDEN}{real.parent}" if of_system else str(real.parent)
    if not real.is_relative_to(base):
        raise StartError(f"the interpreter {real} is not below its prefix {base}")
    local = root / folder
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


def make_targets(root: Path, binds: list[Bind]) -> None:
    """A bind mount needs something to be mounted on."""
    for bind in binds:
        target = root / bind.target
        if os.path.isdir(bind.source):
            target.mkdir(parents=True, exist_ok=True)
        elif not os.path.lexists(target) or target.is_symlink():
            target.unlink(missing_ok=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            target.touch()
