"""Patching a module when, and only if, the program imports it: an interpreter that never opens a socket never pays for one."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_patches: dict[str, Callable[[Any], None]] = {}


class _Loader:
    """The module's own loader; the patch is applied once the module's code has run."""

    def __init__(self, real: Any, patch: Callable[[Any], None]) -> None:
        self._real = real
        self._patch = patch

    def create_module(self, spec: Any) -> Any:
        return self._real.create_module(spec)

    def exec_module(self, module: Any) -> None:
        module.__loader__ = module.__spec__.loader = self._real
        self._real.exec_module(module)
        self._patch(module)


class _Finder:
    @staticmethod
    def find_spec(name: str, path: Any = None, target: Any = None) -> Any:
        patch = _patches.pop(name, None)
        if patch is None:
            return None
        for finder in sys.meta_path:
            if finder is not _Finder:
                spec = finder.find_spec(name, path, target)  # type: ignore[attr-defined]
                if spec is not None:
                    spec.loader = _Loader(spec.loader, patch)  # type: ignore[assignment]
                    return spec
        return None


def on_import(name: str, patch: Callable[[Any], None]) -> None:
    """Calls `patch(module)` once: now if the module is loaded, otherwise as the last step of its import."""
    if name in sys.modules:
        patch(sys.modules[name])
        return
    if _Finder not in sys.meta_path:
        sys.meta_path.insert(0, _Finder)  # type: ignore[arg-type]
    _patches[name] = patch
