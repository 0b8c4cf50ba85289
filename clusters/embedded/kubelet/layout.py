"""Where a node keeps things: the folders of a real node, below the node's own folder on this machine."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from clusters.embedded import short_folders

Object = dict[str, Any]

# sun_path holds 104 bytes on macOS and 108 on Linux; a plugin puts a socket with a name of its own into the folder.
_LONGEST_SOCKET_FOLDER = 70


class NodeFolder:
    """The paths of one node; `root` stands for the node's `/`."""

    def __init__(self, root: Path):
        self.root = root.resolve()
        self.kubelet = self.root / "var/lib/kubelet"
        self.device_plugins = self.kubelet / "device-plugins"
        self.containers = self.root / "run/containers"

    def prepare(self) -> None:
        """Makes the folders that the kubelet itself needs."""
        for folder in (self.kubelet / "pods", self.containers, self.root / "var/log/pods", self.root / "tmp", self.root / "dev"):
            folder.mkdir(parents=True, exist_ok=True)
        self._prepare_sockets()

    def _prepare_sockets(self) -> None:
        """`device-plugins` as a folder, or as a link to one with a path short enough for a unix socket."""
        if len(os.fsencode(self.device_plugins)) <= _LONGEST_SOCKET_FOLDER:
            self.device_plugins.mkdir(exist_ok=True)
            return
        short_folders.ensure(self.device_plugins)

    def host_path(self, path: str) -> Path:
        """Where the node's absolute `path` lies on this machine; `..` does not lead out of the node."""
        inside = os.path.normpath("/" + path).lstrip("/")
        return self.root / inside

    def pod(self, uid: str) -> Path:
        return self.kubelet / "pods" / uid

    def volume(self, uid: str, plugin: str, name: str) -> Path:
        """`plugin` as the real kubelet names it: `kubernetes.io~configmap`."""
        return self.pod(uid) / "volumes" / plugin / name

    def logs(self, pod: Object) -> Path:
        metadata = pod["metadata"]
        return self.root / "var/log/pods" / f"{metadata['namespace']}_{metadata['name']}_{metadata['uid']}"

    def container(self, container_id: str) -> Path:
        """The folder of one instance of a container, gone with it."""
        return self.containers / container_id[:16]
