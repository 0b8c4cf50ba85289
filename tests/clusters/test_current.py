"""A context of the learner's own: taken over by name, looked at, and never changed."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest

from clusters.base import ClusterError, Progress
from clusters.current import CurrentCluster
from tests.clusters.recorded import Heard, Recorded

CONTEXT = json.dumps({"current-context": "prod", "clusters": [{"name": "prod", "cluster": {"server": "https://10.0.0.1"}}]})
GPU_NODE = {
    "metadata": {"name": "gpu-1"},
    "spec": {"taints": [{"key": "nvidia.com/gpu", "effect": "NoSchedule"}]},
    "status": {"allocatable": {"nvidia.com/gpu": "8"}},
}
PLAIN_NODE = {"metadata": {"name": "cpu-1"}, "spec": {}, "status": {"allocatable": {"cpu": "4"}}}

VIEW = {"when": "^kubectl config view --minify --flatten --raw -o json$", "out": CONTEXT}
NODES = {"when": "get nodes", "out": json.dumps({"items": [PLAIN_NODE, GPU_NODE]})}
MAY = {"when": "auth can-i", "out": "yes\n"}


@pytest.fixture(autouse=True)
def no_context_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AI_LAB_CONTEXT", raising=False)


def test_the_current_context_is_copied_for_the_learner_alone_and_nothing_is_changed(tmp_path: Path) -> None:
    commands, heard = Recorded(VIEW, NODES, MAY), Heard()
    cluster = CurrentCluster(tmp_path, commands)
    cluster.up(heard)
    assert json.loads(cluster.kubeconfig.read_text())["current-context"] == "prod"
    assert stat.S_IMODE(cluster.kubeconfig.stat().st_mode) == 0o600
    assert heard.lines == ["context prod"]
    assert not commands.did(r" (apply|create -|create ns|delete|patch -|label|taint|use-context|set-context)")
    assert all("--kubeconfig" in line for line in commands.ran if "config view" not in line)


def test_a_context_can_be_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_LAB_CONTEXT", "team")
    commands = Recorded({"when": "config view .* --context=team$", "out": CONTEXT}, NODES, MAY)
    CurrentCluster(tmp_path, commands).up(Progress())
    assert commands.did("--context=team")


def test_the_context_that_is_kept_is_not_replaced_by_the_one_of_today(tmp_path: Path) -> None:
    CurrentCluster(tmp_path, Recorded(VIEW, NODES, MAY)).up(Progress())
    commands = Recorded(NODES, MAY)
    CurrentCluster(tmp_path, commands, keep=True).up(Progress())
    assert not commands.did("config view")


def test_no_context_is_told_with_how_to_find_one(tmp_path: Path) -> None:
    empty = {"when": "config view", "code": 1, "err": "error: current-context must exist in order to minify\n"}
    with pytest.raises(ClusterError, match="no current context") as failed:
        CurrentCluster(tmp_path, Recorded(empty)).up(Progress())
    assert "kubectl config get-contexts" in failed.value.next


def test_a_cluster_that_does_not_answer_is_told_in_kubectls_words(tmp_path: Path) -> None:
    silent = {"when": "get nodes", "code": 1, "err": "Unable to connect to the server: dial tcp 10.0.0.1:443: i/o timeout\n"}
    cluster = CurrentCluster(tmp_path, Recorded(VIEW, silent))
    with pytest.raises(ClusterError, match="Unable to connect to the server"):
        cluster.up(Progress())
    assert cluster.status().state == "unknown"


@pytest.mark.parametrize(
    ("nodes", "may", "words"),
    [
        ([PLAIN_NODE], "yes", "no node of this cluster offers nvidia.com/gpu"),
        ([{**GPU_NODE, "spec": {}}], "yes", "carry no nvidia.com/gpu taint"),
        ([GPU_NODE], "no", "your user may not create pods in ai-platform"),
    ],
)
def test_what_it_lacks_for_the_labs_is_said(nodes: list[object], may: str, words: str, tmp_path: Path) -> None:
    heard = Heard()
    rows = ({"when": "get nodes", "out": json.dumps({"items": nodes})}, {"when": "can-i", "out": f"{may}\n"})
    CurrentCluster(tmp_path, Recorded(VIEW, *rows)).up(heard)
    assert any(words in line for line in heard.lines)


def test_down_forgets_the_copy(tmp_path: Path) -> None:
    cluster = CurrentCluster(tmp_path, Recorded(VIEW, NODES, MAY))
    cluster.up(Progress())
    cluster.down(Progress())
    assert cluster.status().state == "absent"
