"""Lab 06-observe: the checks. Answers are held against what is measured on the cluster now; nothing here is a stored answer. What may change is in lab.toml."""

from __future__ import annotations

from lab_checks.engine.context import Context
from lab_checks.engine.observe import named
from lab_checks.engine.registry import exercise
from lab_checks.engine.verdict import Seen, Verdict, passed
from lab_checks.judging import guards, sheet, unchanged, words
from lab_checks.labs.observe import alerting, drift, idle, percentiles, recorded, replicas, saturation, signals
from lab_checks.labs.observe.signals import API

LAB = "06-observe"
SERVERS = ("billing", "checkout", "identity", "payments", "search")


@exercise(f"{LAB}/metrics-page")
def metrics_page(ctx: Context) -> Verdict:
    """The four golden signals and the GPU, read off two pages by hand."""
    unchanged.required(ctx)
    pod = guards.running_and_ready(ctx, ctx.deployment(API))[0]
    sheet.judge(
        ctx, signals.blanks(ctx, pod), begin=f"kubectl get --raw /api/v1/namespaces/{ctx.namespace}/services/{API}:http/proxy/metrics"
    )
    return passed("the four signals and the GPU are read off their pages", *signals.facts(ctx, pod))


@exercise(f"{LAB}/fine-on-average")
def fine_on_average(ctx: Context) -> Verdict:
    """The share within half a second, the bucket of the 95th percentile, and the percentile itself."""
    unchanged.required(ctx)
    sheet.judge(ctx, percentiles.blanks(ctx), begin="lab.query('sum by (le) (rate(model_request_duration_seconds_bucket[1m]))')")
    return passed("the histogram is read right", *percentiles.facts(ctx))


@exercise(f"{LAB}/all-ready")
def all_ready(ctx: Context) -> Verdict:
    """The sick replica, with the number that says so; it is left as it is."""
    unchanged.required(ctx)
    guards.pods_kept_running(ctx, API, "whoever looks for the cause needs all three alive, the sick one first")
    pods = guards.running_and_ready(ctx, ctx.deployment(API))
    sheet.judge(ctx, replicas.blanks(ctx, pods), begin=f"kubectl -n {ctx.namespace} get pods -o wide")
    return passed("the sick replica is found by what it measures of itself", *replicas.facts(ctx, pods))


@exercise(f"{LAB}/five-servers")
def five_servers(ctx: Context) -> Verdict:
    """What each of five servers is full of."""
    unchanged.required(ctx)
    deployments = [ctx.need("deployments", name) for name in SERVERS]
    uses = [saturation.measure(ctx, each) for each in deployments]
    sheet.judge(ctx, [saturation.blank(each) for each in uses], begin="lab.query('model_queue_depth')")
    return passed("each server is full of something else", *saturation.facts(uses, deployments))


@exercise(f"{LAB}/woken-at-night")
def woken_at_night(ctx: Context) -> Verdict:
    """A rule that pages on the fault and on nothing else, in the recorded hour and now."""
    unchanged.required(ctx)
    guards.running_and_ready(ctx, ctx.deployment(API))
    if unchanged.nothing_done(ctx):
        raise words.idle(ctx, "same-rule")
    rule, first = alerting.tried(ctx, alerting.rules(ctx))
    now = alerting.firing_now(ctx, rule)
    return passed(
        "the rule wakes somebody for the fault, and for nothing else",
        Seen(f"rule/{now.name}", "fires in the recorded hour", f"from {recorded.clock(first.since)}"),
        Seen(f"alert/{now.name}", "now", f"firing, active since {now.active_at}"),
    )


@exercise(f"{LAB}/no-gpu-free")
def no_gpu_free(ctx: Context) -> Verdict:
    """Who holds a GPU and does nothing with it, since when, and what it costs; nobody's work is touched."""
    unchanged.required(ctx)
    idle.nobody_was_stopped(ctx)
    sheet.judge(ctx, idle.blanks(ctx), begin="lab.query('DCGM_FI_DEV_GPU_UTIL')")
    return passed("the idle card has an owner, a beginning and a price", *idle.facts(ctx))


@exercise(f"{LAB}/all-green")
def all_green(ctx: Context) -> Verdict:
    """The number in which a wrong model shows, and the release taken back."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    sheet.judge(ctx, drift.blanks(ctx), begin=f"kubectl -n {ctx.namespace} rollout history deployment/{API}")
    if unchanged.nothing_done(ctx):
        raise words.idle(ctx, "still-wrong", credit=0.6)
    pods = guards.running_and_ready(ctx, deployment)
    seen = drift.mended(ctx, deployment, pods)
    return passed(f"{named(deployment)} finds again what it found before the release", *seen)
