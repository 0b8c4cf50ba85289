"""Plugins that register by a socket in `/var/lib/kubelet/plugins_registry` (pkg/kubelet/pluginmanager).

Each socket there is asked what it is, and its plugin handed to the handler of that type; when the socket is gone, so is the plugin.
"""

from __future__ import annotations

import asyncio
import logging
import os
import stat
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

log = logging.getLogger(__name__)

# There is no portable way to be told of a change in a folder; one stat costs microseconds.
_LOOK_SECONDS = 0.5
# goroutinemap's exponential back-off.
_RETRY_FIRST, _RETRY_LAST = 0.5, 122.0

Identity = tuple[int, int, int]


class PluginRefused(Exception):
    """Why the kubelet does not take a plugin; the plugin is told."""


class PluginHandler(Protocol):
    """What takes the plugins of one type (cache.PluginHandler)."""

    def validate(self, name: str, endpoint: str, versions: Sequence[str]) -> None:
        """Raises PluginRefused."""
        ...

    def register(self, name: str, endpoint: str, versions: Sequence[str]) -> None:
        """Raises PluginRefused."""
        ...

    def deregister(self, name: str, endpoint: str) -> None: ...


@dataclass(frozen=True)
class _Registered:
    identity: Identity
    handler: PluginHandler
    name: str
    endpoint: str


@dataclass
class _Failed:
    identity: Identity
    due: float
    wait: float
    why: str


def _identity(path: Path) -> Identity | None:
    """What tells one socket from the next of the same name; inode numbers are used again, so the time counts too. None: no socket."""
    try:
        found = path.stat()
    except OSError:
        return None
    return (found.st_dev, found.st_ino, found.st_ctime_ns) if stat.S_ISSOCK(found.st_mode) else None


class PluginManager:
    """`folder` is the registry's real place on this machine, `shown` its path on the node; `handlers` are by type."""

    def __init__(self, folder: Path, shown: str, handlers: Mapping[str, PluginHandler]):
        self._folder = folder
        self._shown = shown
        self._handlers = handlers
        self._registered: dict[str, _Registered] = {}
        self._failed: dict[str, _Failed] = {}

    async def run(self) -> None:
        """Until cancelled."""
        seen = -1
        try:
            while True:
                changed = self._changed()
                if changed != seen or any(each.due <= _now() for each in self._failed.values()):
                    seen = changed
                    await self._reconcile()
                await asyncio.sleep(_LOOK_SECONDS)
        finally:
            for name in list(self._registered):
                self._deregister(name)

    def _changed(self) -> int:
        try:
            return os.stat(self._folder).st_mtime_ns
        except OSError:
            return 0

    async def _reconcile(self) -> None:
        try:
            names = sorted(name for name in os.listdir(self._folder) if not name.startswith("."))
        except OSError:
            names = []
        found = {name: identity for name in names if (identity := _identity(self._folder / name))}
        for name, known in list(self._registered.items()):
            if found.get(name) != known.identity:
                self._deregister(name)
        self._failed = {name: each for name, each in self._failed.items() if found.get(name) == each.identity}
        for name, identity in found.items():
            failed = self._failed.get(name)
            if name not in self._registered and (failed is None or failed.due <= _now()):
                await self._try(name, identity, failed)

    async def _try(self, name: str, identity: Identity, before: _Failed | None) -> None:
        try:
            await self._register(name, identity)
            self._failed.pop(name, None)
        except PluginRefused as refused:
            if before is None or before.why != str(refused):
                log.warning("%s", refused)
            wait = min(before.wait * 2, _RETRY_LAST) if before else _RETRY_FIRST
            self._failed[name] = _Failed(identity, _now() + wait, wait, str(refused))

    async def _register(self, name: str, identity: Identity) -> None:
        """Raises PluginRefused."""
        from clusters.embedded.kubelet.dra_plugin import RegistrationClient
        from clusters.embedded.kubelet.grpc_unix import PluginError

        path = f"{self._shown}/{name}"
        client = RegistrationClient(self._folder / name)
        try:
            try:
                info = await client.info()
            except PluginError as error:
                raise PluginRefused(
                    f"RegisterPlugin error -- failed to get plugin info using RPC GetInfo at socket {path}, err: {error}"
                ) from None
            endpoint = info.endpoint or path
            refusal = ""
            handler = self._handlers.get(info.type)
            if handler is None:
                refusal = f"RegisterPlugin error -- no handler registered for plugin type: {info.type} at socket {path}"
            else:
                try:
                    handler.validate(info.name, endpoint, info.versions)
                except PluginRefused as error:
                    refusal = f"RegisterPlugin error -- plugin validation failed with err: {error}"
            if handler is not None and not refusal:
                try:
                    handler.register(info.name, endpoint, info.versions)
                    self._registered[name] = _Registered(identity, handler, info.name, endpoint)
                except PluginRefused as error:
                    refusal = f"RegisterPlugin error -- plugin registration failed with err: {error}"
            try:
                await client.notify(refusal)
            except PluginError as error:
                if name in self._registered:
                    self._deregister(name)
                refusal = refusal or f"RegisterPlugin error -- failed to send registration status at socket {path}, err: {error}"
            if refusal:
                raise PluginRefused(refusal)
        finally:
            client.close()

    def _deregister(self, name: str) -> None:
        known = self._registered.pop(name)
        known.handler.deregister(known.name, known.endpoint)


def _now() -> float:
    return asyncio.get_running_loop().time()
