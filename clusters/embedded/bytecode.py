"""Compiled modules, kept beside Python code that runs in containers: there it would be compiled anew at every start.

The images set PYTHONDONTWRITEBYTECODE and compile in their Dockerfiles what they copy; the shim's folder cannot be written from inside.
"""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterable
from importlib.machinery import SourceFileLoader
from importlib.util import MAGIC_NUMBER, cache_from_source
from pathlib import Path

# A compiled module begins with the magic number, flags (0: held against its source by time and size), the source's time and its size.
_HEADER = 16
_SUFFIX = f".{sys.implementation.cache_tag}.pyc"


def keep(places: Iterable[Path]) -> None:
    """Compiles the modules at and below `places` that are not compiled yet, or have changed since.

    Where a folder takes no files, or a module does not compile, it stays as it is.
    """
    for place in places:
        for path in [place] if place.suffix == ".py" else sorted(place.rglob("*.py")):
            if not _is_kept(path):
                with contextlib.suppress(SyntaxError, ValueError, OSError):
                    SourceFileLoader(path.stem, str(path)).get_code(path.stem)


def _is_kept(path: Path) -> bool:
    with contextlib.suppress(OSError), open(cache_from_source(str(path)), "rb") as file:
        found, header = path.stat(), file.read(_HEADER)
        numbers = [0, int(found.st_mtime), found.st_size]
        return header == MAGIC_NUMBER + b"".join((number & 0xFFFFFFFF).to_bytes(4, "little") for number in numbers)
    return False


def beside(source: Path) -> Path | None:
    """The compiled form of a module; None where none is kept that can be read."""
    kept = Path(cache_from_source(str(source)))
    return kept if os.access(kept, os.R_OK) else None


def unusable(folder: str, names: list[str]) -> set[str]:
    """What of a folder `shutil.copytree` is to leave out: modules that another interpreter compiled, or another account for itself alone."""
    return {name for name in names if _is_compiled(name) and (_is_foreign(name) or not os.access(os.path.join(folder, name), os.R_OK))}


def _is_compiled(name: str) -> bool:
    return name == "__pycache__" or name.endswith(".pyc")


def _is_foreign(name: str) -> bool:
    return name.endswith(".pyc") and not name.endswith(_SUFFIX)
