"""Runs at the start of every Python interpreter in a Pod: puts the Pod's view of network and files into place, then makes way.

A sitecustomize that would have run without this one runs after it. Nothing here may fail or print: the program is the learner's.
"""

import os
import sys


def _install() -> None:
    if "AI_LAB_NETWORK" in os.environ or "AI_LAB_MOUNTS" in os.environ:
        from _ai_lab import install

        install()


def _run_next() -> None:
    """Loads the sitecustomize that this one hides."""
    here = os.path.dirname(os.path.abspath(__file__))
    others = [path for path in sys.path if os.path.abspath(path or ".") != here]
    for finder in sys.meta_path:
        if getattr(finder, "__name__", "") == "PathFinder":
            spec = finder.find_spec("sitecustomize", others)
            if spec is not None and spec.loader is not None:
                module = type(sys)("sitecustomize")
                module.__spec__ = spec
                module.__file__ = spec.origin
                sys.modules["sitecustomize"] = module
                spec.loader.exec_module(module)


try:
    _install()
except Exception:
    if "AI_LAB_SHIM_DEBUG" in os.environ:
        raise
_run_next()
