"""Registers the Node, keeps its status and its Lease alive.

The status is written when something in it changes (a device plugin's devices) and every five minutes otherwise; the Lease every ten
seconds: it is what tells the node controller that the node lives.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import platform
import shutil
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import psutil

from clusters.embedded.client import Client
from clusters.embedded.errors import ApiError
from clusters.embedded.images import Catalogue
from clusters.embedded.kubelet import node_status
from clusters.embedded.kubelet.event_sink import EventSink
from clusters.embedded.kubelet.layout import NodeFolder
from clusters.embedded.kubelet.node_spec import NodeSpec
from kubeobjects import Object, meta

log = logging.getLogger(__name__)


_LEASE_SECONDS = 40
_RENEW_SECONDS = 10.0
_REPORT_SECONDS = 300.0
# Fields of the status that change at every look.
_HEARTBEAT = "lastHeartbeatTime"


def measure(folder: NodeFolder) -> node_status.Machine:
    """What this machine has."""
    return node_status.Machine(
        cpus=psutil.cpu_count() or 1,
        memory=psutil.virtual_memory().total,
        disk=shutil.disk_usage(folder.root).total,
        kernel=platform.release(),
        os_image=node_status.os_image(),
        architecture=node_status.architecture(),
        boot_id=_boot_id(),
    )


def _boot_id() -> str:
    """A UUID that changes when the machine is started anew."""
    with contextlib.suppress(OSError):
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    return str(uuid.UUID(node_status.identifier("boot", str(int(psutil.boot_time())))))


class NodeRegistration:
    """`devices()` gives (capacity, allocatable) of extended resources, name to count; `allocatable` is filled for the Pods' workers."""

    def __init__(
        self,
        client: Client,
        spec: NodeSpec,
        folder: NodeFolder,
        images: Catalogue,
        events: EventSink,
        devices: Callable[[], tuple[dict[str, int], dict[str, int]]],
        allocatable: dict[str, str],
    ):
        self._client = client
        self._spec = spec
        self._images = images
        self._events = events
        self._devices = devices
        self._allocatable = allocatable
        self._machine = measure(folder)
        self._changed = asyncio.Event()
        self._reported = 0.0

    def changed(self) -> None:
        """Devices have changed: the status is to be written now."""
        self._changed.set()

    def reference(self) -> Object:
        """The Node as events of the kubelet refer to it: its UID is its name."""
        return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self._spec.name, "uid": self._spec.name}}

    async def register(self) -> None:
        """Creates the Node, or finds the one of an earlier kubelet; writes a first, complete status."""
        body = node_status.node(self._spec, self._machine.architecture)
        try:
            await self._client.create("nodes", body)
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            await self._reconcile_labels()
        self._emit("Starting", "Starting kubelet.")
        await self.report()
        await self._renew()
        for condition in node_status.conditions([], meta.now()):
            state = {
                "MemoryPressure": "NodeHasSufficientMemory",
                "DiskPressure": "NodeHasNoDiskPressure",
                "PIDPressure": "NodeHasSufficientPID",
            }
            if condition["type"] in state:
                self._emit(state[condition["type"]], f"Node {self._spec.name} status is now: {state[condition['type']]}")
        self._emit("NodeAllocatableEnforced", "Updated Node Allocatable limit across pods")
        self._emit("NodeReady", f"Node {self._spec.name} status is now: NodeReady")

    async def _reconcile_labels(self) -> None:
        """Labels that the kubelet itself sets are put right; what others added stays."""
        wanted = node_status.labels(self._spec, self._machine.architecture)
        own = {name: value for name, value in wanted.items() if name.partition("/")[0].endswith("kubernetes.io")}
        node = await self._client.get("nodes", self._spec.name)
        if own.items() - (node["metadata"].get("labels") or {}).items():
            await self._client.patch("nodes", self._spec.name, {"metadata": {"labels": own}})

    def _emit(self, reason: str, message: str) -> None:
        self._events.emit(self.reference(), "Normal", reason, message)

    async def report(self) -> None:
        """Writes the status if it differs, or if it was not written for five minutes."""
        while True:
            node = await self._client.get("nodes", self._spec.name)
            capacity, allocatable = self._devices()
            old = node.get("status") or {}
            fresh = node_status.status(
                self._spec,
                self._machine,
                old=old,
                images=self._images.images(),
                device_capacity=capacity,
                device_allocatable=allocatable,
                now=meta.now(),
            )
            self._allocatable.clear()
            self._allocatable.update(fresh["allocatable"])
            if _without_heartbeat(fresh) == _without_heartbeat(old) and time.monotonic() - self._reported < _REPORT_SECONDS:
                return
            try:
                await self._client.update("nodes", node | {"status": fresh}, subresource="status")
                self._reported = time.monotonic()
                return
            except ApiError as error:
                if error.reason != "Conflict":
                    raise

    async def _renew(self) -> None:
        spec = {"holderIdentity": self._spec.name, "leaseDurationSeconds": _LEASE_SECONDS, "renewTime": meta.micro_now()}
        leases, namespace, name = "leases.coordination.k8s.io", "kube-node-lease", self._spec.name
        try:
            await self._client.patch(leases, name, {"spec": spec}, namespace)
        except ApiError as error:
            if error.code != 404:
                raise
            try:
                await self._client.create(leases, await self._lease(spec), namespace)
            except ApiError as refused:
                # The namespace is made by the API server's bootstrap; the next renewal finds it.
                log.info("lease of %s: %s", name, refused.message)

    async def _lease(self, spec: Object) -> Object:
        node = await self._client.get("nodes", self._spec.name)
        owner = {"apiVersion": "v1", "kind": "Node", "name": self._spec.name, "uid": node["metadata"]["uid"]}
        return {
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": {"name": self._spec.name, "namespace": "kube-node-lease", "ownerReferences": [owner]},
            "spec": spec,
        }

    async def run(self) -> None:
        """Heartbeats for ever. A Node that somebody deleted stays deleted: a kubelet registers when it starts, and not again."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RENEW_SECONDS):
                    await self._changed.wait()
            self._changed.clear()
            try:
                await self._renew()
                await self.report()
            except ApiError as error:
                log.warning("node %s: %s", self._spec.name, error.message)


def _without_heartbeat(status: Object) -> Object:
    conditions = [{name: value for name, value in each.items() if name != _HEARTBEAT} for each in status.get("conditions") or []]
    return status | {"conditions": conditions}
