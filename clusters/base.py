"""What a cluster is to the course: something to bring up, take down, ask how it is, and reach by a kubeconfig.

Providers live in `clusters/embedded/`, `clusters/kind/` and `clusters/current.py`; `clusters.get` makes one by its name.
Nothing outside this package asks which one it is.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, field
from pathlib import Path

from kubeobjects import Object

# What every cluster starts with, of the files in manifests/base: the namespace of the story and the GPU plugin.
# The model server there is for labs to deploy.
ADDONS = ("namespace.yaml", "gpu-device-plugin.yaml")


class ClusterError(Exception):
    """Something a person has to know: `what` happened and on what, and what to do `next`."""

    def __init__(self, what: str, *, next: str = ""):
        super().__init__(f"{what}\n  next: {next}" if next else what)
        self.what = what
        self.next = next


class Progress:
    """Hears what a cluster is doing. This one is silent; the command line and the notebook show it in their own ways."""

    def step(self, title: str) -> AbstractContextManager[None]:
        """Around one step: it ends with a tick, or with a cross where an exception leaves the block."""
        return nullcontext()

    def say(self, line: str) -> None:
        """One line about the step under way."""

    def detail(self, line: str) -> None:
        """One line of a program that works beneath the step: for people who watch, and not worth keeping."""


@dataclass(frozen=True)
class ClusterStatus:
    """How a cluster is. `state` is absent, stopped, starting, ready or unknown; `detail` says in words what is missing.

    `memory` is in bytes, resident, of everything that belongs to the cluster; 0 where that cannot be told.
    """

    cluster: str
    state: str
    detail: str = ""
    server: str = ""
    kubeconfig: str = ""
    memory: int = 0
    pids: list[int] = field(default_factory=list)
    nodes: list[Object] = field(default_factory=list)

    def to_json(self) -> Object:
        """The same as JSON; of each node its name, whether it is Ready, and its allocatable GPUs."""
        plain = asdict(self)
        plain["nodes"] = [
            {
                "name": node["metadata"]["name"],
                "ready": any(each["type"] == "Ready" and each["status"] == "True" for each in node["status"].get("conditions", [])),
                "gpus": int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", "0")),
            }
            for node in self.nodes
        ]
        return plain


class Cluster(ABC):
    """One cluster to run labs on. `made_by_lab`: nodes, the GPU plugin and the namespaces belong to the course, which may put them right.

    `may_fetch`: `up` may fetch and build what is missing; not where nobody asked for this kind of cluster.
    `recover`: where what `up` finds stored is damaged, it goes on with what is whole. Only the embedded cluster stores anything itself.
    """

    name: str
    made_by_lab: bool = True
    may_fetch: bool = True
    recover: bool = False

    @property
    @abstractmethod
    def kubeconfig(self) -> Path:
        """The kubeconfig of this cluster alone; the file need not exist before `up`."""

    @abstractmethod
    def up(self, progress: Progress) -> None:
        """Brings the cluster to ready from whatever state it is in. Raises ClusterError."""

    @abstractmethod
    def down(self, progress: Progress) -> None:
        """Stops the cluster; one that is not up is no error. Raises ClusterError."""

    @abstractmethod
    def wipe(self) -> None:
        """Forgets what a stopped cluster has stored; nothing to do for one that stores nothing of its own. Raises ClusterError."""

    @abstractmethod
    def status(self) -> ClusterStatus:
        """How the cluster is now. Never raises for a cluster that is down or broken: it says so."""

    @abstractmethod
    def load_images(self) -> None:
        """Makes the lab's images available on the nodes. Raises ClusterError."""

    @abstractmethod
    def audit_log(self, since: float = 0.0) -> Iterator[Object]:
        """The API server's audit events (audit.k8s.io/v1) written at or after `since` (seconds since the epoch), oldest first.

        Nothing where the cluster keeps none.
        """


def state_folder() -> Path:
    """Where the course keeps everything: `$AI_LAB_HOME`, else the user's state folder."""
    given = os.environ.get("AI_LAB_HOME")
    if given:
        return Path(given).expanduser().resolve()
    import platformdirs

    return Path(platformdirs.user_state_dir("ai-lab"))
