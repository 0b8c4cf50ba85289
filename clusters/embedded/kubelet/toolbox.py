"""The programs that an image has, as folders of links to programs of this machine.

One folder for each kind of image is made in the state folder at first use: `bin/` with the tools and, for Python images, an interpreter
that sees the standard library only (`bare`) or also the packages that the course
installs (`packages`), as after `pip install` in a Dockerfile.
"""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import sys
import sysconfig
from pathlib import Path

from clusters.embedded.images import Image

INTERPRETERS = ("python3", "python", f"python3.{sys.version_info.minor}")
# Names that differ between machines: the first that is there serves.
_STANDINS = {"sh": ("dash", "sh", "bash"), "ash": ("dash", "sh"), "awk": ("mawk", "gawk", "awk"), "vi": ("vim.tiny", "vim", "vi")}


def is_python(program: str) -> bool:
    return os.path.basename(program) in INTERPRETERS


@functools.cache
def find_tools(names: frozenset[str]) -> dict[str, str]:
    """Where this machine has those of the programs that it has."""
    found: dict[str, str] = {}
    for tool in sorted(names):
        for candidate in _STANDINS.get(tool, (tool,)):
            path = shutil.which(candidate, path="/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin")
            if path:
                found[tool] = path
                break
    return found


class Toolbox:
    """Makes and finds the folders; `folder` is the node's own place for them."""

    def __init__(self, folder: Path):
        self._folder = folder
        self._made: dict[tuple[str, frozenset[str]], Path] = {}

    def prefix(self, image: Image) -> Path:
        """The folder with `bin/` for images with this interpreter and these tools."""
        key = (image.python, image.tools)
        if key not in self._made:
            self._made[key] = self._make(image)
        return self._made[key]

    def _make(self, image: Image) -> Path:
        named = hashlib.sha256(repr((image.python, sorted(image.tools), sys.executable)).encode()).hexdigest()[:12]
        prefix = self._folder / named
        if prefix.exists():
            return prefix
        # Made aside and moved into place: another kubelet may make the same at the same time.
        building = prefix.with_name(f"{named}.{os.getpid()}.{id(self):x}")
        (building / "bin").mkdir(parents=True)
        for tool, found in find_tools(image.tools).items():
            (building / "bin" / tool).symlink_to(found)
        if image.python:
            self._add_python(building, image.python)
        try:
            building.rename(prefix)
        except OSError:
            shutil.rmtree(building)
        return prefix

    def _add_python(self, prefix: Path, kind: str) -> None:
        """A virtual environment without pip: a link to the interpreter, and the file that tells it where its library is."""
        real = Path(os.path.realpath(sys.executable))
        for name in INTERPRETERS:
            (prefix / "bin" / name).symlink_to(real)
        (prefix / "pyvenv.cfg").write_text(f"home = {real.parent}\ninclude-system-site-packages = false\n")
        packages = prefix / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
        packages.parent.mkdir(parents=True)
        if kind == "packages":
            packages.symlink_to(sysconfig.get_paths()["purelib"])
        else:
            packages.mkdir()
