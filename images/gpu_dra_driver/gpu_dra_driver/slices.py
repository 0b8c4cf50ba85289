"""The node's ResourceSlices, kept as its devices are (k8s.io/dynamic-resource-allocation/resourceslice): devices in, writes to the API out."""

from __future__ import annotations

import asyncio
import copy
import http.client
import logging
from collections.abc import Callable
from typing import Any

from gpu_device_plugin.api_server import ApiServer, Watch

from gpu_dra_driver.devices import DRIVER

log = logging.getLogger(__name__)

Object = dict[str, Any]
_PATH = "/apis/resource.k8s.io/v1/resourceslices"
_RETRY_FIRST, _RETRY_LAST = 0.5, 30.0


class Slices:
    """Publishes what `wanted()` says, after every `look_again` and whenever somebody else has changed or deleted a slice."""

    def __init__(self, server: ApiServer, node: str, wanted: Callable[[], list[Object]]):
        self._api = server
        self._node = node
        self._wanted = wanted
        self._changed = asyncio.Event()
        # What this program wrote: UID to the version that the server made of it, and what it was to be.
        self._written: dict[str, tuple[str, Object]] = {}
        self._selected = f"{_PATH}?fieldSelector=spec.driver%3D{DRIVER},spec.nodeName%3D{node}"

    def look_again(self) -> None:
        self._changed.set()

    async def run(self, owner: Callable[[], Object]) -> None:
        """Until cancelled; `owner()` is the Node."""
        loop = asyncio.get_running_loop()

        def changed(*_: Any) -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(self._changed.set)

        Watch(self._api, self._selected, "resource slices", changed, changed).start()
        wait = _RETRY_FIRST
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await asyncio.to_thread(self.sync, owner())
                wait = _RETRY_FIRST
            except (OSError, http.client.HTTPException, ValueError) as error:
                log.error("Cannot publish resource slices, retrying: %s", error)
                await asyncio.sleep(wait)
                wait = min(wait * 2, _RETRY_LAST)
                self._changed.set()

    def sync(self, owner: Object) -> None:
        """Makes the API's slices those that are wanted. Raises OSError and its like."""
        wanted = self._wanted()
        found = [each for each in self._api.request("GET", self._selected)["items"] if each["spec"]["pool"]["name"] == self._node]
        generation = max((each["spec"]["pool"]["generation"] for each in found), default=0)
        width = len(f"{max(len(wanted) - 1, 0):x}")
        current: dict[int, Object] = {}
        obsolete: list[Object] = []
        for each in found:
            index = _index(each["metadata"]["name"], width)
            if each["spec"]["pool"]["generation"] < generation or index in current or not 0 <= index < len(wanted):
                obsolete.append(each)
            else:
                current[index] = each
        pool = {"name": self._node, "generation": generation, "resourceSliceCount": len(wanted)}
        changed = {index for index, each in current.items() if self._differs(each, pool, wanted[index])}
        # One write leaves a consistent pool; readers tell by the generation which slices of several belong together.
        bumped = len(current) < len(wanted) or len(changed) > 1
        if bumped:
            pool["generation"] = generation + 1
        for each in obsolete:
            self._delete(each)
        for index, each in current.items():
            if bumped or index in changed:
                self._update(each, pool, wanted[index])
        for index in range(len(wanted)):
            if index not in current:
                self._create(f"{index:0{width}x}", pool, wanted[index], owner)
        if bumped or changed:
            devices = sum(len(each.get("devices") or []) for each in wanted)
            log.info("Published %d devices in %d resource slices, generation %d", devices, len(wanted), pool["generation"])

    def _differs(self, found: Object, pool: Object, wanted: Object) -> bool:
        metadata, spec = found["metadata"], found["spec"]
        if spec["pool"] != pool:
            return True
        stored = {field: _plain(spec[field]) for field in ("devices", "sharedCounters") if spec.get(field)}
        # A server that keeps less than it was told is not told again and again.
        return stored != wanted and self._written.get(metadata["uid"]) != (metadata["resourceVersion"], wanted)

    def _note(self, stored: Object, wanted: Object) -> None:
        self._written[stored["metadata"]["uid"]] = (stored["metadata"]["resourceVersion"], wanted)

    def _update(self, found: Object, pool: Object, wanted: Object) -> None:
        body = copy.deepcopy(found)
        body["spec"] = {field: body["spec"][field] for field in ("driver", "nodeName")} | {"pool": pool} | _dated(wanted, found)
        self._note(self._api.request("PUT", f"{_PATH}/{found['metadata']['name']}", body), wanted)

    def _create(self, prefix: str, pool: Object, wanted: Object, owner: Object) -> None:
        metadata = owner["metadata"]
        reference = {"apiVersion": "v1", "kind": "Node", "name": metadata["name"], "uid": metadata["uid"], "controller": True}
        body = {
            "apiVersion": "resource.k8s.io/v1",
            "kind": "ResourceSlice",
            "metadata": {"generateName": f"{prefix}-{DRIVER}-{self._node}-", "ownerReferences": [reference]},
            "spec": {"driver": DRIVER, "nodeName": self._node, "pool": pool, **wanted},
        }
        self._note(self._api.request("POST", _PATH, body), wanted)

    def _delete(self, found: Object) -> None:
        metadata = found["metadata"]
        options = {"apiVersion": "v1", "kind": "DeleteOptions", "preconditions": {"uid": metadata["uid"]}}
        try:
            self._api.request("DELETE", f"{_PATH}/{metadata['name']}", options)
        except OSError as error:
            if getattr(error, "code", 0) != 404:
                raise


def _index(name: str, width: int) -> int:
    """The slice's place among those of the pool, by the start of its name; -1 for a name of another form."""
    prefix, dash, _ = name.partition("-")
    try:
        return int(prefix, 16) if dash and len(prefix) == width else -1
    except ValueError:
        return -1


def _plain(items: list[Object]) -> list[Object]:
    """Without what the server adds: when a taint came."""
    plain = copy.deepcopy(items)
    for item in plain:
        for taint in item.get("taints") or []:
            taint.pop("timeAdded", None)
    return plain


def _dated(wanted: Object, found: Object) -> Object:
    """The wanted content; a taint that was there before keeps its time."""
    dated = copy.deepcopy(wanted)
    before = {
        (device["name"], taint["key"], taint.get("value"), taint["effect"]): taint["timeAdded"]
        for device in found["spec"].get("devices") or []
        for taint in device.get("taints") or []
        if "timeAdded" in taint
    }
    for device in dated.get("devices") or []:
        for taint in device.get("taints") or []:
            when = before.get((device["name"], taint["key"], taint.get("value"), taint["effect"]))
            if when:
                taint["timeAdded"] = when
    return dated
