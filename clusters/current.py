"""An existing cluster: a context of the learner's own kubeconfig, used only when it is named.

The context is copied into a kubeconfig of the lab's own, so that nothing that the learner does elsewhere changes what the lab acts on.
Nothing is created on the cluster by `up`: what it lacks for the labs is said, and making it is the learner's decision.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from clusters.base import Cluster, ClusterError, ClusterStatus, Progress
from clusters.kind.commands import Commands, explain, kubectl
from kubeobjects import Object

# The context to take over; without it, the kubeconfig's current one.
CONTEXT = "AI_LAB_CONTEXT"
_GPU = "nvidia.com/gpu"
# What the labs ask the API server for, and may not be allowed on a cluster that belongs to others: (verb, resource, where).
_NEEDED = (
    ("create", "pods", "ai-platform"),
    ("create", "deployments.apps", "ai-platform"),
    ("get", "events", "ai-platform"),
    ("create", "namespaces", ""),
    ("list", "nodes", ""),
    ("patch", "nodes", ""),
)


class CurrentCluster(Cluster):
    """The current context of KUBECONFIG (or ~/.kube/config), or the one that AI_LAB_CONTEXT names. With `keep`, the one taken over before."""

    name = "current"
    made_by_lab = False

    def __init__(self, state: Path, commands: Commands | None = None, keep: bool = False):
        self._folder = state / "current"
        self._commands = commands or Commands()
        self._keep = keep

    @property
    def kubeconfig(self) -> Path:
        return self._folder / "kubeconfig"

    def up(self, progress: Progress) -> None:
        """Copies the context, sees whether its cluster answers, and says what it lacks. Changes nothing on it. Raises ClusterError."""
        if not (self._keep and self.kubeconfig.exists()):
            with progress.step("Your own context"):
                progress.say(f"context {self._take_over()}")
        with progress.step("Its API server"):
            nodes = self._nodes()
        for line in self._lacks(nodes):
            progress.say(line)

    def _take_over(self) -> str:
        """Writes the lab's kubeconfig and returns the context's name."""
        named = os.environ.get(CONTEXT)
        asked = [f"--context={named}"] if named else []
        ran = kubectl(self._commands, None, "config", "view", "--minify", "--flatten", "--raw", "-o", "json", *asked)
        try:
            found: Object = json.loads(ran.out) if ran.ok else {}
        except ValueError:
            found = {}
        if not found.get("clusters"):
            raise ClusterError(
                f"there is no {'context ' + named if named else 'current context'} in your kubeconfig",
                next=f"kubectl config get-contexts lists them; {CONTEXT} names one",
            )
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self.kubeconfig.unlink(missing_ok=True)
            # It holds keys: nobody else may read it, not even for the moment until it is written.
            self.kubeconfig.touch(mode=0o600)
            self.kubeconfig.write_text(ran.out)
        except OSError as error:
            raise ClusterError(
                f"{self.kubeconfig} cannot be written: {error.strerror}", next="set AI_LAB_HOME to a folder of your own"
            ) from None
        return str(found.get("current-context", ""))

    def _nodes(self) -> list[Object]:
        ran = kubectl(self._commands, self.kubeconfig, "get", "nodes", "-o", "json", "--request-timeout=10s")
        if not ran.ok and "(Forbidden)" in ran.err:
            # A tenant of a shared cluster may not see its nodes, and can still take the labs that do not look at them.
            return []
        if not ran.ok:
            raise explain(ran, "asking the cluster of your context for its nodes")
        found: list[Object] = json.loads(ran.out)["items"]
        return found

    def _lacks(self, nodes: list[Object]) -> list[str]:
        """What the labs will miss on this cluster, a line each."""
        lines = []
        offering = [node["metadata"]["name"] for node in nodes if int(node["status"].get("allocatable", {}).get(_GPU, "0"))]
        if not offering:
            lines.append(f"no node of this cluster offers {_GPU}: labs on GPUs will not work here until a device plugin runs")
        elif not any(taint["key"] == _GPU for node in nodes for taint in node["spec"].get("taints", [])):
            lines.append(f"GPU nodes ({', '.join(offering)}) carry no {_GPU} taint: labs on taints will show less than they describe")
        refused = [f"{verb} {what}{f' in {where}' if where else ''}" for verb, what, where in _NEEDED if not self._may(verb, what, where)]
        if refused:
            lines.append(f"your user may not {', '.join(refused)}: ask the cluster's administrator, or take ai-lab up --cluster embedded")
        return lines

    def _may(self, verb: str, resource: str, namespace: str) -> bool:
        where = ["--namespace", namespace] if namespace else []
        return (
            kubectl(self._commands, self.kubeconfig, "auth", "can-i", verb, resource, *where, "--request-timeout=10s").out.strip() == "yes"
        )

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

    def audit_log(self, since: float = 0.0) -> Iterator[Object]:
        """Nothing: the audit log of a cluster that is not the lab's own is not the lab's to read."""
        return iter(())
