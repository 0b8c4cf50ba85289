"""Local storage eviction: a Pod that outgrows a limit of its disk space is ended (localStorageEviction of pkg/kubelet/eviction).

The limits are an emptyDir's sizeLimit, and limits of ephemeral-storage: of the whole Pod, then of each container.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from clusters.embedded.kubelet.folder_size import folder_size
from clusters.embedded.kubelet.layout import NodeFolder
from clusters.embedded.kubelet.pod_worker import PodWorker
from kubeobjects import Object, podresources, quantity

_INTERVAL_SECONDS = 10.0
_STORAGE = "ephemeral-storage"


def reason(pod: Object, volume: Callable[[str], int], container: Callable[[str], int]) -> str | None:
    """The message with which the Pod is evicted, or None. `volume` and `container` measure by name, in bytes, and only when asked."""
    spec = pod["spec"]
    directories = {each["name"]: each["emptyDir"] for each in spec.get("volumes") or [] if each.get("emptyDir") is not None}
    for name, source in directories.items():
        limit = source.get("sizeLimit")
        if limit and 0 < quantity.whole(limit) < volume(name):
            return f'Usage of EmptyDir volume "{name}" exceeds the limit "{limit}". '
    total = podresources.limits(pod).get(_STORAGE)
    if total is None:
        return None
    used = {each["name"]: container(each["name"]) for each in spec["containers"]}
    on_disk = sum(volume(name) for name, source in directories.items() if source.get("medium") != "Memory")
    if sum(used.values()) + on_disk > quantity.whole(total):
        return f"Pod ephemeral local storage usage exceeds the total limit of containers {total}. "
    for each in spec["containers"]:
        limit = ((each.get("resources") or {}).get("limits") or {}).get(_STORAGE)
        if limit and 0 < quantity.whole(limit) < used[each["name"]]:
            return f'Container {each["name"]} exceeded its local ephemeral storage limit "{limit}". '
    return None


class StorageEviction:
    """Looks at the node's Pods every ten seconds."""

    def __init__(self, workers: Mapping[str, PodWorker], folder: NodeFolder):
        self._workers = workers
        self._folder = folder

    async def run(self) -> None:
        while True:
            await asyncio.sleep(_INTERVAL_SECONDS)
            for worker in list(self._workers.values()):
                if worker.is_up:
                    self._check(worker)

    def _check(self, worker: PodWorker) -> None:
        message = reason(worker.pod, lambda name: self._of_volume(worker, name), lambda name: self._of_container(worker, name))
        if message is not None:
            worker.emit("Warning", "Evicted", message)
            # Pods over a limit of their own get no grace.
            worker.end(0.0, ("Evicted", message))

    def _of_volume(self, worker: PodWorker, name: str) -> int:
        folder = worker.volumes.host(name)
        return folder_size(folder) if folder is not None else 0

    def _of_container(self, worker: PodWorker, name: str) -> int:
        """What the container wrote into its own layer, and its logs."""
        container = worker.container(name)
        if container is None or container.instance is None:
            return 0
        logs = self._folder.logs(worker.pod) / name
        return folder_size(self._folder.container(container.instance.id) / "rootfs") + folder_size(logs)
