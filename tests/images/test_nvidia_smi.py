"""nvidia-smi, run as a container runs it: a file, an interpreter and the folders that Allocate mounts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from gpu_device_plugin import faults, inventory
from gpu_device_plugin.description import Description
from gpu_dra_driver.devices import parts

LABELS = {"nvidia.com/gpu.product": "NVIDIA-A100-SXM4-40GB", "nvidia.com/gpu.count": "2"}


class Container:
    """What a container sees; `describe` writes the node's state with these annotations."""

    def __init__(self, root: Path):
        self.root = root
        self._description = Description(root)
        self._description.prepare()
        self.describe()

    def describe(self, labels: dict[str, str] = LABELS, **annotations: str) -> None:
        found = faults.parse({f"gpu.ai-lab.dev/{name.replace('_', '-')}": value for name, value in annotations.items()})
        self.devices = inventory.devices("gpu-node-1", labels, found)
        self._description.write("gpu-node-1", inventory.driver(found), self.devices, {})

    def show(self, *parts: inventory.Device) -> None:
        self._description.write("gpu-node-1", inventory.driver(faults.Faults()), [*self.devices, *parts], {})

    def smi(self, *arguments: str, visible: str | None = "all", **environment: str) -> tuple[int, str]:
        env = {"PATH": os.environ["PATH"], "AI_LAB_GPU_ROOT": str(self.root), **environment} | (
            {} if visible is None else {"NVIDIA_VISIBLE_DEVICES": visible}
        )
        done = subprocess.run([self.root / "bin/nvidia-smi", *arguments], env=env, capture_output=True, text=True, check=False, timeout=20)
        assert done.stderr == ""
        return done.returncode, done.stdout


@pytest.fixture
def container(tmp_path: Path) -> Container:
    return Container(tmp_path)


def test_the_table_is_ruled_and_names_driver_and_devices(container: Container) -> None:
    status, shown = container.smi()
    lines = shown.splitlines()
    assert status == 0
    assert {len(line) for line in lines[1:]} == {91}
    assert lines[2] == "| NVIDIA-SMI 570.86.15              Driver Version: 570.86.15      CUDA Version: 12.8     |"
    assert lines[8] == "|   0  NVIDIA A100-SXM4-40GB          On  |   00000000:04:00.0 Off |                    0 |"
    assert "0MiB /  40960MiB" in lines[9]
    assert lines[12].startswith("|   1  NVIDIA A100-SXM4-40GB")
    assert "No running processes found" in shown


def test_parts_of_a_card_are_shown_below_it(container: Container) -> None:
    first, card = container.devices
    wanted = [each for each in parts(card) if each.name in ("gpu-1-mig-1g5gb-19-3", "gpu-1-mig-2g10gb-14-0")]
    small, large = (each.made("claim") for each in wanted)
    container.show(small, large)
    status, shown = container.smi(visible=f"{large.uuid},{small.uuid}")
    lines = shown.splitlines()
    assert status == 0
    assert {len(line) for line in lines[1:]} == {91}
    assert lines[8:11] == [
        "|   0  NVIDIA A100-SXM4-40GB          On  |   00000000:05:00.0 Off |                   On |",
        "| N/A   33C    P8             46W /  400W |                    N/A |     N/A      Default |",
        "|                                         |                        |              Enabled |",
    ]
    assert lines[20:22] == [
        "|  0   10   0   0  |               0MiB /  4864MiB    | 14      0 |  1   0    0    0    0 |",
        "|                  |                 0MiB /  8191MiB  |           |                       |",
    ]
    assert lines[23].startswith("|  0    3   0   1  |               0MiB /  9856MiB    | 28")
    assert container.smi("-L", visible=f"{small.uuid},{large.uuid},{first.uuid}")[1] == (
        f"GPU 0: NVIDIA A100-SXM4-40GB (UUID: {first.uuid})\n"
        f"GPU 1: NVIDIA A100-SXM4-40GB (UUID: {card.uuid})\n"
        f"  MIG 1g.5gb      Device  0: (UUID: {small.uuid})\n"
        f"  MIG 2g.10gb     Device  1: (UUID: {large.uuid})\n"
    )
    assert container.smi("--query-gpu=name,mig.mode.current", "--format=csv,noheader", visible=small.uuid)[1] == (
        "NVIDIA A100-SXM4-40GB MIG 1g.5gb, Enabled\n"
    )


def test_the_dra_drivers_variables_name_devices_too(container: Container) -> None:
    first, second = (each.uuid for each in container.devices)
    assert container.smi("-L", visible=second, GPU_DEVICE_1=second, GPU_DEVICE_0=first)[1].count("GPU-") == 2
    assert container.smi("-L", visible=None, GPU_DEVICE_1=second) == (0, f"GPU 0: NVIDIA A100-SXM4-40GB (UUID: {second})\n")


def test_a_container_sees_its_own_devices_only_counted_from_0(container: Container) -> None:
    second = container.devices[1].uuid
    assert container.smi("-L", visible=second) == (0, f"GPU 0: NVIDIA A100-SXM4-40GB (UUID: {second})\n")


def test_a_query_prints_the_fields_that_were_asked_for(container: Container) -> None:
    asked = "--query-gpu=index,name,memory.total,utilization.gpu"
    assert container.smi(asked, "--format=csv", "-i", "1") == (
        0,
        "index, name, memory.total [MiB], utilization.gpu [%]\n1, NVIDIA A100-SXM4-40GB, 40960 MiB, 0 %\n",
    )
    assert container.smi(asked, "--format=csv,noheader,nounits", "-i", "0")[1] == "0, NVIDIA A100-SXM4-40GB, 40960, 0\n"


def test_a_field_that_does_not_exist_is_named(container: Container) -> None:
    status, shown = container.smi("--query-gpu=name,colour", "--format=csv")
    assert status == 2
    assert 'Field "colour" is not a valid field to query.' in shown


@pytest.mark.parametrize("visible", [None, "", "none", "void", "GPU-of-another-node"])
def test_without_a_device_there_is_none_to_show(container: Container, visible: str | None) -> None:
    assert container.smi(visible=visible) == (6, "No devices were found\n")


def test_without_a_driver_it_says_so(container: Container) -> None:
    (container.root / "description/devices.json").unlink()
    status, shown = container.smi()
    assert status == 9
    assert "couldn't communicate with the NVIDIA driver" in shown


def test_a_device_that_fell_off_the_bus_is_lost(container: Container) -> None:
    container.describe(xid="79")
    status, shown = container.smi()
    assert status == 15
    assert "GPU is lost" in shown
    assert container.smi("-i", "1")[0] == 0


def test_the_driver_of_the_node_is_shown(container: Container) -> None:
    container.describe(driver_version="470.57.02")
    assert "Driver Version: 470.57.02      CUDA Version: 11.4" in container.smi()[1]


def test_a_program_that_uses_a_device_is_listed_while_it_lives(container: Container) -> None:
    from model_server.gpu import Gpu

    program = Gpu(container.root, container.devices[0].uuid, "12.4")
    program.allocate(1234)
    _, shown = container.smi()
    assert "1234MiB /  40960MiB" in shown
    assert f"{os.getpid()}      C   python" in shown
    assert {len(line) for line in shown.splitlines()[1:]} == {91}
    assert container.smi("--query-compute-apps=pid,used_memory", "--format=csv,noheader")[1] == f"{os.getpid()}, 1234 MiB\n"


def test_q_tells_everything_or_what_was_asked_for(container: Container) -> None:
    status, shown = container.smi("-q", "-i", "1")
    lines = [line.strip() for line in shown.splitlines()]
    assert status == 0
    assert lines[1] == "==============NVSMI LOG=============="
    assert "Attached GPUs                             : 2" in lines
    assert f"GPU {container.devices[1].bus_id}" in lines
    assert f"GPU {container.devices[0].bus_id}" not in lines
    assert {line.partition(":")[0].strip() for line in lines} >= {"Product Name", "GPU UUID", "Utilization", "FB Memory Usage", "Processes"}
    memory = container.smi("-q", "-d", "MEMORY", "-i", "0")[1].splitlines()[8:]
    assert [line.split(":")[0].strip() for line in memory if line] == [
        f"GPU {container.devices[0].bus_id}".split(":")[0],
        *("FB Memory Usage", "Total", "Reserved", "Used", "Free"),
    ]


def test_the_matrix_shows_the_links_between_cards(container: Container) -> None:
    status, shown = container.smi("topo", "-m")
    rows = [line.split("\t") for line in shown.splitlines()[:3]]
    assert status == 0
    assert [row[:3] for row in rows] == [["", "GPU0", "GPU1"], ["GPU0", " X ", "NV12"], ["GPU1", "NV12", " X "]]
    assert "NV#  = Connection traversing a bonded set of # NVLinks" in shown
    container.describe({"nvidia.com/gpu.product": "Tesla-T4", "nvidia.com/gpu.count": "2"})
    assert container.smi("topo", "-m")[1].splitlines()[1].split("\t")[:3] == ["GPU0", " X ", "PHB"]


def test_dmon_prints_a_line_a_device(container: Container) -> None:
    status, shown = container.smi("dmon", "-c", "2", "-d", "0.01")
    lines = shown.splitlines()
    assert (status, len(lines)) == (0, 6)
    assert lines[0].split()[:5] == ["#", "gpu", "pwr", "gtemp", "mtemp"]
    assert [line.split()[:2] for line in lines[2:4]] == [["0", "46"], ["1", "46"]]
    assert {len(line) for line in lines} == {len(lines[0])}


@pytest.mark.parametrize("arguments", [("--colour",), ("topo", "--colour"), ("dmon", "--colour")])
def test_an_option_that_does_not_exist_is_refused_in_the_tools_words(container: Container, arguments: tuple[str, ...]) -> None:
    status, shown = container.smi(*arguments)
    assert status == 1
    assert shown.startswith("Invalid combination of input arguments. Please run 'nvidia-smi")


def test_without_a_device_no_view_has_anything_to_show(container: Container) -> None:
    for arguments in (("-q",), ("topo", "-m"), ("dmon", "-c", "1"), ("-L",)):
        assert container.smi(*arguments, visible="") == (6, "No devices were found\n")
