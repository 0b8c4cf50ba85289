"""A process on a disk that takes nothing more, or that may not write where it would as root: limits set in it before it begins."""

from __future__ import annotations

import ctypes
import os
import resource
import sys

_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE = 24, 1


def no_space() -> None:
    """Every write to a file fails, as on a full disk; pipes still take what is written."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


def no_privileges() -> None:
    """Permissions of files count for root too."""
    if sys.platform == "linux" and os.geteuid() == 0:
        ctypes.CDLL(None).prctl(_PR_CAPBSET_DROP, _CAP_DAC_OVERRIDE, 0, 0, 0)
