"""An existing cluster: a context of the learner's own kubeconfig, used only when it is named.

The context is copied into a kubeconfig of the lab's own, so that nothing that the learner does elsewhere changes what the lab acts on.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from clusters.base import Cluster, ClusterError, ClusterStatus, Progress
from clusters.kind.commands import Commands, explain, kubectl

Object = dict[str, Any]


class CurrentCluster(Cluster):
    """The current context of KUBECONFIG (or ~/.kube/config), or the one that AI_LAB_CONTEXT names."""

    name = "current"

    def __init__(self, state: Path, commands: Commands | None = None):
        self._folder = state / "current"
        self._commands = commands or Commands()

    @property
    def kubeconfig(self) -> Path:
        return self._folder / "kubeconfig"

    def up(self, progress: Progress) -> None:
        """Copies the context and sees whether its cluster answers and has GPUs. Changes nothing on it. Raises ClusterError."""
        with progress.step("Your own context"):
            named = os.environ.get("AI_LAB_CONTEXT")
            ran = kubectl(
                self._commands, None, "config", "view", "--minify", "--flatten", "--raw", *([f"--context={named}"] if named else [])
            )
            if not ran.ok or not ran.out.strip():
                raise ClusterError(
                    f"there is no {'context ' + named if named else 'current context'} in your kubeconfig",
                    next="kubectl config get-contexts lists them; AI_LAB_CONTEXT names one",
                )
            self._folder.mkdir(parents=True, exist_ok=True)
            self.kubeconfig.touch(mode=0o600)
            self.kubeconfig.write_text(ran.out)
        with progress.step("Its API server"):
            nodes = self._nodes()
        if not any(int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", "0")) for node in nodes):
            progress.say("no node of this cluster offers nvidia.com/gpu: labs on GPUs will not work here until a device plugin runs")

    def _nodes(self) -> list[Object]:
        ran = kubectl(self._commands, self.kubeconfig, "get", "nodes", "-o", "json", "--request-timeout=10s")
        if not ran.ok:
            raise explain(ran, "asking the cluster of your context for its nodes")
        found: list[Object] = json.loads(ran.out)["items"]
        return found

    def down(self, progress: Progress) -> None:
        """Forgets the copied context. The cluster itself is not touched."""
        self.kubeconfig.unlink(missing_ok=True)

    def wipe(self) -> None:
        """Nothing to do: the lab stores nothing of this cluster."""

    def status(self) -> ClusterStatus:
        if not self.kubeconfig.exists():
            return ClusterStatus(cluster=self.name, state="absent", detail="no context was taken over yet; ai-lab up --cluster current")
        try:
            return ClusterStatus(cluster=self.name, state="ready", kubeconfig=str(self.kubeconfig), nodes=self._nodes())
        except ClusterError as problem:
            return ClusterStatus(cluster=self.name, state="unknown", detail=problem.what, kubeconfig=str(self.kubeconfig))

    def load_images(self) -> None:
        """Nothing that the lab may do: images come from the registry that the cluster's nodes pull from."""

    def audit_log(self) -> Iterator[Object]:
        """Nothing: the audit log of a cluster that is not the lab's own is not the lab's to read."""
        return iter(())
