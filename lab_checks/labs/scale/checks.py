"""Lab 11-scale-and-cost: the checks. A number is held against what is measured on the cluster now; a decision against what clients get after it."""

from __future__ import annotations

import math

from kubeobjects import Object, placement
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, see
from lab_checks.engine.registry import exercise
from lab_checks.engine.verdict import Seen, Verdict, passed
from lab_checks.judging import answers, guards, said, sheet, unchanged, words
from lab_checks.judging.sheet import Blank
from lab_checks.labs.scale import autoscaler, clients, groups, hints, night, prices, shift
from lab_checks.labs.scale.autoscaler import API

LAB = "11-scale-and-cost"
# Importing the hints registers them.
__all__ = ["hints"]
# Exercise two-offers: percent of the requests that have to be answered within one second, and points by which an answer may be off.
OBJECTIVE, OFF = 90, 8
# With fewer requests, after a restart for example, one slow answer moves the share by more than that.
ENOUGH = 20
# Exercise no-faster: good answers a second that the report needs, and requests that may wait for their turn.
NEEDED, CROWD = 7.0, 12
# Exercise all-too-late: what an answer may be off, as a share.
ROUGHLY = 0.35


@exercise(f"{LAB}/two-offers")
def two_offers(ctx: Context) -> Verdict:
    """Cost and latency of both offers at the users' rate, and the users sent to the cheaper one that keeps the objective."""
    unchanged.required(ctx)
    shares = {}
    for offer in ("cpu", "t4"):
        pod = guards.running_and_ready(ctx, ctx.deployment(f"offer-{offer}"))[0]
        shares[offer], answered = clients.within_a_second(clients.page(ctx, pod))
        if answered < ENOUGH:
            raise words.wait(ctx, "too-few-requests", see(pod, "requests answered", answered), offer=offer, least=ENOUGH)
    rate = clients.rate(ctx.need("deployments", clients.CLIENT))
    hourly = {"cpu": prices.hourly(ctx, "cpu-replica"), "t4": prices.hourly(ctx, "Tesla-T4")}
    cost = {offer: prices.per_thousand(price, rate) for offer, price in hourly.items()}
    page = "kubectl get --raw /api/v1/namespaces/{}/services/offer-{}:http/proxy/metrics | grep model_request_duration_seconds"
    sheet.judge(
        ctx,
        [
            sheet.number(
                f"{offer}_percent", lambda given, offer=offer: abs(given - shares[offer]) <= OFF,
                "requests answered within one second, in percent of all", page.format(ctx.namespace, offer), reads=answers.percent,
            )
            for offer in shares
        ]
        + [_cost_blank(offer, cost[offer], hourly[offer]) for offer in cost],
        begin=page.format(ctx.namespace, "cpu"), done=0.0,
    )  # fmt: skip
    seen = [Seen(f"offer-{each}", "within one second, euros per thousand", f"{shares[each]:.0f} %, {cost[each]:.4f}") for each in shares]
    chosen = (ctx.need("services", API)["spec"].get("selector") or {}).get("offer")
    if chosen not in shares:
        raise words.idle(ctx, "not-decided", see(ctx.need("services", API), "spec.selector[offer]", chosen), credit=0.6)
    if shares[chosen] < OBJECTIVE:
        raise words.fail(ctx, "too-slow", *seen, chosen=chosen, least=OBJECTIVE, credit=0.6)
    cheaper = [each for each in shares if cost[each] < cost[chosen] and shares[each] >= OBJECTIVE]
    if cheaper:
        raise words.fail(ctx, "too-dear", *seen, chosen=chosen, times=round(cost[chosen] / cost[cheaper[0]]), credit=0.6)
    rows = clients.all_rows(ctx)[-3:]
    if len(rows) < 3 or any(row.errors or not row.ok for row in rows):
        raise words.wait(ctx, "users-not-served", Seen(f"deployment/{clients.CLIENT}", "failures", observe.shown(clients.failures(rows))))
    return passed("the users ask the cheaper offer that keeps the objective", *seen)


def _cost_blank(offer: str, right: float, hourly: float) -> Blank:
    def told(given: float) -> str:
        if prices.near(given, hourly, 0.01):
            return "that is an hour, and a thousand requests are asked for"
        if prices.near(given, right / 1000):
            return "that is one request"
        return "how many requests come in an hour, and what does the hour cost?"

    return sheet.number(
        f"{offer}_cost", lambda given: prices.near(given, right), "euros for a thousand requests at the rate that the users send",
        "kubectl -n ai-platform get configmap prices -o yaml; RATE of deployment on-call-tooling", reads=prices.euros, told=told,
    )  # fmt: skip


@exercise(f"{LAB}/no-faster")
def no_faster(ctx: Context) -> Verdict:
    """The report is fast enough with one GPU: what kept it slow was that it asked for one thing at a time."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    pods = guards.running_and_ready(ctx, deployment)
    rows = clients.now(ctx, pods, "nightly-report")
    have, replicas = clients.good_a_second(rows), deployment["spec"]["replicas"]
    waiting = sum(said.total(clients.page(ctx, pod), "model_queue_depth") for pod in pods)
    seen = (
        Seen("deployment/nightly-report", "good answers a second", f"{have:.1f}"),
        see(deployment, "spec.replicas", replicas),
        Seen(f"deployment/{API}", "model_queue_depth", f"{waiting:.0f}"),
    )
    if have < NEEDED:
        told = words.idle if unchanged.nothing_done(ctx) else words.fail
        raise told(ctx, "still-slow", *seen, have=f"{have:.1f}", least=f"{NEEDED:g}", replicas=replicas)
    if replicas != 1:
        raise words.fail(ctx, "second-gpu", *seen, replicas=replicas, credit=0.6)
    if waiting > CROWD:
        raise words.fail(ctx, "crowd", *seen, waiting=f"{waiting:.0f}", credit=0.6)
    guards.holds_gpus(ctx, pods[0])
    return passed("one Pod does the report's work in time", *seen)


@exercise(f"{LAB}/long-queue")
def long_queue(ctx: Context) -> Verdict:
    """An autoscaler that follows the queue, and stops at the last GPU."""
    unchanged.required(ctx)
    scaler = autoscaler.the_one(ctx)
    autoscaler.scales_by_the_queue(ctx, scaler)
    autoscaler.fits_the_gpus(ctx, scaler)
    autoscaler.comes_down_again(ctx, scaler)
    autoscaler.not_by_hand(ctx)
    autoscaler.reached_its_maximum(ctx, scaler)
    pods = guards.running_and_ready(ctx, ctx.deployment(API))
    for pod in pods:
        guards.holds_gpus(ctx, pod)
    limited = observe.condition(scaler, "ScalingLimited")
    return passed(
        "the autoscaler followed the queue and stopped at the last GPU", see(scaler, "status.currentReplicas", scaler["status"].get("currentReplicas")),
        see(scaler, "ScalingLimited", limited.get("message")),
    )  # fmt: skip


@exercise(f"{LAB}/all-too-late")
def all_too_late(ctx: Context) -> Verdict:
    """No Pod waits for a GPU that does not exist, and nobody for an answer that comes too late."""
    unchanged.required(ctx)
    if unchanged.nothing_done(ctx):
        raise words.idle(ctx, "still-late")
    scaler = ctx.need("horizontalpodautoscalers", API)
    autoscaler.fits_the_gpus(ctx, scaler)
    deployment = ctx.deployment(API)
    pods = guards.running_and_ready(ctx, deployment)
    for pod in pods:
        guards.holds_gpus(ctx, pod)
    every = clients.since_ready(ctx, pods)
    rows, (least, most_good) = every[-clients.WINDOW :], clients.good_at_times(every)
    failed, have = clients.failures(rows), clients.good_a_second(rows)
    seen = (Seen(f"deployment/{clients.CLIENT}", "good answers a second", f"{have:.1f}"), Seen("", "failures", observe.shown(failed)))
    if late := failed.get("timeout", 0):
        most = guards.variables(guards.server_container(deployment)).get("MAX_QUEUE", {}).get("value")
        before = guards.variables(guards.server_container(ctx.before("deployments", API)))["MAX_QUEUE"]["value"]
        told = words.fail if most == before or late > 2 * have else words.wait
        raise told(ctx, "given-up", *seen, see(deployment, "env[MAX_QUEUE]", most), late=late, seconds=len(rows))
    autoscaler.sees_the_bounded_queue(ctx, scaler, deployment)
    if len(pods) < autoscaler.gpus(ctx):
        raise words.wait(ctx, "fewer-pods", *seen, gpus=autoscaler.gpus(ctx))
    rate = clients.rate(ctx.need("deployments", clients.CLIENT))
    refused = 100 * failed.get("429", 0) / max(1, sum(failed.values()) + sum(row.ok for row in rows))
    fewest, most_needed = (math.ceil(rate * len(pods) / each) for each in (most_good, max(least, 0.1)))
    sheet.judge(
        ctx,
        [
            sheet.number(
                "served_per_second", lambda given: (1 - ROUGHLY) * least <= given <= (1 + ROUGHLY) * most_good, "good answers a second with all GPUs",
                "kubectl -n ai-platform logs deployment/on-call-tooling --tail=10", reads=answers.seconds,
                told=lambda given: "that is what the clients send" if abs(given - rate) < 0.5 else "the clients' log counts another number",
            ),
            sheet.number(
                "gpus_needed", lambda given: max(len(pods), fewest - 2) < given < most_needed + 2, "GPUs that the whole load would need",
                "what the clients send, divided by what one GPU answers", things=sheet.GPUS,
                told=lambda given: "with those a part of the load is refused now" if given <= len(pods) else "divide what comes by what one GPU does",
            ),
        ],
        done=0.6,
    )  # fmt: skip
    return passed(
        "what the GPUs can do is done in time, and the rest is told so at once", *seen, Seen("", "refused at once", f"{refused:.0f} %")
    )


@exercise(f"{LAB}/asleep")
def asleep(ctx: Context) -> Verdict:
    """Zero Pods for a while, one again, and both prices: what a night saves, and what the first user in the morning waits."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    night.was_at_zero(ctx, deployment)
    replicas = deployment["spec"].get("replicas", 1)
    if not replicas:
        raise words.idle(ctx, "still-asleep", see(deployment, "spec.replicas", 0), credit=0.2)
    if replicas > 1:
        raise words.fail(ctx, "more-than-one", see(deployment, "spec.replicas", replicas))
    pods = guards.running_and_ready(ctx, deployment)
    guards.timed_before_a_stop(pods, f"kubectl -n {ctx.namespace} scale deployment/{API} --replicas=0, and the morning once more")
    gap = night.gap(ctx, pods[0])
    load = guards.load_seconds(guards.server_container(deployment))
    hourly = prices.hourly(ctx, "Tesla-T4")
    sheet.judge(
        ctx,
        [
            sheet.number(
                "cold_start_seconds", lambda given: night.is_cold_start(given, gap, load), "seconds from the new Pod's creation to the first good answer",
                "kubectl -n ai-platform get pods -o jsonpath='{..creationTimestamp}'; kubectl -n ai-platform logs deployment/on-call-tooling --timestamps",
                reads=answers.seconds, told=lambda given: night.told(given, gap, load),
            ),
            sheet.number(
                "saved_per_night", lambda given: prices.near(given, prices.NIGHT * hourly, 0.01), "euros for this card from 22:00 to 06:00",
                "kubectl -n ai-platform get configmap prices -o yaml", reads=prices.euros,
                told=lambda given: "that is an hour" if prices.near(given, hourly, 0.01) else "which card is it, and how many hours has the night?",
            ),
        ],
        done=0.4,
    )  # fmt: skip
    return passed(
        "a night at zero has its two prices", Seen(f"deployment/{API}", "first good answer after the Pod's creation", f"{gap.cold:.1f} s"),
        Seen(f"deployment/{clients.CLIENT}", "seconds without an answer", str(gap.silent)),
    )  # fmt: skip


@exercise(f"{LAB}/card-not-back")
def card_not_back(ctx: Context) -> Verdict:
    """The batch has the GPU at night, and the API took it back from a Job that waits now."""
    unchanged.required(ctx)
    deployment, batch = ctx.deployment(API), ctx.need("cronjobs", shift.BATCH)
    if unchanged.nothing_done(ctx):
        raise words.idle(ctx, "api-still-waits", see(deployment, "status.readyReplicas", 0))
    shift.gives_way(ctx, deployment, batch)
    if not deployment["spec"].get("replicas", 1):
        raise words.idle(ctx, "morning-to-come", see(deployment, "spec.replicas", 0), credit=0.4)
    mine = guards.running_and_ready(ctx, deployment)[0]
    guards.holds_gpus(ctx, mine)
    guards.made_from_template(ctx, deployment)
    event, job = shift.gave_way(ctx, batch)
    return passed(
        "the batch worked on the API's GPU, and gave it back by itself", see(mine, "spec.nodeName", mine["spec"]["nodeName"]),
        Seen(f"pod/{event['involvedObject']['name']}", "event Preempted", event.get("message", "")), see(job, "status.active", job["status"].get("active", 0)),
    )  # fmt: skip


@exercise(f"{LAB}/free-and-refused")
def free_and_refused(ctx: Context) -> Verdict:
    """The API has the free GPU, and what needs none is on a node that has none."""
    unchanged.required(ctx)
    deployment, indexer = ctx.deployment(API), ctx.deployment("log-indexer")
    if unchanged.nothing_done(ctx):
        raise words.idle(ctx, "gpu-still-free", see(deployment, "status.readyReplicas", 0))
    held = [node for node in ctx.nodes if placement.allocatable(node, GPU) and placement.admits(indexer["spec"]["template"]["spec"], node)]
    if held:
        raise words.fail(
            ctx, "still-comes-back", see(indexer, "nodes that it may go to", ", ".join(each["metadata"]["name"] for each in held))
        )
    guards.tolerates_narrowly(indexer["spec"]["template"]["spec"], indexer)
    guards.tolerates_only_gpus(ctx, indexer)
    guards.tied_to_no_node(ctx, indexer)
    pods = guards.running_and_ready(ctx, indexer)
    mine = guards.running_and_ready(ctx, deployment)[0]
    guards.holds_gpus(ctx, mine)
    research = ctx.api.get("deployments", "fine-tuning", "research") or {}
    if research.get("status", {}).get("readyReplicas", 0) < research.get("spec", {}).get("replicas", 1):
        raise words.fail(
            ctx, "research-lost-one", see(research, "status.readyReplicas", research.get("status", {}).get("readyReplicas", 0))
        )
    for each in (deployment, indexer):
        guards.made_from_template(ctx, each)
    return passed(
        "the free GPU is at work, and the indexer is where no GPU is", see(mine, "spec.nodeName", mine["spec"]["nodeName"]),
        *(see(pod, "spec.nodeName", pod["spec"]["nodeName"]) for pod in pods),
    )  # fmt: skip


@exercise(f"{LAB}/no-new-node")
def no_new_node(ctx: Context) -> Verdict:
    """For each Pod that waits, what an autoscaler would say of its group; and the one that only its own manifest kept out repaired."""
    unchanged.required(ctx)
    found, specs = groups.read(ctx), {}
    for name in groups.WAITING:
        deployment = ctx.need("deployments", name)
        specs[name] = (_as_it_was(ctx, name), deployment["metadata"]["labels"]["node-group"])
    sheet.judge(
        ctx,
        [_group_blank(ctx, name, spec, found[group]) for name, (spec, group) in specs.items()],
        begin=f"kubectl -n {ctx.namespace} get configmap node-groups -o yaml",
    )
    reranker = ctx.deployment(groups.REPAIRED)
    template = reranker["spec"]["template"]["spec"]
    group = reranker["metadata"]["labels"]["node-group"]
    left = groups.blockers(template, group, found[group])
    if left:
        raise words.idle(ctx, "still-kept-out", see(reranker, "what keeps its group from growing", ", ".join(left)), credit=0.8)
    guards.tolerates_narrowly(template, reranker)
    guards.tolerates_only_gpus(ctx, reranker)
    return passed(
        "for each Pod it is known what its group would do",
        *(Seen(f"group {each}", "size, maxSize", f"{row['size']}, {row['maxSize']}") for each, row in found.items()),
    )


def _group_blank(ctx: Context, name: str, spec: Object, group: Object) -> Blank:
    options = (groups.GROWS, *groups.BLOCKERS)
    return Blank(
        name, lambda given: answers.choice(given, options), groups.answer(spec, name, group),
        f"{groups.GROWS}, or the one of {', '.join(groups.BLOCKERS)} that keeps its group from growing",
        f"kubectl -n {ctx.namespace} get configmap node-groups -o yaml; kubectl -n {ctx.namespace} get deployment {name} -o yaml",
        lambda given: _told(given, group), form=f"one of these words is asked for: {', '.join(options)}",
    )  # fmt: skip


def _as_it_was(ctx: Context, name: str) -> Object:
    """The Pod's spec as the exercise began: the answers are about that."""
    spec: Object = ctx.before("deployments", name)["spec"]["template"]["spec"]
    return spec


def _told(given: str, group: Object) -> str:
    if given == groups.GROWS:
        return "this group would not grow for it: hold the Pod against the template, field by field"
    if given == groups.SIZE:
        return f"the group has {group['size']} of {group['maxSize']} nodes"
    return "the template and the Pod agree in that"
