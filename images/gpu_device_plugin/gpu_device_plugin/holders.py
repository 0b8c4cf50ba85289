"""Which container holds which device: asked from the kubelet's pod-resources API, as DCGM's exporter does."""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path

from grpclib.exceptions import GRPCError, ProtocolError, StreamTerminatedError

from gpu_device_plugin.grpc_unix import UnixChannel
from gpu_device_plugin.podresources.v1_grpc import PodResourcesListerStub
from gpu_device_plugin.podresources.v1_pb2 import ListPodResourcesRequest
from gpu_device_plugin.sharing import uuid_of

log = logging.getLogger(__name__)

Holder = dict[str, str]


async def holders(socket: Path, resources: Collection[str]) -> dict[str, Holder]:
    """UUID to `{"namespace", "pod", "container"}`; empty where the kubelet does not answer at `socket`.

    A device that several containers share has one of them, as DCGM's exporter tells it.
    """
    if not socket.exists():
        return {}
    try:
        async with UnixChannel(path=str(socket)) as channel:
            response = await PodResourcesListerStub(channel).List(ListPodResourcesRequest(), timeout=2)
    except (OSError, GRPCError, ProtocolError, StreamTerminatedError, TimeoutError) as error:
        log.warning("Failed to list the node's pod resources: %s", error)
        return {}
    return {
        uuid_of(device): {"namespace": pod.namespace, "pod": pod.name, "container": container.name}
        for pod in response.pod_resources
        for container in pod.containers
        for devices in container.devices
        if devices.resource_name in resources
        for device in devices.device_ids
    }
