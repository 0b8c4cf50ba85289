"""Container Device Interface: names of devices in, environment and mounts out, by the specs that a node has."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded.kubelet import cdi
from clusters.embedded.kubelet.runtime import Mount


class Specs:
    """The specs of a node whose `/` is `root`."""

    def __init__(self, root: Path):
        self.root = root

    def write(self, path: str, kind: str, *devices: dict[str, Any], version: str = "0.6.0", **spec: Any) -> None:
        file = self.host(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps({"cdiVersion": version, "kind": kind, "devices": devices, **spec}))

    def host(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def edits(self, *names: str) -> cdi.Edits:
        return cdi.edits(names, self.host)


@pytest.fixture
def specs(tmp_path: Path) -> Specs:
    return Specs(tmp_path)


def _device(name: str, *env: str, **edits: Any) -> dict[str, Any]:
    return {"name": name, "containerEdits": {"env": list(env), **edits}}


def test_the_edits_of_a_spec_come_once_and_before_those_of_its_devices(specs: Specs) -> None:
    specs.write(
        "/var/run/cdi/a.json", "v.com/gpu", _device("0", "ID=0"), _device("1", "ID=1"), containerEdits={"env": ["ID=none", "LIB=1"]}
    )
    assert specs.edits("v.com/gpu=0", "v.com/gpu=1").env == {"ID": "1", "LIB": "1"}
    assert specs.edits("v.com/gpu=1", "v.com/gpu=0", "v.com/gpu=1").env == {"ID": "0", "LIB": "1"}


def test_mounts_and_device_nodes_become_mounts(specs: Specs) -> None:
    (specs.host("/dev")).mkdir()
    specs.host("/dev/nvidia0").write_text("")
    mounts = [
        {"hostPath": "/opt/lib", "containerPath": "/usr/lib/x", "options": ["ro", "bind"]},
        {"hostPath": "/opt/data", "containerPath": "/data"},
    ]
    nodes = [{"path": "/dev/nvidia0"}, {"path": "/dev/nvidia-first", "hostPath": "/dev/nvidia0", "permissions": "r"}]
    specs.write("/etc/cdi/a.json", "v.com/gpu", _device("0", mounts=mounts, deviceNodes=nodes))
    assert specs.edits("v.com/gpu=0").mounts == [
        Mount("/dev/nvidia0", specs.host("/dev/nvidia0"), False),
        Mount("/dev/nvidia-first", specs.host("/dev/nvidia0"), True),
        Mount("/usr/lib/x", specs.host("/opt/lib"), True),
        Mount("/data", specs.host("/opt/data"), False),
    ]


def test_the_transient_folder_wins_over_the_static_one(specs: Specs) -> None:
    specs.write("/etc/cdi/a.json", "v.com/gpu", _device("0", "FROM=etc"))
    specs.write("/var/run/cdi/a.json", "v.com/gpu", _device("0", "FROM=run"))
    assert specs.edits("v.com/gpu=0").env == {"FROM": "run"}


def test_yaml_is_read_too(specs: Specs) -> None:
    file = specs.host("/var/run/cdi/a.yaml")
    file.parent.mkdir(parents=True)
    file.write_text("cdiVersion: 1.0.0\nkind: v.com/gpu\ndevices:\n- name: all\n  containerEdits:\n    env: [ID=all]\n")
    assert specs.edits("v.com/gpu=all").env == {"ID": "all"}


def test_devices_that_no_spec_has_are_named(specs: Specs) -> None:
    specs.write("/var/run/cdi/a.json", "v.com/gpu", _device("0", "ID=0"))
    with pytest.raises(cdi.CdiError, match=r"^CDI device injection failed: unresolvable CDI devices v\.com/gpu=1, w\.com/gpu=0$"):
        specs.edits("v.com/gpu=1", "v.com/gpu=0", "w.com/gpu=0")
    assert specs.edits() == cdi.Edits()


def test_a_device_of_two_specs_is_no_device(specs: Specs) -> None:
    specs.write("/var/run/cdi/a.json", "v.com/gpu", _device("0", "ID=a"), _device("1", "ID=1"))
    specs.write("/var/run/cdi/b.json", "v.com/gpu", _device("0", "ID=b"))
    with pytest.raises(cdi.CdiError):
        specs.edits("v.com/gpu=0")
    assert specs.edits("v.com/gpu=1").env == {"ID": "1"}


def test_a_device_node_that_is_missing_is_told(specs: Specs) -> None:
    specs.write("/var/run/cdi/a.json", "v.com/gpu", _device("0", deviceNodes=[{"path": "/dev/nvidia0"}]))
    with pytest.raises(cdi.CdiError, match="failed to stat CDI host device"):
        specs.edits("v.com/gpu=0")


@pytest.mark.parametrize(
    "spec",
    [
        {"version": "0.2.0"},
        {"kind": "gpu"},
        {"devices": []},
        {"devices": [{"name": "-", "containerEdits": {"env": ["A=1"]}}]},
        {"devices": [{"name": "0", "containerEdits": {}}]},
        {"devices": [{"name": "0", "containerEdits": {"env": ["NO_VALUE"]}}]},
        {"devices": [{"name": "0", "containerEdits": {"mounts": [{"hostPath": "/a"}]}}]},
        {"devices": [{"name": "0", "containerEdits": {"deviceNodes": [{"hostPath": "/a"}]}}]},
    ],
    ids=lambda spec: json.dumps(spec)[:40],
)
def test_a_spec_that_is_not_valid_spoils_no_other(specs: Specs, spec: dict[str, Any]) -> None:
    bad = {"kind": "v.com/gpu", "devices": [_device("0", "A=1")], "version": "0.6.0"} | spec
    specs.write("/var/run/cdi/bad.json", bad["kind"], *bad["devices"], version=bad["version"])
    specs.host("/var/run/cdi/broken.json").write_text("{")
    specs.write("/var/run/cdi/good.json", "w.com/gpu", _device("0", "B=1"))
    assert specs.edits("w.com/gpu=0").env == {"B": "1"}
    with pytest.raises(cdi.CdiError):
        specs.edits("v.com/gpu=0")
