"""The device plugin as a process, between an API server and a kubelet's socket: what it registers, lists, hands out and shows."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from clusters.embedded.kubelet.device_plugin import PluginClient, PluginError, RegistrationServer, allocation
from tests.images.conftest import IMAGES, Start

RESOURCE = "nvidia.com/gpu"


@dataclass
class FakeApiServer:
    """One Node, listed and watched over plain HTTP."""

    node: dict[str, Any]
    port: int = 0
    watches: list[asyncio.Queue[dict[str, Any]]] = field(default_factory=list)
    runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/api/v1/nodes", self.nodes)
        self.runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self.runner.setup()
        site = web.TCPSite(self.runner, "127.0.0.1", 0)
        await site.start()
        self.port = self.runner.addresses[0][1]

    async def nodes(self, request: web.Request) -> web.StreamResponse:
        if "watch" not in request.query:
            return web.json_response({"kind": "NodeList", "metadata": {"resourceVersion": "1"}, "items": [self.node]})
        response = web.StreamResponse()
        await response.prepare(request)
        events: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.watches.append(events)
        while event := await events.get():
            await response.write(json.dumps(event).encode() + b"\n")
        return response

    def annotate(self, **annotations: str | None) -> None:
        """`no_devices="true"` sets gpu.ai-lab.dev/no-devices; None takes it away."""
        now = self.node["metadata"].setdefault("annotations", {})
        for name, value in annotations.items():
            key = f"gpu.ai-lab.dev/{name.replace('_', '-')}"
            if value is None:
                now.pop(key, None)
            else:
                now[key] = value
        self.tell()

    def tell(self) -> None:
        for events in self.watches:
            events.put_nowait({"type": "MODIFIED", "object": json.loads(json.dumps(self.node))})

    def drop_watches(self) -> None:
        for events in self.watches:
            events.put_nowait({})
        self.watches.clear()


class FakeKubelet:
    """The kubelet's side: a socket to register at, and the plugin's lists as they come."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.registered: asyncio.Queue[tuple[str, str]] = asyncio.Queue()
        self.lists: asyncio.Queue[dict[str, bool]] = asyncio.Queue()
        self.client: PluginClient | None = None
        self._server: RegistrationServer | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        for each in self.folder.iterdir():
            each.unlink()
        self._server = RegistrationServer(
            self.folder / "kubelet.sock", lambda resource, endpoint, options: self.registered.put_nowait((resource, endpoint))
        )
        await self._server.start()

    async def expect(self) -> tuple[str, str]:
        """Waits for a registration, and then follows the plugin's list."""
        found = await asyncio.wait_for(self.registered.get(), 60)
        self.client = PluginClient(self.folder / found[1])
        self._watching = asyncio.create_task(self._watch(self.client))
        return found

    async def _watch(self, client: PluginClient) -> None:
        try:
            async for devices in client.list_and_watch():
                self.lists.put_nowait(devices)
        except PluginError:
            return

    async def next_list(self) -> list[bool]:
        """The health of each device in the next list."""
        return list((await asyncio.wait_for(self.lists.get(), 60)).values())

    async def stop(self) -> None:
        if self._watching:
            self._watching.cancel()
        if self.client:
            self.client.close()
        if self._server:
            await self._server.stop()


@dataclass
class Rig:
    api: FakeApiServer
    kubelet: FakeKubelet
    process: subprocess.Popen[str]
    root: Path
    metrics_port: int

    @property
    def client(self) -> PluginClient:
        assert self.kubelet.client
        return self.kubelet.client

    def description(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.root / "description/devices.json").read_text())
        return found

    def ids(self) -> list[str]:
        return [each["uuid"] for each in self.description()["devices"]]

    async def metrics(self) -> str:
        def fetch() -> str:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=60) as response:
                text: str = response.read().decode()
                return text

        return await asyncio.to_thread(fetch)

    def stop(self) -> str:
        """Ends the plugin and answers its log."""
        self.process.send_signal(signal.SIGTERM)
        log, _ = self.process.communicate(timeout=60)
        return log


@pytest.fixture
def short_folder() -> Any:
    # Paths of unix sockets must be short; pytest's own folders are not.
    folder = Path(tempfile.mkdtemp(prefix="gpu-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def configuration() -> str:
    """The plugin's configuration file; a test that has one takes this one's place."""
    return ""


@pytest.fixture
async def rig(start: Start, short_folder: Path, free_port: int, configuration: str) -> AsyncIterator[Rig]:
    if configuration:
        (short_folder / "config.yaml").write_text(configuration)
    labels = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB", "nvidia.com/gpu.count": "2"}
    api = FakeApiServer({"metadata": {"name": "gpu-node-1", "labels": labels}})
    await api.start()
    (short_folder / "plugins").mkdir()
    kubelet = FakeKubelet(short_folder / "plugins")
    await kubelet.start()
    process = start(
        "gpu_device_plugin",
        NODE_NAME="gpu-node-1",
        KUBERNETES_API_SERVER=f"http://127.0.0.1:{api.port}",
        DEVICE_PLUGIN_PATH=str(short_folder / "plugins"),
        POD_RESOURCES_SOCKET=str(short_folder / "pod-resources.sock"),
        GPU_ROOT=str(short_folder / "gpu"),
        METRICS_PORT=str(free_port),
        **({"CONFIG_FILE": str(short_folder / "config.yaml")} if configuration else {}),
    )
    rig = Rig(api, kubelet, process, short_folder / "gpu", free_port)
    yield rig
    await kubelet.stop()
    process.kill()
    if api.runner:
        await api.runner.cleanup()


async def test_it_registers_and_lists_the_devices_of_the_nodes_labels(rig: Rig) -> None:
    assert await rig.kubelet.expect() == (RESOURCE, "nvidia-gpu.sock")
    assert await rig.kubelet.next_list() == [True, True]
    assert all(each.startswith("GPU-") for each in rig.ids())
    log = rig.stop()
    assert "Registered device plugin for 'nvidia.com/gpu' with Kubelet" in log
    assert rig.process.returncode == 0
    assert not (rig.kubelet.folder / "nvidia-gpu.sock").exists()


async def test_a_device_fails_with_an_xid_and_recovers_when_the_annotation_is_gone(rig: Rig) -> None:
    await rig.kubelet.expect()
    await rig.kubelet.next_list()
    began = time.monotonic()
    rig.api.annotate(xid="79")
    assert await rig.kubelet.next_list() == [False, True]
    assert time.monotonic() - began < 20
    rig.api.annotate(xid=None)
    assert await rig.kubelet.next_list() == [True, True]
    log = rig.stop()
    assert f"XidCriticalError: Xid=79 on Device={rig.ids()[0]}; marking device as unhealthy." in log


async def test_faults_reach_it_after_the_watch_was_cut(rig: Rig) -> None:
    await rig.kubelet.expect()
    await rig.kubelet.next_list()
    rig.api.drop_watches()
    rig.api.annotate(xid="1=48")
    assert await rig.kubelet.next_list() == [True, False]


async def test_a_container_gets_its_devices_and_what_shows_them(rig: Rig) -> None:
    await rig.kubelet.expect()
    second = rig.ids()[1]
    env, mounts, annotations = allocation(await rig.client.allocate([second]))
    assert env == {
        "NVIDIA_VISIBLE_DEVICES": second,
        "NVIDIA_GPU_PRODUCT": "NVIDIA A100-SXM4-40GB",
        "NVIDIA_GPU_MEMORY_MIB": "40960",
    }
    where = {inside: (outside, read_only) for inside, outside, read_only in mounts}
    assert where["/usr/bin/nvidia-smi"] == (str(rig.root / "bin/nvidia-smi"), True)
    assert where["/run/ai-lab-gpu/description"][1] is True
    assert where[f"/run/ai-lab-gpu/usage/{second}"] == (str(rig.root / "usage" / second), False)
    assert not any(rig.ids()[0] in inside for inside in where)
    assert annotations == {"gpu.ai-lab.dev/devices": second}
    assert os.access(rig.root / "bin/nvidia-smi", os.X_OK)


async def test_a_device_that_is_not_there_cannot_be_allocated(rig: Rig) -> None:
    await rig.kubelet.expect()
    with pytest.raises(PluginError, match="unknown device: GPU-0"):
        await rig.client.allocate(["GPU-0"])


async def test_allocate_fails_and_waits_as_annotated(rig: Rig) -> None:
    await rig.kubelet.expect()
    await rig.kubelet.next_list()
    rig.api.annotate(allocate_error="driver hangs", allocate_delay="300ms", xid="1=31")
    await rig.kubelet.next_list()
    began = time.monotonic()
    with pytest.raises(PluginError, match="code = Unknown desc = driver hangs"):
        await rig.client.allocate([rig.ids()[0]])
    assert time.monotonic() - began >= 0.3


async def test_a_device_that_is_not_injected_leaves_the_container_with_its_name_only(rig: Rig) -> None:
    await rig.kubelet.expect()
    await rig.kubelet.next_list()
    rig.api.annotate(not_injected="true", xid="1=31")
    await rig.kubelet.next_list()
    env, mounts, _ = allocation(await rig.client.allocate([rig.ids()[0]]))
    assert env == {"NVIDIA_VISIBLE_DEVICES": rig.ids()[0]}
    assert mounts == []


async def test_it_prefers_devices_in_the_order_of_the_bus(rig: Rig) -> None:
    await rig.kubelet.expect()
    first, second = rig.ids()
    assert await rig.client.preferred([second, first], [], 1) == [first]


async def test_devices_that_vanish_empty_the_list_and_come_back(rig: Rig) -> None:
    await rig.kubelet.expect()
    await rig.kubelet.next_list()
    rig.api.annotate(no_devices="true")
    assert await rig.kubelet.next_list() == []
    rig.api.annotate(no_devices=None)
    assert await rig.kubelet.next_list() == [True, True]
    assert "No devices found. Waiting indefinitely." in rig.stop()


async def test_a_label_that_is_edited_makes_no_hardware(rig: Rig) -> None:
    await rig.kubelet.expect()
    await rig.kubelet.next_list()
    rig.api.node["metadata"]["labels"]["nvidia.com/gpu.count"] = "8"
    rig.api.annotate(xid="0=31")
    assert await rig.kubelet.next_list() == [True, True]
    assert "its devices did not" in rig.stop()


async def test_it_registers_again_with_a_kubelet_that_started_anew(rig: Rig) -> None:
    await rig.kubelet.expect()
    await rig.kubelet.next_list()
    await rig.kubelet.stop()
    again = FakeKubelet(rig.kubelet.folder)
    await again.start()
    rig.kubelet = again
    assert await again.expect() == (RESOURCE, "nvidia-gpu.sock")
    assert await again.next_list() == [True, True]


async def test_metrics_and_nvidia_smi_tell_the_same_story(rig: Rig) -> None:
    await rig.kubelet.expect()
    first = rig.ids()[0]
    from model_server.gpu import Gpu

    # A workload that holds the device, as the model server does.
    workload = Gpu(rig.root, first, "12.4")
    workload.allocate(2048)
    workload.report(0.5)
    page = await rig.metrics()
    labels = (
        f'gpu="0",UUID="{first}",pci_bus_id="00000000:04:00.0",device="nvidia0",modelName="NVIDIA A100-SXM4-40GB",Hostname="gpu-node-1"'
    )
    assert f"DCGM_FI_DEV_FB_USED{{{labels}" in page
    values = {line.split("{")[0]: line.rpartition(" ")[2] for line in page.splitlines() if first in line}
    assert (values["DCGM_FI_DEV_FB_USED"], values["DCGM_FI_DEV_FB_FREE"]) == ("2048", "38912")
    assert (values["DCGM_FI_DEV_GPU_UTIL"], values["DCGM_FI_DEV_XID_ERRORS"]) == ("50", "0")
    shown = await asyncio.to_thread(
        subprocess.run,
        [str(rig.root / "bin/nvidia-smi"), "--query-gpu=memory.used,utilization.gpu,temperature.gpu", "--format=csv,noheader,nounits"],
        env={"PATH": os.environ["PATH"], "AI_LAB_GPU_ROOT": str(rig.root), "NVIDIA_VISIBLE_DEVICES": first},
        capture_output=True,
        text=True,
        check=True,
    )
    assert shown.stdout == f"2048, 50, {values['DCGM_FI_DEV_GPU_TEMP']}\n"


async def test_a_workload_that_was_killed_no_longer_counts(rig: Rig) -> None:
    await rig.kubelet.expect()
    first = rig.ids()[0]
    code = (
        f"from model_server.gpu import Gpu; g = Gpu(__import__('pathlib').Path({str(rig.root)!r}), {first!r}, '12.4'); g.allocate(9000); "
    )
    workload = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        code + "print('up', flush=True); import time; time.sleep(60)",
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(IMAGES / "model_server")},
        stdout=asyncio.subprocess.PIPE,
    )
    assert workload.stdout
    assert await workload.stdout.readline() == b"up\n"
    assert f'UUID="{first}"' in await rig.metrics()
    assert any("FB_USED" in line and line.endswith(" 9000") for line in (await rig.metrics()).splitlines())
    workload.kill()
    await workload.wait()
    assert not any("FB_USED" in line and line.endswith(" 9000") for line in (await rig.metrics()).splitlines())
    assert list((rig.root / "usage" / first).iterdir()) == []


async def test_a_lost_device_shows_nothing_but_its_error(rig: Rig) -> None:
    await rig.kubelet.expect()
    await rig.kubelet.next_list()
    rig.api.annotate(xid="79")
    await rig.kubelet.next_list()
    lines = [line for line in (await rig.metrics()).splitlines() if 'gpu="0"' in line]
    assert [(line.split("{")[0], line.rpartition(" ")[2]) for line in lines] == [("DCGM_FI_DEV_XID_ERRORS", "79")]


async def test_it_says_which_variable_is_missing(start: Start) -> None:
    process = start("gpu_device_plugin")
    log, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "NODE_NAME is not set" in log
    assert "Traceback" not in log


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the memory from /proc")
async def test_it_stays_small(rig: Rig) -> None:
    await rig.kubelet.expect()
    await rig.metrics()
    status = Path(f"/proc/{rig.process.pid}/status").read_text()
    resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
    assert resident < 32 * 1024


SHARED = """
version: v1
sharing:
  timeSlicing:
    renameByDefault: true
    failRequestsGreaterThanOne: true
    resources: [{name: nvidia.com/gpu, replicas: 3}]
"""


@pytest.mark.parametrize("configuration", [SHARED])
async def test_a_shared_device_is_allocated_once_for_each_container(rig: Rig) -> None:
    assert await rig.kubelet.expect() == ("nvidia.com/gpu.shared", "nvidia-gpu.shared.sock")
    assert await rig.kubelet.next_list() == [True] * 6
    first = rig.ids()[0]
    for replica in range(3):
        env, _, _ = allocation(await rig.client.allocate([f"{first}::{replica}"]))
        assert env["NVIDIA_VISIBLE_DEVICES"] == first
    with pytest.raises(PluginError, match="maximum request size for shared resources is 1; found 2"):
        await rig.client.allocate([f"{first}::0", f"{first}::1"])


@pytest.mark.parametrize("configuration", ["version: v7"])
async def test_a_configuration_of_another_version_ends_the_plugin(rig: Rig) -> None:
    log, _ = await asyncio.to_thread(rig.process.communicate, timeout=60)
    assert rig.process.returncode == 1
    assert "Cannot load the configuration: unknown version: v7" in log
