"""`python -m gpu_device_plugin`: the plugin of one node. The environment says which node, and where the kubelet's folders are."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path

from gpu_device_plugin import klog, sharing
from gpu_device_plugin.api_server import ApiServer, NodeWatch, Object

log = logging.getLogger("gpu_device_plugin")

_HOLDERS_EVERY = 2.0


async def run(node: str, config: sharing.Config) -> None:
    """Runs until SIGTERM. Raises OSError where the node's folders cannot be written."""
    loop = asyncio.get_running_loop()
    received: asyncio.Queue[Object] = asyncio.Queue()

    def on_node(found: Object) -> None:
        # The loop may be closed already: the process is about to end.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(received.put_nowait, found)

    # Started before the imports below, which take longer than the answer.
    NodeWatch(node, on_node, ApiServer("gpu-device-plugin")).start()
    from gpu_device_plugin.description import Description
    from gpu_device_plugin.holders import holders
    from gpu_device_plugin.metrics import MetricsServer, render, reports_in
    from gpu_device_plugin.node_devices import NodeDevices
    from gpu_device_plugin.registration import Registrar

    plugins = Path(os.environ.get("DEVICE_PLUGIN_PATH", "/var/lib/kubelet/device-plugins"))
    pod_resources = Path(os.environ.get("POD_RESOURCES_SOCKET", "/var/lib/kubelet/pod-resources/kubelet.sock"))
    root = Path(os.environ.get("GPU_ROOT", "/var/lib/ai-lab-gpu"))
    description = Description(root)
    description.prepare()
    state = NodeDevices(node, description, config)

    async def page() -> str:
        state.hold(await holders(pod_resources, state.offers))
        return render(state.document, reports_in(root)) if state.document else ""

    async def follow_node() -> None:
        while True:
            state.update(await received.get())

    async def follow_holders() -> None:
        while True:
            state.hold(await holders(pod_resources, state.offers))
            await asyncio.sleep(_HOLDERS_EVERY)

    metrics = MetricsServer(page)
    await metrics.start(int(os.environ.get("METRICS_PORT", "9400")))
    stop = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)

    async def serve() -> None:
        # Which resources there are is decided once, as hardware is counted; devices that fail later leave an empty list.
        while not state.offers:
            await state.changed.wait()
        async with asyncio.TaskGroup() as registrars:
            for resource in state.offers:
                registrars.create_task(Registrar(state, plugins, resource).run())

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(each) for each in (follow_node(), serve(), follow_holders())]
        await stop.wait()
        log.info("Received signal; shutting down.")
        for task in running:
            task.cancel()
    metrics.close()


def configuration(environment: Mapping[str, str]) -> sharing.Config:
    """What the file that CONFIG_FILE names says; the plugin's defaults without one. Raises OSError and ConfigError."""
    path = environment.get("CONFIG_FILE")
    return sharing.parse(Path(path).read_text()) if path else sharing.Config()


def main() -> None:
    klog.start()
    node = os.environ.get("NODE_NAME")
    if not node:
        log.error("NODE_NAME is not set: the DaemonSet gives it by the downward API (spec.nodeName)")
        sys.exit(1)
    try:
        config = configuration(os.environ)
    except (OSError, sharing.ConfigError) as error:
        log.error("Cannot load the configuration: %s", error)
        sys.exit(1)
    log.info("Starting device plugin for %s on node %s", sharing.GPU, node)
    if config != sharing.Config():
        log.info("Running with config: %s", config)
    try:
        asyncio.run(run(node, config))
    except OSError as error:
        log.error("Cannot start: %s", error)
        sys.exit(1)


if __name__ == "__main__":
    main()
