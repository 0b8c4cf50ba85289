"""Lab 02-model-server: guards of its own, beside those in `lab_checks.judging.guards`: what the learner wrote."""

from __future__ import annotations

import re
from typing import Any

from kubeobjects import Object, placement
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, amount, asked, named, see
from lab_checks.engine.verdict import fail
from lab_checks.judging import guards

API = "ai-log-summary-api"
IMAGE = "registry.example.com/ai-log-summary-api"
PORT = 8080
MIB = 2**20

# What a laptop can spare for a server that uses some 40 MiB. In production these numbers come from the model.
MOST_REQUEST, MOST_LIMIT = amount("512Mi"), amount("1Gi")
# A limit, in peaks.
HEADROOM, MOST_HEADROOM = 1.2, 3.0
_LEAST_CPU, _MOST_CPU, _MOST_CPU_LIMIT = amount("10m"), amount("1"), amount("4")
# Seconds: an initial delay, a pause between two questions, and the time until a Pod that stopped answering leaves the Service.
_MOST_DELAY, _MOST_PERIOD, _MOST_BUDGET = 30, 30, 120

_PROGRAM_FOLDERS = re.compile(r"/(?:app|models|run|usr|lib\w*|etc|opt|bin|proc|sys|var)?(?:/|$)")
# Variables that make the server answer something else than the truth, or take a device that nobody gave it.
_LIES = re.compile(r"READY_LIES|ON_LOAD_ERROR|ERROR_RATE|GPU_ROOT|NVIDIA_.*|MODEL_PATH|MODEL_VERSION|PYTHON.*|LD_.*|PATH")


def ground(ctx: Context) -> None:
    """The cluster around the server is as it was."""
    guards.nodes_untouched(ctx)
    guards.node_status_untouched(ctx)
    guards.others_untouched(ctx, f"deployments/{API}", f"services/{API}")
    guards.bound_by_scheduler(ctx)


# What the learner wrote


def shape(deployment: Object, version: str = "v1") -> Object:
    """One container model-server that runs the image's own program in that version; returns it."""
    template = deployment["spec"]["template"]
    spec = template["spec"]
    if (template["metadata"].get("labels") or {}).get("app") != API:
        raise fail(
            f"the Pods of {named(deployment)} do not carry the label app={API}",
            see(deployment, "spec.template.metadata.labels", template["metadata"].get("labels") or "<none>"),
            expected="that label, in the selector and in the template: the Service will find the Pods by it",
            next="spec.selector cannot be changed later: delete the Deployment and write it again",
        )
    container = guards.server(deployment)
    extra = [each["name"] for key in ("containers", "initContainers") for each in spec.get(key) or [] if each is not container]
    if extra:
        raise fail(
            "there is more in the Pod than the model server",
            see(deployment, "containers, initContainers", ", ".join(extra)),
            expected="one container: the smallest Deployment that serves a model",
            next=f"remove {extra[0]}",
        )
    image = container.get("image", "")
    if image != f"{IMAGE}:{version}":
        moving = image in (IMAGE, f"{IMAGE}:latest")
        raise fail(
            "the image names no version" if moving else "the container runs another image",
            see(deployment, "containers[model-server].image", image),
            expected=f"{IMAGE}:{version}; with latest nobody can say tomorrow which model answered today",
            next=f"write the tag {version}",
        )
    for key in ("command", "args", "envFrom"):
        if container.get(key):
            raise fail(
                "the container does not run the image's own server as it is",
                see(deployment, f"containers[model-server].{key}", container[key]),
                expected="the program that the image starts by itself, with settings that stand in the Deployment",
                next=f"remove {key}",
            )
    for each in container.get("env") or []:
        odd = {"DEVICE": each.get("value") == "cpu", "PORT": each.get("value") != str(PORT)}.get(
            each["name"], bool(_LIES.fullmatch(each["name"]))
        )
        if odd:
            raise fail(
                f"the variable {each['name']} makes the server another one",
                see(deployment, f"containers[model-server].env[{each['name']}]", each.get("value", "from elsewhere")),
                expected="a server that finds its device and its port by itself and tells the truth about being ready",
                next=f"remove {each['name']}",
            )
    for mount in container.get("volumeMounts") or []:
        if _PROGRAM_FOLDERS.match(mount["mountPath"]):
            raise fail(
                "a volume lies over the server's own files",
                see(deployment, "containers[model-server].volumeMounts", mount["mountPath"]),
                expected="the program and the weights of the image",
                next=f"remove the mount of {mount['mountPath']}",
            )
    return container


def closed(deployment: Object) -> None:
    """No door to the node, none to the outside, and no way around the scheduler's order."""
    spec = deployment["spec"]["template"]["spec"]
    guards.walled(spec, deployment)
    for each in [*(spec.get("containers") or []), *(spec.get("initContainers") or [])]:
        for port in each.get("ports") or []:
            if port.get("hostPort"):
                raise fail(
                    "the Pod opens a port of its node",
                    see(deployment, f"containers[{each['name']}].ports.hostPort", port["hostPort"]),
                    expected="containerPort alone: hostPort puts the model on the node's address, past every Service and its rules",
                    next="remove hostPort",
                )
    guards.template_has_no_node_name(deployment)
    guards.tolerates_narrowly(spec, deployment)
    for key, plain in (("schedulerName", "default-scheduler"), ("priorityClassName", ""), ("runtimeClassName", ""), ("readinessGates", [])):
        if spec.get(key) and spec[key] != plain:
            raise fail(
                f"{named(deployment)} sets {key}",
                see(deployment, f"spec.template.spec.{key}", spec[key]),
                expected="a Pod like any other: the default scheduler and runtime, the default priority, Ready when its probe says so",
                next=f"remove {key}",
            )
    if "kubernetes.io/hostname" in (spec.get("nodeSelector") or {}) or any(
        each.get("key") == "kubernetes.io/hostname" or term.get("matchFields")
        for term in placement.required_terms(spec)
        for each in [*(term.get("matchExpressions") or []), *(term.get("matchFields") or [])]
    ):
        raise fail(
            f"{named(deployment)} is tied to one node by its name",
            see(deployment, "nodeSelector, affinity", spec.get("nodeSelector") or placement.required_terms(spec)),
            expected="requests and a toleration: the node that replaces this one has another name",
            next="remove the selector; the GPU limit finds the GPU nodes",
        )


def one_replica(deployment: Object) -> None:
    replicas = deployment["spec"].get("replicas", 1)
    if replicas != 1:
        raise fail(
            f"{named(deployment)} asks for {replicas} replicas",
            see(deployment, "spec.replicas", replicas),
            expected="1: first prove what one costs and that it works; each further one holds a GPU of its own",
            next=f"kubectl -n ai-platform scale deployment/{API} --replicas=1",
        )
    if deployment["spec"].get("paused"):
        raise fail(
            f"{named(deployment)} is paused",
            see(deployment, "spec.paused", "true"),
            next=f"kubectl -n ai-platform rollout resume deployment/{API}",
        )


def quantity(resource: str, value: Any) -> str:
    return f"{float(value) / MIB:,.0f}Mi" if resource == "memory" else f"{float(value):g}"


def resources(deployment: Object) -> None:
    """CPU and memory requested and limited, in the size of a laptop; one GPU."""
    spec = deployment["spec"]["template"]["spec"]
    written = guards.server(deployment).get("resources") or {}
    for resource in ("memory", "cpu"):
        for kind in ("limits", "requests"):
            # A limit alone is a request too: the API server fills it in.
            if asked(spec, resource, kind) <= 0:
                why = {
                    ("memory", "limits"): "a limit: without one a leak takes the node's memory from every Pod on it",
                    (
                        "memory",
                        "requests",
                    ): "a request: the scheduler counts requests, and packs a Pod without one where there is no memory left",
                    ("cpu", "limits"): "a limit: a busy model server takes every core that it finds",
                    ("cpu", "requests"): "a request: it is the Pod's share when the node is busy",
                }[(resource, kind)]
                raise fail(
                    f"the container has no {resource} {kind.removesuffix('s')}",
                    see(deployment, f"containers[model-server].resources.{kind}", written.get(kind) or "<none>"),
                    expected=why,
                    next=f"resources.{kind}.{resource}",
                )
    bounds = (
        ("memory", "requests", amount(0), MOST_REQUEST), ("memory", "limits", amount(0), MOST_LIMIT),
        ("cpu", "requests", _LEAST_CPU, _MOST_CPU), ("cpu", "limits", _LEAST_CPU, _MOST_CPU_LIMIT),
    )  # fmt: skip
    for resource, kind, least, most in bounds:
        value = asked(spec, resource, kind)
        if not least <= value <= most:
            raise fail(
                f"the {resource} {kind.removesuffix('s')} is far {'above' if value > most else 'below'} what this server uses",
                see(deployment, f"resources.{kind}[{resource}]", quantity(resource, value)),
                expected=f"between {quantity(resource, least)} and {quantity(resource, most)} here: numbers for a large model belong to a large model, "
                "and what is requested and not used nobody else can have",
                next="the trial Pod's log: resident_mib and peak_mib",
            )


def one_gpu(deployment: Object) -> None:
    count = int(asked(deployment["spec"]["template"]["spec"], GPU, "limits"))
    if count != 1:
        raise fail(
            "the container asks for no GPU" if not count else f"the container asks for {count} GPUs, and the server uses one",
            see(deployment, f"containers[model-server].resources.limits[{GPU}]", count or "<none>"),
            expected="1, under limits: that line is what makes the device plugin hand the container a device",
            next=f"resources.limits: {GPU}: 1",
        )


def readiness(ctx: Context, deployment: Object) -> None:
    """A readiness probe that asks the model, soon and often enough."""
    container = guards.server(deployment)
    probe = container.get("readinessProbe") or {}
    where = f"kubectl -n {ctx.namespace} explain deployment.spec.template.spec.containers.readinessProbe"
    if not probe:
        raise fail(
            f"{named(deployment)} has no readiness probe",
            see(deployment, "containers[model-server].readinessProbe", "<none>"),
            expected="a probe that asks the model: without one the Pod is Ready as soon as its process runs",
            next=where,
        )
    get = probe.get("httpGet") or {}
    asks = guards.question(container, "readinessProbe")
    if asks != ("/ready", PORT) or get.get("host") or get.get("scheme", "HTTP") != "HTTP":
        raise fail(
            "the readiness probe does not ask the model",
            see(
                deployment,
                "containers[model-server].readinessProbe",
                get or next((key for key in ("exec", "tcpSocket", "grpc") if key in probe), "?"),
            ),
            expected=f"HTTP GET /ready on port {PORT} of the Pod itself: an open port, /healthz or a command says only that something lives",
            next=where,
        )
    delay, period = int(probe.get("initialDelaySeconds", 0)), int(probe.get("periodSeconds", 10))
    if delay > _MOST_DELAY or period > _MOST_PERIOD:
        raise fail(
            "the readiness probe asks far too late for this model",
            see(deployment, "readinessProbe", f"initialDelaySeconds {delay}, periodSeconds {period}"),
            expected=f"at most {_MOST_DELAY} s each: this model loads in seconds, and a Pod that is loaded and not asked stands idle with its GPU",
            next="the trial Pod's log: model loaded seconds=…",
        )
    if period * int(probe.get("failureThreshold", 3)) > _MOST_BUDGET:
        raise fail(
            "the readiness probe gives up far too late",
            see(deployment, "readinessProbe", f"failureThreshold {probe.get('failureThreshold', 3)} × periodSeconds {period}"),
            expected=f"at most {_MOST_BUDGET} s: so long a model that no longer answers still gets requests",
            next=where,
        )


def tolerates_gpu_nodes(ctx: Context, deployment: Object) -> None:
    """The GPU taint tolerated, and no other."""
    guards.tolerates_only_gpus(ctx, deployment)
    spec = deployment["spec"]["template"]["spec"]
    gpu_nodes = [node for node in ctx.nodes if (node["metadata"].get("labels") or {}).get(f"{GPU}.present") == "true"]
    if gpu_nodes and all(placement.untolerated(spec, node) for node in gpu_nodes):
        taint = placement.untolerated(spec, gpu_nodes[0])[0]
        raise fail(
            "the Pod does not tolerate the taint of the GPU nodes",
            see(deployment, "spec.template.spec.tolerations", spec.get("tolerations") or "<none>"),
            see(gpu_nodes[0], "spec.taints", f"{taint['key']}={taint.get('value', '')}:{taint['effect']}"),
            expected="a toleration for that key and effect: the limit asks for a device, the toleration lets the Pod onto the node that has one",
            next=f"kubectl describe node {gpu_nodes[0]['metadata']['name']} | grep Taints",
        )


def alone(ctx: Context, deployment: Object) -> None:
    """No second workload and no bare Pod plays the server's part."""
    for each in ctx.api.list("deployments", ctx.namespace):
        labels = each["spec"]["template"]["metadata"].get("labels") or {}
        if each["metadata"]["name"] != API and labels.get("app") == API:
            raise fail(
                f"a second Deployment has the label app={API}", see(each, "spec.template.metadata.labels", labels),
                expected="one Deployment behind this name", next=f"kubectl -n {ctx.namespace} delete deployment {each['metadata']['name']}",
            )  # fmt: skip
    for pod in ctx.pods:
        if (pod["metadata"].get("labels") or {}).get("app") == API and not pod["metadata"].get("ownerReferences"):
            raise fail(
                f"a Pod that no Deployment made has the label app={API}", see(pod, "metadata.ownerReferences", "<none>"),
                expected="Pods of the Deployment only: nobody replaces a bare Pod when it ends",
                next=f"kubectl -n {ctx.namespace} delete pod {pod['metadata']['name']}",
            )  # fmt: skip
