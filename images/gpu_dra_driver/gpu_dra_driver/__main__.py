"""`python -m gpu_dra_driver`: the driver of one node. The environment says which node, and where the kubelet's folders are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from pathlib import Path

from gpu_device_plugin import klog
from gpu_device_plugin.api_server import ApiServer, NodeWatch, Object

log = logging.getLogger("gpu_dra_driver")


def gates(text: str) -> dict[str, bool]:
    """`DynamicMIG=true,…` → the gates that it names. Raises ValueError for anything else."""
    found: dict[str, bool] = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, value = part.partition("=")
        if value not in ("true", "false"):
            raise ValueError(f"invalid value of {name}={value}, want true or false")
        found[name] = value == "true"
    return found


async def run(node: str, *, dynamic_mig: bool) -> None:
    """Runs until SIGTERM. Raises OSError where the node's folders cannot be written."""
    loop = asyncio.get_running_loop()
    received: asyncio.Queue[Object] = asyncio.Queue()

    def on_node(found: Object) -> None:
        # The loop may be closed already: the process is about to end.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(received.put_nowait, found)

    server = ApiServer("gpu-dra-driver")
    # Started before the imports below, which take longer than the answer.
    NodeWatch(node, on_node, server).start()
    from gpu_device_plugin.description import Description
    from gpu_device_plugin.node_devices import NodeDevices
    from grpclib.server import Server

    from gpu_dra_driver import devices
    from gpu_dra_driver.claims import Claims
    from gpu_dra_driver.service import DraPlugin, Health, Registration
    from gpu_dra_driver.slices import Slices

    plugins = Path(os.environ.get("KUBELET_PLUGINS_DIRECTORY_PATH", "/var/lib/kubelet/plugins")) / devices.DRIVER
    registry = Path(os.environ.get("KUBELET_REGISTRAR_DIRECTORY_PATH", "/var/lib/kubelet/plugins_registry"))
    cdi = Path(os.environ.get("CDI_ROOT", "/var/run/cdi"))
    plugins.mkdir(parents=True, exist_ok=True)
    usage = os.environ.get("GPU_USAGE")
    description = Description(Path(os.environ.get("GPU_ROOT", "/var/lib/ai-lab-gpu-dra")), Path(usage) if usage else None)
    description.prepare()
    state = NodeDevices(node, description)
    state.update(owner := await received.get())
    claims = Claims(state, plugins, cdi, dynamic_mig=dynamic_mig)
    claims.update()
    slices = Slices(server, node, lambda: devices.slices(state.devices, state.driver, dynamic_mig=dynamic_mig))

    async def follow_node() -> None:
        nonlocal owner
        while True:
            owner = await received.get()
            state.update(owner)
            claims.update()
            slices.look_again()

    async def publish() -> None:
        # A Pod that was given a device before the kubelet knows its driver would wait for the kubelet's next look, a minute later.
        await registration.registered.wait()
        await slices.run(lambda: owner)

    health = Health(state, dynamic_mig=dynamic_mig)
    registration = Registration(str(plugins / "dra.sock"))
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    served = {
        plugins / "dra.sock": Server([DraPlugin(claims, state, server), health]),
        # Found last: from then on the kubelet calls.
        registry / f"{devices.DRIVER}-reg.sock": Server([registration]),
    }
    for socket, grpc in served.items():
        socket.unlink(missing_ok=True)
        await grpc.start(path=str(socket))
        log.info("Serving on %s", socket)
    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each) for each in (follow_node(), publish())]
        await stop.wait()
        log.info("Received signal; shutting down.")
        health.stop()
        for task in running:
            task.cancel()
    for socket, grpc in reversed(served.items()):
        socket.unlink(missing_ok=True)
        grpc.close()
        await grpc.wait_closed()


def main() -> None:
    klog.start()
    node = os.environ.get("NODE_NAME")
    if not node:
        log.error("NODE_NAME is not set: the DaemonSet gives it by the downward API (spec.nodeName)")
        sys.exit(1)
    try:
        enabled = gates(os.environ.get("FEATURE_GATES", ""))
    except ValueError as error:
        log.error("FEATURE_GATES: %s", error)
        sys.exit(1)
    log.info("Starting DRA driver gpu.nvidia.com on node %s", node)
    try:
        asyncio.run(run(node, dynamic_mig=enabled.get("DynamicMIG", False)))
    except OSError as error:
        log.error("Cannot start: %s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
