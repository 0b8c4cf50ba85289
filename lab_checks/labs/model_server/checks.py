"""Lab 02-model-server: the checks. The smallest Deployment that serves a model, its Service, and what each of its parts is there for.

What was tried and put back is read from what Kubernetes keeps of it: the Deployment's older ReplicaSets and their events.
"""

from __future__ import annotations

from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, see
from lab_checks.engine.registry import exercise
from lab_checks.engine.verdict import Seen, Verdict, passed
from lab_checks.judging import answers, guards, sheet, unchanged, words
from lab_checks.judging.sheet import Blank
from lab_checks.labs.model_server import hints, inside, live, past, written
from lab_checks.labs.model_server.written import API, IMAGE, MIB

LAB = "02-model-server"
CLIENT = "on-call-tooling"
# 128 and SIGKILL.
KILLED = 128 + 9
# Importing the hints registers them.
__all__ = ["hints"]


@exercise(f"{LAB}/write-the-deployment")
def write_the_deployment(ctx: Context) -> Verdict:
    """A Deployment from nothing: sized, on a GPU, Ready when its model is."""
    there = [each["metadata"]["name"] for each in ctx.api.list("deployments", ctx.namespace)]
    if there and API not in there:
        raise words.fail(ctx, "misnamed", Seen(f"namespace/{ctx.namespace}", "deployments", ", ".join(there)))
    unchanged.required(ctx)
    if not there:
        raise words.idle(ctx, "no-deployment", Seen(f"namespace/{ctx.namespace}", "deployments", "none"))
    deployment = ctx.deployment(API)
    written.sound(ctx, deployment)
    pod, found = live.on_gpu(ctx, deployment)
    return passed(f"{API} is Ready on a GPU node, sized for what it uses", *live.seen_of(pod, found))


@exercise(f"{LAB}/open-inside")
def open_inside(ctx: Context) -> Verdict:
    """A ClusterIP Service in front of the untouched server, and a summary that came out of it."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    service = inside.service(ctx, deployment)
    pod, found = live.on_gpu(ctx, deployment)
    addresses = inside.leads_to(ctx, pod)
    head = inside.summarised(ctx, pod, found)
    return passed(
        "a summary came back through the Service, and nothing is open to the outside",
        see(service, "spec.type", service["spec"].get("type", "ClusterIP")),
        Seen(f"endpoints/{API}", "addresses", ", ".join(addresses)),
        Seen("answer", "summary", head),
    )


@exercise(f"{LAB}/without-the-gpu")
def without_the_gpu(ctx: Context) -> Verdict:
    """What the limit does, seen without it, and the limit back in its place."""
    deployment = ctx.deployment(API)
    if not asked(deployment["spec"]["template"]["spec"], GPU, "limits"):
        raise words.fail(ctx, "still-without-gpu", see(deployment, f"limits[{GPU}]", None))
    unchanged.required(ctx)
    tried = past.without(ctx, deployment, "gpu")
    if not tried:
        raise words.idle(ctx, "gpu-never-away", see(deployment, f"limits[{GPU}] in all revisions", 1))
    nodes = past.landed(ctx, tried)
    if not nodes or not past.was_rolled_out(ctx, deployment, tried):
        raise words.idle(
            ctx, "never-ran-without-gpu", Seen("events", "Scheduled", ", ".join(sorted(nodes)) or "none of a Pod without the limit")
        )
    pod, found = live.behind_its_service(ctx, deployment)
    known, devices = {each.name for each in ctx.gpu_facts}, past.devices(tried)
    held = sum(each.held for each in ctx.gpu_facts) - int(asked(pod["spec"], GPU))
    free = sum(each.allocatable for each in ctx.gpu_facts) - held
    blanks = [
        Blank(
            "node", lambda said: answers.names(said, known), lambda given: len(given) == 1 and given <= nodes,
            "the node on which the Pod without the limit ran", f"kubectl -n {ctx.namespace} get events | grep Scheduled",
            form="the name of one node is asked for",
        ),
        Blank(
            "device", answers.word, lambda given: given.lower() in devices, "the device that its server took, as its log names it",
            "take the limit away once more; its log: device=…", form="one word is asked for",
        ),
        sheet.number(
            "free_gpus", free, "allocatable minus what Pods hold, over all nodes, while this server held none",
            "kubectl describe nodes | grep -E '^(Name|Allocatable|Allocated resources):|nvidia.com/gpu'", things=sheet.GPUS,
        ),
    ]  # fmt: skip
    sheet.judge(ctx, blanks, done=0.4)
    return passed(
        "without the limit the server ran on the CPU and held no GPU; now it has its GPU again",
        Seen("events", "Scheduled without the limit", ", ".join(sorted(nodes))),
        Seen("nodes", f"free [{GPU}] meanwhile", str(free)),
        *live.seen_of(pod, found),
    )


@exercise(f"{LAB}/without-readiness")
def without_readiness(ctx: Context) -> Verdict:
    """Requests that failed because nobody asked the model, counted by the client; and the probe back in its place."""
    deployment = ctx.deployment(API)
    if not guards.server_container(deployment).get("readinessProbe"):
        raise words.fail(ctx, "still-without-probe", see(deployment, "containers[model-server].readinessProbe", None))
    unchanged.required(ctx)
    if not past.without(ctx, deployment, "readinessProbe"):
        raise words.idle(ctx, "probe-never-away", see(deployment, "readinessProbe in all revisions", "/ready"))
    pod, _found = live.behind_its_service(ctx, deployment)
    took = guards.ready_with_its_model(pod, guards.server_container(deployment))
    failed, outcomes = past.counted(past.client_log(ctx, CLIENT))
    if not failed:
        raise words.fail(ctx, "nothing-failed", Seen(f"deployment/{CLIENT}", "errors", "0 in its log"), credit=0.3)
    most, log = outcomes.most_common(1)[0][0], f"kubectl -n {ctx.namespace} logs deployment/{CLIENT} --tail=-1"
    blanks = [
        sheet.number(
            "failed", failed, "the sum of errors over all lines of the client's log, counted when the probe is back", log,
            things=("request", "error"),
        ),
        Blank(
            "status", answers.phrase, lambda given: answers.flat(most) in (answers.flat(given), str(answers.count(given))),
            "what outcomes names most often, 200 aside", log, called=("http", "http status", "code", "http code"),
        ),
    ]  # fmt: skip
    sheet.judge(ctx, blanks, done=0.4)
    return passed(
        "without the probe requests reached a model that was loading; now they wait for it again",
        Seen(f"deployment/{CLIENT}", "errors", f"{failed}, most of them {most}"),
        see(pod, "Ready", f"{took:g} s after its start"),
    )


@exercise(f"{LAB}/too-little-memory")
def too_little_memory(ctx: Context) -> Verdict:
    """A kill by the limit, read; then request and limit in the size of the measured peak."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    now, before = (each["spec"]["template"]["spec"] for each in (deployment, ctx.before("deployments", API)))
    request, limit = (float(asked(now, "memory", kind)) / MIB for kind in ("requests", "limits"))
    if all(asked(now, "memory", kind) == asked(before, "memory", kind) for kind in ("requests", "limits")):
        raise words.idle(ctx, "still-the-guess", see(deployment, "memory request, limit", f"{request:g}Mi, {limit:g}Mi"))
    written.resources(ctx, deployment)
    pod, found = live.behind_its_service(ctx, deployment)
    peak = see(pod, "process_peak_resident_memory_bytes", f"{found.peak_mib:.0f}Mi")
    if limit > live.MOST_HEADROOM * found.peak_mib:
        raise words.fail(ctx, "guessed-limit", see(deployment, "limits[memory]", f"{limit:.0f}Mi"), peak, most=live.MOST_HEADROOM)
    killed = [each for each in past.revisions(ctx, deployment) if past.limit_mib(each) < found.peak_mib]
    if not past.of_revisions(ctx, killed, "Started"):
        smallest = min(map(past.limit_mib, past.revisions(ctx, deployment)))
        raise words.idle(ctx, "no-kill-seen", see(deployment, "smallest memory limit so far", f"{smallest:.0f}Mi"), peak, credit=0.5)
    blanks = [
        sheet.number(
            "exit_code", KILLED, "what the kernel's kill leaves: 128 plus the number of the signal",
            f"kubectl -n {ctx.namespace} describe pod: Last State of the Pod with 96Mi", called=("exit code", "code", "exit"),
        ),
        sheet.number(
            "peak_mib", lambda given: abs(given - found.peak_mib) <= max(4, 0.15 * found.peak_mib), "peak_mib, as a server that did load logs it",
            f"kubectl -n {ctx.namespace} logs deployment/{API} | grep peak_mib", reads=answers.mebibytes, called=("peak",),
        ),
    ]  # fmt: skip
    sheet.judge(ctx, blanks, done=0.5)
    return passed("read as a kill by the memory limit, and sized from the measured peak", *live.seen_of(pod, found))


@exercise(f"{LAB}/one-gpu-left")
def one_gpu_left(ctx: Context) -> Verdict:
    """Version v2 on the one T4, by a rollout that lets the old Pod go first."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    image = guards.server_container(deployment)["image"]
    if image == f"{IMAGE}:v1":
        raise words.idle(ctx, "still-v1", see(deployment, "containers[model-server].image", image))
    if image != f"{IMAGE}:v2":
        raise words.fail(ctx, "another-image", see(deployment, "containers[model-server].image", image), version="v2")
    if not live.lets_go_first(deployment):
        raise words.fail(ctx, "new-pod-first", see(deployment, "spec.strategy", past.strategy_words(deployment)))
    pod, found = live.behind_its_service(ctx, deployment)
    most = past.most_replicas(ctx, deployment)
    asks = "one GPU for each Pod: how many that this server's selector admits are there, less what others hold?"
    look = "kubectl get nodes -L nvidia.com/gpu.product,nvidia.com/gpu.count"
    sheet.judge(ctx, [sheet.number("most_replicas", most, asks, look, things=("replica", "pod", "server"))], done=0.5)
    return passed(
        "v2 runs on the T4, and the next release will get through as well",
        see(deployment, "spec.strategy", past.strategy_words(deployment)),
        Seen("nodes", f"[{GPU}] for this server", str(most)),
        *live.seen_of(pod, found),
    )
