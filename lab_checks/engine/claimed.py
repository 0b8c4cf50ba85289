"""Devices that Pods hold by ResourceClaim: their driver has to be there until the Pods have given them back.

A kubelet ends no Pod whose claims it cannot unprepare. Where somebody has taken the driver away, it comes back for as long as the namespaces are
emptied; it carries the course's label, by which it goes again afterwards.
"""

from __future__ import annotations

from kubeobjects import Object, resourceclaims
from lab_checks.engine import paths
from lab_checks.engine.api import Api, shell

DRIVER = "gpu.nvidia.com"
MANIFEST = "manifests/dra/gpu-dra-driver.yaml"


def held(claims: list[Object]) -> bool:
    """Whether a device of the course's driver is allocated to one of the claims."""
    return any(each["driver"] == DRIVER for claim in claims for each in resourceclaims.devices(claim))


def bring_driver(api: Api, label: str) -> None:
    """Applies the driver, as the course has it, where Pods hold devices of it. Raises CommandFailed."""
    if not held(api.list("resourceclaims")):
        return
    manifest = paths.root() / MANIFEST
    shell(f"kubectl apply --server-side --force-conflicts --field-manager=ai-lab -f {manifest}", api.kubeconfig)
    shell(f"kubectl label --overwrite --field-manager=ai-lab -f {manifest} {label}=true", api.kubeconfig)
