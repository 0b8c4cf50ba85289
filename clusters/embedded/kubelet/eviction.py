"""Local storage eviction: a Pod whose emptyDir outgrows its sizeLimit is ended (pkg/kubelet/eviction)."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from clusters.embedded.kubelet.pod_worker import PodWorker
from clusters.embedded.kubelet.volumes import empty_dir_limits
from kubeobjects import quantity

_INTERVAL_SECONDS = 10.0


def folder_size(folder: Path) -> int:
    """Bytes of all files below."""
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(os.path.join(root, name)).st_size
            except OSError:
                continue
    return total


class StorageEviction:
    """Looks at the node's Pods every ten seconds."""

    def __init__(self, workers: Mapping[str, PodWorker]):
        self._workers = workers

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            for worker in list(self._workers.values()):
                if worker.is_up:
                    self._check(worker)

    def _check(self, worker: PodWorker) -> None:
        for name, limit in empty_dir_limits(worker.pod).items():
            folder = worker.volumes.host(name)
            if folder is not None and folder_size(folder) > quantity.whole(limit):
                message = f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
                worker.emit("Warning", "Evicted", message)
                # Pods over a limit of their own get no grace.
                worker.end(0.0, ("Evicted", message))
                return
