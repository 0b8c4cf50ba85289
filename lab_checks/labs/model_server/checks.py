"""Lab 02-model-server: the checks. The smallest Deployment that serves a model, its Service, and what each of its parts is there for.

What was tried and put back is read from what Kubernetes keeps of it: the Deployment's older ReplicaSets and their events.
"""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, see
from lab_checks.engine.registry import exercise
from lab_checks.engine.verdict import Seen, Verdict, fail, idle, passed
from lab_checks.judging import guards
from lab_checks.labs.model_server import guards as also
from lab_checks.labs.model_server import hints, inside, live, past
from lab_checks.labs.model_server.guards import API, MIB

LAB = "02-model-server"
# Importing the hints registers them.
__all__ = ["hints"]


def sound(ctx: Context, deployment: Object) -> None:
    """The Deployment as it should be written, whoever wrote it."""
    also.shape(deployment)
    also.closed(deployment)
    also.one_replica(deployment)
    also.resources(deployment)
    also.one_gpu(deployment)
    also.tolerates_gpu_nodes(ctx, deployment)
    also.readiness(ctx, deployment)


def _written(ctx: Context) -> Object:
    """The learner's Deployment; says what stands there instead where there is none."""
    deployment = ctx.get("deployments", API)
    if deployment is not None:
        return ctx.deployment(API)
    where = f"kubectl -n {ctx.namespace} apply -f FILE, a Deployment called {API}"
    for each in ctx.api.list("deployments", ctx.namespace):
        raise fail(
            f"there is a Deployment, and it is not called {API}",
            see(each, "metadata.name", each["metadata"]["name"]),
            expected=API,
            next=where,
        )
    for pod in ctx.pods:
        if (pod["metadata"].get("labels") or {}).get("app") == API or pod["metadata"]["name"] == API:
            raise fail(
                "there is a bare Pod and no Deployment",
                see(pod, "metadata.ownerReferences", pod["metadata"].get("ownerReferences") or "<none>"),
                expected=f"a Deployment {API}: it makes the Pod again when its node or its container ends",
                next=where,
            )
    raise idle(f"there is no Deployment {API} yet", Seen(f"namespace/{ctx.namespace}", "deployments", "none"), next=where)


@exercise(f"{LAB}/write-the-deployment")
def write_the_deployment(ctx: Context) -> Verdict:
    """A Deployment from nothing: sized, on a GPU, Ready when its model is."""
    also.ground(ctx)
    deployment = _written(ctx)
    sound(ctx, deployment)
    also.alone(ctx, deployment)
    pod, found = live.on_gpu(ctx, deployment)
    return passed(f"{API} is Ready on a GPU node, sized for what it uses", *live.seen_of(pod, found))


@exercise(f"{LAB}/open-inside")
def open_inside(ctx: Context) -> Verdict:
    """A ClusterIP Service in front of the untouched server, and a summary that came out of it."""
    also.ground(ctx)
    deployment = past.same_server(ctx)
    also.one_replica(deployment)
    also.readiness(ctx, deployment)
    inside.nothing_public(ctx)
    service = inside.service(ctx, deployment)
    also.alone(ctx, deployment)
    pod, found = live.on_gpu(ctx, deployment)
    addresses = inside.leads_to(ctx, [pod])
    head = inside.summarised(ctx, pod, found)
    return passed(
        "a summary came back through the Service, and nothing is open to the outside",
        see(service, "spec.type", service["spec"].get("type", "ClusterIP")),
        Seen(f"endpoints/{API}", "addresses", ", ".join(addresses)),
        Seen("answer", "summary", head),
    )


def _whole_again(ctx: Context, *free: str) -> tuple[Object, Object, live.Said]:
    """The Deployment as at the start, save for `free`, with its one Ready Pod behind its Service."""
    deployment = past.same_server(ctx, *free)
    also.one_replica(deployment)
    also.readiness(ctx, deployment)
    guards.service_kept(ctx, API)
    inside.nothing_public(ctx)
    also.alone(ctx, deployment)
    pod, found = live.on_gpu(ctx, deployment)
    live.rolled_out(ctx, deployment)
    guards.listed(ctx, API, [pod])
    return deployment, pod, found


@exercise(f"{LAB}/without-the-gpu")
def without_the_gpu(ctx: Context) -> Verdict:
    """What the limit does, seen without it, and the limit back in its place."""
    also.ground(ctx)
    tried = past.without(ctx, ctx.need("deployments", API), "gpu")
    if not tried:
        raise idle(
            "the server has not run without its GPU limit yet",
            see(ctx.need("deployments", API), f"limits[{GPU}] in all revisions", 1),
            next=f"kubectl -n {ctx.namespace} edit deployment/{API}: take {GPU} out of limits",
        )
    _deployment, pod, found = _whole_again(ctx)
    past.answered(ctx, "node", "device", "free_gpus")
    nodes = past.landed(ctx, tried)
    if not nodes:
        raise idle(
            "nothing tells any more where the Pod without the limit was",
            Seen("events", "Scheduled", "none of a Pod without the limit"),
            next="take the limit away once more, look, and put it back",
            credit=0.5,
        )
    if str(ctx.answers["node"]).strip().removeprefix("node/") not in nodes:
        raise past.wrong(
            ctx, "node", "the node on which the Pod without the limit ran", f"kubectl -n {ctx.namespace} get events | grep Scheduled"
        )
    if str(ctx.answers["device"]).strip().lower() not in past.devices(tried):
        raise past.wrong(
            ctx, "device", "the device that its server took, as its log names it", "take the limit away once more; its log: device=…"
        )
    held = sum(each.held for each in ctx.gpu_facts) - int(asked(pod["spec"], GPU))
    free = sum(each.allocatable for each in ctx.gpu_facts) - held
    if past.number(ctx, "free_gpus") != free:
        raise past.wrong(
            ctx, "free_gpus", "allocatable minus what Pods hold, over all nodes, while this server held none",
            "kubectl describe nodes | grep nvidia.com/gpu: allocatable, and what is allocated",
        )  # fmt: skip
    return passed(
        "without the limit the server ran on the CPU and held no GPU; now it has its GPU again",
        Seen("events", "Scheduled without the limit", ", ".join(sorted(nodes))),
        Seen("nodes", f"free [{GPU}] meanwhile", str(free)),
        *live.seen_of(pod, found),
    )


@exercise(f"{LAB}/without-readiness")
def without_readiness(ctx: Context) -> Verdict:
    """Requests that failed because nobody asked the model, counted by the client; and the probe back in its place."""
    also.ground(ctx)
    tried = past.without(ctx, ctx.need("deployments", API), "readinessProbe")
    if not tried:
        raise idle(
            "the server has not been rolled out without its readiness probe yet",
            see(ctx.need("deployments", API), "readinessProbe in all revisions", "/ready"),
            next=f"kubectl -n {ctx.namespace} edit deployment/{API}: take readinessProbe out",
        )
    deployment, pod, _found = _whole_again(ctx)
    if live.lets_go_first(deployment):
        raise fail(
            "the strategy was changed as well",
            see(deployment, "spec.strategy", past.strategy_words(deployment)),
            expected="the strategy as it was: when the old Pod goes first, requests fail whether a probe asks or not",
            next=f"ai-lab reset {ctx.exercise.key}",
        )
    load, took = guards.load_seconds(guards.server(deployment)), guards.seconds_to_ready(pod)
    if took < load - 1.5:
        raise fail(
            "the Pod was Ready before its model was loaded",
            see(pod, "Ready", f"after {took:g} s, the load takes {load:g} s"),
            expected="Ready when /ready says so",
            next="what does the readiness probe ask?",
        )
    failed, outcomes = past.counted(past.client_log(ctx, "on-call-tooling"))
    if not failed:
        raise fail(
            "no request has failed yet",
            Seen("deployment/on-call-tooling", "errors", "0 in its log"),
            expected="a Pod without the probe that takes the place of the one before, while requests come in",
            next="take the probe away, wait for the rollout, and read the client's log",
            credit=0.3,
        )
    past.answered(ctx, "failed", "status")
    log = f"kubectl -n {ctx.namespace} logs deployment/on-call-tooling --tail=-1"
    if past.number(ctx, "failed") != failed:
        raise past.wrong(ctx, "failed", "the sum of errors over all lines of the client's log, counted when the probe is back", log)
    most = outcomes.most_common(1)[0][0]
    if str(ctx.answers["status"]).strip().lower().removeprefix("http ") != most:
        raise past.wrong(ctx, "status", "what outcomes names most often, 200 aside", log)
    return passed(
        "without the probe requests reached a model that was loading; now they wait for it again",
        Seen("deployment/on-call-tooling", "errors", f"{failed}, most of them {most}"),
        see(pod, "Ready", f"{took:g} s after its start, the load takes {load:g} s"),
    )


@exercise(f"{LAB}/too-little-memory")
def too_little_memory(ctx: Context) -> Verdict:
    """A kill by the limit, read; then request and limit in the size of the measured peak."""
    also.ground(ctx)
    deployment = ctx.need("deployments", API)
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"][API]["template"]
    now = deployment["spec"]["template"]["spec"]
    if all(asked(now, "memory", kind) == asked(before, "memory", kind) for kind in ("requests", "limits")):
        raise idle(
            "request and limit are still the guess that somebody made",
            see(
                deployment,
                "resources[memory]",
                f"{float(asked(now, 'memory')) / MIB:g}Mi, {float(asked(now, 'memory', 'limits')) / MIB:g}Mi",
            ),
            next=f"kubectl -n {ctx.namespace} set resources deployment/{API} --limits=memory=96Mi",
        )
    also.resources(deployment)
    deployment, pod, found = _whole_again(ctx, "memory")
    limit = float(asked(deployment["spec"]["template"]["spec"], "memory", "limits")) / MIB
    peak = see(pod, "process_peak_resident_memory_bytes", f"{found.peak_mib:.0f}Mi")
    if limit > also.MOST_HEADROOM * found.peak_mib:
        raise fail(
            "the memory limit is a guess and no measure",
            see(deployment, "resources.limits[memory]", f"{limit:.0f}Mi"),
            peak,
            expected=f"at most {also.MOST_HEADROOM:g} times the peak: a leak is to be stopped before it has eaten the node",
            next="peak_mib in the log of the server",
        )
    killed = [each for each in past.revisions(ctx, deployment) if past.limit_mib(each) < found.peak_mib]
    if not past.of_revisions(ctx, killed, "Started"):
        raise idle(
            "the sizes fit, and no container was seen to hit its limit yet",
            see(deployment, "smallest memory limit so far", f"{min(map(past.limit_mib, past.revisions(ctx, deployment))):.0f}Mi"),
            peak,
            expected="a try with 96Mi, and a look at how it ends",
            next=f"kubectl -n {ctx.namespace} set resources deployment/{API} --limits=memory=96Mi",
            credit=0.5,
        )
    past.answered(ctx, "exit_code", "peak_mib")
    describe = f"kubectl -n {ctx.namespace} describe pod: Last State of the Pod with 96Mi"
    if past.number(ctx, "exit_code") != past.KILLED:
        raise past.wrong(ctx, "exit_code", "what the kernel's kill leaves: 128 plus the number of the signal", describe)
    if abs(past.number(ctx, "peak_mib") - found.peak_mib) > max(4, 0.15 * found.peak_mib):
        raise past.wrong(
            ctx,
            "peak_mib",
            "peak_mib, as a server that did load logs it",
            f"kubectl -n {ctx.namespace} logs deployment/{API} | grep peak_mib",
        )
    return passed("read as a kill by the memory limit, and sized from the measured peak", *live.seen_of(pod, found))


@exercise(f"{LAB}/one-gpu-left")
def one_gpu_left(ctx: Context) -> Verdict:
    """Version v2 on the one T4, by a rollout that lets the old Pod go first."""
    also.ground(ctx)
    deployment = past.same_server(ctx, "image")
    image = guards.server(deployment)["image"]
    if image == f"{also.IMAGE}:v1":
        raise idle(
            "v1 is still the image of the Deployment",
            see(deployment, "containers[model-server].image", image),
            next=f"kubectl -n {ctx.namespace} set image deployment/{API} model-server={also.IMAGE}:v2",
        )
    also.shape(deployment, "v2")
    also.one_replica(deployment)
    also.readiness(ctx, deployment)
    guards.service_kept(ctx, API)
    inside.nothing_public(ctx)
    past.lets_go_first(deployment)
    also.alone(ctx, deployment)
    pod, found = live.on_gpu(ctx, deployment)
    live.rolled_out(ctx, deployment)
    guards.listed(ctx, API, [pod])
    past.answered(ctx, "most_replicas")
    most = past.most_replicas(ctx, deployment)
    if past.number(ctx, "most_replicas") != most:
        raise past.wrong(
            ctx, "most_replicas", "one GPU for each Pod: how many that this server's selector admits are there, less what others hold?",
            "kubectl get nodes -L nvidia.com/gpu.product,nvidia.com/gpu.count",
        )  # fmt: skip
    return passed(
        "v2 runs on the T4, and the next release will get through as well",
        see(deployment, "spec.strategy", past.strategy_words(deployment)),
        Seen("nodes", f"[{GPU}] for this server", str(most)),
        *live.seen_of(pod, found),
    )
