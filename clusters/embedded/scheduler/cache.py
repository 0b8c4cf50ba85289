"""What the scheduler knows of the cluster: informers' caches, plus the bindings it has decided on and not yet seen.

Out: a `Snapshot` for each cycle, the nominations, and calls to the queue when something changes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from typing import Any

from clusters.embedded.client import Object
from clusters.embedded.informer import InformerFactory
from clusters.embedded.scheduler.framework import Devices, NodeInfo, PodInfo, Snapshot, Storage, node_info, pod_info
from kubeobjects import meta, resourceclaims, selectors

# The resources whose changes may let a waiting Pod in, apart from Pods themselves.
_CLAIMS, _CLASSES, _SLICES = "resourceclaims.resource.k8s.io", "deviceclasses.resource.k8s.io", "resourceslices.resource.k8s.io"
WATCHED = (
    *("nodes", "namespaces", "persistentvolumeclaims", "persistentvolumes", "storageclasses.storage.k8s.io"),
    *(_CLAIMS, _CLASSES, _SLICES),
)
_SELECTING = ("services", "replicationcontrollers", "replicasets.apps", "statefulsets.apps")


def is_done(pod: Object) -> bool:
    return (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed")


class Cache:
    def __init__(self, informers: InformerFactory):
        self._informers = informers
        self.pods = informers("pods")
        self.nodes = informers("nodes")
        self.budgets = informers("poddisruptionbudgets.policy")
        for resource in (*WATCHED, *_SELECTING):
            informers(resource)
        self._infos: dict[str, PodInfo] = {}
        self._node_infos: dict[str, tuple[str, NodeInfo]] = {}
        # Pods by uid that have been given a node here, until the informer shows them on it.
        self._assumed: dict[str, tuple[str, Object]] = {}
        self._nominated: dict[str, tuple[str, Object]] = {}
        # Allocations by the claim's uid that were decided on here, until the informer shows them.
        self._allocating: dict[str, Object] = {}
        self.pods.on_change(self._forget_stale)
        informers(_CLAIMS).on_change(self._claim_changed)

    def _claim_changed(self, old: Object | None, new: Object | None) -> None:
        claim = new or old or {}
        if new is None or resourceclaims.allocation(claim) is not None:
            self._allocating.pop(claim["metadata"]["uid"], None)

    def assume_allocation(self, claim: Object, allocation: Object) -> None:
        self._allocating[claim["metadata"]["uid"]] = allocation

    def forget_allocation(self, claim: Object) -> None:
        self._allocating.pop(claim["metadata"]["uid"], None)

    def _forget_stale(self, old: Object | None, new: Object | None) -> None:
        uid = (new or old or {})["metadata"]["uid"]
        if new is None:
            for table in (self._infos, self._assumed, self._nominated):
                table.pop(uid, None)
            return
        self._infos.pop(uid, None)
        if new["spec"].get("nodeName"):
            self._assumed.pop(uid, None)
            self._nominated.pop(uid, None)
        elif node := (new.get("status") or {}).get("nominatedNodeName"):
            self._nominated[uid] = (node, new)
        elif old is not None and (old.get("status") or {}).get("nominatedNodeName"):
            self._nominated.pop(uid, None)

    def assume(self, pod: Object, node: str) -> None:
        self._assumed[pod["metadata"]["uid"]] = (node, pod)
        self._nominated.pop(pod["metadata"]["uid"], None)

    def forget(self, pod: Object) -> None:
        self._assumed.pop(pod["metadata"]["uid"], None)

    def nominate(self, pod: Object, node: str) -> None:
        self._nominated[pod["metadata"]["uid"]] = (node, pod)

    def unnominate(self, pod: Object) -> None:
        self._nominated.pop(pod["metadata"]["uid"], None)

    def is_assumed(self, pod: Object) -> bool:
        return pod["metadata"]["uid"] in self._assumed

    def info(self, pod: Object) -> PodInfo:
        uid = pod["metadata"]["uid"]
        found = self._infos.get(uid)
        if found is None or found.pod is not pod:
            found = self._infos[uid] = pod_info(pod)
        return found

    def nominated(self) -> dict[str, list[PodInfo]]:
        by_node: dict[str, list[PodInfo]] = defaultdict(list)
        for node, pod in self._nominated.values():
            by_node[node].append(self.info(pod))
        return by_node

    def _node(self, node: Object) -> NodeInfo:
        name, version = node["metadata"]["name"], node["metadata"]["resourceVersion"]
        known = self._node_infos.get(name)
        if known is None or known[0] != version:
            known = self._node_infos[name] = (version, node_info(node))
        return NodeInfo(node, known[1].allocatable)

    def snapshot(self) -> Snapshot:
        nodes = {
            each["metadata"]["name"]: self._node(each) for each in sorted(self.nodes.list(), key=lambda each: each["metadata"]["name"])
        }
        for pod in self.pods.list():
            name = pod["spec"].get("nodeName") or self._assumed.get(pod["metadata"]["uid"], ("", pod))[0]
            if name in nodes and not is_done(pod):
                nodes[name].pods.append(self.info(pod))
        classes, volumes, claims = (
            self._informers(resource) for resource in ("storageclasses.storage.k8s.io", "persistentvolumes", "persistentvolumeclaims")
        )
        return Snapshot(
            nodes,
            {each["metadata"]["name"]: each["metadata"].get("labels") or {} for each in self._informers("namespaces").list()},
            Storage(
                claims=lambda namespace, name: claims.get(name, namespace),
                volume=volumes.get,
                volumes=volumes.list,
                storage_class=classes.get,
            ),
            self.devices(),
            self._selecting,
        )

    def devices(self) -> Devices:
        claims, classes, slices = (self._informers(resource) for resource in (_CLAIMS, _CLASSES, _SLICES))
        return Devices(
            claim=lambda namespace, name: claims.get(name, namespace),
            device_class=classes.get,
            slices=slices.list,
            allocations=lambda: [*filter(None, map(resourceclaims.allocation, claims.list())), *self._allocating.values()],
            pending=self._allocating,
        )

    def _selecting(self, pod: Object) -> list[Callable[[dict[str, str]], bool]]:
        """Selectors of the Services and controllers that the Pod belongs to: what spreading looks at by default."""
        metadata: dict[str, Any] = pod["metadata"]
        labels = metadata.get("labels") or {}
        found = []
        for service in self._informers("services").list(metadata["namespace"]):
            matcher = selectors.from_map(service["spec"].get("selector"))
            if matcher(labels):
                found.append(matcher)
        owner = meta.controller_of(pod)
        for resource in _SELECTING[1:]:
            controller = self._informers(resource).get(owner["name"], metadata["namespace"]) if owner else None
            if owner and controller and controller["metadata"]["uid"] == owner["uid"]:
                selector = controller["spec"].get("selector")
                found.append(selectors.from_map(selector) if resource == "replicationcontrollers" else selectors.from_object(selector))
        return found
