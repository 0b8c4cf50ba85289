"""VolumeZone: a volume that carries zone labels is used in its own zone."""

from __future__ import annotations

from clusters.embedded.scheduler.framework import Cycle, NodeInfo, Plugin, Status, always, node_labels, unresolvable
from clusters.embedded.scheduler.plugins import volumes

REASON = "node(s) had no available volume zone"
_TOPOLOGY = (
    "topology.kubernetes.io/zone",
    "topology.kubernetes.io/region",
    "failure-domain.beta.kubernetes.io/zone",
    "failure-domain.beta.kubernetes.io/region",
)


def filter(cycle: Cycle, node: NodeInfo) -> Status | None:
    for name, _ in volumes.claim_names(cycle.pod.pod):
        claim = cycle.snapshot.storage.claims(cycle.pod.namespace, name)
        volume = cycle.snapshot.storage.volume(claim["spec"].get("volumeName") or "") if claim else None
        labels = (volume["metadata"].get("labels") or {}) if volume else {}
        for key in _TOPOLOGY:
            # A node without any zone is in no zone that could be wrong.
            if key in labels and key in node.labels and node.labels[key] not in labels[key].split("__"):
                return unresolvable(REASON)
    return None


PLUGIN = Plugin(
    "VolumeZone", filter=filter, events={"nodes": node_labels, "persistentvolumeclaims": volumes.is_own_claim, "persistentvolumes": always}
)
