"""Storage: claims bound to volumes, volumes made for claims, and neither taken away while it is in use."""

from __future__ import annotations

from clusters.embedded.controllers.volume.binder import PersistentVolumeController
from clusters.embedded.controllers.volume.protection import ClaimProtectionController, VolumeProtectionController
from clusters.embedded.controllers.volume.provisioner import LocalPathProvisioner

__all__ = ["ClaimProtectionController", "LocalPathProvisioner", "PersistentVolumeController", "VolumeProtectionController"]
