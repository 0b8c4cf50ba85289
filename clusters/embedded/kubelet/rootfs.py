"""The container's own layer: folders that every image has, and what its Dockerfile copied in."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from clusters.embedded import bytecode
from clusters.embedded.images import Image

# Folders of the container's own that every image has.
FOLDERS = ("/tmp", "/run", "/var/tmp", "/var/log", "/dev/shm", "/home", "/mnt", "/opt", "/srv")
_UNCOMPILED = shutil.ignore_patterns("__pycache__")
# What stands in the root of the distributions that the images are made of.
_TOP = (
    "bin",
    "boot",
    "dev",
    "etc",
    "home",
    "lib",
    "lib64",
    "media",
    "mnt",
    "opt",
    "proc",
    "root",
    "run",
    "sbin",
    "srv",
    "sys",
    "tmp",
    "usr",
    "var",
)
TOP_FOLDERS = tuple(f"/{name}" for name in _TOP)


def lay(root: Path, image: Image, folders: Iterable[str]) -> None:
    """Makes `folders` below `root` and copies the image's files: each container may change its own."""
    for path in folders:
        (root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
    for path in ("tmp", "var/tmp"):
        if (root / path).is_dir():
            (root / path).chmod(0o1777)
    for inside, source in image.files:
        target = root / inside.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, dirs_exist_ok=True, ignore=bytecode.unusable if image.compiled else _UNCOMPILED)
        else:
            shutil.copy2(source, target)
            compiled = bytecode.beside(source) if image.compiled and source.suffix == ".py" else None
            if compiled is not None:
                (target.parent / "__pycache__").mkdir(exist_ok=True)
                shutil.copy2(compiled, target.parent / "__pycache__" / compiled.name)
