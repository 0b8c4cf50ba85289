"""The device manager: device plugins on one side, the node's capacity and the Pods' containers on the other.

A plugin registers on `kubelet.sock`, its ListAndWatch tells of devices, and each admitted container that asks for them gets some through
Allocate. Decisions are in `device_state`, gRPC is in `device_plugin`.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clusters.embedded.kubelet import beneath
from clusters.embedded.kubelet.admission import Rejection
from clusters.embedded.kubelet.device_state import Allocation, AllocationError, DeviceState, Resource
from clusters.embedded.kubelet.layout import NodeFolder
from clusters.embedded.kubelet.node_services import DeviceOptions
from clusters.embedded.kubelet.runtime import Mount
from kubeobjects import Object, quantity

if TYPE_CHECKING:
    from clusters.embedded.kubelet.device_plugin import ClaimHoldings, PluginClient

log = logging.getLogger(__name__)


_CHECKPOINT = "kubelet_internal_checkpoint"
# A Pod that held devices before this kubelet started waits this long for their plugin to come back.
_RETURN_SECONDS = 30.0


class DeviceManager:
    """One for a node; `changed` is called when capacity, allocatable or a device's health is another.

    `claims` tells what containers have by ResourceClaims, for those who ask the node who holds what.
    """

    def __init__(self, folder: NodeFolder, changed: Callable[[], None], claims: ClaimHoldings):
        self._folder = folder
        self._changed = changed
        self._claims = claims
        self._state = DeviceState()
        self._clients: dict[str, PluginClient] = {}
        self._preferring: set[str] = set()
        self._pre_start: set[str] = set()
        self._returned: dict[str, asyncio.Event] = {}
        self._names: dict[str, tuple[str, str]] = {}
        self._lock = asyncio.Lock()
        self._tasks: asyncio.TaskGroup | None = None
        self._load()

    def counts(self) -> tuple[dict[str, int], dict[str, int]]:
        """(capacity, allocatable) of the node's devices by resource name."""
        return self._state.counts()

    # Plugins

    async def run(self) -> None:
        """Serves plugins until cancelled."""
        from clusters.embedded.kubelet import device_plugin

        for entry in self._folder.sockets.iterdir():
            if entry.is_socket():
                entry.unlink()
        pod_resources = self._folder.sockets / self._folder.pod_resources.name
        if pod_resources.is_symlink():
            pod_resources.unlink()
        pod_resources.mkdir(exist_ok=True)
        link = self._folder.pod_resources
        if not link.is_symlink() or link.readlink() != pod_resources:
            link.unlink(missing_ok=True)
            link.symlink_to(pod_resources)
        lister = device_plugin.PodResourcesServer(pod_resources / "kubelet.sock", self._holdings, self._claims)
        (pod_resources / "kubelet.sock").unlink(missing_ok=True)
        registration = device_plugin.RegistrationServer(self._folder.sockets / "kubelet.sock", self._registered)
        await lister.start()
        await registration.start()
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                await asyncio.get_running_loop().create_future()
        finally:
            for client in self._clients.values():
                client.close()
            await registration.stop()
            await lister.stop()

    def _registered(self, resource: str, endpoint: str, options: Any) -> None:
        from clusters.embedded.kubelet.device_plugin import PluginClient

        old = self._clients.pop(resource, None)
        if old is not None:
            old.close()
        client = PluginClient(self._folder.sockets / endpoint)
        self._clients[resource] = client
        self._preferring = self._preferring - {resource} | ({resource} if options.get_preferred_allocation_available else set())
        self._pre_start = self._pre_start - {resource} | ({resource} if options.pre_start_required else set())
        if self._tasks is not None:
            self._tasks.create_task(self._watch(resource, client), name=f"device plugin {resource}")

    async def _watch(self, resource: str, client: PluginClient) -> None:
        from clusters.embedded.kubelet.device_plugin import PluginError

        try:
            async for devices in client.list_and_watch():
                if self._clients.get(resource) is not client:
                    return
                self._state.resources[resource] = Resource(devices)
                self._returned.setdefault(resource, asyncio.Event()).set()
                self._save()
                self._changed()
        except PluginError as error:
            log.info("device plugin for %s: %s", resource, error)
        finally:
            client.close()
            if self._clients.get(resource) is client:
                del self._clients[resource]
                self._state.stop(resource)
                self._changed()

    # Pods

    async def allocate(self, pod: Object) -> None:
        """Gives the Pod's containers what their limits ask for. Raises Rejection: UnexpectedAdmissionError."""
        uid = pod["metadata"]["uid"]
        self._names[uid] = (pod["metadata"]["namespace"], pod["metadata"]["name"])
        await self._await_return(uid)
        async with self._lock:
            before = list(self._state.allocations)
            reusable: dict[str, set[str]] = {}
            try:
                for container in pod["spec"].get("initContainers") or []:
                    await self._allocate_container(uid, container, reusable)
                    if container.get("restartPolicy") != "Always":
                        for each in self._state.allocations:
                            if (each.pod_uid, each.container) == (uid, container["name"]):
                                reusable.setdefault(each.resource, set()).update(each.devices)
                for container in pod["spec"]["containers"]:
                    await self._allocate_container(uid, container, reusable)
            except AllocationError as error:
                self._state.allocations = [each for each in before if each.pod_uid != uid]
                raise Rejection("UnexpectedAdmissionError", f"Allocate failed due to {error}, which is unexpected") from None
            finally:
                self._save()

    async def _await_return(self, uid: str) -> None:
        held = {each.resource for each in self._state.allocations if each.pod_uid == uid}
        for resource in held:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_RETURN_SECONDS):
                    await self._returned.setdefault(resource, asyncio.Event()).wait()

    async def _allocate_container(self, uid: str, container: Object, reusable: dict[str, set[str]]) -> None:
        name = container["name"]
        for resource, amount in ((container.get("resources") or {}).get("limits") or {}).items():
            if not self._state.is_device(resource):
                continue
            needed = quantity.whole(amount)
            held = self._state.held(uid, name, resource)
            again = reusable.get(resource, set())
            free = self._state.available(resource, needed, held, again)
            if needed <= len(held):
                continue
            chosen = await self._choose(resource, free, sorted(again.intersection(free)), needed - len(held))
            self._state.allocations.append(Allocation(uid, name, resource, chosen, await self._ask(resource, chosen)))
            again.difference_update(chosen)

    async def _choose(self, resource: str, free: list[str], must_include: list[str], size: int) -> list[str]:
        from clusters.embedded.kubelet.device_plugin import PluginError

        client = self._clients.get(resource)
        must_include = must_include[:size]
        if client is not None and resource in self._preferring:
            try:
                preferred = [device for device in await client.preferred(free, must_include, size) if device in free]
            except PluginError as error:
                raise AllocationError(f"device plugin GetPreferredAllocation rpc failed with err: {error}") from None
            if len(preferred) == size:
                return sorted(preferred)
        rest = [device for device in free if device not in must_include]
        return sorted([*must_include, *rest][:size])

    async def _ask(self, resource: str, devices: list[str]) -> bytes:
        from clusters.embedded.kubelet.device_plugin import PluginError

        client = self._clients.get(resource)
        if client is None:
            raise AllocationError(f"unknown Device Plugin {resource}")
        try:
            return await client.allocate(devices)
        except PluginError as error:
            raise AllocationError(str(error)) from None

    async def pre_start(self, pod_uid: str, container: str) -> None:
        """Calls PreStartContainer where the plugin wants it. Raises AllocationError."""
        from clusters.embedded.kubelet.device_plugin import PluginError

        for each in self._state.allocations:
            client = self._clients.get(each.resource)
            if (each.pod_uid, each.container) == (pod_uid, container) and each.resource in self._pre_start and client is not None:
                try:
                    await client.pre_start(each.devices)
                except PluginError as error:
                    raise AllocationError(f"device plugin PreStartContainer rpc failed with err: {error}") from None

    def options(self, pod_uid: str, container: str) -> DeviceOptions:
        """What the plugins want the container to have; host paths are the node's."""
        env: dict[str, str] = {}
        mounts: list[Mount] = []
        for each in self._state.allocations:
            if (each.pod_uid, each.container) == (pod_uid, container):
                from clusters.embedded.kubelet.device_plugin import allocation

                own_env, own_mounts, _ = allocation(each.response)
                env |= own_env
                for inside, host, read_only in own_mounts:
                    mounts.append(Mount(inside, self._folder.host_path(host), read_only))
        return DeviceOptions(env, tuple(mounts))

    def in_use(self, pod_uid: str, container: str) -> dict[str, list[Object]]:
        found: dict[str, list[Object]] = {}
        for each in self._state.allocations:
            if (each.pod_uid, each.container) == (pod_uid, container):
                health = self._state.resources.get(each.resource, Resource()).healthy
                shown = [{"resourceID": device, "health": "Healthy" if health.get(device) else "Unhealthy"} for device in each.devices]
                found.setdefault(each.resource, []).extend(shown)
        return found

    def holders(self) -> set[str]:
        """UIDs of the Pods that hold devices."""
        return {each.pod_uid for each in self._state.allocations}

    def release(self, pod_uid: str) -> None:
        self._names.pop(pod_uid, None)
        if pod_uid in self.holders():
            self._state.allocations = [each for each in self._state.allocations if each.pod_uid != pod_uid]
            self._save()

    def keep_only(self, pod_uids: set[str]) -> None:
        """Forgets what Pods held that are gone since an earlier kubelet."""
        for uid in self.holders() - pod_uids:
            self.release(uid)

    def _holdings(self) -> Iterator[tuple[str, str, str, str, list[str]]]:
        for each in self._state.allocations:
            if each.pod_uid in self._names:
                namespace, name = self._names[each.pod_uid]
                yield namespace, name, each.container, each.resource, each.devices

    # Checkpoint

    def _checkpoint(self) -> Path:
        """Among the sockets, as on a real node, save where these lie in a folder that goes when the cluster stops."""
        sockets = self._folder.sockets
        return (sockets if sockets == self._folder.device_plugins else self._folder.kubelet) / _CHECKPOINT

    def _load(self) -> None:
        path = self._checkpoint()
        try:
            self._state.load(beneath.read(path))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s: %s; devices are allocated anew", path, error)

    def _save(self) -> None:
        path = self._checkpoint()
        try:
            # Plugins may write in this folder too.
            beneath.replace(path, self._state.dump())
        except OSError as error:
            # What is in memory counts as long as this kubelet runs; the next change writes all of it.
            log.warning("%s cannot be written: %s", path, error.strerror)
