"""The real `kind` command on the lab's configuration, with an engine that only listens: what each node's kubeadm is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters.base import ClusterError
from clusters.kind.commands import Commands, Ran, explain
from clusters.kind.nodes import NODES, Kind, configuration
from clusters.kind.provider import BOOTED

Documents = dict[str, dict[str, Any]]
Told = Callable[..., dict[str, Documents]]


@pytest.fixture
def create(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs `kind create cluster` on our configuration (or on a text) and returns how it ended."""
    try:
        Kind(Commands()).version()
    except ClusterError as reason:
        pytest.skip(f"{reason.what}; {reason.next.split(',')[0]}")

    def run(config: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        state = tmp_path / "a state: folder"
        (state / "kind").mkdir(parents=True, exist_ok=True)
        described = state / "ai-lab.yaml"
        described.write_text(config or configuration(state, int(environment.get("FAKE_CGROUP", "2"))))
        fake = tmp_path / "bin" / "docker"
        fake.parent.mkdir(exist_ok=True)
        fake.write_text(f'#!/bin/sh\nexec "{sys.executable}" -I -S "{Path(__file__).with_name("fake_docker.py")}" "$@"\n')
        fake.chmod(0o755)
        path = os.pathsep.join([str(fake.parent), os.environ["PATH"]])
        engine = {"PATH": path, "FAKE_ENGINE": str(tmp_path), "KIND_EXPERIMENTAL_PROVIDER": "docker", **environment}
        return subprocess.run(
            ["kind", "create", "cluster", "--name", "ai-lab", "--config", str(described), "--kubeconfig", str(tmp_path / "kubeconfig")],
            env={**os.environ, **engine},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return run


@pytest.fixture
def told(create: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path) -> Told:
    """Node → kind of document → what kubeadm is given on that node."""

    def read(**environment: str) -> dict[str, Documents]:
        ended = create(**environment)
        assert "Writing configuration" in ended.stderr, ended.stderr
        # The word at which images begin to go into the workers, and not before their containers have booted.
        assert BOOTED.search(ended.stderr.partition("Writing configuration")[0]), ended.stderr
        # kubeadm is as far as it goes; all that kind itself refuses comes before it.
        assert "failed to init node with kubeadm" in ended.stderr, ended.stderr
        found = {}
        for line in (tmp_path / "calls.jsonl").read_text().splitlines():
            call = json.loads(line)
            if call["arguments"][-1] == "/kind/kubeadm.conf" and "cp" in call["arguments"]:
                node = next(argument for argument in call["arguments"] if argument in NODES)
                found[node] = {document["kind"]: document for document in yaml.safe_load_all(call["stdin"]) if document}
        assert set(found) == set(NODES)
        return found

    return read


def arguments(documents: Documents) -> dict[str, str]:
    given = documents["ClusterConfiguration"]["apiServer"]["extraArgs"]
    return given if isinstance(given, dict) else {row["name"]: row["value"] for row in given}


@pytest.mark.parametrize(("kubernetes", "kubeadm"), [("v1.36.2", "kubeadm.k8s.io/v1beta4"), ("v1.31.0", "kubeadm.k8s.io/v1beta3")])
def test_the_api_server_writes_an_audit_log_in_the_form_of_its_kubeadm(told: Told, kubernetes: str, kubeadm: str) -> None:
    documents = told(FAKE_KUBERNETES=kubernetes)["ai-lab-control-plane"]
    cluster = documents["ClusterConfiguration"]
    assert cluster["apiVersion"] == kubeadm
    assert isinstance(cluster["apiServer"]["extraArgs"], dict if kubeadm.endswith("3") else list)
    given = arguments(documents)
    assert given["audit-policy-file"] == "/etc/kubernetes/audit/policy.yaml"
    assert given["audit-log-path"] == "/var/log/kubernetes/audit/audit.log"
    # kind's own arguments are still there.
    assert "runtime-config" in given
    assert {volume["hostPath"] for volume in cluster["apiServer"]["extraVolumes"]} == {"/etc/kubernetes/audit", "/var/log/kubernetes/audit"}


def test_gpu_nodes_join_with_their_labels_and_their_taint(told: Told) -> None:
    found = told()
    for node, product, count in (("ai-lab-worker2", "NVIDIA-A100-SXM4-40GB", "2"), ("ai-lab-worker3", "Tesla-T4", "1")):
        registration = found[node]["JoinConfiguration"]["nodeRegistration"]
        assert registration["taints"] == [{"key": "nvidia.com/gpu", "value": "present", "effect": "NoSchedule"}]
        labels = next(row["value"] for row in registration["kubeletExtraArgs"] if row["name"] == "node-labels")
        assert set(labels.split(",")) == {
            f"nvidia.com/gpu.product={product}",
            f"nvidia.com/gpu.count={count}",
            "nvidia.com/gpu.present=true",
        }
        assert registration["criSocket"], "what kind itself writes is kept"
    assert "taints" not in found["ai-lab-worker"]["JoinConfiguration"]["nodeRegistration"]


def test_the_audit_log_comes_out_into_the_state_folder(told: Told, tmp_path: Path) -> None:
    told()
    calls = [json.loads(line)["arguments"] for line in (tmp_path / "calls.jsonl").read_text().splitlines()]
    control_plane = next(call for call in calls if call[0] == "run" and "ai-lab-control-plane" in call)
    state = tmp_path / "a state: folder" / "kind"
    mounts = " ".join(control_plane)
    assert f"{state}/audit-policy.yaml:/etc/kubernetes/audit/policy.yaml:ro" in mounts
    assert f"{state}/audit:/var/log/kubernetes/audit" in mounts
    assert [argument for argument in control_plane if argument.startswith("--publish=127.0.0.1:")]


def test_the_kubelet_puts_up_with_cgroup_v1_only_where_it_has_to(told: Told) -> None:
    assert told(FAKE_CGROUP="1")["ai-lab-worker"]["KubeletConfiguration"]["failCgroupV1"] is False
    assert "failCgroupV1" not in told()["ai-lab-worker"]["KubeletConfiguration"]


def test_what_kind_says_when_it_fails_is_understood(create: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    ended = create()
    told = explain(Ran(("kind",), ended.returncode, ended.stdout, ended.stderr), "creating the kind cluster")
    assert "a node did not come up" in told.what
    refused = create("kind: Cluster\napiVersion: kind.x-k8s.io/v1alpha4\nnodes: [{role: worker, brand_new_field: 1}]\n")
    told = explain(Ran(("kind",), refused.returncode, refused.stdout, refused.stderr), "creating the kind cluster")
    assert "too old" in told.what
