"""The kind command: which version, which cluster, made from which configuration."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from clusters.base import ClusterError
from clusters.kind.commands import Commands, explain

CLUSTER = "ai-lab"
NODES = ("ai-lab-control-plane", "ai-lab-worker", "ai-lab-worker2", "ai-lab-worker3")
GPUS = {"ai-lab-worker2": 2, "ai-lab-worker3": 1}

# The node image is pinned to a minor version of Kubernetes: what learners read in events is of that minor.
DEFAULT_NODE_IMAGE = "kindest/node:v1.36.2"

# What a first start fetches, in bytes, about: the node image; Python's image and the packages of the lab's own images.
NODE_IMAGE_DOWNLOAD = 420 * 1024**2
LAB_IMAGES_DOWNLOAD = 70 * 1024**2

OLDEST_KIND = (0, 33)

_CREATE = 900.0
_QUICK = 60.0


def node_image() -> str:
    """The node image to use: AI_LAB_NODE_IMAGE, or the pinned one."""
    return os.environ.get("AI_LAB_NODE_IMAGE") or DEFAULT_NODE_IMAGE


# The kubelet refuses cgroup v1 from Kubernetes 1.35 on unless it is told otherwise, and older ones do not know this field.
_CGROUP_V1 = """kubeadmConfigPatches:
  - |
    kind: KubeletConfiguration
    failCgroupV1: false
"""


def configuration(state: Path, cgroup: int = 2) -> str:
    """The kind configuration for this machine: `ai-lab.yaml` with the node image and the state folder filled in, and cgroup v1 allowed where it is in use."""
    text = Path(__file__).with_name("ai-lab.yaml").read_text()
    # JSON strings are YAML strings, whatever characters a folder's name has.
    text = text.replace("NODE_IMAGE", json.dumps(node_image()))
    for name in ("audit-policy.yaml", "audit"):
        text = text.replace(f"hostPath: STATE/kind/{name}\n", f"hostPath: {json.dumps(str(state / 'kind' / name))}\n")
    return text + _CGROUP_V1 if cgroup == 1 else text


class Kind:
    """The `kind` command on the cluster called ai-lab, and on no other."""

    def __init__(self, commands: Commands):
        self.commands = commands

    def version(self) -> tuple[int, ...]:
        """kind's version as numbers. Raises ClusterError where kind is missing or older than the configuration needs."""
        ran = self.commands.run("kind", "version", timeout=_QUICK)
        if not ran.ok:
            raise explain(ran, "asking kind for its version")
        found = re.search(r"v(\d+)\.(\d+)(?:\.(\d+))?", ran.out)
        if not found:
            raise ClusterError(f"kind answers `{ran.out.strip()}` when asked for its version", next="install kind 0.33 or newer")
        numbers = tuple(int(part) for part in found.groups() if part is not None)
        if numbers[:2] < OLDEST_KIND:
            raise ClusterError(
                f"kind {found.group(0)} is too old: node images of Kubernetes 1.36 need 0.33 or newer",
                next="install kind 0.33 or newer (https://kind.sigs.k8s.io/docs/user/quick-start/#installation)",
            )
        return numbers

    def create(self, config: Path, kubeconfig: Path, on_line: Callable[[str], None] | None = None) -> None:
        """Creates the cluster; kind removes what it made when it fails on the way."""
        ran = self.commands.run(
            "kind",
            "create",
            "cluster",
            "--name",
            CLUSTER,
            "--config",
            str(config),
            "--kubeconfig",
            str(kubeconfig),
            timeout=_CREATE,
            on_line=on_line,
        )
        if not ran.ok:
            raise explain(ran, "creating the kind cluster")

    def export_kubeconfig(self, kubeconfig: Path) -> None:
        ran = self.commands.run("kind", "export", "kubeconfig", "--name", CLUSTER, "--kubeconfig", str(kubeconfig), timeout=_QUICK)
        if not ran.ok:
            raise explain(ran, "reading the cluster's kubeconfig")

    def load_archive(self, archive: Path, nodes: Sequence[str]) -> None:
        """Brings the images of an archive into these nodes, in kind's own way. Raises ClusterError."""
        ran = self.commands.run(
            "kind", "load", "image-archive", str(archive), "--name", CLUSTER, "--nodes", ",".join(nodes), timeout=_CREATE
        )
        if not ran.ok:
            raise explain(ran, "bringing the images into the nodes")

    def delete(self, kubeconfig: Path) -> None:
        """Deletes the cluster called ai-lab; one that is not there is no error."""
        ran = self.commands.run("kind", "delete", "cluster", "--name", CLUSTER, "--kubeconfig", str(kubeconfig), timeout=300.0)
        if not ran.ok:
            raise explain(ran, "deleting the kind cluster")
