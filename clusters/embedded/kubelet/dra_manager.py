"""ResourceClaims on the node: prepared by their drivers before a Pod's containers start, unprepared after they ended (pkg/kubelet/cm/dra).

Drivers are in `dra_drivers`, what is prepared is in `dra_state`, gRPC is in `dra_plugin`, what a container gets in `cdi`.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterator

from clusters.embedded.client import Client
from clusters.embedded.kubelet import beneath, dra_claims, dra_state
from clusters.embedded.kubelet.device_state import AllocationError
from clusters.embedded.kubelet.dra_drivers import DraDrivers
from clusters.embedded.kubelet.dra_state import ClaimCache, ClaimInfo, Device, DraError
from clusters.embedded.kubelet.layout import NodeFolder
from clusters.embedded.kubelet.node_services import DeviceOptions
from kubeobjects import Object

log = logging.getLogger(__name__)

_STATE = "dra_manager_state"
_RECONCILE_SECONDS = 60.0


class DraManager:
    """One for a node. `look_again(uids)` is called for Pods whose next step may be another: all of them for None.

    `living()` are the Pods that this kubelet still has to do with, by UID.
    """

    def __init__(
        self,
        client: Client,
        node: str,
        folder: NodeFolder,
        look_again: Callable[[set[str] | None], None],
        living: Callable[[], dict[str, Object]],
    ):
        self._client = client
        self._folder = folder
        self._living = living
        self._cache = ClaimCache()
        self.drivers = DraDrivers(client, node, folder, self._cache, look_again)
        self._load()

    async def run(self) -> None:
        """Until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.drivers.run())
            while True:
                await self._reconcile()
                await asyncio.sleep(_RECONCILE_SECONDS)

    async def _reconcile(self) -> None:
        """Unprepares what Pods held that are gone since an earlier kubelet."""
        gone: dict[tuple[str, str], list[str]] = {}
        living = self._living()
        for info in self._cache.claims.values():
            for uid in info.pods.difference(living):
                gone.setdefault((uid, info.namespace), []).append(info.name)
        for (uid, namespace), names in gone.items():
            try:
                await self._unprepare(uid, namespace, names)
            except DraError as error:
                log.info("claims of the former pod %s: %s", uid, error)

    # Pods (node_services.Claims)

    async def prepare(self, pod: Object) -> None:
        """Raises DraError with what the Pod's event says."""
        if not dra_state.pod_claims(pod):
            return
        try:
            await self._prepare(pod)
        except DraError as error:
            raise DraError(f"prepare dynamic resources: {error}") from None

    async def _prepare(self, pod: Object) -> None:
        # Nothing is noted before all claims and drivers were looked at: a Pod that fails here leaves nothing to unprepare.
        wanted: list[ClaimInfo] = []
        for claim in await dra_claims.of_pod(self._client, pod):
            try:
                info = dra_state.from_claim(claim)
            except DraError as error:
                raise DraError(f"ResourceClaim {claim['metadata']['name']}: {error}") from None
            for driver in info.drivers:
                self.drivers.get(driver)
            wanted.append(info)
        missing: list[ClaimInfo] = []
        for info in wanted:
            known = self._cache.get(info.namespace, info.name)
            if known is None:
                known = info
                self._cache.add(known)
            elif known.uid != info.uid:
                raise DraError(
                    f"old ResourceClaim with same name {info.name} and different UID {known.uid} still exists (previous pod force-deleted?!)"
                )
            known.pods.add(pod["metadata"]["uid"])
            self._save()
            if not known.prepared:
                missing.append(known)
        for driver in dict.fromkeys(driver for info in missing for driver in info.drivers):
            batch = [info for info in missing if driver in info.drivers]
            devices = await self.drivers.get(driver).prepare(batch)
            for info in batch:
                info.drivers[driver] = devices[info.uid]
        for info in missing:
            info.prepared = True
        self._save()

    async def unprepare(self, pod: Object) -> None:
        """After the Pod's containers have ended. Raises DraError where a driver has to be asked again."""
        metadata = pod["metadata"]
        held = [info.name for info in self._cache.claims.values() if metadata["uid"] in info.pods]
        try:
            await self._unprepare(metadata["uid"], metadata["namespace"], held)
        except DraError as error:
            raise DraError(f"unprepare dynamic resources: {error}") from None

    async def _unprepare(self, uid: str, namespace: str, names: list[str]) -> None:
        over: list[ClaimInfo] = []
        for name in names:
            info = self._cache.get(namespace, name)
            if info is None or uid not in info.pods:
                continue
            if len(info.pods) > 1:
                info.pods.discard(uid)
            else:
                over.append(info)
        for driver in dict.fromkeys(driver for info in over for driver in info.drivers):
            await self.drivers.get(driver).unprepare([info for info in over if driver in info.drivers])
        for info in over:
            self._cache.remove(info)
        if names:
            self._save()

    def options(self, pod: Object, container: Object) -> DeviceOptions:
        """What the container's claims add to it. Raises AllocationError with what its CreateContainerError says."""
        names = [name for _, _, _, device in self._devices(pod, container) for name in device.cdi]
        if not names:
            return DeviceOptions()
        from clusters.embedded.kubelet import cdi

        try:
            made = cdi.edits(names, self._folder.host_path)
        except (cdi.CdiError, OSError) as error:
            raise AllocationError(f"failed to create containerd container: {error}") from None
        return DeviceOptions(made.env, tuple(made.mounts))

    def in_use(self, pod: Object, container: Object) -> dict[str, list[Object]]:
        """`claim:<claim>` or `claim:<claim>/<request>` → the health of each device, as the container's status shows them."""
        shown: dict[str, list[Object]] = {}
        for claim, request, driver, device in self._devices(pod, container):
            if not claim:
                continue
            own = shown.setdefault(f"claim:{claim}/{request}" if request else f"claim:{claim}", [])
            health = self._cache.health(driver, device)
            if all(each["resourceID"] != health["resourceID"] for each in own):
                own.append(health)
        return shown

    def holdings(self) -> Iterator[tuple[str, str, str, str, list[tuple[str, Device]]]]:
        """(namespace, Pod, container, the claim's name, [(driver, device)]) of what is prepared for the node's containers."""
        for pod in self._living().values() if self._cache.claims else ():
            metadata = pod["metadata"]
            for container in (*(pod["spec"].get("initContainers") or ()), *pod["spec"]["containers"]):
                for _, name, request in dra_claims.of_container(pod, container):
                    info = self._cache.get(metadata["namespace"], name)
                    if info is not None and metadata["uid"] in info.pods:
                        devices = [(driver, each) for driver, own in info.drivers.items() for each in own if each.serves(request)]
                        yield metadata["namespace"], metadata["name"], container["name"], name, devices

    def _devices(self, pod: Object, container: Object) -> list[tuple[str, str, str, Device]]:
        """(the Pod's name of the claim, request, driver, device) of all that the container may use."""
        found: list[tuple[str, str, str, Device]] = []
        for own, name, request in dra_claims.of_container(pod, container):
            info = self._cache.get(pod["metadata"]["namespace"], name)
            if info is None:
                continue
            for driver, devices in info.drivers.items():
                found += [(own, request, driver, device) for device in devices if device.serves(request)]
        return found

    # Checkpoint

    def _load(self) -> None:
        path = self._folder.kubelet / _STATE
        try:
            self._cache.load(beneath.read(path))
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s: %s; what was prepared before is not unprepared", path, error)

    def _save(self) -> None:
        try:
            beneath.replace(self._folder.kubelet / _STATE, self._cache.dump())
        except OSError as error:
            raise DraError(f"checkpoint ResourceClaim state: {error.strerror}") from None
