"""Log lines as Kubernetes' own components write them: `I1123 13:52:20.123456       1 plugin.py:87] text`."""

from __future__ import annotations

import logging
import os
import sys
import time


class _Klog(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        when = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
        letter = record.levelname[0]
        return (
            f"{letter}{when}.{int(record.created % 1 * 1e6):06d} {os.getpid():>7} {record.filename}:{record.lineno}] {record.getMessage()}"
        )


def start() -> None:
    """Everything from INFO on goes to stderr in that form."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Klog())
    logging.basicConfig(level=logging.INFO, handlers=[handler])
