"""The kind provider against recorded answers: what it runs, in which order, and what it says when one of them fails."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

import clusters
from clusters import images
from clusters.base import ClusterError, Progress
from clusters.kind import host
from clusters.kind.nodes import DEFAULT_NODE_IMAGE, NODES, configuration
from clusters.kind.provider import KindCluster
from tests.clusters.recorded import Heard, Machine, Recorded

ANSWERS = yaml.safe_load((Path(__file__).parent / "answers.yaml").read_text())
TOPOLOGY = json.loads((Path(clusters.__file__).parent / "embedded" / "topology.json").read_text())["nodes"]
GIB = 1024**3


def nodes(*, ready: bool = True, gpus: bool = True) -> str:
    items = []
    for row in TOPOLOGY:
        count = row["labels"].get("nvidia.com/gpu.count", "0")
        is_ready = ready or row["name"] != "ai-lab-worker"
        items.append(
            {
                "metadata": {"name": row["name"], "labels": row["labels"]},
                "status": {
                    "allocatable": {"nvidia.com/gpu": count} if gpus and count != "0" else {},
                    "conditions": [
                        {
                            "type": "Ready",
                            "status": "True" if is_ready else "False",
                            "reason": "KubeletReady" if is_ready else "KubeletNotReady",
                        }
                    ],
                },
            }
        )
    return json.dumps({"items": items})


OUTPUTS = {"NODES": nodes(), "NODES_NOT_READY": nodes(ready=False), "NODES_WITHOUT_GPUS": nodes(gpus=False)}


ENGINE = {name: "sha256:" + hashlib.sha256(name.encode()).hexdigest() for name in (DEFAULT_NODE_IMAGE, *images.needed())}
SERVER = "registry.example.com/ai-log-summary-api:v2"
PYTHON = "python:3.12-slim"


def recorded(*rows: dict[str, Any], newer_store: bool = False) -> Machine:
    """Commands on a healthy machine, but for these rows."""
    return Machine(*rows, rest=ANSWERS["healthy"], engine=ENGINE, outputs=OUTPUTS, newer_store=newer_store)


class Clock:
    """Time that passes only while somebody waits."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(autouse=True)
def roomy(monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with room, whatever machine this runs on, and Docker as the engine."""
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "docker")
    monkeypatch.setattr(host, "facts", lambda path: host.HostFacts("Linux", 4, 6 * GIB, 40 * GIB, 2, 512, 524288))


def kind(folder: Path, commands: Recorded) -> KindCluster:
    clock = Clock()
    return KindCluster(folder, commands, clock=clock, pause=clock.pause)


def test_from_nothing_it_creates_loads_applies_and_waits(tmp_path: Path) -> None:
    commands = recorded()
    kind(tmp_path, commands).up(Progress())
    order = [
        next(number for number, line in enumerate(commands.ran) if re.search(pattern, line))
        for pattern in (
            "^docker info",
            "^kind create cluster --name ai-lab",
            "^docker exec --privileged -i ai-lab-worker ctr --namespace=k8s.io images import --digests --snapshotter=overlayfs -$",
            "kubectl .* create --filename",
            "kubectl .*get nodes",
        )
    ]
    assert order == sorted(order)
    assert (tmp_path / "kind" / "ai-lab.yaml").read_text() == configuration(tmp_path)
    assert (tmp_path / "kind" / "audit-policy.yaml").exists()
    assert (tmp_path / "kind" / "audit").is_dir()


def test_a_running_cluster_is_left_as_it_is(tmp_path: Path) -> None:
    commands = recorded({"when": "^docker ps", "out": ANSWERS["nodes_whole"]})
    kind(tmp_path, commands).up(Progress())
    assert not commands.did("^kind (create|delete)")
    assert not commands.did("^docker start")


def test_a_stopped_cluster_is_started_again(tmp_path: Path) -> None:
    commands = recorded({"when": "^docker ps", "out": ANSWERS["nodes_stopped"]})
    kind(tmp_path, commands).up(Progress())
    assert commands.did(f"^docker start {' '.join(NODES)}")
    assert not commands.did("^kind (create|delete)")


def test_a_half_made_cluster_is_made_anew(tmp_path: Path) -> None:
    commands = recorded({"when": "^docker ps", "out": ANSWERS["nodes_half"]})
    kind(tmp_path, commands).up(Progress())
    assert commands.ran.index(next(line for line in commands.ran if line.startswith("kind delete"))) < commands.ran.index(
        next(line for line in commands.ran if line.startswith("kind create"))
    )


def test_containers_without_a_working_api_server_and_never_finished_are_made_anew(tmp_path: Path) -> None:
    commands = recorded(
        {"when": "^docker ps", "out": ANSWERS["nodes_whole"]},
        {"when": "^kind export", "code": 1, "err": "ERROR: could not read /etc/kubernetes/admin.conf\n"},
    )
    kind(tmp_path, commands).up(Progress())
    assert commands.did("^kind delete cluster --name ai-lab ")
    assert commands.did("^kind create")


def test_base_objects_that_are_there_are_left_as_a_lab_made_them(tmp_path: Path) -> None:
    exists = (
        'Error from server (AlreadyExists): error when creating "x.yaml": daemonsets.apps "nvidia-device-plugin-daemonset" already exists\n'
    )
    commands = recorded({"when": "^docker ps", "out": ANSWERS["nodes_whole"]}, {"when": " create --filename", "code": 1, "err": exists})
    kind(tmp_path, commands).up(Progress())
    assert commands.did(" create --filename")
    assert not commands.did(" apply ")


def test_what_a_lab_took_away_is_not_brought_back_by_a_later_start(tmp_path: Path) -> None:
    kind(tmp_path, recorded()).up(Progress())
    commands = recorded({"when": "^docker ps", "out": ANSWERS["nodes_whole"]}, {"when": "kubectl .*get nodes", "out": "NODES_WITHOUT_GPUS"})
    heard = Heard()
    kind(tmp_path, commands).up(heard)
    assert not commands.did(" create --filename")
    assert any("ai-lab-worker2 offers 0 of 2" in line and "ai-lab reset" in line for line in heard.lines)


def test_the_plugin_is_awaited_until_its_old_pod_is_gone(tmp_path: Path) -> None:
    """Nodes offer all their GPUs throughout: what the old plugin offered still stands there."""
    old = {"kind": "Pod", "metadata": {"name": "old", "deletionTimestamp": "2026-11-26T15:00:00Z"}}
    pods = [{"kind": "Pod", "metadata": {"name": name}} for name in ("a", "b")]
    status = {"observedGeneration": 2, "desiredNumberScheduled": 2, "updatedNumberScheduled": 2, "numberReady": 2}
    plugin = {"kind": "DaemonSet", "metadata": {"name": "plugin", "generation": 2}, "status": status}
    stages = [
        [{**plugin, "status": {**status, "observedGeneration": 1}}, *pods],
        [{**plugin, "status": {**status, "numberReady": 1}}, *pods],
        [plugin, *pods, old],
        [plugin, *pods],
    ]
    looks = []

    class Rolling(Machine):
        def run(self, *argv: str, **options: Any) -> Any:
            ran = super().run(*argv, **options)
            if "daemonsets,pods" in argv:
                looks.append(1)
                return replace(ran, out=json.dumps({"items": stages[min(len(looks), len(stages)) - 1]}))
            return ran

    plain = recorded()
    kind(tmp_path, Rolling(rest=list(plain.rest), engine=plain.engine, outputs=plain.outputs)).up(Progress())
    assert len(looks) == len(stages)


def test_a_paused_node_is_woken(tmp_path: Path) -> None:
    paused = ANSWERS["nodes_whole"].replace("ai-lab-worker2\tUp 2 minutes", "ai-lab-worker2\tUp 2 minutes (Paused)")
    commands = recorded({"when": "^docker ps", "out": paused}, {"when": "^docker unpause", "out": "ai-lab-worker2\n"})
    kind(tmp_path, commands).up(Progress())
    assert commands.did("^docker unpause ai-lab-worker2$")
    assert not commands.did("^docker start")


def test_a_new_cluster_begins_with_an_empty_audit_log(tmp_path: Path) -> None:
    folder = tmp_path / "kind" / "audit"
    folder.mkdir(parents=True)
    (folder / "audit.log").write_text('{"verb": "delete"}\n')
    provider = kind(tmp_path, recorded({"when": "exec ai-lab-control-plane sh -c", "out": ""}))
    provider.up(Progress())
    assert list(provider.audit_log()) == []


def test_a_first_start_says_how_much_it_will_fetch(tmp_path: Path) -> None:
    heard = Heard()
    commands = recorded(
        {"when": "^docker image inspect .*kindest/node", "code": 1, "err": "Error: No such image\n"}, {"when": "^docker pull", "out": ""}
    )
    kind(tmp_path, commands).up(heard)
    assert any(re.search(r"the node image kindest/node:v1\.36\.\d+ is missing: about \d+ MB to fetch", line) for line in heard.lines)


def test_a_state_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ClusterError, match="cannot be written"):
        kind(tmp_path / "file", recorded()).up(Progress())


def test_down_deletes_the_cluster_called_ai_lab_and_no_other(tmp_path: Path) -> None:
    commands = recorded()
    kind(tmp_path, commands).down(Progress())
    assert [line for line in commands.ran if "delete" in line] == [
        f"kind delete cluster --name ai-lab --kubeconfig {tmp_path / 'kind' / 'kubeconfig'}"
    ]


@pytest.mark.parametrize("name", ANSWERS["failures"])
def test_a_failure_says_what_happened_and_what_to_do(name: str, tmp_path: Path) -> None:
    case = ANSWERS["failures"][name]
    with pytest.raises(ClusterError) as failed:
        kind(tmp_path, recorded(*case["answers"])).up(Progress())
    assert case["says"] in failed.value.what
    assert case["offers"] in failed.value.next


def test_low_memory_is_told_before_anything_is_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "facts", lambda path: host.HostFacts("Linux", 4, GIB, 40 * GIB, 2, 512, 524288))
    commands = recorded()
    with pytest.raises(ClusterError, match=r"1\.0 GiB of memory is free; four nodes want 1\.5 GiB"):
        kind(tmp_path, commands).up(Progress())
    assert not commands.did("^kind create")


def test_a_full_disk_is_told_before_anything_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(host, "facts", lambda path: host.HostFacts("Linux", 4, 6 * GIB, GIB, 2, 512, 524288))
    commands = recorded()
    with pytest.raises(ClusterError, match="disk is free"):
        kind(tmp_path, commands).up(Progress())
    assert not commands.did("pull|create")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ({"when": "^docker info", "code": 127, "err": "docker: command not found"}, "not installed"),
        ({"when": "^docker image inspect .*kindest/node", "code": 1}, "MB to fetch"),
        ({"when": "^docker image inspect .*ai-log-summary-api:v1", "code": 1}, "not built: about 70 MB to fetch"),
    ],
)
def test_auto_takes_kind_only_where_it_can_start_at_once(answer: dict[str, Any], words: str, tmp_path: Path) -> None:
    assert words in kind(tmp_path, recorded(answer)).can_start_at_once()


def test_auto_takes_kind_where_all_is_there(tmp_path: Path) -> None:
    assert kind(tmp_path, recorded()).can_start_at_once() == ""


def test_status_of_a_stopped_cluster_names_the_nodes(tmp_path: Path) -> None:
    status = kind(tmp_path, recorded({"when": "^docker ps", "out": ANSWERS["nodes_stopped"]})).status()
    assert status.state == "stopped"
    assert "ai-lab-worker2" in status.detail


def test_the_configuration_has_the_nodes_of_the_embedded_cluster(tmp_path: Path) -> None:
    described = yaml.safe_load(configuration(tmp_path))
    assert described["apiVersion"] == "kind.x-k8s.io/v1alpha4"
    rows = []
    for number, node in enumerate(described["nodes"]):
        taints = [
            taint
            for patch in node.get("kubeadmConfigPatches", [])
            for taint in (yaml.safe_load(patch).get("nodeRegistration") or {}).get("taints", [])
        ]
        name = "ai-lab-control-plane" if node["role"] == "control-plane" else f"ai-lab-worker{number if number > 1 else ''}"
        rows.append((name, node.get("labels", {}), taints))
    expected = [
        (
            row["name"],
            {key: value for key, value in row["labels"].items() if key.startswith("nvidia.com/")},
            [t for t in row["taints"] if "nvidia" in t["key"]],
        )
        for row in TOPOLOGY
    ]
    assert rows == expected


def test_kubeadm_gets_extra_arguments_in_the_form_of_each_of_its_versions(tmp_path: Path) -> None:
    described = yaml.safe_load(configuration(tmp_path))
    patches = [yaml.safe_load(patch) for patch in described["nodes"][0]["kubeadmConfigPatches"]]
    by_version = {patch["apiVersion"]: patch["apiServer"] for patch in patches}
    plain = by_version["kubeadm.k8s.io/v1beta3"]["extraArgs"]
    listed = by_version["kubeadm.k8s.io/v1beta4"]["extraArgs"]
    assert {row["name"]: row["value"] for row in listed} == plain
    assert all(isinstance(value, str) for value in plain.values())
    mounted = {mount["containerPath"] for mount in described["nodes"][0]["extraMounts"]}
    assert plain["audit-policy-file"] in mounted
    assert str(Path(plain["audit-log-path"]).parent) in mounted
    for server in by_version.values():
        assert {volume["mountPath"] for volume in server["extraVolumes"]} == {"/etc/kubernetes/audit", "/var/log/kubernetes/audit"}
        for volume in server["extraVolumes"]:
            # kubeadm's HostPathMount; an unknown field would end `kubeadm init`.
            assert set(volume) == {"name", "hostPath", "mountPath", "readOnly", "pathType"}
            assert volume["pathType"] in ("Directory", "DirectoryOrCreate")
            assert isinstance(volume["readOnly"], bool)
    assert all(set(row) == {"name", "value"} and isinstance(row["value"], str) for row in listed)


def test_the_node_image_can_be_another_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_LAB_NODE_IMAGE", "mirror.example.com/kindest/node:v1.36.1")
    described = yaml.safe_load(configuration(tmp_path / "a: # folder"))
    assert described["nodes"][0]["extraMounts"][1]["hostPath"] == str(tmp_path / "a: # folder" / "kind" / "audit")
    assert {node["image"] for node in described["nodes"]} == {"mirror.example.com/kindest/node:v1.36.1"}


def test_an_engine_that_kind_does_not_know_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KIND_EXPERIMENTAL_PROVIDER", "lxc")
    with pytest.raises(ClusterError, match='"lxc", which kind does not know'):
        kind(tmp_path, recorded()).up(Progress())


def test_the_audit_policy_is_one_that_the_api_server_takes() -> None:
    policy = yaml.safe_load((Path(clusters.__file__).parent / "kind" / "audit-policy.yaml").read_text())
    assert (policy["apiVersion"], policy["kind"]) == ("audit.k8s.io/v1", "Policy")
    assert set(policy["omitStages"]) <= {"RequestReceived", "ResponseStarted", "ResponseComplete", "Panic"}
    for rule in policy["rules"]:
        assert set(rule) <= {"level", "users", "userGroups", "verbs", "resources", "namespaces", "nonResourceURLs", "omitStages"}
        assert rule["level"] in ("None", "Metadata", "Request", "RequestResponse")
        assert not ({"resources", "namespaces"} & set(rule) and "nonResourceURLs" in rule)
        for url in rule.get("nonResourceURLs", []):
            assert url.startswith("/")
            assert "*" not in url[:-1]
        for group in rule.get("resources", []):
            assert set(group) <= {"group", "resources", "resourceNames"}
            assert group["group"] == "" or group["group"].endswith(".k8s.io"), "a group is named without its version"
    secret = next(rule for rule in policy["rules"] if any("secrets" in group["resources"] for group in rule.get("resources", [])))
    assert secret["level"] == "Metadata", "what a Secret holds stays out of the log"


def test_the_log_is_read_oldest_first_and_a_broken_line_is_passed_over(tmp_path: Path) -> None:
    folder = tmp_path / "kind" / "audit"
    folder.mkdir(parents=True)
    (folder / "audit-2026-11-23T15-00-00.000.log").write_text('{"verb": "get"}\n')
    (folder / "audit.log").write_text('{"verb": "patch"}\n{"verb": "del')
    assert [event["verb"] for event in kind(tmp_path, recorded()).audit_log()] == ["get", "patch"]


def test_a_log_that_only_root_may_read_comes_through_the_node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "kind" / "audit"
    folder.mkdir(parents=True)
    (folder / "audit.log").write_text("")
    inside = {"when": "^docker exec ai-lab-control-plane sh -c .*cat /var/log/kubernetes/audit/audit", "out": '{"verb": "get"}\n'}
    assert [event["verb"] for event in kind(tmp_path, recorded(inside)).audit_log()] == ["get"]
