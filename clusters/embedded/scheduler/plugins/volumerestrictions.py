"""VolumeRestrictions: a ReadWriteOncePod claim serves one Pod in the whole cluster."""

from __future__ import annotations

from clusters.embedded.scheduler.framework import Cycle, NodeInfo, Plugin, Status, pod_gone, unschedulable
from clusters.embedded.scheduler.plugins import volumes

NAME = "VolumeRestrictions"
REASON = "node has pod using PersistentVolumeClaim with the same name and ReadWriteOncePod access mode"


def pre_filter(cycle: Cycle) -> Status | set[str] | None:
    """Remembers the Pod's exclusive claims; a claim that is missing is VolumeBinding's to report."""
    found = set()
    for name, _ in volumes.claim_names(cycle.pod.pod):
        claim = cycle.snapshot.storage.claims(cycle.pod.namespace, name)
        if claim and "ReadWriteOncePod" in (claim["spec"].get("accessModes") or []):
            found.add(name)
    cycle.state[NAME] = found
    return None


def filter(cycle: Cycle, node: NodeInfo) -> Status | None:
    exclusive: set[str] = cycle.state[NAME]
    if not exclusive:
        return None
    for each in node.pods:
        if each.namespace == cycle.pod.namespace and exclusive & {name for name, _ in volumes.claim_names(each.pod)}:
            return unschedulable(REASON)
    return None


PLUGIN = Plugin(NAME, pre_filter=pre_filter, filter=filter, events={"pods": pod_gone, "persistentvolumeclaims": volumes.is_own_claim})
