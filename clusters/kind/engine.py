"""The container engine beneath kind: Docker, or Podman or nerdctl through KIND_EXPERIMENTAL_PROVIDER.

What comes out: is it there, does it answer, how large is it, which images and node containers does it have.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clusters.base import ClusterError
from clusters.kind.commands import Commands, Ran, explain

ENGINES = ("docker", "podman", "nerdctl")

# kind labels each node's container with the cluster it belongs to.
CLUSTER_LABEL = "io.x-k8s.kind.cluster"

_QUICK = 20.0
_PULL = 1800.0


@dataclass(frozen=True)
class EngineInfo:
    """What the engine says of itself. `memory` is in bytes; `cgroup` is 1 or 2, 0 where it does not say; `root` is where it keeps images."""

    version: str
    cgroup: int
    memory: int
    cpus: int
    rootless: bool
    root: str = ""


@dataclass(frozen=True)
class NodeContainer:
    """A node of a kind cluster; `state` is the engine's word: created, running, paused, exited, dead."""

    name: str
    state: str


def _number(text: object) -> int:
    digits = "".join(character for character in str(text) if character.isdigit())
    return int(digits) if digits else 0


def _parse_info(raw: dict[str, Any]) -> EngineInfo:
    if "host" in raw:  # podman
        host = raw["host"]
        return EngineInfo(
            version=str(raw.get("version", {}).get("Version", "")),
            cgroup=_number(host.get("cgroupVersion", "")),
            memory=int(host.get("memTotal", 0)),
            cpus=int(host.get("cpus", 0)),
            rootless=bool(host.get("security", {}).get("rootless")),
            root=str(raw.get("store", {}).get("graphRoot", "")),
        )
    return EngineInfo(
        version=str(raw.get("ServerVersion", "")),
        cgroup=_number(raw.get("CgroupVersion", "")),
        memory=int(raw.get("MemTotal", 0)),
        cpus=int(raw.get("NCPU", 0)),
        rootless=any("rootless" in option for option in raw.get("SecurityOptions") or []),
        root=str(raw.get("DockerRootDir") or ""),
    )


class Engine:
    """One container engine, spoken to by its command."""

    def __init__(self, name: str, commands: Commands):
        self.name = name
        self.commands = commands

    def info(self) -> EngineInfo:
        """What the engine says of itself. Raises ClusterError where it is missing, stopped or refuses this user."""
        template = "json" if self.name == "podman" else "{{json .}}"
        ran = self.commands.run(self.name, "info", "--format", template, timeout=_QUICK)
        try:
            raw = json.loads(ran.out)
        except ValueError:
            raw = {}
        if isinstance(raw, dict) and raw and ran.ok and not raw.get("ServerErrors"):
            return _parse_info(raw)
        # `docker info` answers with its client half and puts what is wrong with the server into the JSON.
        errors = "\n".join(raw.get("ServerErrors") or []) if isinstance(raw, dict) else ""
        raise explain(type(ran)(ran.argv, ran.code or 1, errors or ran.out, ran.err), f"asking {self.name}")

    def has_image(self, reference: str) -> bool:
        return bool(self.image_id(reference))

    def image_id(self, reference: str) -> str:
        """The image's id, or the empty text where the engine does not have it."""
        ran = self.commands.run(self.name, "image", "inspect", reference, timeout=_QUICK)
        try:
            found = json.loads(ran.out) if ran.ok else []
        except ValueError:
            found = []
        # Docker and nerdctl write Id, and templates of the three differ in the name: so the JSON is read here.
        return str(found[0].get("Id") or found[0].get("ID") or "") if found else ""

    def image_ids(self, references: Sequence[str]) -> dict[str, str]:
        """Reference to id, as `image_id` has them, of those images that the engine has."""
        ran = self.commands.run(self.name, "image", "inspect", *references, timeout=_QUICK)
        try:
            found = json.loads(ran.out) if ran.ok else []
        except ValueError:
            found = []
        if len(found) == len(references):
            # All are there, and they are answered in the order in which they were asked for.
            return {reference: str(each.get("Id") or each.get("ID") or "") for reference, each in zip(references, found, strict=True)}
        return {reference: number for reference in references if (number := self.image_id(reference))}

    def tag(self, source: str, target: str) -> None:
        """Gives an image another name."""
        ran = self.commands.run(self.name, "tag", source, target, timeout=_QUICK)
        if not ran.ok:
            raise explain(ran, f"naming {source} {target}")

    def inside(self, node: str, *argv: str, timeout: float, stdin: Path | None = None) -> Ran:
        """Runs a command in a node's container, as kind itself does; `stdin` is a file of this machine that it reads."""
        interactive = ("-i",) if stdin else ()
        return self.commands.run(self.name, "exec", "--privileged", *interactive, node, *argv, timeout=timeout, stdin=stdin)

    def memory_of(self, node: str) -> int:
        """What a node's container uses, in bytes, without the file cache that can be dropped, as `docker stats` counts it; 0 where that cannot be told.

        Read from the container's own cgroup: `stats` waits two seconds for a second look at the CPU.
        """
        return parse_memory(self.inside(node, "sh", "-c", _MEMORY, timeout=_QUICK).out)

    def pull(self, reference: str, on_line: Callable[[str], None] | None = None) -> None:
        ran = self.commands.run(self.name, "pull", reference, timeout=_PULL, on_line=on_line)
        if not ran.ok:
            raise explain(ran, f"fetching {reference}")

    def save(self, references: list[str], archive: str) -> None:
        """Writes the images into one archive that `load` and `kind load image-archive` take."""
        extra = ["--multi-image-archive"] if self.name == "podman" else []
        ran = self.commands.run(self.name, "save", *extra, "-o", archive, *references, timeout=_PULL)
        if not ran.ok:
            raise explain(ran, f"saving images to {archive}")

    def load(self, archive: str) -> None:
        ran = self.commands.run(self.name, "load", "-i", archive, timeout=_PULL)
        if not ran.ok:
            raise explain(ran, f"loading images from {archive}")

    def nodes(self, cluster: str) -> list[NodeContainer]:
        """The containers of the kind cluster called `cluster`, stopped ones too."""
        ran = self.commands.run(
            self.name, "ps", "--all", "--filter", f"label={CLUSTER_LABEL}={cluster}", "--format", "{{.Names}}\t{{.Status}}", timeout=_QUICK
        )
        if not ran.ok:
            raise explain(ran, "listing the cluster's nodes")
        found = []
        for line in ran.out.splitlines():
            name, _, status = line.partition("\t")
            if name.strip():
                found.append(NodeContainer(name.strip(), _state(status)))
        return sorted(found, key=lambda node: node.name)

    def start(self, nodes: list[NodeContainer]) -> None:
        """Starts what is stopped and wakes what is paused."""
        for verb, names in (
            ("unpause", [node.name for node in nodes if node.state == "paused"]),
            ("start", [node.name for node in nodes if node.state not in ("paused", "running")]),
        ):
            if names:
                ran = self.commands.run(self.name, verb, *names, timeout=120.0)
                if not ran.ok:
                    raise explain(ran, "starting the stopped nodes")


# cgroup v2 first, then v1; a line of its own for each, and the two figures' names differ as their files do.
_MEMORY = (
    "cd /sys/fs/cgroup; if [ -e memory.current ]; then cat memory.current; grep '^inactive_file ' memory.stat;"
    " else cd memory && cat memory.usage_in_bytes; grep '^total_inactive_file ' memory.stat; fi"
)


def parse_memory(text: str) -> int:
    """Bytes in use less inactive file cache, from the two lines that `Engine.memory_of` reads; 0 for anything else."""
    words = text.split()
    if len(words) != 3 or not words[0].isdecimal() or not words[2].isdecimal():
        return 0
    return max(0, int(words[0]) - int(words[2]))


def _state(status: str) -> str:
    """The state in a `ps` line's STATUS: `Up 3 minutes`, `Up 2 hours (Paused)`, `Exited (137) 5 minutes ago`, `Created`."""
    words = status.strip().lower()
    if words.startswith("up"):
        return "paused" if "paused" in words else "running"
    return words.split(" ")[0] or "unknown"


def choose(commands: Commands) -> Engine:
    """The engine that kind will use: the one named by KIND_EXPERIMENTAL_PROVIDER, else the first whose command is there.

    Raises ClusterError where that variable names none that kind knows.
    """
    wanted = os.environ.get("KIND_EXPERIMENTAL_PROVIDER", "")
    if wanted:
        if wanted not in ENGINES:
            raise ClusterError(
                f'KIND_EXPERIMENTAL_PROVIDER is "{wanted}", which kind does not know',
                next=f"set it to one of {', '.join(ENGINES)}, or unset it",
            )
        return Engine(wanted, commands)
    for name in ENGINES:
        # Some systems give Podman the name `docker` as well; kind is not deceived by it, and neither may this be.
        if shutil.which(name) and (
            name != "docker" or commands.run("docker", "--version", timeout=_QUICK).out.startswith("Docker version")
        ):
            return Engine(name, commands)
    return Engine("docker", commands)
