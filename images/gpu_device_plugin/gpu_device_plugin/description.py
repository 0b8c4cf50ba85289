"""The description of the node's devices: one JSON document in a folder of the node, the truth behind plugin, metrics and nvidia-smi.

Layout of the folder (`root`), and where a container that holds a device finds it:

    description/devices.json   driver, and of each device identity, memory, health and holder     /run/ai-lab-gpu/description (read-only)
    usage/<uuid>/              reports of the programs that use that device (`nvidia_smi.usage`)  /run/ai-lab-gpu/usage/<uuid>
    bin/nvidia-smi             the program                                                        /usr/bin/nvidia-smi (read-only)

Folders are mounted, not the document: it is replaced as a whole, so that nobody reads half of it.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gpu_device_plugin.inventory import Device, Driver
from gpu_device_plugin.nvidia_smi import archive

CONTAINER_ROOT = "/run/ai-lab-gpu"
_NONE: Mapping[str, int] = {}


class Description:
    """Writes the folder; `root` is its path, the same on the node and in the plugin's container.

    `usage` is another place for the reports: whoever else gives away the same cards has them there too, as a card has one memory.
    """

    def __init__(self, root: Path, usage: Path | None = None):
        self.root = root
        self.usage = usage or root / "usage"
        self._written = ""

    def prepare(self) -> None:
        """Makes the folders and lays nvidia-smi down. Raises OSError."""
        for folder in (self.root / "description", self.usage, self.root / "bin"):
            folder.mkdir(parents=True, exist_ok=True)
        self._replace(self.root / "bin/nvidia-smi", archive.build(), 0o755)

    def write(
        self, node: str, driver: Driver, devices: list[Device], holders: Mapping[str, Mapping[str, str]], limits: Mapping[str, int] = _NONE
    ) -> dict[str, Any]:
        """Brings the document up to date and answers it.

        `holders`: UUID to namespace, pod and container. `limits`: UUID to the memory (MiB) that each program on the device may take at most.
        """
        document = {
            "node": node,
            "driver": dataclasses.asdict(driver),
            "devices": [
                dataclasses.asdict(device)
                | {"healthy": device.healthy, "lost": device.lost, "holder": holders.get(device.uuid)}
                | ({"client_memory": limits[device.uuid]} if device.uuid in limits else {})
                for device in devices
            ],
        }
        text = json.dumps(document, indent=1)
        if text != self._written:
            for device in devices:
                folder = self.usage / device.uuid
                folder.mkdir(exist_ok=True)
                # Containers run as whoever their image says, and each writes its own report.
                folder.chmod(0o1777)
            self._replace(self.root / "description/devices.json", text.encode(), 0o644)
            self._written = text
        return document

    @staticmethod
    def _replace(path: Path, content: bytes, mode: int) -> None:
        new = path.with_name(f".{path.name}.new")
        new.write_bytes(content)
        new.chmod(mode)
        os.replace(new, path)

    def mounts(self, uuids: list[str]) -> list[tuple[str, str, bool]]:
        """What a container gets that holds the devices: (path in the container, path on the node, read-only)."""
        return [
            ("/usr/bin/nvidia-smi", str(self.root / "bin/nvidia-smi"), True),
            (f"{CONTAINER_ROOT}/description", str(self.root / "description"), True),
            *((f"{CONTAINER_ROOT}/usage/{uuid}", str(self.usage / uuid), False) for uuid in uuids),
        ]
