"""What a container leaves as its last words: a file, or the end of its log (pkg/kubelet/kuberuntime getTerminationMessage)."""

from __future__ import annotations

import contextlib
from pathlib import Path

from clusters.embedded.kubelet import beneath
from kubeobjects import Object

# In bytes, and lines of the log.
_MESSAGE_BYTES = 4096
_FALLBACK_BYTES = 2048
_FALLBACK_LINES = 80


def read(spec: Object, message_file: Path, log: Path, code: int) -> str:
    """Of a container that ended with `code`; empty where it left nothing."""
    with contextlib.suppress(OSError):
        # The container may have put something else at its place, or have made it very large.
        text = beneath.tail(message_file, _MESSAGE_BYTES).decode(errors="replace")
        if text:
            return text
    if code != 0 and spec.get("terminationMessagePolicy") == "FallbackToLogsOnError":
        with contextlib.suppress(OSError):
            data = beneath.tail(log, _FALLBACK_BYTES * 4)
            lines = [line.split(b" ", 3) for line in data.split(b"\n")[-_FALLBACK_LINES - 1 :]]
            tail = b"".join(parts[3] + (b"\n" if parts[2] == b"F" else b"") for parts in lines if len(parts) == 4)
            return tail[-_FALLBACK_BYTES:].decode(errors="replace")
    return ""
