"""What this machine lets an ordinary process do with user namespaces. Tried once."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from clusters.embedded.images import Image
from clusters.embedded.kubelet import namespaces, system_layer
from clusters.embedded.kubelet.capabilities import DEFAULT
from clusters.embedded.kubelet.inner_process import InnerPopen, Pipe
from clusters.embedded.kubelet.namespaces import Rights, Root
from clusters.embedded.kubelet.runtime import StartError


@functools.cache
def _roots() -> tuple[bool, bool]:
    """Whether this machine lets an ordinary process make such a root, and the interpreter runs in it; whether also with PIDs of its own."""
    if sys.platform != "linux":
        return False, False
    if _try_root(own_pids=True):
        return True, True
    return _try_root(own_pids=False), False


def is_possible() -> bool:
    """Whether this machine lets an ordinary process make such a root, and the interpreter runs in it."""
    return _roots()[0]


def has_own_pids() -> bool:
    """Whether a container can have processes of its own here."""
    return _roots()[1]


# Who owns what belongs to root in a container that runs as somebody else: a user whom this machine should not have.
ROOT_OUTSIDE = 64977


@functools.cache
def may_map_ids() -> bool:
    """Whether containers can have groups, and know a root who is not themselves: the kubelet's user must be root for that."""
    if not is_possible() or os.geteuid() != 0:
        return False
    ids = [(0, 0, 1), (ROOT_OUTSIDE, ROOT_OUTSIDE, 1)]
    pipe = Pipe()
    enter = pipe.guarded(lambda report: namespaces.unshare(0, ids, ids, os.open("/proc/self", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)))
    try:
        with InnerPopen(pipe, ["/bin/true"], env={}, cwd="/", stdin=subprocess.DEVNULL, preexec_fn=enter) as process:
            return process.wait(timeout=10) == 0
    except (OSError, subprocess.SubprocessError):
        return False


def _try_root(*, own_pids: bool) -> bool:
    image = Image(name="probe", python="bare", tools=frozenset({"sh", "true"}))
    rights = Rights(DEFAULT)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder).resolve()
        pipe = Pipe()
        try:
            binds = system_layer.lay(root, image, root, own_programs=True)
            system_layer.make_targets(root, binds)
            made = Root(str(root), binds, [], [], "probe", 0, 0, own_pids)
            with InnerPopen(
                pipe,
                ["/usr/local/bin/python3", "-I", "-c", "import socket, ssl"],
                env={},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=pipe.guarded(lambda report: namespaces.enter(made, "/", rights, report)),
            ) as process:
                try:
                    return process.wait(timeout=10) == 0
                finally:
                    process.kill()
        except (OSError, subprocess.SubprocessError, StartError):
            return False
