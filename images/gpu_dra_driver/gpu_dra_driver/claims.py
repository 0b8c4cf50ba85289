"""Claims on this node: what a ResourceClaim was allocated becomes a CDI spec, a note in the checkpoint, and the devices that the kubelet is told.

Preparing twice changes nothing, and so does unpreparing what was never prepared: the kubelet may ask for either again.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import os
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gpu_device_plugin.inventory import Device
from gpu_device_plugin.mig import Part, name, parts
from gpu_device_plugin.node_devices import NodeDevices

from gpu_dra_driver.devices import DRIVER

log = logging.getLogger(__name__)

Object = dict[str, Any]
_VENDOR, _CLASS = f"k8s.{DRIVER}", "claim"
_CDI_VERSION = "0.6.0"
_API = "resource.nvidia.com/v1beta1"
_CONFIGS = ("GpuConfig", "MigDeviceConfig")
_MOUNT = ["nosuid", "nodev", "rbind", "rprivate"]


class ClaimError(Exception):
    """Why a claim cannot be prepared; it stands in the Pod's event."""


@dataclass(frozen=True)
class Prepared:
    """One device of a prepared claim. `uuid` is what the container sees; `admin` shares it with its other holders."""

    request: str
    pool: str
    device: str
    uuid: str
    cdi: str
    admin: bool = False


class Claims:
    """`state` has the node's devices, `folder` is the plugin's own (for the checkpoint), `cdi` the container runtime's folder of specs."""

    def __init__(self, state: NodeDevices, folder: Path, cdi: Path, *, dynamic_mig: bool):
        self._state = state
        self._checkpoint = folder / "checkpoint.json"
        self._cdi = cdi
        self._dynamic_mig = dynamic_mig
        self._prepared: dict[str, list[Prepared]] = {}
        self._load()

    def prepare(self, claim: Object) -> list[Prepared]:
        """The devices of an allocated claim, ready for containers. Raises ClaimError, and OSError where the node's folders cannot be written."""
        metadata = claim["metadata"]
        uid = metadata["uid"]
        if uid in self._prepared and self._spec(uid).exists():
            return self._prepared[uid]
        if self._state.faults.allocate_error:
            raise ClaimError(self._state.faults.allocate_error)
        allocated = claim["status"]["allocation"]["devices"]
        results = [each for each in allocated.get("results") or [] if each["driver"] == DRIVER]
        _check(allocated.get("config") or [])
        chosen: list[tuple[Prepared, Device]] = []
        for result in results:
            device = self._device(result["device"], uid)
            qualified = f"{_VENDOR}/{_CLASS}={uid}-{result['device']}"
            request = result["request"].partition("/")[0]
            made = Prepared(request, result["pool"], result["device"], device.uuid, qualified, bool(result.get("adminAccess")))
            if not made.admin:
                self._check_free(made, uid)
            chosen.append((made, device))
        self._prepared[uid] = [made for made, _ in chosen]
        self._show()
        self._write_spec(uid, chosen)
        self._save()
        log.info("Returning newly prepared devices for claim '%s': %s", shown(claim), ", ".join(made.device for made, _ in chosen))
        return self._prepared[uid]

    def unprepare(self, uid: str) -> None:
        """Raises OSError."""
        self._spec(uid).unlink(missing_ok=True)
        if uid not in self._prepared:
            log.info("Unprepare noop: claim not found in checkpoint: %s", uid)
            return
        released = self._prepared.pop(uid)
        self._save()
        self._show()
        log.info("Unprepared claim %s: %s", uid, ", ".join(each.device for each in released))

    def update(self) -> None:
        """The node's devices have changed: what containers see of parts that they hold follows."""
        self._show()

    def _offered(self) -> dict[str, Device | Part]:
        """Everything that the node's ResourceSlices name."""
        offered: dict[str, Device | Part] = {name(device): device for device in self._state.devices}
        if self._dynamic_mig:
            offered |= {part.name: part for device in self._state.devices for part in parts(device)}
        return offered

    def _device(self, wanted: str, uid: str) -> Device:
        found = self._offered().get(wanted)
        if found is None:
            raise ClaimError(f"requested device is not allocatable: {wanted}")
        device = found.made(uid) if isinstance(found, Part) else found
        if device.lost:
            raise ClaimError(f"unable to get device spec for {wanted}: failed to get device handle from UUID: GPU is lost")
        return device

    def _check_free(self, made: Prepared, uid: str) -> None:
        """Two claims never have one device: a scheduler's mistake, or a Pod that was deleted by force, does not hand it out twice."""
        for other, devices in self._prepared.items():
            if other != uid and any(each.device == made.device and not each.admin for each in devices):
                raise ClaimError(f"requested device {made.device} is already prepared for claim {other}")

    def _show(self) -> None:
        """Describes the parts that containers hold beside the cards."""
        offered = self._offered()
        held = [(offered.get(each.device), uid) for uid, devices in self._prepared.items() for each in devices]
        self._state.show([found.made(uid) for found, uid in held if isinstance(found, Part)])

    # CDI

    def _spec(self, uid: str) -> Path:
        return self._cdi / f"{_VENDOR}-{_CLASS}_{uid}.json"

    def _write_spec(self, uid: str, chosen: list[tuple[Prepared, Device]]) -> None:
        if not chosen:
            return
        injected = not self._state.faults.not_injected
        common = self._mounts([])
        spec: Object = {"cdiVersion": _CDI_VERSION, "kind": f"{_VENDOR}/{_CLASS}", "devices": []}
        if injected:
            spec["containerEdits"] = {"mounts": common}
        for made, device in chosen:
            same = [other for prepared, other in chosen if prepared.request == made.request]
            # One variable for all devices of a request, and one of its own for each: a container may have several requests, and claims.
            own = f"GPU_DEVICE_{made.device.removeprefix('gpu-').replace('-', '_').upper()}"
            variables = {**self._state.variables(same), own: device.uuid}
            edits: Object = {"env": [f"{key}={value}" for key, value in variables.items()]}
            if injected:
                edits["mounts"] = [each for each in self._mounts([device.uuid]) if each not in common]
            spec["devices"].append({"name": f"{uid}-{made.device}", "containerEdits": edits})
        self._cdi.mkdir(parents=True, exist_ok=True)
        _replace(self._spec(uid), json.dumps(spec, indent=1))

    def _mounts(self, uuids: list[str]) -> list[Object]:
        return [
            {"containerPath": inside, "hostPath": outside, "options": ["ro" if read_only else "rw", *_MOUNT]}
            for inside, outside, read_only in self._state.description.mounts(uuids)
        ]

    # Checkpoint

    def _load(self) -> None:
        try:
            kept = json.loads(self._checkpoint.read_text())
            if zlib.crc32(json.dumps(kept["preparedClaims"], sort_keys=True).encode()) != kept["checksum"]:
                raise ValueError("checkpoint is corrupted")
            self._prepared = {uid: [Prepared(**each) for each in devices] for uid, devices in kept["preparedClaims"].items()}
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError) as error:
            log.warning("%s: %s; claims are prepared anew", self._checkpoint, error)

    def _save(self) -> None:
        kept = {uid: [dataclasses.asdict(each) for each in devices] for uid, devices in self._prepared.items()}
        checksum = zlib.crc32(json.dumps(kept, sort_keys=True).encode())
        _replace(self._checkpoint, json.dumps({"preparedClaims": kept, "checksum": checksum}))


def shown(claim: Object) -> str:
    """How log lines and errors name a claim."""
    metadata = claim["metadata"]
    return f"{metadata['namespace']}/{metadata['name']}:{metadata['uid']}"


def _check(configs: list[Object]) -> None:
    """Refuses parameters for this driver that it would not act on. Raises ClaimError."""
    for each in configs:
        opaque = each.get("opaque") or {}
        if opaque.get("driver") != DRIVER:
            continue
        parameters = opaque.get("parameters") or {}
        kind, version = parameters.get("kind", ""), parameters.get("apiVersion", "")
        if version != _API or kind not in _CONFIGS:
            raise ClaimError(
                f"error getting opaque device configs: error decoding config parameters: no kind {kind!r} is registered for {version!r}"
            )
        if parameters.get("sharing"):
            strategy = parameters["sharing"].get("strategy", "")
            raise ClaimError(f"error validating config: sharing strategy {strategy} needs a feature gate that is not enabled")


def _replace(path: Path, text: str) -> None:
    fresh = path.with_name(f".{path.name}.new")
    fresh.write_text(text)
    os.replace(fresh, path)
