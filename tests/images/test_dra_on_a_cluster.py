"""The DRA driver in a live cluster: from its manifest to what a Pod sees of a claimed device.

Claims are allocated by hand, as a scheduler would, so that each test says which device it is about; the last one leaves that to the scheduler.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import ROOT, LiveCluster

pytestmark = pytest.mark.cluster

DRIVER = ROOT / "manifests/dra/gpu-dra-driver.yaml"
NODE = "ai-lab-worker2"
GENEROUS = 60
Object = dict[str, Any]


@pytest.fixture
def driver(cluster: LiveCluster) -> Iterator[LiveCluster]:
    """The cluster with the driver on its GPU nodes; its ResourceSlices are there."""
    cluster.kubectl("-n", "kube-system", "apply", "-f", str(DRIVER))
    try:
        cluster.kubectl("-n", "kube-system", "rollout", "status", "daemonset", "-l", "app=gpu-dra-driver", f"--timeout={GENEROUS}s")
        cluster.eventually(r"2-gpu\.nvidia\.com-ai-lab-worker2-\w+", "get", "resourceslices", within=GENEROUS)
        yield cluster
    finally:
        cluster.run("annotate", "node", NODE, "gpu.ai-lab.dev/xid-")
        cluster.run("delete", "pods", "--all", "--grace-period=1")
        cluster.run("-n", "kube-system", "delete", "-f", str(DRIVER), "--ignore-not-found")
        cluster.run("delete", "resourceslices", "--all")


def _pod(name: str, claim: Object, command: str) -> Object:
    container = {"name": "main", "image": "python:3.12-slim", "command": ["sh", "-c", command], "resources": {"claims": [{"name": "gpu"}]}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "terminationGracePeriodSeconds": 1,
            "schedulerName": "by-hand",
            "tolerations": [{"operator": "Exists"}],
            "resourceClaims": [{"name": "gpu", **claim}],
            "containers": [container],
        },
    }


def _schedule(cluster: LiveCluster, claim: str, pod: str, *devices: str) -> None:
    """What a scheduler does: devices for the claim, the claim for the Pod, the Pod for the node."""
    uid = cluster.get("pod", pod)["metadata"]["uid"]
    found = cluster.get("resourceclaim", claim)
    request = found["spec"]["devices"]["requests"][0]["name"]
    term = {"matchFields": [{"key": "metadata.name", "operator": "In", "values": [NODE]}]}
    found["status"] = {
        "allocation": {
            "devices": {"results": [{"request": request, "driver": "gpu.nvidia.com", "pool": NODE, "device": each} for each in devices]},
            "nodeSelector": {"nodeSelectorTerms": [term]},
        },
        "reservedFor": [{"resource": "pods", "name": pod, "uid": uid}],
    }
    cluster.kubectl("replace", "--subresource=status", "-f", "-", stdin=json.dumps(found))
    binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": {"kind": "Node", "name": NODE}}
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}/binding"
    cluster.kubectl("create", "--raw", path, "-f", "-", stdin=json.dumps(binding))


def _claim(cluster: LiveCluster, name: str, device_class: str) -> None:
    body = {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaim",
        "metadata": {"name": name},
        "spec": {"devices": {"requests": [{"name": "card", "exactly": {"deviceClassName": device_class}}]}},
    }
    cluster.kubectl("apply", "-f", "-", stdin=json.dumps(body))


def _specs(cluster: LiveCluster) -> list[Path]:
    return list((cluster.state / f"nodes/{NODE}/var/run/cdi").glob("*.json"))


def test_a_pod_gets_the_part_of_a_card_that_its_claim_was_allocated(driver: LiveCluster) -> None:
    _claim(driver, "part", "mig.nvidia.com")
    pod = _pod("holder", {"resourceClaimName": "part"}, "nvidia-smi -L; sleep 600")
    driver.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    _schedule(driver, "part", "holder", "gpu-1-mig-1g10gb-15-2")
    driver.eventually(r"GPU 0: NVIDIA A100-SXM4-40GB .*\n  MIG 1g.10gb +Device  0: \(UUID: MIG-\S+", "logs", "holder", within=GENEROUS)
    assert len(_specs(driver)) == 1

    # A card that fails: the device is tainted, and whoever holds it sees that it is not well.
    driver.kubectl("annotate", "node", NODE, "gpu.ai-lab.dev/xid=1=79")
    driver.eventually("gpu.nvidia.com/gpu-lost", "get", "resourceslices", "-o", "yaml", within=GENEROUS)
    status = "jsonpath={.status.containerStatuses[0].allocatedResourcesStatus}"
    shown = json.loads(driver.eventually("Unhealthy", "get", "pod", "holder", "-o", status, within=GENEROUS))
    claim = driver.get("resourceclaim", "part")["metadata"]["uid"]
    device = f"k8s.gpu.nvidia.com/claim={claim}-gpu-1-mig-1g10gb-15-2"
    assert shown == [{"name": "claim:gpu", "resources": [{"health": "Unhealthy", "message": "GPU is lost", "resourceID": device}]}]

    driver.kubectl("delete", "pod", "holder")
    assert _specs(driver) == []


def test_a_pod_waits_in_container_creating_for_a_driver(driver: LiveCluster) -> None:
    _claim(driver, "whole", "gpu.nvidia.com")
    driver.kubectl("delete", "daemonset", "-n", "kube-system", "-l", "app=gpu-dra-driver")
    driver.kubectl("wait", "-n", "kube-system", "--for=delete", "pod", "-l", "app=gpu-dra-driver", f"--timeout={GENEROUS}s")
    pod = _pod("early", {"resourceClaimName": "whole"}, "nvidia-smi -L; sleep 600")
    driver.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    _schedule(driver, "whole", "early", "gpu-0")
    words = "Failed to prepare dynamic resources: prepare dynamic resources: DRA driver gpu.nvidia.com is not registered"
    driver.eventually(words, "get", "events", "--field-selector", "reason=FailedPrepareDynamicResources", within=GENEROUS)
    assert "ContainerCreating" in driver.kubectl("get", "pod", "early")
    driver.kubectl("-n", "kube-system", "apply", "-f", str(DRIVER))
    driver.eventually(r"GPU 0: NVIDIA A100-SXM4-40GB \(UUID: GPU-\S+", "logs", "early", within=GENEROUS)


def test_a_driver_may_write_of_its_own_node_only(driver: LiveCluster) -> None:
    """Its policy holds the node of its token against the slice's."""
    slice_name = driver.kubectl("get", "resourceslices", "-o", "name", "--field-selector", f"spec.nodeName={NODE}").splitlines()[0]
    token = [
        "--as=system:serviceaccount:kube-system:gpu-dra-driver",
        "--as-user-extra=authentication.kubernetes.io/node-name=ai-lab-worker3",
    ]
    refused = driver.run("delete", slice_name, *token)
    assert refused.returncode != 0
    assert "the driver may change the ResourceSlices of its own node only" in refused.stderr


TEMPLATES = """
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: half}
spec:
  spec:
    devices:
      requests:
        - name: card
          exactly:
            deviceClassName: mig.nvidia.com
            selectors: [{cel: {expression: "device.attributes['gpu.nvidia.com'].profile == '3g.20gb'"}}]
---
apiVersion: resource.k8s.io/v1
kind: ResourceClaimTemplate
metadata: {name: whole}
spec:
  spec:
    devices:
      requests:
        - name: card
          exactly:
            deviceClassName: gpu.nvidia.com
            selectors: [{cel: {expression: "device.capacity['gpu.nvidia.com'].memory.compareTo(quantity('40Gi')) >= 0"}}]
"""


def test_the_scheduler_gives_away_what_still_fits_on_a_card(driver: LiveCluster) -> None:
    """Two A100 are four halves; with three of them taken no card is whole, and one is again when they are free."""
    driver.kubectl("apply", "-f", "-", stdin=TEMPLATES)
    names = ["half-1", "half-2", "half-3"]
    for name in names:
        pod = _pod(name, {"resourceClaimTemplateName": "half"}, "nvidia-smi -L; sleep 600")
        del pod["spec"]["schedulerName"]
        driver.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    for name in names:
        driver.eventually(r"MIG 3g.20gb +Device  0: \(UUID: MIG-\S+", "logs", name, within=GENEROUS)
    claims = driver.get("resourceclaims")["items"]
    given = [each["device"] for claim in claims for each in claim["status"]["allocation"]["devices"]["results"]]
    assert len(set(given)) == 3
    pod = _pod("whole", {"resourceClaimTemplateName": "whole"}, "nvidia-smi -L; sleep 600")
    del pod["spec"]["schedulerName"]
    driver.kubectl("apply", "-f", "-", stdin=json.dumps(pod))
    driver.eventually("cannot allocate all claims", "get", "events", "--field-selector", "involvedObject.name=whole", within=GENEROUS)
    driver.kubectl("delete", "pods", *names)
    driver.eventually(r"GPU 0: NVIDIA A100-SXM4-40GB \(UUID: GPU-\S+", "logs", "whole", within=GENEROUS)
    driver.kubectl("delete", "pod", "whole")
    driver.eventually("No resources found", "get", "resourceclaims", within=GENEROUS)
    assert _specs(driver) == []
