"""What the host offers to four nodes: memory, disk, inotify, cgroups, CPUs, proxies. Reads only."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass, field
from pathlib import Path

import psutil

# Four nodes with the lab's Pods took 1.2 GiB where they were measured.
NEEDED_MEMORY = 1536 * 1024**2
NEEDED_DISK = 6 * 1024**3
# Each node runs a kubelet, a containerd and systemd, which all watch files (https://kind.sigs.k8s.io/docs/user/known-issues/).
NEEDED_INOTIFY_INSTANCES = 512
NEEDED_INOTIFY_WATCHES = 65536

PROXY_VARIABLES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


@dataclass(frozen=True)
class HostFacts:
    """Memory and disk in bytes, free; `cgroup` 1 or 2, 0 where it is unknown; inotify limits None where the system has none."""

    system: str
    cpus: int
    free_memory: int
    free_disk: int
    cgroup: int
    inotify_instances: int | None
    inotify_watches: int | None
    proxies: dict[str, str] = field(default_factory=dict)


def _limit(name: str) -> int | None:
    try:
        return int(Path("/proc/sys/fs/inotify", name).read_text())
    except (OSError, ValueError):
        return None


def _cgroup() -> int:
    if Path("/sys/fs/cgroup/cgroup.controllers").exists():
        return 2
    return 1 if Path("/sys/fs/cgroup/memory").exists() else 0


def facts(disk_of: Path) -> HostFacts:
    """The host as it is now; `disk_of` is a path on the disk whose free space counts (or its nearest parent that exists)."""
    while not disk_of.exists():
        disk_of = disk_of.parent
    return HostFacts(
        system=platform.system(),
        cpus=os.cpu_count() or 1,
        free_memory=psutil.virtual_memory().available,
        free_disk=shutil.disk_usage(disk_of).free,
        cgroup=_cgroup(),
        inotify_instances=_limit("max_user_instances"),
        inotify_watches=_limit("max_user_watches"),
        proxies={name: os.environ[name] for name in PROXY_VARIABLES if os.environ.get(name)},
    )
