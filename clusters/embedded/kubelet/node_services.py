"""What the workers of one node share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

from clusters.embedded.client import Client
from clusters.embedded.informer import InformerFactory
from clusters.embedded.kubelet.backoff import Backoff
from clusters.embedded.kubelet.event_sink import EventSink
from clusters.embedded.kubelet.image_manager import ImageManager
from clusters.embedded.kubelet.layout import NodeFolder
from clusters.embedded.kubelet.memory import MemoryManager
from clusters.embedded.kubelet.node_spec import NodeSpec
from clusters.embedded.kubelet.runtime import Launcher, Mount
from clusters.embedded.network import Network
from kubeobjects import Object


@dataclass(frozen=True)
class DeviceOptions:
    """What device plugins, or the drivers of its claims, want a container to have."""

    env: Mapping[str, str] = field(default_factory=dict)
    mounts: tuple[Mount, ...] = ()


class Devices(Protocol):
    """The device manager as a Pod's worker uses it."""

    async def allocate(self, pod: Object) -> None:
        """Sets devices aside for all containers of the Pod. Raises `admission.Rejection`."""
        ...

    async def pre_start(self, pod_uid: str, container: str) -> None:
        """Raises device_state.AllocationError."""
        ...

    def options(self, pod_uid: str, container: str) -> DeviceOptions: ...

    def in_use(self, pod_uid: str, container: str) -> dict[str, list[Object]]:
        """Resource name → `resourceID` and `health` (Healthy or Unhealthy) of each device that the container holds."""
        ...

    def release(self, pod_uid: str) -> None: ...


class Claims(Protocol):
    """The DRA manager as a Pod's worker uses it."""

    async def prepare(self, pod: Object) -> None:
        """Has the Pod's ResourceClaims prepared. Raises dra_state.DraError."""
        ...

    async def unprepare(self, pod: Object) -> None:
        """Raises dra_state.DraError."""
        ...

    def options(self, pod: Object, container: Object) -> DeviceOptions:
        """Raises device_state.AllocationError."""
        ...

    def in_use(self, pod: Object, container: Object) -> dict[str, list[Object]]:
        """`claim:<claim>` → `resourceID` and `health` of each device that the container may use."""
        ...


@dataclass
class NodeServices:
    """One for a node, handed to each Pod's worker. `allocatable` is the node's, as it is now; `cluster` is what its processes are marked with."""

    node: NodeSpec
    cluster: str
    client: Client
    informers: InformerFactory
    network: Network
    folder: NodeFolder
    launcher: Launcher
    images: ImageManager
    memory: MemoryManager
    devices: Devices
    claims: Claims
    events: EventSink
    restarts: Backoff
    allocatable: dict[str, str]

    def config_map(self, namespace: str, name: str) -> Object | None:
        return self.informers("configmaps").get(name, namespace)

    def secret(self, namespace: str, name: str) -> Object | None:
        return self.informers("secrets").get(name, namespace)

    def services(self) -> list[Object]:
        return self.informers("services").list()
