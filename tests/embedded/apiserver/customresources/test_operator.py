"""kopf, unmodified, with the definition and the handler of its own minimal example; and what Helm does with a chart's `crds/` and hooks."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.conftest import LiveCluster

pytestmark = pytest.mark.cluster
HERE = Path(__file__).parent


def definition(plural: str, group: str, **version: object) -> str:
    free = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    schema = {"type": "object", "properties": {"spec": free, "status": free}}
    kind = "KopfExample" if plural == "kopfexamples" else plural[:-1].capitalize()
    return yaml.safe_dump(
        {
            "apiVersion": "apiextensions.k8s.io/v1",
            "kind": "CustomResourceDefinition",
            "metadata": {"name": f"{plural}.{group}"},
            "spec": {
                "scope": "Namespaced",
                "group": group,
                "names": {"kind": kind, "plural": plural, "singular": plural[:-1]},
                "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}, **version}],
            },
        }
    )


def test_kopf_runs_its_minimal_example(cluster: LiveCluster, tmp_path: Path) -> None:
    columns = [{"name": "Message", "type": "string", "jsonPath": ".status.create_fn.message"}]
    cluster.kubectl("apply", "-f", "-", stdin=definition("kopfexamples", "kopf.dev", additionalPrinterColumns=columns))
    cluster.kubectl("wait", "--for=condition=Established", "crd/kopfexamples.kopf.dev", "--timeout=120s")
    log = tmp_path / "kopf.log"
    with log.open("w") as out:
        operator = subprocess.Popen(
            [sys.executable, "-m", "kopf", "run", str(HERE / "kopf_example.py"), "--namespace", cluster.namespace, "--verbose"],
            env={"KUBECONFIG": str(cluster.kubeconfig), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONUNBUFFERED": "1"},
            stdout=out,
            stderr=subprocess.STDOUT,
        )
    try:
        example = {"apiVersion": "kopf.dev/v1", "kind": "KopfExample", "metadata": {"name": "one"}, "spec": {"duration": "1m"}}
        cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(example))
        cluster.eventually(r"one\s+hello", "get", "kopfexamples")
        assert "And here we are! Created one" in log.read_text()
        assert "Creation is processed: 1 succeeded; 0 failed." in log.read_text()
        cluster.kubectl("delete", "kopfexample", "one", "--timeout=120s")
    finally:
        operator.terminate()
        operator.wait(20)
        cluster.kubectl("delete", "crd", "kopfexamples.kopf.dev", "--timeout=120s")


def test_a_chart_with_definitions_and_hooks(cluster: LiveCluster) -> None:
    """Without a helm binary: the requests of `helm install` in its order. crds/, wait, pre-install hook, templates, release Secret."""
    cluster.kubectl("create", "-f", "-", stdin=definition("servers", "chart.example.com"))
    cluster.kubectl("wait", "--for=condition=Established", "crd/servers.chart.example.com", "--timeout=120s")
    container = {"name": "hook", "image": "busybox", "command": ["true"]}
    hook = {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "migrate", "annotations": {"helm.sh/hook": "pre-install", "helm.sh/hook-delete-policy": "hook-succeeded"}},
        "spec": {"template": {"spec": {"restartPolicy": "Never", "containers": [container]}}},
    }
    try:
        cluster.kubectl("create", "-f", "-", stdin=yaml.safe_dump(hook))
        cluster.kubectl("wait", "--for=condition=Complete", "job/migrate", "--timeout=120s")
        cluster.kubectl("delete", "job", "migrate")
        marks = {"labels": {"app.kubernetes.io/managed-by": "Helm"}, "annotations": {"meta.helm.sh/release-name": "demo"}}
        server = {"apiVersion": "chart.example.com/v1", "kind": "Server", "metadata": {"name": "s", **marks}, "spec": {"model": "first"}}
        apply = ("apply", "--server-side", "--field-manager=helm", "-f", "-")
        cluster.kubectl(*apply, stdin=yaml.safe_dump(server))
        cluster.kubectl(*apply, stdin=yaml.safe_dump({**server, "spec": {"model": "second"}}))
        assert cluster.get("server", "s")["spec"] == {"model": "second"}
    finally:
        # `helm uninstall` leaves crds/; whoever deletes them takes what is left of their kind along.
        cluster.kubectl("delete", "crd", "servers.chart.example.com", "--timeout=120s")
    assert "the server could not find the requested resource" in cluster.run("get", "servers.v1.chart.example.com").stderr


def test_owners_namespaces_and_quotas_know_custom_objects(cluster: LiveCluster) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=definition("parents", "family.example.com"))
    cluster.kubectl("wait", "--for=condition=Established", "crd/parents.family.example.com", "--timeout=120s")
    try:
        parent = {"apiVersion": "family.example.com/v1", "kind": "Parent", "metadata": {"name": "p"}, "spec": {}}
        cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(parent))
        uid = cluster.get("parent", "p")["metadata"]["uid"]
        owner = {"apiVersion": "family.example.com/v1", "kind": "Parent", "name": "p", "uid": uid}
        child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "child", "ownerReferences": [owner]}}
        cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(child))
        cluster.kubectl("delete", "parent", "p")
        cluster.eventually("not found", "get", "configmap", "child")
        cluster.kubectl("create", "quota", "few", "--hard=count/parents.family.example.com=1")
        cluster.eventually("0/1", "get", "quota", "few")
        cluster.kubectl("apply", "-f", "-", stdin=yaml.safe_dump(parent))
        second = cluster.run("apply", "-f", "-", stdin=yaml.safe_dump({**parent, "metadata": {"name": "q"}}))
        assert "exceeded quota: few, requested: count/parents.family.example.com=1" in second.stderr
        cluster.kubectl("create", "namespace", "gone-family")
        cluster.kubectl("apply", "-n", "gone-family", "-f", "-", stdin=yaml.safe_dump(parent))
        cluster.kubectl("delete", "namespace", "gone-family", "--timeout=120s")
        assert "gone-family" not in cluster.kubectl("get", "parents", "-A", "--no-headers")
    finally:
        cluster.kubectl("delete", "crd", "parents.family.example.com", "--timeout=120s")
