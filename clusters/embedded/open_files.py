"""How many files the server may hold open, and how many Pods that is.

Each running container takes two of the server's files (its stdout and its stderr). The soft limit of a login shell (256 on macOS, 1,024 on
Linux) is raised to the hard one for the server alone: what it starts gets the limit that the server was started with.
"""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Sequence

# More is never needed, and a hard limit of a billion makes programs that walk through all numbers slow.
_ENOUGH = 65_536
# macOS refuses more than its kern.maxfilesperproc though the hard limit says "unlimited"; this much it always gives.
_ALWAYS_GIVEN = 10_240
# What the server itself holds (about 30), and room for clients, execs, probes and port-forwards.
_OWN = 96
# The last files are kept for the API server: a container that would take them does not start.
_SPARE = 48
# A Pod with one container takes two files; every second one has a second container.
_OF_A_POD = 3
# The kubelet's default --max-pods.
MAX_PODS = 110

_found = resource.getrlimit(resource.RLIMIT_NOFILE)


def raise_limit() -> int:
    """Raises the soft limit as far as the hard one allows; returns what it is now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _ENOUGH if hard == resource.RLIM_INFINITY else min(hard, _ENOUGH)
    for limit in (wanted, min(wanted, _ALWAYS_GIVEN)):
        if limit > soft:
            try:
                resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
                return limit
            except (OSError, ValueError):
                continue
    return soft


def is_raised() -> bool:
    """Whether this process has a higher soft limit than it was started with."""
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0] != _found[0]


def restore_limit() -> None:
    """Gives a forked child the soft limit that the server was started with."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (_found[0], resource.getrlimit(resource.RLIMIT_NOFILE)[1]))


def pods_allowed(limit: int, tainted: Sequence[bool]) -> list[int]:
    """Each node's Pods under a limit of open files; `tainted` says for each node whether it keeps ordinary Pods away.

    All nodes get the kubelet's 110 where the limit allows it; otherwise a node that takes any Pod gets three times the share of another.
    """
    whole = max(0, limit - _OWN) // _OF_A_POD
    if not tainted or whole // len(tainted) >= MAX_PODS:
        return [MAX_PODS for _ in tainted]
    shares = [1 if each else 3 for each in tainted]
    return [max(1, min(MAX_PODS, whole * share // sum(shares))) for share in shares]


def check_room() -> None:
    """Raises OSError (EMFILE) where only the files that are kept for the API server are left."""
    # The system gives the lowest free number, so that number tells how many are taken.
    lowest = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    os.close(lowest)
    if lowest >= resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _SPARE:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
