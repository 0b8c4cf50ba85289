"""aiohttp's server half alone: `enter` before the first `from aiohttp import web`.

The package's `__init__` imports its client too: some twenty modules and attrs with them, and the machine's certificate authorities, read twice. The API
server calls nobody with it, and that was a fifth of what its imports take. So the package is entered without its `__init__`, which is run as soon as
somebody asks for a name that the server half does not have.
"""

from __future__ import annotations

import importlib
import importlib.util
import re
import sys
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

_NAME = "aiohttp"
# aiohttp.http asks the package for it.
_VERSION = re.compile(r'^__version__ = "([^"]+)"', re.M)


def enter() -> None:
    """Makes `aiohttp` a package whose modules are imported one by one. Does nothing where it is imported already, or is not as we know it."""
    if _NAME in sys.modules:
        return
    spec = importlib.util.find_spec(_NAME)
    if spec is None or spec.loader is None or spec.origin is None:
        return
    version = _VERSION.search(Path(spec.origin).read_text())
    if version is None:
        return
    package = importlib.util.module_from_spec(spec)
    package.__dict__.update(__version__=version[1], __getattr__=_completing(package, spec))
    sys.modules[_NAME] = package


def _completing(package: ModuleType, spec: ModuleSpec) -> Any:
    """The package's `__getattr__`: a module of it is imported; for any other name the package is run as it would have been at first."""

    def find(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if importlib.util.find_spec(f"{_NAME}.{name}") is not None:
            return importlib.import_module(f"{_NAME}.{name}")
        if package.__dict__.pop("__getattr__", None) is None or spec.loader is None:
            raise AttributeError(f"module {_NAME!r} has no attribute {name!r}")
        spec.loader.exec_module(package)
        return getattr(package, name)

    return find
