"""Lab 04-not-ready: GPU and runtime. Whether it is still the same model, and which nodes, today's and tomorrow's, can serve the program."""

from __future__ import annotations

import re

from kubeobjects import Object, placement
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, named, see
from lab_checks.engine.verdict import Seen, fail
from lab_checks.judging import guards

# What a platform team knows of its nodes: which ones have an older driver, and where the runtime hands nothing over.
_DRIVER, _RUNTIME = "gpu.ai-lab.dev/driver-version", "gpu.ai-lab.dev/not-injected"
_OLDER_CUDA = re.compile(r"-cuda11(\.\d+)?$")
# How many cards a node may have that joins tomorrow.
_COUNTS = ("1", "2", "4", "8")
_NEXT = "kubectl get nodes -L nvidia.com/gpu.product, and which driver does the log name?"


def same_model(ctx: Context, deployment: Object) -> None:
    """The image holds the model that it held, built for this CUDA or another."""
    before = guards.server_container(ctx.before("deployments", deployment["metadata"]["name"]) | {"kind": "Deployment"})["image"]
    now = guards.server_container(deployment)["image"]
    if _model(now) != _model(before):
        raise fail(
            f"{named(deployment)} serves another model",
            see(deployment, "containers[model-server].image", now),
            expected=f"{before}, or the same version built for another CUDA",
            next="a new version of the model is a release of its own, with its own tests; what is wrong here is what it was built for",
        )


def _model(image: str) -> str:
    """Repository and version in an image's name, without what it was built for."""
    return image.partition("@")[0].partition("-cuda")[0]


def troubled(node: Object, image: str = "") -> list[str]:
    """What keeps this node's GPUs from a program of that image, or from one built for a current CUDA, as `key=value`."""
    annotations = node["metadata"].get("annotations") or {}
    harms = (_RUNTIME,) if _OLDER_CUDA.search(image) else (_RUNTIME, _DRIVER)
    return [f"{key}={annotations[key]}" for key in harms if annotations.get(key) not in (None, "", "false")]


def goes_where_it_works(ctx: Context, deployment: Object) -> None:
    """The template admits the cards whose nodes serve this program, and those only: by what a node has, which the next one of its kind has too."""
    guards.tied_to_no_node(ctx, deployment)
    spec, image = deployment["spec"]["template"]["spec"], guards.server_container(deployment)["image"]
    chosen = see(deployment, "nodeSelector, affinity", spec.get("nodeSelector") or placement.required_terms(spec) or "<none>")
    for node in ctx.nodes:
        name, labels = node["metadata"]["name"], node["metadata"].get("labels") or {}
        if labels.get(f"{GPU}.present") != "true":
            continue
        twin = guards.next_of_its_kind(ctx, node)
        takes = [
            placement.selects(spec, {**twin["metadata"]["labels"], f"{GPU}.count": count}, twin["metadata"]["name"])
            for count in (labels.get(f"{GPU}.count", "1"), *_COUNTS)
        ]
        if any(takes) and (why := troubled(node, image)):
            raise fail(
                f"{named(deployment)} may still go to {name if takes[0] else f'the next node like {name}'}",
                chosen,
                see(node, "metadata.annotations", ", ".join(why)),
                expected="a program and a node that fit each other, by rule and not by luck",
                next=_NEXT,
            )
        if any(takes) and not all(takes):
            raise fail(
                f"{named(deployment)} would not go to every node like {name}",
                chosen,
                Seen(f"node/{name}", f"labels[{GPU}.count]", labels.get(f"{GPU}.count", "<none>")),
                expected=f"a selector for the card ({GPU}.product): the number of cards differs from node to node, and tells nothing of driver or runtime",
                next=_NEXT,
            )
