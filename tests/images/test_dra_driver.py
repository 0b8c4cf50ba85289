"""The DRA driver: what it says of GPUs, and the program between an API server and a kubelet."""

from __future__ import annotations

import asyncio
import contextlib
import copy
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web
from gpu_device_plugin import faults, inventory
from gpu_dra_driver import __main__ as program
from gpu_dra_driver import devices

from clusters.embedded.kubelet.dra_plugin import DraPlugin, RegistrationClient
from clusters.embedded.kubelet.dra_state import ClaimInfo, DraError, Health
from clusters.embedded.kubelet.grpc_unix import PluginError
from tests.images.conftest import IMAGES, Start

NODE = "worker-1"
LABELS = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB", "nvidia.com/gpu.count": "2"}
Object = dict[str, Any]


# Devices


def _slices(*annotations: tuple[str, str], labels: dict[str, str] = LABELS, dynamic_mig: bool = True) -> list[Object]:
    found = faults.parse({f"gpu.ai-lab.dev/{name}": value for name, value in annotations})
    return devices.slices(inventory.devices(NODE, labels, found), inventory.driver(found), dynamic_mig=dynamic_mig)


def _named(slices: list[Object]) -> dict[str, Object]:
    return {device["name"]: device for each in slices for device in each.get("devices", [])}


def test_a_card_that_cannot_be_cut_is_one_device() -> None:
    (only,) = _slices(labels={"nvidia.com/gpu.product": "Tesla-T4"})
    assert only == {
        "devices": [
            {
                "name": "gpu-0",
                "attributes": {
                    "type": {"string": "gpu"},
                    "uuid": {"string": inventory.devices(NODE, {"nvidia.com/gpu.product": "Tesla-T4"}, faults.Faults())[0].uuid},
                    "index": {"int": 0},
                    "productName": {"string": "Tesla T4"},
                    "brand": {"string": "Nvidia"},
                    "architecture": {"string": "Turing"},
                    "cudaComputeCapability": {"version": "7.5.0"},
                    "driverVersion": {"version": "570.86.15"},
                    "cudaDriverVersion": {"version": "12.8.0"},
                    "resource.kubernetes.io/pciBusID": {"string": "0000:04:00.0"},
                    "resource.kubernetes.io/pcieRoot": {"string": "pci0000:00"},
                },
                "capacity": {"memory": {"value": "15Gi"}},
            }
        ]
    }


def test_a_card_is_offered_whole_and_in_parts_that_draw_on_its_counters() -> None:
    counters, *cards = _slices()
    assert [each["name"] for each in counters["sharedCounters"]] == ["gpu-0-counter-set", "gpu-1-counter-set"]
    assert [len(each["devices"]) for each in cards] == [19, 19]
    there = counters["sharedCounters"][1]["counters"]
    assert there["memory"] == {"value": "40Gi"}
    named = _named(cards)
    assert named["gpu-1"]["consumesCounters"] == [{"counterSet": "gpu-1-counter-set", "counters": there}]
    part = named["gpu-1-mig-1g10gb-15-2"]
    assert {name: part["attributes"][name] for name in ("type", "profile", "parentIndex")} == {
        "type": {"string": "mig"},
        "profile": {"string": "1g.10gb"},
        "parentIndex": {"int": 1},
    }
    assert part["attributes"]["parentUUID"] == named["gpu-1"]["attributes"]["uuid"]
    assert part["capacity"]["memory"] == {"value": "9856Mi"}
    (consumed,) = part["consumesCounters"]
    assert consumed["counterSet"] == "gpu-1-counter-set"
    assert {name for name in consumed["counters"] if name.startswith("memory-slice")} == {"memory-slice-2", "memory-slice-3"}


@pytest.mark.parametrize("product", [name.replace(" ", "-") for name in devices._DATA["products"]])
def test_every_part_fits_its_card(product: str) -> None:
    slices = _slices(labels={"nvidia.com/gpu.product": product})
    sets = {each["name"]: each["counters"] for each in slices[0].get("sharedCounters", [])}
    for name, device in _named(slices).items():
        assert len(name) <= 63
        assert len(device["attributes"]) + len(device["capacity"]) <= 32
        for each in device.get("consumesCounters", []):
            assert set(each["counters"]) <= set(sets[each["counterSet"]]), name


def test_without_the_gate_there_are_no_parts() -> None:
    (only,) = _slices(dynamic_mig=False)
    assert [device["name"] for device in only["devices"]] == ["gpu-0", "gpu-1"]
    assert "consumesCounters" not in only["devices"][0]


def test_a_node_without_devices_offers_nothing() -> None:
    assert _slices(("no-devices", "true")) == []


@pytest.mark.parametrize(
    ("xid", "taint"),
    [
        ("48", {"key": "gpu.nvidia.com/xid", "value": "48", "effect": "NoSchedule"}),
        ("79", {"key": "gpu.nvidia.com/gpu-lost", "effect": "NoSchedule"}),
        ("13", {"key": "gpu.nvidia.com/xid", "value": "13", "effect": "None"}),
    ],
)
def test_what_is_wrong_with_a_card_taints_it_and_its_parts(xid: str, taint: Object) -> None:
    named = _named(_slices(("xid", f"1={xid}")))
    assert {name for name, device in named.items() if device.get("taints") == [taint]} == {
        each for each in named if each.startswith("gpu-1")
    }
    assert all("taints" not in device for name, device in named.items() if name.startswith("gpu-0"))


@pytest.mark.parametrize(("given", "expected"), [("8.0", "8.0.0"), ("470.57.02", "470.57.2"), ("13", "13.0.0")])
def test_versions_are_semantic(given: str, expected: str) -> None:
    assert devices.semantic(given) == expected


def test_feature_gates_are_read_as_the_real_driver_reads_them() -> None:
    assert program.gates("DynamicMIG=true, Other=false") == {"DynamicMIG": True, "Other": False}
    with pytest.raises(ValueError, match="DynamicMIG=yes"):
        program.gates("DynamicMIG=yes")


# The program


@dataclass
class FakeApiServer:
    """A Node, its ResourceSlices and some claims over plain HTTP; every change of a slice is told to the watches."""

    node: Object
    port: int = 0
    slices: dict[str, Object] = field(default_factory=dict)
    claims: dict[str, Object] = field(default_factory=dict)
    refusal: str = ""
    writes: list[str] = field(default_factory=list)
    _version: int = 1
    _watches: dict[str, list[asyncio.Queue[Object]]] = field(default_factory=dict)
    _runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        group = "/apis/resource.k8s.io/v1"
        app.router.add_get("/api/v1/nodes", self._listed)
        app.router.add_get(f"{group}/resourceslices", self._listed)
        app.router.add_post(f"{group}/resourceslices", self._create)
        app.router.add_put(f"{group}/resourceslices/{{name}}", self._update)
        app.router.add_delete(f"{group}/resourceslices/{{name}}", self._delete)
        app.router.add_get(f"{group}/namespaces/{{namespace}}/resourceclaims/{{name}}", self._claim)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        assert self._runner
        await self._runner.cleanup()

    async def _listed(self, request: web.Request) -> web.StreamResponse:
        items = [self.node] if request.path.endswith("nodes") else list(self.slices.values())
        if "watch" not in request.query:
            return web.json_response({"metadata": {"resourceVersion": str(self._version)}, "items": items})
        response = web.StreamResponse()
        await response.prepare(request)
        events: asyncio.Queue[Object] = asyncio.Queue()
        self._watches.setdefault(request.path, []).append(events)
        with contextlib.suppress(ConnectionError, asyncio.CancelledError):
            while True:
                await response.write(json.dumps(await events.get()).encode() + b"\n")
        return response

    def _tell(self, path: str, kind: str, obj: Object) -> None:
        for events in self._watches.get(path, []):
            events.put_nowait({"type": kind, "object": copy.deepcopy(obj)})

    def _stored(self, body: Object, kind: str) -> web.Response:
        self._version += 1
        body["metadata"]["resourceVersion"] = str(self._version)
        for device in body["spec"].get("devices", []):
            for taint in device.get("taints", []):
                taint.setdefault("timeAdded", f"at {self._version}")
        self.slices[body["metadata"]["name"]] = body
        self.writes.append(f"{kind} {body['metadata']['name'].rpartition('-')[0]}")
        self._tell("/apis/resource.k8s.io/v1/resourceslices", kind, body)
        return web.json_response(body, status=201)

    def _refused(self) -> web.Response | None:
        return web.json_response({"message": self.refusal}, status=403) if self.refusal else None

    async def _create(self, request: web.Request) -> web.Response:
        body = await request.json()
        body["metadata"]["name"] = f"{body['metadata']['generateName']}{self._version}"
        body["metadata"]["uid"] = f"uid-{self._version}"
        return self._refused() or self._stored(body, "ADDED")

    async def _update(self, request: web.Request) -> web.Response:
        return self._refused() or self._stored(await request.json(), "MODIFIED")

    async def _delete(self, request: web.Request) -> web.Response:
        self.remove(request.match_info["name"])
        return web.json_response({"status": "Success"})

    async def _claim(self, request: web.Request) -> web.Response:
        found = self.claims.get(request.match_info["name"])
        missing = {"message": f'resourceclaims.resource.k8s.io "{request.match_info["name"]}" not found'}
        return web.json_response(found) if found else web.json_response(missing, status=404)

    # What a test does

    def remove(self, name: str) -> None:
        self._version += 1
        self.writes.append(f"DELETED {name.rpartition('-')[0]}")
        self._tell("/apis/resource.k8s.io/v1/resourceslices", "DELETED", self.slices.pop(name))

    def annotate(self, **annotations: str | None) -> None:
        now = self.node["metadata"].setdefault("annotations", {})
        for name, value in annotations.items():
            key = f"gpu.ai-lab.dev/{name.replace('_', '-')}"
            now.pop(key, None)
            if value is not None:
                now[key] = value
        self._tell("/api/v1/nodes", "MODIFIED", self.node)

    def allocate(self, name: str, *chosen: str, config: list[Object] | None = None, **result: Any) -> ClaimInfo:
        """A claim with these devices, `request=device` or the device alone."""
        pairs = [each.rpartition("=")[::2] for each in chosen]
        results = [
            {"request": request or "gpu", "driver": devices.DRIVER, "pool": NODE, "device": device, **result} for request, device in pairs
        ]
        self.claims[name] = {
            "metadata": {"name": name, "namespace": "default", "uid": f"uid-of-{name}"},
            "status": {"allocation": {"devices": {"results": results, "config": config or []}}},
        }
        return ClaimInfo(f"uid-of-{name}", name, "default")


@dataclass
class Rig:
    api: FakeApiServer
    root: Path
    launch: Callable[[], subprocess.Popen[str]]
    process: subprocess.Popen[str]
    plugin: DraPlugin | None = None

    @property
    def kubelet(self) -> DraPlugin:
        assert self.plugin
        return self.plugin

    async def until(self, check: Callable[[], Any], what: str) -> None:
        deadline = asyncio.get_running_loop().time() + 60
        while not check():
            assert self.process.poll() is None, "the driver has ended"
            assert asyncio.get_running_loop().time() < deadline, what
            await asyncio.sleep(0.02)

    async def register(self) -> None:
        """As the kubelet does when it finds the socket."""
        socket = self.root / "registry/gpu.nvidia.com-reg.sock"
        await self.until(socket.exists, "the driver serves no registration socket")
        client = RegistrationClient(socket)
        while True:
            # Between bind and listen a socket is there and refuses.
            with contextlib.suppress(PluginError):
                info = await client.info()
                break
            await asyncio.sleep(0.02)
        assert self.plugin or not self.api.slices, "devices were offered before the kubelet knew their driver"
        await client.notify("")
        client.close()
        assert (info.type, info.name, info.versions) == ("DRAPlugin", "gpu.nvidia.com", ("v1.DRAPlugin", "v1alpha1.DRAResourceHealth"))
        self.plugin = DraPlugin(info.name, info.endpoint, Path(info.endpoint), info.versions[0], tells_health=True)

    async def published(self, count: int = 3) -> None:
        await self.until(lambda: len(self.api.slices) == count, f"there are not {count} slices")

    def spec(self, name: str) -> Object:
        found: Object = json.loads((self.root / f"cdi/k8s.gpu.nvidia.com-claim_uid-of-{name}.json").read_text())
        return found

    def described(self) -> list[str]:
        document = json.loads((self.root / "gpus/description/devices.json").read_text())
        return [each["uuid"] for each in document["devices"]]

    async def restart(self) -> None:
        self.kubelet.close()
        self.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(self.process.wait, 10)
        self.process = self.launch()
        await self.register()


@pytest_asyncio.fixture
async def rig() -> AsyncIterator[Rig]:
    # Short: the sockets' paths must fit.
    root = Path(tempfile.mkdtemp(prefix="dra-"))
    api = FakeApiServer({"metadata": {"name": NODE, "uid": "uid-of-node", "labels": dict(LABELS)}})
    await api.start()
    (root / "registry").mkdir()

    def launch() -> subprocess.Popen[str]:
        log = (root / "log").open("a")
        environment = {
            "PATH": os.environ["PATH"],
            "PYTHONPATH": f"{IMAGES / 'gpu_dra_driver'}:{IMAGES / 'gpu_device_plugin'}",
            "KUBERNETES_API_SERVER": f"http://127.0.0.1:{api.port}",
            "NODE_NAME": NODE,
            "FEATURE_GATES": "DynamicMIG=true",
            "KUBELET_PLUGINS_DIRECTORY_PATH": str(root / "plugins"),
            "KUBELET_REGISTRAR_DIRECTORY_PATH": str(root / "registry"),
            "CDI_ROOT": str(root / "cdi"),
            "GPU_ROOT": str(root / "gpus"),
        }
        return subprocess.Popen([sys.executable, "-m", "gpu_dra_driver"], env=environment, stdout=log, stderr=log, text=True)

    made = Rig(api, root, launch, launch())
    try:
        await made.register()
        yield made
    finally:
        if made.plugin:
            made.plugin.close()
        made.process.kill()
        await asyncio.to_thread(made.process.wait)
        await api.stop()
        shutil.rmtree(root)


async def test_slices_are_published_in_one_pool_of_the_node(rig: Rig) -> None:
    await rig.published()
    names = sorted(rig.api.slices)
    assert [name[: len("0-gpu.nvidia.com-worker-1-")] for name in names] == [f"{index}-gpu.nvidia.com-worker-1-" for index in range(3)]
    for name in names:
        found = rig.api.slices[name]
        assert found["spec"]["pool"] == {"name": NODE, "generation": 1, "resourceSliceCount": 3}
        assert (found["spec"]["driver"], found["spec"]["nodeName"]) == ("gpu.nvidia.com", NODE)
        owner = {"apiVersion": "v1", "kind": "Node", "name": NODE, "uid": "uid-of-node", "controller": True}
        assert found["metadata"]["ownerReferences"] == [owner]
    assert [{"sharedCounters", "devices"} & set(rig.api.slices[name]["spec"]) for name in names] == [
        {"sharedCounters"},
        {"devices"},
        {"devices"},
    ]


async def test_a_failed_card_changes_one_slice_and_no_generation(rig: Rig) -> None:
    await rig.published()
    rig.api.writes.clear()
    rig.api.annotate(xid="1=48")

    def taints() -> set[tuple[str, int, str]]:
        found = [each["spec"] for each in rig.api.slices.values()]
        return {
            (taint["timeAdded"], spec["pool"]["generation"], device["name"][:5])
            for spec in found
            for device in spec.get("devices", [])
            for taint in device.get("taints", [])
        }

    await rig.until(taints, "no device is tainted")
    assert rig.api.writes == ["MODIFIED 2-gpu.nvidia.com-worker-1"]
    assert {(generation, device) for _, generation, device in taints()} == {(1, "gpu-1")}
    # Another card's failure leaves the time of the first.
    before = taints()
    rig.api.annotate(xid="0=48,1=48")
    await rig.until(lambda: len(taints()) == 2, "the other card is not tainted")
    assert before < taints()
    rig.api.annotate(xid=None)
    await rig.until(lambda: not taints(), "the taints stay")


async def test_slices_that_somebody_deletes_come_back(rig: Rig) -> None:
    await rig.published()
    rig.api.remove(sorted(rig.api.slices)[1])
    await rig.until(lambda: [each["spec"]["pool"]["generation"] for each in rig.api.slices.values()] == [2, 2, 2], "no new generation")
    rig.api.remove(sorted(rig.api.slices)[0])
    await rig.until(lambda: [each["spec"]["pool"]["generation"] for each in rig.api.slices.values()] == [3, 3, 3], "no new generation")
    rig.api.annotate(no_devices="true")
    await rig.published(0)


async def test_what_the_server_refuses_is_tried_again(rig: Rig) -> None:
    await rig.published()
    rig.api.refusal = "not today"
    rig.api.annotate(xid="0=48")
    await rig.until(lambda: "403 Forbidden: not today" in (rig.root / "log").read_text(), "the refusal is not in the log")
    rig.api.refusal = ""
    tainted = sorted(rig.api.slices)[1]
    await rig.until(lambda: "taints" in rig.api.slices[tainted]["spec"]["devices"][0], "the slice was not written again")


async def test_a_new_driver_changes_nothing_that_is_right(rig: Rig) -> None:
    await rig.published()
    rig.api.writes.clear()
    await rig.restart()
    claim = rig.api.allocate("one", "gpu-0")
    await rig.kubelet.prepare([claim])
    assert rig.api.writes == []


async def test_a_claim_becomes_a_cdi_spec(rig: Rig) -> None:
    claim = rig.api.allocate("one", "gpu-0")
    made = (await rig.kubelet.prepare([claim]))["uid-of-one"]
    assert [(each.pool, each.name, each.requests, each.cdi) for each in made] == [
        (NODE, "gpu-0", ("gpu",), ("k8s.gpu.nvidia.com/claim=uid-of-one-gpu-0",))
    ]
    uuid = rig.described()[0]
    gpus = rig.root / "gpus"
    assert rig.spec("one") == {
        "cdiVersion": "0.6.0",
        "kind": "k8s.gpu.nvidia.com/claim",
        "containerEdits": {
            "mounts": [
                {"containerPath": "/usr/bin/nvidia-smi", "hostPath": f"{gpus}/bin/nvidia-smi", "options": ["ro", *_OPTIONS]},
                {"containerPath": "/run/ai-lab-gpu/description", "hostPath": f"{gpus}/description", "options": ["ro", *_OPTIONS]},
            ]
        },
        "devices": [
            {
                "name": "uid-of-one-gpu-0",
                "containerEdits": {
                    "env": [
                        f"NVIDIA_VISIBLE_DEVICES={uuid}",
                        "NVIDIA_GPU_PRODUCT=NVIDIA A100-SXM4-40GB",
                        "NVIDIA_GPU_MEMORY_MIB=40960",
                        f"GPU_DEVICE_0={uuid}",
                    ],
                    "mounts": [
                        {"containerPath": f"/run/ai-lab-gpu/usage/{uuid}", "hostPath": f"{gpus}/usage/{uuid}", "options": ["rw", *_OPTIONS]}
                    ],
                },
            }
        ],
    }
    await rig.kubelet.unprepare([claim])
    assert list((rig.root / "cdi").iterdir()) == []
    # Nobody minds the second time.
    await rig.kubelet.unprepare([claim])


_OPTIONS = ["nosuid", "nodev", "rbind", "rprivate"]


async def test_a_part_exists_as_long_as_its_claim(rig: Rig) -> None:
    claim = rig.api.allocate("part", "gpu-1-mig-1g5gb-19-3")
    await rig.kubelet.prepare([claim])
    *cards, part = rig.described()
    assert len(cards) == 2
    assert part.startswith("MIG-")
    (device,) = rig.spec("part")["devices"]
    assert device["containerEdits"]["env"] == [
        f"NVIDIA_VISIBLE_DEVICES={part}",
        "NVIDIA_GPU_PRODUCT=NVIDIA A100-SXM4-40GB MIG 1g.5gb",
        "NVIDIA_GPU_MEMORY_MIB=4864",
        f"GPU_DEVICE_1_MIG_1G5GB_19_3={part}",
    ]
    # A driver that starts anew finds it again, with the same identity.
    await rig.restart()
    await rig.until(lambda: rig.described() == [*cards, part], "the part is not described any more")
    await rig.kubelet.unprepare([claim])
    assert rig.described() == cards


async def test_the_devices_of_a_request_are_one_variable(rig: Rig) -> None:
    await rig.kubelet.prepare([rig.api.allocate("both", "two=gpu-0", "two=gpu-1", "one/small=gpu-0-mig-1g5gb-19-6", adminAccess=True)])
    env = {
        each["name"].removeprefix("uid-of-both-"): dict(line.split("=", 1) for line in each["containerEdits"]["env"])
        for each in rig.spec("both")["devices"]
    }
    first, second, part = rig.described()
    assert [env[name]["NVIDIA_VISIBLE_DEVICES"] for name in ("gpu-0", "gpu-1", "gpu-0-mig-1g5gb-19-6")] == [
        f"{first},{second}",
        f"{first},{second}",
        part,
    ]


async def test_claims_are_prepared_once_and_never_share_a_device(rig: Rig) -> None:
    one = rig.api.allocate("one", "gpu-0")
    first = await rig.kubelet.prepare([one])
    written = (rig.root / "cdi/k8s.gpu.nvidia.com-claim_uid-of-one.json").stat().st_mtime_ns
    assert await rig.kubelet.prepare([one]) == first
    assert (rig.root / "cdi/k8s.gpu.nvidia.com-claim_uid-of-one.json").stat().st_mtime_ns == written
    await rig.restart()
    assert await rig.kubelet.prepare([one]) == first
    with pytest.raises(DraError, match="requested device gpu-0 is already prepared for claim uid-of-one"):
        await rig.kubelet.prepare([rig.api.allocate("other", "gpu-0")])
    await rig.kubelet.prepare([rig.api.allocate("watcher", "gpu-0", adminAccess=True)])


async def test_what_cannot_be_prepared_is_told(rig: Rig) -> None:
    async def refused(claim: ClaimInfo) -> str:
        with pytest.raises(DraError) as error:
            await rig.kubelet.prepare([claim])
        return str(error.value)

    prefix = (
        "NodePrepareResources failed for ResourceClaim one: "
        "error preparing devices for claim default/one:uid-of-one: prepare devices failed: "
    )
    assert await refused(rig.api.allocate("one", "gpu-7")) == f"{prefix}requested device is not allocatable: gpu-7"
    config = {"opaque": {"driver": "gpu.nvidia.com", "parameters": {"apiVersion": "resource.nvidia.com/v1beta1", "kind": "GpuConfig"}}}
    shared = copy.deepcopy(config)
    shared["opaque"]["parameters"]["sharing"] = {"strategy": "MPS"}  # type: ignore[assignment]
    assert "sharing strategy MPS needs a feature gate" in await refused(rig.api.allocate("one", "gpu-0", config=[shared]))
    other = {"opaque": {"driver": "gpu.nvidia.com", "parameters": {"apiVersion": "v2", "kind": "GpuConfig"}}}
    assert "no kind 'GpuConfig' is registered for 'v2'" in await refused(rig.api.allocate("one", "gpu-0", config=[other]))
    general = "NodePrepareResources: rpc error: code = Unknown desc = get resource claims: "
    claim = rig.api.allocate("one", "gpu-0")
    claim.uid = "another"
    assert await refused(claim) == f"{general}claim default/one got replaced"
    rig.api.claims["one"]["status"] = {}
    assert await refused(claim) == f"{general}claim default/one not allocated"
    rig.api.claims.clear()
    assert await refused(claim) == f'{general}retrieve claim default/one: resourceclaims.resource.k8s.io "one" not found'
    one = rig.api.allocate("one", "gpu-0", config=[config])
    rig.api.annotate(xid="1=48", allocate_error="the driver is out of order")
    await rig.until(lambda: "Xid=48" in (rig.root / "log").read_text(), "the driver did not see the annotations")
    assert await refused(one) == f"{prefix}the driver is out of order"
    rig.api.annotate(xid="0=79", allocate_error=None)
    await rig.until(lambda: "Xid=79" in (rig.root / "log").read_text(), "the driver did not see the Xid")
    assert (await refused(one)).endswith("failed to get device handle from UUID: GPU is lost")
    rig.api.annotate(xid=None)
    await rig.until(lambda: "recovered from Xid=79" in (rig.root / "log").read_text(), "the driver did not see the recovery")
    assert await rig.kubelet.prepare([one])


async def test_a_driver_that_injects_nothing_gives_the_name_alone(rig: Rig) -> None:
    rig.api.annotate(not_injected="true", xid="1=48")
    await rig.until(lambda: "Xid=48" in (rig.root / "log").read_text(), "the driver did not see the annotation")
    await rig.kubelet.prepare([rig.api.allocate("one", "gpu-0")])
    uuid = rig.described()[0]
    assert rig.spec("one")["devices"] == [
        {"name": "uid-of-one-gpu-0", "containerEdits": {"env": [f"NVIDIA_VISIBLE_DEVICES={uuid}", f"GPU_DEVICE_0={uuid}"]}}
    ]
    assert "containerEdits" not in rig.spec("one")


async def test_the_kubelet_is_told_which_devices_are_well(rig: Rig) -> None:
    reports = rig.kubelet.watch_health()

    async def report() -> dict[str, tuple[str, str]]:
        told: dict[tuple[str, str], Health] = await asyncio.wait_for(anext(reports), 60)
        return {name: (health.state, health.message) for (_, name), health in told.items()}

    first = await report()
    assert len(first) == 38
    assert set(first.values()) == {("Healthy", "")}
    rig.api.annotate(xid="0=79,1=13")
    second = await report()
    assert (second["gpu-0"], second["gpu-0-mig-1g5gb-19-0"]) == (("Unhealthy", "GPU is lost"),) * 2
    assert second["gpu-1"] == ("Healthy", "non-fatal XID 13 reported by NVML")
    await reports.aclose()  # type: ignore[attr-defined]


async def test_a_driver_that_ends_takes_its_sockets_along(rig: Rig) -> None:
    rig.process.send_signal(signal.SIGTERM)
    assert await asyncio.to_thread(rig.process.wait, 10) == 0
    assert list(rig.root.rglob("*.sock")) == []


def test_a_node_must_be_named(start: Start) -> None:
    process = start("gpu_dra_driver", PYTHONPATH=f"{IMAGES / 'gpu_dra_driver'}:{IMAGES / 'gpu_device_plugin'}")
    output, _ = process.communicate(timeout=20)
    assert process.returncode == 1
    assert "NODE_NAME is not set" in output
