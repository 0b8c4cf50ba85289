"""Where a node keeps things: the folders of a real node, below the node's own folder on this machine."""

from __future__ import annotations

import os
from pathlib import Path

from clusters.embedded import short_folders
from clusters.embedded.kubelet import beneath
from kubeobjects import Object

# sun_path holds 104 bytes on macOS and 108 on Linux; a plugin puts a socket with a name of its own into the folder.
_LONGEST_SOCKET_FOLDER = 70


class NodeFolder:
    """The paths of one node; `root` stands for the node's `/`."""

    def __init__(self, root: Path):
        self.root = root.resolve()
        self.kubelet = self.root / "var/lib/kubelet"
        self.device_plugins = self.kubelet / "device-plugins"
        self.pod_resources = self.kubelet / "pod-resources"
        # Where plugins of other kinds have their sockets, and where they register.
        self.plugins = self.kubelet / "plugins"
        self.plugins_registry = self.kubelet / "plugins_registry"
        self.containers = self.root / "run/containers"
        # Where the device plugins' sockets really are.
        self.sockets = self.device_plugins

    def prepare(self) -> None:
        """Makes the folders that the kubelet itself needs."""
        self.root.mkdir(parents=True, exist_ok=True, mode=0o700)
        for folder in (self.kubelet / "pods", self.containers, self.root / "var/log/pods", self.root / "tmp", self.root / "dev"):
            self.make(folder)
        self._prepare_sockets()

    def _prepare_sockets(self) -> None:
        """`device-plugins` as a folder, or as a link to one with a path short enough for a unix socket."""
        if len(os.fsencode(self.device_plugins)) <= _LONGEST_SOCKET_FOLDER:
            for folder in (self.device_plugins, self.plugins, self.plugins_registry):
                folder.mkdir(exist_ok=True)
            return
        short_folders.ensure(self.device_plugins)
        self.sockets = self.device_plugins.readlink().resolve()
        for link in (self.plugins, self.plugins_registry):
            short = self.sockets / link.name
            short.mkdir(exist_ok=True)
            if not link.is_symlink() or link.readlink() != short:
                link.unlink(missing_ok=True)
                link.symlink_to(short)

    def host_path(self, path: str) -> Path:
        """Where the node's absolute `path` lies on this machine: neither `..` nor a link leads out of the node.

        Raises OSError ELOOP for links that lead in circles.
        """
        links = {self.device_plugins: self.sockets, self.pod_resources: self.sockets / self.pod_resources.name}
        if self.sockets != self.device_plugins:
            links |= {link: self.sockets / link.name for link in (self.plugins, self.plugins_registry)}
        return beneath.resolve(self.root, path, {f"/{inside.relative_to(self.root)}": outside for inside, outside in links.items()})

    def make(self, folder: Path, mode: int = 0o700) -> Path:
        """Makes a folder of the node, and those that lead to it; raises OSError where a link is in the way."""
        base = self._base(folder)
        return beneath.make_folder(base, folder.relative_to(base), mode)

    def make_file(self, path: Path, mode: int = 0o644) -> Path:
        """Makes an empty file of the node, or leaves the one that is there; raises OSError where a link is in the way."""
        base = self._base(path)
        with beneath.container_modes():
            os.close(beneath.open_file(base, path.relative_to(base), os.O_WRONLY | os.O_CREAT, mode))
        return path

    def _base(self, path: Path) -> Path:
        return self.root if path.is_relative_to(self.root) else self.sockets

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
