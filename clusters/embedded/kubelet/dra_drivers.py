"""The DRA drivers of one node: who is registered and connected, and what becomes of the devices of one that is gone (pkg/kubelet/cm/dra/plugin).

`plugin_manager` finds them; `dra_manager` calls them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from clusters.embedded.client import Client
from clusters.embedded.errors import ApiError
from clusters.embedded.kubelet.dra_state import ClaimCache, DraError
from clusters.embedded.kubelet.layout import NodeFolder
from clusters.embedded.kubelet.plugin_manager import PluginRefused
from kubeobjects import Object

if TYPE_CHECKING:
    from clusters.embedded.kubelet.dra_plugin import DraPlugin

log = logging.getLogger(__name__)

PLUGIN_TYPE = "DRAPlugin"
_SLICES = "resourceslices.resource.k8s.io"
# A driver that is gone for so long has its ResourceSlices deleted (defaultWipingDelay).
WIPE_SECONDS = 30.0
_RECONNECT_SECONDS = 1.0
_HEALTH_RETRY_SECONDS = 5.0
_WIPE_RETRY_SECONDS = 5.0


class DraDrivers:
    """Implements `plugin_manager.PluginHandler`; what drivers say of their devices' health goes into `cache`.

    `look_again(uids)` is called for Pods whose next step may be another: all of them for None.
    """

    def __init__(self, client: Client, node: str, folder: NodeFolder, cache: ClaimCache, look_again: Callable[[set[str] | None], None]):
        self._client = client
        self._node = node
        self._folder = folder
        self._cache = cache
        self._look_again = look_again
        self._plugins: dict[str, list[DraPlugin]] = {}
        self._watching: dict[DraPlugin, asyncio.Task[None]] = {}
        self._wiping: dict[str, asyncio.TimerHandle] = {}
        self._tasks: asyncio.TaskGroup | None = None

    async def run(self) -> None:
        """Until cancelled. What this node offered before is not offered until its drivers are back."""
        await self._wipe("")
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                for plugins in self._plugins.values():
                    for plugin in plugins:
                        self._follow(plugin)
                await asyncio.get_running_loop().create_future()
        finally:
            self._tasks = None
            for timer in self._wiping.values():
                timer.cancel()
            for plugin in [each for plugins in self._plugins.values() for each in plugins]:
                plugin.close()

    def get(self, driver: str) -> DraPlugin:
        """The plugin that registered last, of those that are connected if there are some. Raises DraError."""
        if not driver:
            raise DraError("DRA driver name is empty")
        known = self._plugins.get(driver) or []
        if not known:
            raise DraError(f"DRA driver {driver} is not registered")
        return [*known, *(each for each in known if each.connected)][-1]

    # Registration

    def validate(self, name: str, endpoint: str, versions: Sequence[str]) -> None:
        self._service(name, endpoint, versions)

    def register(self, name: str, endpoint: str, versions: Sequence[str]) -> None:
        from clusters.embedded.kubelet.dra_plugin import HEALTH_SERVICE, DraPlugin

        service = self._service(name, endpoint, versions)
        known = self._plugins.setdefault(name, [])
        if any(each.endpoint == endpoint for each in known):
            raise PluginRefused(f"endpoint {endpoint} already registered for DRA driver plugin {name}")
        plugin = DraPlugin(name, endpoint, self._folder.host_path(endpoint), service, tells_health=HEALTH_SERVICE in versions)
        known.append(plugin)
        self._follow(plugin)
        log.info("DRA driver %s registered at %s", name, endpoint)
        # The real kubelet looks at a waiting Pod again after a minute or more; nothing is learned from that minute.
        self._look_again(None)

    def deregister(self, name: str, endpoint: str) -> None:
        for plugin in [each for each in self._plugins.get(name, []) if each.endpoint == endpoint]:
            self._plugins[name].remove(plugin)
            watching = self._watching.pop(plugin, None)
            if watching is not None:
                watching.cancel()
            plugin.connected = False
            plugin.close()
            log.info("DRA driver %s is not registered any more at %s", name, endpoint)
        self._sync(name)

    def _service(self, name: str, endpoint: str, versions: Sequence[str]) -> str:
        """The newest of the services that both sides have. Raises PluginRefused."""
        from clusters.embedded.kubelet.dra_plugin import SERVICES

        where = f"invalid supported gRPC versions of DRA driver plugin {name} at endpoint {endpoint}"
        if not versions:
            raise PluginRefused(f"{where}: empty list of supported gRPC services (aka supported versions)")
        for version in versions:
            if version in SERVICES:
                return version
        theirs, ours = (" ".join(f'"{each}"' for each in names) for names in (versions, SERVICES))
        raise PluginRefused(f"{where}: none of services supported by the plugin ([{theirs}]) are supported by the kubelet ([{ours}])")

    # Connections and health

    def _follow(self, plugin: DraPlugin) -> None:
        if self._tasks is not None and plugin not in self._watching:
            self._watching[plugin] = self._tasks.create_task(self._watch(plugin), name=f"DRA driver {plugin.driver}")

    async def _watch(self, plugin: DraPlugin) -> None:
        """Keeps connected to the plugin until it is deregistered."""
        while True:
            try:
                await plugin.connect()
            except OSError:
                self._sync(plugin.driver)
                await asyncio.sleep(_RECONNECT_SECONDS)
                continue
            plugin.connected = True
            self._sync(plugin.driver)
            telling = asyncio.create_task(self._follow_health(plugin)) if plugin.tells_health else None
            try:
                await plugin.until_lost()
            finally:
                plugin.connected = False
                if telling is not None:
                    telling.cancel()
                    self._look_again(self._cache.forget(plugin.driver))
            self._sync(plugin.driver)

    async def _follow_health(self, plugin: DraPlugin) -> None:
        from clusters.embedded.kubelet.grpc_unix import PluginError

        while True:
            try:
                async for devices in plugin.watch_health():
                    if changed := self._cache.report(plugin.driver, devices):
                        self._look_again(changed)
            except PluginError as error:
                log.info("health of the devices of DRA driver %s: %s", plugin.driver, error)
            self._look_again(self._cache.forget(plugin.driver))
            await asyncio.sleep(_HEALTH_RETRY_SECONDS)

    # ResourceSlices

    def _sync(self, driver: str) -> None:
        """Sees to it that a driver's ResourceSlices go when it stays away, and stay when it comes back in time."""
        if any(each.connected for each in self._plugins.get(driver, [])):
            if timer := self._wiping.pop(driver, None):
                timer.cancel()
        elif driver not in self._wiping and self._tasks is not None:
            self._wiping[driver] = asyncio.get_running_loop().call_later(WIPE_SECONDS, self._wipe_now, driver)

    def _wipe_now(self, driver: str) -> None:
        self._wiping.pop(driver, None)
        if self._tasks is not None:
            self._tasks.create_task(self._wipe(driver), name=f"ResourceSlices of {driver}")

    async def _wipe(self, driver: str) -> None:
        """Deletes this node's ResourceSlices of a driver, of all drivers for an empty name."""
        selector = f"spec.nodeName={self._node}" + (f",spec.driver={driver}" if driver else "")
        while True:
            try:
                for each in (await self._client.list(_SLICES, field_selector=selector)).items:
                    await self._delete_slice(each)
                return
            except ApiError as error:
                log.info("ResourceSlices of %s are not deleted yet: %s", driver or "all drivers", error.message)
            await asyncio.sleep(_WIPE_RETRY_SECONDS)

    async def _delete_slice(self, found: Object) -> None:
        try:
            await self._client.delete(_SLICES, found["metadata"]["name"], uid=found["metadata"]["uid"])
        except ApiError as error:
            if error.code not in (404, 409):
                raise
