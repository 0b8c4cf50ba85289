"""Lab 07-guardrails: the checks. Each tries what the teams and the assistant may and may not do, and asks the cluster what they may do besides."""

from __future__ import annotations

from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.registry import exercise
from lab_checks.engine.verdict import Seen, Verdict, passed
from lab_checks.judging import guards, sheet, unchanged, words
from lab_checks.labs.guardrails import access, bounds, policy, preemption, restricted
from lab_checks.labs.guardrails.access import AI_PLATFORM, RESEARCH, TEAMS

LAB = "07-guardrails"
API = "ai-log-summary-api"
# What the descriptions in manifests/07-guardrails/base/breakers say: replicas of log-shipper that were enough, and the image that eval-runner was tried with.
_SHIPPERS = 2
_TRIED = "registry.example.com/ai-log-summary-api:v1"


def _begun(ctx: Context) -> None:
    if unchanged.nothing_done(ctx):
        raise words.idle(ctx, "nothing-done")


@exercise(f"{LAB}/reaching-across")
def reaching_across(ctx: Context) -> Verdict:
    """No right of either team reaches into another namespace, by whatever binding; looking, where it was agreed, stays."""
    _begun(ctx)
    access.tried(ctx)
    agreed = {AI_PLATFORM: access.meant("look", namespaces=(RESEARCH,)), RESEARCH: []}
    for team in TEAMS:
        everyone = list(access.who_acts(ctx, team))
        access.nothing_beyond(ctx, everyone, [*agreed[team], *access.meant("shared")], besides=[team])
    return passed("each team changes its own namespace only", access.seen(ctx.exercise.id))


@exercise(f"{LAB}/three-gpus")
def three_gpus(ctx: Context) -> Verdict:
    """The agreed numbers, as quotas that count every Pod and nothing else."""
    _begun(ctx)
    bounds.counted(ctx, *TEAMS)
    access.tried(ctx)
    for team, resource, right in bounds.AGREED:
        number = bounds.most(ctx, team, resource)
        if number != right:
            raise words.fail(
                ctx, "bound-differs", Seen(f"resourcequotas of {team}", f"hard[{resource}]", str(number)), namespace_of=team, number=number,
                resource=resource, right=right,
            )  # fmt: skip
    bounds.nothing_else(ctx, *TEAMS)
    return passed(
        "both teams have what was agreed, and the next request beyond it is refused",
        *(Seen(f"quota of {team}", resource, str(right)) for team, resource, right in bounds.AGREED),
        access.seen(ctx.exercise.id),
    )


@exercise(f"{LAB}/says-nothing")
def says_nothing(ctx: Context) -> Verdict:
    """Defaults for who says nothing, a most for all; and the Pod that was there before has them too."""
    _begun(ctx)
    access.tried(ctx)
    unchanged.required(ctx)
    scratch = ctx.api.get("deployments", "scratch", RESEARCH)
    pods = ctx.pods_of(scratch) if scratch else []
    unlimited = [pod for pod in pods if "memory" not in pod["spec"]["containers"][0].get("resources", {}).get("limits", {})]
    if unlimited:
        raise words.idle(ctx, "scratch-untouched", see(unlimited[0], "containers[scratch].resources", "none"), credit=0.7)
    if not pods or not all(map(observe.is_ready, pods)):
        raise words.wait(ctx, "scratch-not-ready", credit=0.8)
    limits = pods[0]["spec"]["containers"][0]["resources"]["limits"]
    return passed(
        "a container of research that says nothing gets the defaults, and none gets more than 1Gi",
        see(pods[0], "containers[scratch].resources.limits", limits),
        access.seen(ctx.exercise.id),
    )


@exercise(f"{LAB}/all-forbidden")
def all_forbidden(ctx: Context) -> Verdict:
    """Each team deploys and looks in its own namespace, and may do nothing else, by itself or under an account that it can use."""
    _begun(ctx)
    access.tried(ctx)
    for team in TEAMS:
        mine = [*access.meant("look", "deploy", namespaces=(team,)), *access.meant("shared")]
        access.nothing_beyond(ctx, list(access.who_acts(ctx, team)), mine)
    access.nothing_beyond(ctx, [access.table().people["stranger"]], [])
    return passed("both teams deploy and look in their own namespace, and may do nothing else", access.seen(ctx.exercise.id))


@exercise(f"{LAB}/assistant-account")
def assistant_account(ctx: Context) -> Verdict:
    """The assistant's account reads what it is asked about, and nothing that it holds changes anything."""
    _begun(ctx)
    access.tried(ctx)
    mine = [*access.meant("look", namespaces=(AI_PLATFORM,)), *access.meant("shared")]
    assistant = access.table().people["assistant"]
    access.nothing_beyond(ctx, [assistant], mine)
    # A binding to all accounts of the namespace gives the same to the API, which strangers send requests to.
    others = [each for each in access.who_acts(ctx, AI_PLATFORM) if not each.group and each.user != assistant.user]
    access.nothing_beyond(ctx, [*others, access.table().people["stranger"]], [])
    return passed("the assistant may look, and change nothing", access.seen(ctx.exercise.id))


@exercise(f"{LAB}/batch-was-first")
def batch_was_first(ctx: Context) -> Verdict:
    """The API took a GPU from batch by itself; batch takes none from anybody, waits, and cannot call itself serving."""
    _begun(ctx)
    serving, batch = preemption.classes(ctx)
    access.tried(ctx)
    deployment = ctx.deployment(API)
    training = ctx.api.get("deployments", preemption.TRAINING, RESEARCH) or {}
    preemption.uses(ctx, deployment, "serving")
    if training:
        preemption.uses(ctx, training, "batch")
    pods = guards.running_and_ready(ctx, deployment)
    guards.holds_gpus(ctx, pods[0])
    unchanged.required(ctx)
    events = preemption.preempted(ctx)
    running = preemption.came_back(ctx, training)
    return passed(
        "serving preempts batch, batch preempts nobody, and what was preempted comes back where there is a GPU",
        see(serving, "value", serving["value"]),
        see(batch, "value, preemptionPolicy", f"{batch['value']}, {batch.get('preemptionPolicy')}"),
        Seen(f"deployment/{preemption.TRAINING}", "event Preempted", events[-1].get("message", "")),
        Seen(f"deployment/{preemption.TRAINING}", "running", str(running)),
        access.seen(ctx.exercise.id),
    )


@exercise(f"{LAB}/warned")
def warned(ctx: Context) -> Verdict:
    """Three rules that warn, each in words of its own; and who would have been refused today."""
    if not ctx.api.list("validatingadmissionpolicybindings"):
        raise words.idle(ctx, "no-binding")
    policy.warned(ctx)
    running = [each for team in TEAMS for each in ctx.api.list("deployments", team)]
    known = {each["metadata"]["name"] for each in running}
    asks, look = "the Deployments of which the rules warn", "kubectl get deployments -n TEAM -o yaml | kubectl apply --dry-run=server -f -"
    sheet.judge(ctx, [sheet.names("breaking", policy.breaking(running), asks, look, known=known, kind="Deployment")], done=0.8)
    right = sum(not each.rule for each in access.rows(ctx.exercise.id))
    wrong = len(access.rows(ctx.exercise.id)) - right
    return passed(
        "the rules warn of what breaks them, and refuse nothing",
        Seen("requests", "", f"{right} right ones come back without a word, {wrong} wrong ones with the warning of their rule"),
    )


@exercise(f"{LAB}/refused")
def refused(ctx: Context) -> Verdict:
    """The rules refuse, whichever kind makes the Pod and however it is scaled; what runs keeps them and can be changed."""
    _begun(ctx)
    access.tried(ctx)
    policy.refused(ctx)
    shipper = ctx.need("deployments", "log-shipper")
    if not shipper["spec"]["replicas"]:
        raise words.fail(ctx, "shipper-stopped", see(shipper, "spec.replicas", 0))
    if shipper["spec"]["replicas"] < _SHIPPERS:
        raise words.fail(ctx, "too-few-shippers", see(shipper, "spec.replicas", shipper["spec"]["replicas"]))
    runner = ctx.api.get("deployments", "eval-runner", RESEARCH) or {}
    if runner and (image := runner["spec"]["template"]["spec"]["containers"][0]["image"]) != _TRIED:
        raise words.fail(ctx, "another-program", see(runner, "containers[runner].image", image))
    unchanged.required(ctx)
    return passed("the rules refuse what breaks them, and what runs keeps them", access.seen(ctx.exercise.id))


@exercise(f"{LAB}/under-restricted")
def under_restricted(ctx: Context) -> Verdict:
    """The namespace enforces the level, and the model server runs in a Pod that it lets in."""
    _begun(ctx)
    deployment = ctx.deployment(API)
    restricted.enforced(ctx)
    restricted.server_passes(ctx, deployment)
    access.tried(ctx)
    pods = guards.running_and_ready(ctx, deployment)
    guards.holds_gpus(ctx, pods[0])
    return passed(
        "the namespace enforces restricted, and the model server runs under it with its GPU",
        Seen(f"namespace/{AI_PLATFORM}", restricted.ENFORCE, "restricted"),
        see(pods[0], "Ready", "True"),
        access.seen(ctx.exercise.id),
    )
