"""Lab 04-not-ready: GPU and runtime. Which nodes can serve the program, whether it is still the same model, and whether it runs on a device."""

from __future__ import annotations

import re

from kubeobjects import Object, placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, named, see
from lab_checks.engine.verdict import Seen, fail, wait
from lab_checks.judging import guards

# What a platform team knows of its nodes: which ones have an older driver, and where the runtime hands nothing over.
TROUBLES = ("gpu.ai-lab.dev/driver-version", "gpu.ai-lab.dev/not-injected")
_OLDER_CUDA = re.compile(r"-cuda11(\.\d+)?$")
_DEVICE = re.compile(r"device=cuda:\d+ gpu=(.+?) uuid=")


def _parts(image: str) -> tuple[str, str]:
    """Repository and tag of an image's name."""
    repository, _, tag = image.partition("@")[0].rpartition(":")
    return repository, tag


def built_for_older_cuda(deployment: Object) -> bool:
    return bool(_OLDER_CUDA.search(guards.server(deployment).get("image", "")))


def same_model(ctx: Context, deployment: Object) -> None:
    """The image holds the model that it held, built for this CUDA or another."""
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"][deployment["metadata"]["name"]]["template"]
    (old_place, old), (place, now) = (_parts(observe.container(each, "model-server")["image"]) for each in (before, _spec(deployment)))
    if (place, now.partition("-")[0]) != (old_place, old.partition("-")[0]):
        raise fail(
            f"{named(deployment)} serves another model",
            see(deployment, "containers[model-server].image", f"{place}:{now}"),
            expected=f"{old_place}:{old}, or the same version built for another CUDA",
            next="a new version of the model is a release of its own, with its own tests; what is wrong here is what it was built for",
        )


def _spec(deployment: Object) -> Object:
    found: Object = deployment["spec"]["template"]["spec"]
    return found


def troubled(node: Object) -> list[str]:
    """What keeps this node's GPUs from a program that was built for a current CUDA, as `key=value`."""
    annotations = node["metadata"].get("annotations") or {}
    return [f"{key}={annotations[key]}" for key in TROUBLES if annotations.get(key) not in (None, "", "false")]


def goes_where_it_works(ctx: Context, deployment: Object) -> None:
    """The template admits no GPU node whose driver or runtime fails this program, and some GPU node that serves it, tomorrow's too."""
    spec = _spec(deployment)
    good = None
    for node in ctx.nodes:
        labels = dict(node["metadata"].get("labels") or {})
        if labels.get(f"{GPU}.present") != "true":
            continue
        name = node["metadata"]["name"]
        takes = placement.selects(spec, labels, name)
        if takes and (why := troubled(node)):
            raise fail(
                f"{named(deployment)} may still go to {name}",
                see(deployment, "nodeSelector, affinity", spec.get("nodeSelector") or placement.required_terms(spec) or "<none>"),
                see(node, "metadata.annotations", ", ".join(why)),
                expected="a program and a node that fit each other, by rule and not by luck",
                next="kubectl get nodes -L nvidia.com/gpu.product, and which driver does the log name?",
            )
        if takes and placement.selects(
            spec, {**labels, "kubernetes.io/hostname": "the-next-node-of-this-kind"}, "the-next-node-of-this-kind"
        ):
            good = node
        elif takes:
            raise fail(
                f"{named(deployment)} is tied to {name} by its name",
                see(deployment, "nodeSelector, affinity", spec.get("nodeSelector") or placement.required_terms(spec)),
                expected="a selector for what the Pod needs: the next node of this kind has another name",
                next="kubectl get nodes --show-labels",
            )
    if good is None:
        raise fail(
            f"{named(deployment)} selects no GPU node at all",
            see(deployment, "nodeSelector, affinity", spec.get("nodeSelector") or placement.required_terms(spec)),
            expected="a GPU node whose driver and runtime serve the program",
            next="kubectl get nodes -L nvidia.com/gpu.product",
        )


def uses_a_gpu(ctx: Context, pod: Object) -> Seen:
    """The server says that it runs on a device. Returns what it said."""
    log = ctx.api.log(pod, "model-server", first_bytes=16 * 1024)
    found = _DEVICE.search(log)
    if found:
        return Seen(f"log of {named(pod)}", "device", found[1])
    if "device=cpu" in log:
        raise fail(
            "the server runs on the CPU", Seen(f"log of {named(pod)}", "device", "cpu"),
            expected="the GPU that is held for it", next="which variable tells it to do without?",
        )  # fmt: skip
    raise wait("the server has not said yet what it runs on", see(pod, "log", "no device named"))
