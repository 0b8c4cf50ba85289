"""nvidia-smi, run as a container runs it: a file, an interpreter and the folders that Allocate mounts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from gpu_device_plugin import faults, inventory
from gpu_device_plugin.description import Description

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

    def smi(self, *arguments: str, visible: str | None = "all") -> tuple[int, str]:
        env = {"PATH": os.environ["PATH"], "AI_LAB_GPU_ROOT": str(self.root)} | (
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
