"""Tracebacks as they would be in the container: without the frames of the shim, and with the container's names of files."""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__)) + os.sep


def install(module: Any) -> None:
    """Patches the module `traceback`, which logging, asyncio and the test runners print with."""
    real = module.StackSummary._extract_from_extended_frame_gen.__func__
    from . import files

    def extract(cls: Any, frames: Any, **kwargs: Any) -> Any:
        kept = (each for each in frames if not each[0].f_code.co_filename.startswith(_HERE))
        stack = real(cls, kept, **kwargs)
        for frame in stack:
            frame.filename = files.table().inside(frame.filename)
        return stack

    module.StackSummary._extract_from_extended_frame_gen = classmethod(extract)


def report(value: BaseException, otherwise: Any) -> None:
    """Prints an exception that nobody caught; `otherwise` is the interpreter's own hook."""
    try:
        import traceback

        lines = traceback.format_exception(type(value), value, value.__traceback__)
        sys.stderr.write("".join(lines))
        sys.stderr.flush()
    except Exception:
        otherwise(type(value), value, value.__traceback__)
