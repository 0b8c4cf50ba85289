"""Strategic merge patches, held against kubectl's own: `kubectl patch --local` runs the real Go implementation without a server."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from clusters.embedded.apiserver.patch import strategic
from clusters.embedded.errors import ApiError

KUBECTL = Path(sys.executable).with_name("kubectl")

DEPLOYMENT: dict[str, Any] = {
    "apiVersion": "apps/v1",
    "kind": "Deployment",
    "metadata": {"name": "api", "labels": {"app": "api", "tier": "cpu"}, "finalizers": ["a/x", "b/y"]},
    "spec": {
        "replicas": 1,
        "selector": {"matchLabels": {"app": "api"}},
        "strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}},
        "template": {
            "metadata": {"labels": {"app": "api"}},
            "spec": {
                "containers": [
                    {
                        "name": "main",
                        "image": "a:1",
                        "args": ["x", "y"],
                        "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}],
                        "ports": [{"containerPort": 8080, "name": "http"}],
                    },
                    {"name": "side", "image": "b:1"},
                ],
                "volumes": [{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "one"}}],
                "tolerations": [{"key": "k", "operator": "Exists"}],
            },
        },
    },
}


def template(**spec: Any) -> dict[str, Any]:
    return {"spec": {"template": {"spec": spec}}}


PATCHES: dict[str, dict[str, Any]] = {
    "a scalar": {"spec": {"replicas": 3}},
    "a map key added, one removed": {"metadata": {"labels": {"team": "ml", "tier": None}}},
    "a container by its name": template(containers=[{"name": "side", "image": "b:2"}]),
    "a new container goes first": template(containers=[{"name": "new", "image": "n:1"}]),
    "an item deleted": template(containers=[{"name": "side", "$patch": "delete"}]),
    "a list replaced": template(containers=[{"$patch": "replace"}, {"name": "only", "image": "o:1"}]),
    "nested lists": template(containers=[{"name": "main", "env": [{"name": "B", "value": "20"}, {"name": "D", "value": "4"}]}]),
    "an order": template(
        **{
            "$setElementOrder/containers": [{"name": "side"}, {"name": "main"}, {"name": "new"}],
            "containers": [{"name": "new", "image": "n:1"}],
        }
    ),
    "an order alone": template(**{"$setElementOrder/containers": [{"name": "side"}, {"name": "main"}]}),
    "an order that leaves one out": template(
        containers=[
            {
                "name": "main",
                "$setElementOrder/env": [{"name": "C"}, {"name": "A"}, {"name": "N"}],
                "env": [{"name": "N", "value": "9"}],
            }
        ],
    ),
    "an atomic list": template(containers=[{"name": "main", "args": ["z"]}]),
    "tolerations are replaced": template(tolerations=[{"key": "other", "operator": "Exists"}]),
    "a map replaced": {"spec": {"strategy": {"$patch": "replace", "type": "Recreate"}}},
    "retained keys": {"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}},
    "a volume changes its source": template(volumes=[{"$retainKeys": ["name", "secret"], "name": "v", "secret": {"secretName": "s"}}]),
    "a primitive list merges": {"metadata": {"finalizers": ["c/z"]}},
    "a primitive deleted": {"metadata": {"$deleteFromPrimitiveList/finalizers": ["a/x"]}},
    "a map that was not there": template(nodeSelector={"gpu": "yes", "gone": None}),
    "a map removed": {"spec": {"strategy": None}},
    "ports by their number": template(
        containers=[{"name": "main", "ports": [{"containerPort": 8080, "protocol": "TCP"}, {"containerPort": 9090}]}]
    ),
}


def by_kubectl(original: dict[str, Any], patch: dict[str, Any], folder: Path) -> dict[str, Any]:
    file = folder / "object.json"
    file.write_text(json.dumps(original))
    done = subprocess.run(
        [str(KUBECTL), "patch", "--local", "--type=strategic", "-f", str(file), "-p", json.dumps(patch), "-o", "json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    merged: dict[str, Any] = json.loads(done.stdout)
    return merged


@pytest.mark.parametrize("name", PATCHES)
def test_a_patch_gives_what_kubectl_gives(name: str, tmp_path: Path) -> None:
    expected = by_kubectl(DEPLOYMENT, PATCHES[name], tmp_path)
    assert strategic.merge(DEPLOYMENT, PATCHES[name], "apps/v1", "Deployment") == expected


def test_the_original_is_left_as_it_was() -> None:
    before = json.dumps(DEPLOYMENT)
    strategic.merge(DEPLOYMENT, PATCHES["nested lists"], "apps/v1", "Deployment")
    assert json.dumps(DEPLOYMENT) == before


def test_an_item_without_its_merge_key_is_refused() -> None:
    with pytest.raises(ApiError) as refused:
        strategic.merge(DEPLOYMENT, template(containers=[{"image": "x"}]), "apps/v1", "Deployment")
    assert refused.value.code == 400
    assert "does not contain declared merge key: name" in refused.value.message


def test_a_directive_that_is_none_is_refused() -> None:
    with pytest.raises(ApiError) as refused:
        strategic.merge(DEPLOYMENT, {"spec": {"$patch": "melt"}}, "apps/v1", "Deployment")
    assert refused.value.code == 400
