"""The Pod network of a whole cluster under NetworkPolicies, as a learner tries it with kubectl: other namespaces, DNS, port-forward, exec."""

from __future__ import annotations

import re
import subprocess
import urllib.request
from collections.abc import Iterator

import pytest

from tests.conftest import BIN, LiveCluster

pytestmark = pytest.mark.cluster

MODEL = """
apiVersion: v1
kind: Pod
metadata: {name: model, labels: {app: model}}
spec:
  terminationGracePeriodSeconds: 0
  containers:
  - name: main
    image: python:3.12-slim
    command: [python3, -m, http.server, "8080"]
    ports: [{name: http, containerPort: 8080}]
    readinessProbe: {httpGet: {path: /, port: http}, periodSeconds: 1}
---
apiVersion: v1
kind: Service
metadata: {name: model}
spec: {selector: {app: model}, ports: [{port: 80, targetPort: http}]}
"""
TOOLBOX = """
apiVersion: v1
kind: Pod
metadata: {name: %s, labels: {role: %s}}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: main, image: "busybox:1.37", command: [sleep, "600"]}]}
"""
DENY_ALL = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: default-deny}
spec: {podSelector: {}, policyTypes: [Ingress, Egress]}
"""
FROM_TEAM = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: from-team}
spec:
  podSelector: {matchLabels: {app: model}}
  ingress:
  - from: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: "%s"}}, podSelector: {matchLabels: {role: tooling}}}]
    ports: [{port: http}]
"""
TO_DNS = """
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: to-dns}
spec:
  podSelector: {}
  policyTypes: [Egress]
  egress:
  - to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}]
    ports: [{port: 53, protocol: UDP}, {port: 53, protocol: TCP}]
"""


@pytest.fixture
def team(cluster: LiveCluster) -> Iterator[LiveCluster]:
    """Another namespace, with a toolbox of its own."""
    other = LiveCluster(cluster.state, cluster.process, f"{cluster.namespace[:40]}-team")
    other.kubectl("create", "namespace", other.namespace)
    try:
        yield other
    finally:
        other.run("delete", "pods", "--all", "--grace-period=0", "--force")
        other.run("delete", "namespace", other.namespace, "--wait=false")


def fetch(cluster: LiveCluster, pod: str, url: str) -> str:
    """The last line that wget says."""
    done = cluster.run("exec", pod, "--", "wget", "--spider", "-T", "2", url)
    return (done.stdout + done.stderr).replace(f"command terminated with exit code {done.returncode}", "").strip().splitlines()[-1]


FOUND, SILENCE = "remote file exists", "wget: download timed out"


def test_a_namespace_is_closed_and_opened_for_one_team(cluster: LiveCluster, team: LiveCluster) -> None:
    cluster.kubectl("apply", "-f", "-", stdin=MODEL + "---" + TOOLBOX % ("inside", "tooling"))
    team.eventually("default", "get", "serviceaccount", "default", "--ignore-not-found")
    team.kubectl("apply", "-f", "-", stdin=TOOLBOX % ("tool", "tooling") + "---" + TOOLBOX % ("other", "none"))
    cluster.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    team.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    model = f"model.{cluster.namespace}"
    assert [fetch(team, "tool", model), fetch(cluster, "inside", "model")] == [FOUND, FOUND]

    applied = cluster.run("apply", "-f", "-", stdin=DENY_ALL)
    assert (applied.returncode, applied.stderr) == (0, "")
    cluster.eventually(SILENCE, "--namespace", team.namespace, "exec", "tool", "--", "wget", "--spider", "-T", "1", model)
    address = cluster.get("pod", "model")["status"]["podIP"]
    assert fetch(cluster, "inside", f"{address}:8080") == SILENCE
    # What comes from the node and from the API server is let in: probes, port-forward, exec.
    assert cluster.get("pod", "model")["status"]["containerStatuses"][0]["ready"]
    assert cluster.kubectl("exec", "model", "--", "python3", "-c", "print(1)") == "1\n"
    assert forwarded(cluster) == 200

    cluster.kubectl("apply", "-f", "-", stdin=FROM_TEAM % team.namespace)
    cluster.eventually(FOUND, "--namespace", team.namespace, "exec", "tool", "--", "wget", "--spider", "-T", "1", model)
    assert fetch(team, "other", model) == SILENCE
    described = cluster.kubectl("describe", "networkpolicy", "from-team")
    assert re.search(
        r"Allowing ingress traffic:\n    To Port: http/TCP\n    From:\n      NamespaceSelector: .*\n      PodSelector: role=tooling",
        described,
    )

    cluster.kubectl("delete", "networkpolicy", "--all")
    cluster.eventually(FOUND, "exec", "inside", "--", "wget", "--spider", "-T", "1", "model")


def forwarded(cluster: LiveCluster) -> int:
    """The status of the model's page through kubectl port-forward."""
    command = [str(BIN / "kubectl"), "--kubeconfig", str(cluster.kubeconfig), "-n", cluster.namespace, "port-forward", "pod/model", ":8080"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            port = re.search(r"127.0.0.1:(\d+)", process.stdout.readline())
            assert port is not None
            with urllib.request.urlopen(f"http://127.0.0.1:{port[1]}/", timeout=10) as answer:
                return int(answer.status)
        finally:
            process.terminate()


def test_without_a_rule_for_dns_names_are_not_found(cluster: LiveCluster) -> None:
    impatient = "spec: {dnsConfig: {options: [{name: timeout, value: '1'}, {name: attempts, value: '1'}]}, "
    cluster.kubectl("apply", "-f", "-", stdin=(TOOLBOX % ("inside", "tooling")).replace("spec: {", impatient))
    cluster.kubectl("wait", "--for=condition=Ready", "pod", "--all", "--timeout=60s")
    kubernetes = ("exec", "inside", "--", "nslookup", "kubernetes.default")
    assert "Address: 10.96.0.1" in cluster.kubectl(*kubernetes)
    cluster.kubectl("apply", "-f", "-", stdin=DENY_ALL)
    cluster.eventually(";; connection timed out; no servers could be reached", *kubernetes)
    assert fetch(cluster, "inside", "kubernetes.default") == "wget: bad address 'kubernetes.default'"
    cluster.kubectl("apply", "-f", "-", stdin=TO_DNS)
    cluster.eventually("Address: 10.96.0.1", *kubernetes)
    # A name is found, and nothing else may leave.
    assert fetch(cluster, "inside", "https://kubernetes.default") == SILENCE
