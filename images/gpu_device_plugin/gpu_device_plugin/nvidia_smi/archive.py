"""nvidia-smi as one file that can be run: a zip of this package with a first line for the shell (see zipapp)."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

_FIRST_LINE = b"#!/usr/bin/env python3\n"
_MAIN = "import sys\nfrom nvidia_smi import command\nsys.exit(command.main())\n"


def build() -> bytes:
    """The same bytes for the same sources."""
    content = io.BytesIO()
    content.write(_FIRST_LINE)
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr(zipfile.ZipInfo("__main__.py"), _MAIN)
        for path in sorted(Path(__file__).parent.glob("*.py")):
            archive.writestr(zipfile.ZipInfo(f"nvidia_smi/{path.name}"), path.read_bytes())
    return content.getvalue()
