"""Which Pods are evicted for the disk space that they take, and with which words."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.kubelet import eviction
from kubeobjects import Object

from .conftest import Node

MIB = 1024 * 1024


def pod(*limits: str | None, **volumes: Object) -> Object:
    containers: list[Any] = [
        {"name": f"c{number}", "resources": {"limits": {"ephemeral-storage": each} if each else {}}} for number, each in enumerate(limits)
    ]
    return {"spec": {"containers": containers, "volumes": [{"name": name, "emptyDir": source} for name, source in volumes.items()]}}


@pytest.mark.parametrize(
    ("evicted", "volumes", "containers", "words"),
    [
        (pod(None), {}, {"c0": 900}, None),
        (pod("10Mi"), {}, {"c0": 10}, None),
        (pod("10Mi"), {}, {"c0": 11}, "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. "),
        (pod("10Mi", d={}), {"d": 6}, {"c0": 6}, "Pod ephemeral local storage usage exceeds the total limit of containers 10Mi. "),
        (pod("10Mi", d={"medium": "Memory"}), {"d": 6}, {"c0": 6}, None),
        (pod("10Mi", "20Mi"), {}, {"c0": 12, "c1": 1}, 'Container c0 exceeded its local ephemeral storage limit "10Mi". '),
        (pod("10Mi", d={"sizeLimit": "5Mi"}), {"d": 6}, {"c0": 90}, 'Usage of EmptyDir volume "d" exceeds the limit "5Mi". '),
        (pod(None, d={"sizeLimit": "5Mi"}), {"d": 5}, {}, None),
    ],
)
def test_who_is_evicted(evicted: Object, volumes: dict[str, int], containers: dict[str, int], words: str | None) -> None:
    found = eviction.reason(evicted, lambda name: volumes.get(name, 0) * MIB, lambda name: containers.get(name, 0) * MIB)
    assert found == words


async def test_a_pod_that_fills_its_own_layer_is_evicted(any_node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eviction, "_INTERVAL_SECONDS", 0.2)
    write = "open('/tmp/full', 'wb').write(bytes(8 * 2**20)); import time; time.sleep(600)"
    limits = {"limits": {"ephemeral-storage": "4Mi"}}
    await any_node.stop()
    await any_node.start()
    await any_node.run("greedy", "python3", "-c", write, resources=limits)
    status = (await any_node.until_phase("greedy", "Failed"))["status"]
    assert (status["reason"], status["message"]) == (
        "Evicted",
        "Pod ephemeral local storage usage exceeds the total limit of containers 4Mi. ",
    )
