"""Programs that a Python program starts: their command line and working directory, as this machine needs them.

A child that is no Python has no shim: paths in its arguments are rewritten by the same rules as the kubelet's for a container's own command
(`kubelet/paths.py`). A Python child translates for itself; only its script is looked up by the interpreter.
"""

from __future__ import annotations

import os

from . import late
from .paths import Table

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

_table: Table
_rules: Any = None


def _kubelet_rules() -> ModuleType:
    """`kubelet/paths.py`, which is not on the path of a Pod's interpreter."""
    from importlib import util

    folder = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    spec = util.spec_from_file_location("_ai_lab_kubelet_paths", os.path.join(folder, "paths.py"))
    assert spec is not None
    assert spec.loader is not None
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _text(word: Any) -> Any:
    """A rewritten argument; what is no text stays."""
    global _rules
    if isinstance(word, bytes):
        return os.fsencode(_text(os.fsdecode(word)))
    if hasattr(word, "__fspath__"):
        word = os.fspath(word)
    if not isinstance(word, str) or "/" not in word:
        return word
    if _rules is None:
        _rules = _kubelet_rules()
        _rules.table = _rules.PathTable(_table.entries)
    return _rules.table.rewrite(word)


def arguments(argv: Any) -> Any:
    """The command line to really run."""
    if isinstance(argv, (str, bytes)) or hasattr(argv, "__fspath__"):
        return _text(argv)
    words = list(argv)
    if not words:
        return words
    program = _table.any_outside(words[0])
    if os.path.basename(os.fsdecode(program)).startswith("python"):
        _text("/")
        position = _rules.script_position([os.fsdecode(word) for word in words])
        return [program, *(_table.any_outside(word) if index == position else word for index, word in enumerate(words[1:], 1))]
    return [program, *map(_text, words[1:])]


def install(table: Table) -> None:
    global _table
    _table = table
    late.on_import("subprocess", _subprocess)
    for name in ("execv", "execve", "posix_spawn", "posix_spawnp"):
        if hasattr(os, name):
            setattr(os, name, _exec(getattr(os, name)))
    system = os.system
    os.system = lambda command: system(_text(command))


def _exec(real: Any) -> Any:
    def run(path: Any, argv: Any, *rest: Any, **kwargs: Any) -> Any:
        return real(_table.any_outside(path), arguments(argv), *rest, **kwargs)

    run.__name__ = real.__name__
    return run


def _subprocess(module: Any) -> None:
    init = module.Popen.__init__

    def __init__(self: Any, args: Any, *rest: Any, **kwargs: Any) -> None:
        for name in ("executable", "cwd"):
            if kwargs.get(name) is not None:
                kwargs[name] = _table.any_outside(kwargs[name])
        init(self, arguments(args), *rest, **kwargs)
        self.args = args

    module.Popen.__init__ = __init__
