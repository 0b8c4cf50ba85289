"""The devices of this node as they are now: Nodes in, devices, what is wrong with them and the description out."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from gpu_device_plugin import faults, inventory, mig, sharing
from gpu_device_plugin.description import Description
from gpu_device_plugin.faults import Faults
from gpu_device_plugin.inventory import Device
from gpu_device_plugin.sharing import Config, Offer

if TYPE_CHECKING:
    from gpu_device_plugin.holders import Holder

log = logging.getLogger(__name__)

Object = dict[str, Any]


class NodeDevices:
    """The devices of this node as they are now. `changed` is set, and replaced, whenever the list changes.

    `devices` are the cards; `offers` is what the device plugin tells the kubelet of: cards, parts of cards, and replicas, each by its resource.
    """

    def __init__(self, node: str, description: Description, config: Config | None = None):
        self.node = node
        self.config = config or Config()
        self.offers: dict[str, list[Offer]] = {}
        self._mig: str | None = None
        self.faults = Faults()
        self.devices: list[Device] = []
        self.changed = asyncio.Event()
        self.document: dict[str, Any] = {}
        self.description = description
        self._holders: dict[str, Holder] = {}
        self._partitions: list[Device] = []
        self._labels: dict[str, str] | None = None
        self._said_none = False

    def update(self, node: Object) -> None:
        """Takes over what the Node says. Its labels count once, as hardware is counted when the plugin starts; its annotations always."""
        metadata = node["metadata"]
        found = faults.parse(metadata.get("annotations") or {})
        for mistake in found.mistakes:
            if mistake not in self.faults.mistakes:
                log.warning(mistake)
        labels = {name: value for name, value in (metadata.get("labels") or {}).items() if name.startswith("nvidia.com/gpu.")}
        if self._labels is None or not inventory.devices(self.node, self._labels, Faults()):
            self._labels = labels
        elif labels != self._labels and inventory.devices(self.node, labels, Faults()) != inventory.devices(
            self.node, self._labels, Faults()
        ):
            log.warning("The node's labels changed; its devices did not (they are counted when the plugin starts)")
        devices = inventory.devices(self.node, self._labels, found)
        if self._mig is None:
            self._mig = (metadata.get("labels") or {}).get(mig.LABEL, "")
        before, self.devices, self.faults = self.devices, devices, found
        self._offer()
        self._report(before)
        self._write()
        if devices != before:
            self.changed.set()
            self.changed = asyncio.Event()

    def _offer(self) -> None:
        """Cuts the cards as the node's label said when the plugin started, and names what comes of it."""
        layouts: dict[str, list[Device]] = {}
        for device in self.devices if self.config.mig_strategy != "none" else ():
            try:
                layouts[device.uuid] = [part.made("") for part in mig.layout(device, self._mig or "")]
            except mig.UnknownLayout as problem:
                log.error("%s; the card stays whole", problem)
        if self.config.mig_strategy != "none":
            self._partitions = [part for parts in layouts.values() for part in parts]
        self.offers = sharing.offers([each for device in self.devices for each in layouts.get(device.uuid) or [device]], self.config)

    def _report(self, before: list[Device]) -> None:
        """Log lines in the words of NVIDIA's plugin, for what has changed."""
        xids = {device.uuid: device.xid for device in before}
        for device in self.devices:
            was = xids.get(device.uuid, 0)
            if device.xid and device.xid != was:
                if device.healthy:
                    log.info(
                        "Skipping event {EventType:8 EventData:%d}: Xid %d on Device=%s comes from an application",
                        device.xid,
                        device.xid,
                        device.uuid,
                    )
                else:
                    log.error("XidCriticalError: Xid=%d on Device=%s; marking device as unhealthy.", device.xid, device.uuid)
            elif was and not device.xid:
                log.info("Device=%s recovered from Xid=%d; marking device as healthy.", device.uuid, was)
        if not self.devices and not self._said_none:
            log.info("No devices found. Waiting indefinitely.")
        elif self.devices and not before:
            log.info("Found %d devices: %s", len(self.devices), ", ".join(f"{each.uuid} ({each.product})" for each in self.devices))
        self._said_none = not self.devices

    def hold(self, holders: dict[str, Holder]) -> None:
        """Takes over who holds which device."""
        if holders != self._holders:
            self._holders = holders
            if self.document:
                self._write()

    def _write(self) -> None:
        devices = [*self.devices, *self._partitions]
        limits = {each.uuid: limit for each in devices if (limit := sharing.memory_limit(each, self.config))}
        self.document = self.description.write(self.node, self.driver, devices, self._holders, limits)

    @property
    def driver(self) -> inventory.Driver:
        return inventory.driver(self.faults)

    def show(self, partitions: list[Device]) -> None:
        """Takes over the parts of devices that containers have been given; they are described beside the devices themselves."""
        if partitions != self._partitions:
            self._partitions = partitions
            self._write()

    def variables(self, chosen: list[Device]) -> dict[str, str]:
        """The environment of a container that is given these devices."""
        visible = {"NVIDIA_VISIBLE_DEVICES": ",".join(device.uuid for device in chosen)}
        if self.faults.not_injected:
            return visible
        return visible | {
            "NVIDIA_GPU_PRODUCT": chosen[0].product if chosen else "",
            "NVIDIA_GPU_MEMORY_MIB": str(chosen[0].memory if chosen else 0),
        }
