"""The Node object of a machine: pure functions from what was measured to labels, capacity, conditions and nodeInfo."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from clusters.embedded.images import Image
from clusters.embedded.kubelet.node_spec import NodeSpec
from kubeobjects import Object

KUBELET_VERSION = "v1.36.2"
RUNTIME_VERSION = "containerd://2.1.9"
_MAX_IMAGES = 50

# type, reason when all is well, message.
_HEALTHY = (
    ("MemoryPressure", "False", "KubeletHasSufficientMemory", "kubelet has sufficient memory available"),
    ("DiskPressure", "False", "KubeletHasNoDiskPressure", "kubelet has no disk pressure"),
    ("PIDPressure", "False", "KubeletHasSufficientPID", "kubelet has sufficient PID available"),
    ("Ready", "True", "KubeletReady", "kubelet is posting ready status"),
)


@dataclass(frozen=True)
class Machine:
    """What this computer has: `cpus`, bytes of memory and disk, and its names for itself."""

    cpus: int
    memory: int
    disk: int
    kernel: str
    os_image: str
    architecture: str
    boot_id: str


def os_image() -> str:
    """The name of the operating system, as its release file has it."""
    try:
        for line in Path("/etc/os-release").read_text().splitlines():
            if line.startswith("PRETTY_NAME="):
                return line.partition("=")[2].strip('"')
    except OSError:
        pass
    return f"{platform.system()} {platform.release()}"


def architecture() -> str:
    """As Go names it."""
    machine = platform.machine().lower()
    return {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)


def identifier(*parts: str) -> str:
    """32 hexadecimal digits that are the same for the same parts."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()[:32]


def labels(spec: NodeSpec, arch: str) -> dict[str, str]:
    return {
        "beta.kubernetes.io/arch": arch,
        "beta.kubernetes.io/os": "linux",
        "kubernetes.io/arch": arch,
        "kubernetes.io/hostname": spec.name,
        "kubernetes.io/os": "linux",
        **spec.labels,
    }


def capacity(spec: NodeSpec, machine: Machine, devices: Mapping[str, int]) -> dict[str, str]:
    """Resource name to quantity; `devices` are those that plugins have told of."""
    amounts = {
        "cpu": spec.cpu or str(machine.cpus),
        "ephemeral-storage": f"{machine.disk // 1024}Ki",
        "hugepages-1Gi": "0",
        "hugepages-2Mi": "0",
        "memory": spec.memory or f"{machine.memory // 1024}Ki",
        **{name: str(count) for name, count in devices.items()},
        "pods": str(spec.pods),
    }
    return dict(sorted(amounts.items()))


def conditions(old: Iterable[Object], now: str) -> list[Object]:
    """All four; lastTransitionTime moves only with the status."""
    before = {each["type"]: each for each in old}
    found = []
    for kind, state, reason, message in _HEALTHY:
        known = before.get(kind)
        same = known is not None and known["status"] == state
        found.append(
            {
                "lastHeartbeatTime": now,
                "lastTransitionTime": known["lastTransitionTime"] if same and known else now,
                "message": message,
                "reason": reason,
                "status": state,
                "type": kind,
            }
        )
    return found


def _image(image: Image) -> Object:
    return {"names": [image.name], "sizeBytes": image.size}


def node_info(spec: NodeSpec, machine: Machine) -> Object:
    own = identifier("machine", spec.name, machine.boot_id)
    return {
        "architecture": machine.architecture,
        "bootID": machine.boot_id,
        "containerRuntimeVersion": RUNTIME_VERSION,
        "kernelVersion": machine.kernel,
        "kubeProxyVersion": "",
        "kubeletVersion": KUBELET_VERSION,
        "machineID": own,
        "operatingSystem": "linux",
        "osImage": machine.os_image,
        "systemUUID": own,
    }


def _handler(name: str) -> Object:
    return {"features": {"recursiveReadOnlyMounts": True, "userNamespaces": True}, "name": name}


def status(
    spec: NodeSpec,
    machine: Machine,
    *,
    old: Object,
    images: Iterable[Image],
    device_capacity: Mapping[str, int],
    device_allocatable: Mapping[str, int],
    now: str,
) -> Object:
    """The whole `NodeStatus`; conditions of others (NetworkUnavailable) stay."""
    own = conditions(old.get("conditions") or [], now)
    others = [each for each in old.get("conditions") or [] if each["type"] not in {row[0] for row in _HEALTHY}]
    return {
        **{name: old[name] for name in ("volumesAttached", "volumesInUse") if name in old},
        "addresses": [{"address": spec.address, "type": "InternalIP"}, {"address": spec.name, "type": "Hostname"}],
        "allocatable": capacity(spec, machine, device_allocatable),
        "capacity": capacity(spec, machine, device_capacity),
        "conditions": [*others, *own],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": 10250}},
        "declaredFeatures": [
            "ExtendWebSocketsToKubelet",
            "InPlacePodLevelResourcesVerticalScaling",
            "InPlacePodVerticalScalingInitContainers",
            "RestartAllContainersOnContainerExits",
        ],
        "features": {"supplementalGroupsPolicy": True},
        "images": [_image(image) for image in list(images)[:_MAX_IMAGES]],
        "nodeInfo": node_info(spec, machine),
        "runtimeHandlers": [_handler(""), _handler("runc"), _handler("test-handler")],
    }


def node(spec: NodeSpec, arch: str) -> Object:
    """The Node as a kubelet first registers it, its status apart."""
    body: Object = {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": spec.name,
            "labels": labels(spec, arch),
            "annotations": {"node.alpha.kubernetes.io/ttl": "0", "volumes.kubernetes.io/controller-managed-attach-detach": "true"},
        },
        "spec": {
            "podCIDR": spec.pod_cidr,
            "podCIDRs": [spec.pod_cidr],
            "providerID": f"kind://docker/ai-lab/{spec.name}",
        },
    }
    if spec.taints:
        body["spec"]["taints"] = [dict(taint) for taint in spec.taints]
    return body
