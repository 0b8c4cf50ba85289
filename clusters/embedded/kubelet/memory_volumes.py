"""The memory-backed emptyDirs of one Pod where containers have a root of their own: file systems in memory that all its containers share.

A small process holds them in a mount namespace of the Pod's; the containers of the Pod begin there (`namespaces.enter`), so that they
find them at the volumes' paths. It ends with the Pod, or with the kubelet, whose pipe it reads.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from clusters.embedded.kubelet import beneath, children, namespaces
from clusters.embedded.kubelet.inner_process import InnerPopen, Pipe
from clusters.embedded.kubelet.namespace_support import may_map_ids
from clusters.embedded.kubelet.runtime import StartError


def _all(kind: str) -> list[tuple[int, int, int]]:
    """All numbers of users or groups that this process knows, under their own names."""
    lines = Path(f"/proc/self/{kind}_map").read_text().splitlines()
    return [(int(first), int(first), int(count)) for first, _, count in (line.split() for line in lines)]


class HeldVolumes:
    """Implements `runtime.MemoryVolumes`. `sizes`: an existing folder of this machine → how many bytes may be in it.

    With an `owner`, (uid, gid), they belong to it as a volume with fsGroup does.
    """

    def __init__(self, sizes: Mapping[Path, int], owner: tuple[int, int] | None):
        pipe = Pipe()
        uids, gids = [(0, os.geteuid(), 1)], [(0, os.getegid(), 1)]
        options = "mode=0777"
        if may_map_ids():
            # The containers' own namespaces begin in this one, and know no more than it does.
            uids, gids = _all("uid"), _all("gid")
        if owner is not None:
            options = f"mode=2777,uid={owner[0]},gid={owner[1]}"
        memory = [(str(folder), size) for folder, size in sizes.items()]
        try:
            self._process = InnerPopen(
                pipe,
                ["/bin/sh", "-c", "read forever"],
                env={},
                cwd="/",
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                preexec_fn=pipe.guarded(lambda report: namespaces.hold(memory, uids, gids, options)),
            )
        except (OSError, subprocess.SubprocessError) as error:
            raise StartError(pipe.error or str(error)) from None
        self.holder = self._process.pid
        # Not one that lost its parent.
        children.started.add(self.holder)

    def used(self, folder: Path) -> int:
        try:
            found = os.statvfs(f"/proc/{self.holder}/root{folder}")
        except OSError:
            return 0
        return (found.f_blocks - found.f_bfree) * found.f_frsize

    def make_folder(self, folder: Path, below: Path, mode: int) -> None:
        beneath.make_folder(Path(f"/proc/{self.holder}/root{folder}"), below, mode)

    def release(self) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            self._process.stdin.close()
        children.started.discard(self.holder)
