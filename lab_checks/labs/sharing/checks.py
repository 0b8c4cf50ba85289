"""Lab 14-sharing-a-gpu: the checks. Which name a node offers, who pays on a shared card, and what claims were given. What may change is in lab.toml."""

from __future__ import annotations

from kubeobjects import Object, resourceclaims
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, amount, named, see
from lab_checks.engine.registry import exercise
from lab_checks.engine.verdict import Seen, Verdict, passed
from lab_checks.judging import answers, diagnosis, guards, sheet, unchanged, words
from lab_checks.labs.sharing import causes, claims, hints, plugin
from lab_checks.labs.sharing import devices as found
from lab_checks.labs.sharing.devices import API, PART, SCORING, SHARED

LAB = "14-sharing-a-gpu"
CHECKER, TRAINING, TRIAL = "drift-check", "training", "claim-trial"
DRIVER = "nvidia-dra-driver-gpu-kubelet-plugin"
# What the scoring job's model takes by itself, in MiB.
_LEAST = 2048
_WANTED = amount("20Gi")
_A100 = "NVIDIA A100"
# Importing the hints registers them.
__all__ = ["hints"]

diagnosis.install(causes.ENGINE)


def _limits(deployment: Object) -> Seen:
    spec = deployment["spec"]["template"]["spec"]
    return see(deployment, "limits", found.asked_for(spec) or None)


def _one_name(ctx: Context, deployment: Object) -> tuple[str, int]:
    """The one kind of device that the API asks for, and how many; ends the check where it asks for none, or for two kinds."""
    wanted = found.asked_for(deployment["spec"]["template"]["spec"])
    if not wanted:
        raise words.fail(ctx, "no-device", _limits(deployment))
    if len(wanted) > 1:
        raise words.fail(ctx, "two-names", _limits(deployment))
    return next(iter(wanted.items()))


@exercise(f"{LAB}/no-such-gpu")
def no_such_gpu(ctx: Context) -> Verdict:
    """The smallest partition that holds the model, by the name that the node offers."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    name, count = _one_name(ctx, deployment)
    there = found.offered(ctx)
    offers = Seen("nodes", "allocatable", observe.shown(there))
    if name not in there:
        before = found.asked_for(ctx.before("deployments", API)["spec"]["template"]["spec"])
        end = (words.idle, "still-no-node") if name in before else (words.fail, "not-offered")
        raise end[0](ctx, end[1], _limits(deployment), offers, name=name)
    if not name.startswith(PART):
        raise words.fail(ctx, "memory-is-shared", _limits(deployment), name=name)
    if count > 1:
        raise words.fail(ctx, "several-parts", _limits(deployment), count=count)
    found.fits(ctx, deployment)
    mib = found.needed(deployment)
    if found.gigabytes(name) > found.gigabytes(found.smallest(there, mib)):
        raise words.fail(ctx, "larger-than-needed", _limits(deployment), see(deployment, "env[GPU_MEMORY_MIB]", mib), credit=0.5, name=name)
    pods = found.up(ctx, deployment)
    card = found.its_card(ctx, pods[0])
    memory = sheet.number(
        "memory_mib", lambda given: given == card.memory, "the memory of the device that the container sees, in MiB",
        f"kubectl -n {ctx.namespace} logs deployment/{API} --tail=5", reads=answers.mebibytes,
        told={mib: "that is what the model takes", 10240: "the profile's name is rounded up", 40960: "that is the whole card"},
    )  # fmt: skip
    sheet.judge(ctx, [memory], done=0.6)
    return passed("the model has a partition that is just large enough", _limits(deployment), see(pods[0], "gpu, by its log", card.name))


@exercise(f"{LAB}/two-on-one")
def two_on_one(ctx: Context) -> Verdict:
    """Two servers on a card in turns, each within its share because its settings say so."""
    unchanged.required(ctx)
    api, scoring = ctx.deployment(API), ctx.deployment(SCORING)
    shares = found.asked_for(api["spec"]["template"]["spec"]).get(SHARED, 0)
    if not shares:
        raise words.fail(ctx, "no-device", _limits(api))
    if shares > 1:
        refused = [see(pod, "status.message", pod["status"].get("message")) for pod in ctx.pods_of(api) if pod["status"].get("message")]
        raise words.fail(ctx, "two-shares", _limits(api), *refused[:1], count=shares)
    takes, before = found.needed(scoring), found.needed(ctx.before("deployments", SCORING))
    memory, replicas = _shared_memory(ctx), plugin.configured(ctx).replicas
    share = memory // replicas
    taken = see(scoring, "env[GPU_MEMORY_MIB]", takes)
    blanks = [
        sheet.names("holder", {SCORING}, "the Deployment whose server holds the memory", known={API, SCORING},
            kind="Deployment", told="{} is the one that finds it full".format,
        ),
        sheet.number(
            "held_mib", lambda given: abs(given - before) <= 1, "the MiB that it held when the exercise began",
            f"kubectl -n {ctx.namespace} exec deployment/{SCORING} -- nvidia-smi, or its log", reads=answers.mebibytes,
            told={memory: "that is all that the card has"},
        ),
        sheet.number(
            "share_mib", share, "the card's memory, divided by how often the node offers it, in MiB",
            "kubectl describe node ai-lab-worker3", reads=answers.mebibytes,
            told={memory // 2: "two servers are on it today, and the node offers it more often", memory: "that is all that the card has"},
        ),
    ]  # fmt: skip
    if takes == before:
        sheet.judge(ctx, blanks)
        raise words.idle(ctx, "still-all-of-it", taken, credit=0.4, mib=takes)
    if takes > share:
        raise words.fail(ctx, "more-than-its-share", taken, credit=0.4, mib=takes, replicas=replicas, share=share)
    if takes < _LEAST:
        raise words.fail(ctx, "too-little-to-work", taken, mib=takes, least=_LEAST)
    pods = [pod for deployment in (scoring, api) for pod in found.up(ctx, deployment)]
    sheet.judge(ctx, blanks, done=0.6)
    return passed("two servers work on one card, each within its share", *(see(pod, "memory", _held(ctx, pod)) for pod in pods))


def _shared_memory(ctx: Context) -> int:
    """The memory (MiB) of the card that is shared, by what the servers on it found; not yet where none has said so."""
    for name in (SCORING, API):
        for pod in ctx.pods_of(ctx.need("deployments", name)):
            if card := found.card(ctx, pod):
                return card.memory
    raise words.wait(ctx, "no-log-yet", Seen(f"deployment/{API}", "log", "no device so far"))


def _held(ctx: Context, pod: Object) -> str:
    card = found.its_card(ctx, pod)
    return f"{observe.container(pod['spec'])['name']} on {card.name}, {card.uuid}"


@exercise(f"{LAB}/greedy-neighbour")
def greedy_neighbour(ctx: Context) -> Verdict:
    """Memory that is the API's alone: by a partition, or by MPS on the card that is shared."""
    unchanged.required(ctx)
    deployment, sharing = ctx.deployment(API), plugin.configured(ctx)
    name, count = _one_name(ctx, deployment)
    if count > 1 and name.startswith(PART):
        raise words.fail(ctx, "several-parts", _limits(deployment), count=count)
    if name not in found.offered(ctx):
        raise words.fail(
            ctx, "not-offered", _limits(deployment), Seen("nodes", "allocatable", observe.shown(found.offered(ctx))), name=name
        )
    by_part = name.startswith(PART)
    if by_part:
        plugin.left_alone(ctx)
    if not by_part and sharing.way != "mps":
        end = (words.idle, "still-in-turns") if sharing == plugin.at_start(ctx) else (words.fail, "nothing-limits-it")
        raise end[0](ctx, end[1], _limits(deployment), Seen("configmap/nvidia-device-plugin-config", "sharing", sharing.way or "<none>"))
    pods = ctx.pods_of(deployment)
    if not by_part:
        for pod in pods:
            plugin.goes_by_it(ctx, pod)
        _has_a_share(ctx)
    found.fits(ctx, deployment)
    pods = found.up(ctx, deployment)
    card = found.its_card(ctx, pods[0])
    own = card.memory if by_part else card.memory // sharing.replicas
    shared = {} if by_part else {card.memory: "the other clients have a share too"}
    blank = sheet.number(
        "own_mib", own, "the MiB of its device that nobody else can take", f"kubectl -n {ctx.namespace} logs deployment/{API} --tail=5",
        reads=answers.mebibytes, told={found.needed(deployment): "that is what its model takes now"} | shared,
    )  # fmt: skip
    sheet.judge(ctx, [blank], done=0.6)
    return passed(
        "no neighbour can take the API's memory", _limits(deployment), see(pods[0], "gpu, by its log", card.name), *_neighbour(ctx)
    )


def _has_a_share(ctx: Context) -> None:
    """Ends the check where the neighbour finds no device any more: the one who asks for too much may fail, and not be shut out."""
    for pod in ctx.api.list("pods", found.TEAM_B):
        if observe.is_pending_for_a_node(pod):
            line, _reasons = ctx.why_pending(pod)
            raise words.fail(ctx, "shut-out", see(pod, "PodScheduled", line or "no node so far"), credit=0.5)


def _neighbour(ctx: Context) -> list[Seen]:
    """How the neighbour is: where it asks for more than its share, it is the one that fails."""
    pods = [pod for pod in ctx.api.list("pods", found.TEAM_B) if "deletionTimestamp" not in pod["metadata"]]
    return [
        see(pod, "last end", next((each.told for each in observe.endings(pod)), "none: it runs"))
        for pod in pods
        if pod["metadata"]["name"].startswith(SCORING)
    ]


@exercise(f"{LAB}/by-memory")
def by_memory(ctx: Context) -> Verdict:
    """A whole card of at least so much memory, claimed by an expression, and the same one in the container."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    if not claims.entries(deployment):
        raise words.idle(ctx, "no-claim-yet", see(deployment, "resourceClaims", None))
    claims.used_by_container(ctx, deployment)
    claim = claims.need(ctx, ctx.pods_of(deployment), deployment)
    texts = claims.expressions(ctx, claim)
    seen = see(claim, "expressions", texts or None)
    if any("productName" in text for text in texts):
        raise words.fail(ctx, "names-a-product", seen, credit=0.4)
    memory = claims.memory_asked(texts)
    if memory is None and not claims.goes_by_memory(ctx, claim, int(_WANTED)):
        raise words.fail(ctx, "no-memory-asked", seen, credit=0.3)
    if memory is not None and memory != _WANTED:
        raise words.fail(ctx, "other-amount", seen, credit=0.4, amount=f"{float(memory) / 1024**3:g} GiB")
    claims.asks_for_memory_alone(ctx, claim, int(_WANTED))
    if not resourceclaims.allocation(claim):
        # What it waits for stands in the Pod's condition.
        guards.running_and_ready(ctx, deployment)
    device = claims.one_device(ctx, claim)
    if device.is_part:
        raise words.fail(ctx, "a-part", see(claim, "status.allocation", device.name), credit=0.5)
    found.fits(ctx, deployment)
    pods = found.up(ctx, deployment)
    inside = claims.in_container(ctx, pods[0], device, API)
    nodes = {each["metadata"]["name"] for each in ctx.nodes}
    blanks = [
        sheet.Blank(
            "device", answers.word, device.name, "the device's name in the claim's status.allocation",
            f"kubectl -n {ctx.namespace} get resourceclaims -o yaml", called=("device name",),
        ),
        sheet.names("node", {device.node}, "the node that has it: the pool of the allocation", f"kubectl -n {ctx.namespace} get pods -o wide", known=nodes),
    ]  # fmt: skip
    sheet.judge(ctx, blanks, done=0.7)
    return passed("the claim was given a card by its memory, and the container sees that card", seen, inside)


@exercise(f"{LAB}/three-cards")
def three_cards(ctx: Context) -> Verdict:
    """One claim for two Pods, so that the cards go round."""
    unchanged.required(ctx)
    pair = [ctx.deployment(API), ctx.deployment(CHECKER)]
    own = [[each for each in claims.entries(deployment) if resourceclaims.is_from_template(each)] for deployment in pair]
    if all(own):
        raise words.idle(ctx, "still-a-card-each", *(see(each, "resourceClaims", claims.entries(each)) for each in pair))
    for deployment, other, left in ((pair[0], pair[1], own[1]), (pair[1], pair[0], own[0])):
        if left:
            raise words.fail(ctx, "one-moved", see(other, "resourceClaims", left), credit=0.4, moved=named(deployment), other=named(other))
    for deployment in pair:
        claims.used_by_container(ctx, deployment)
    wanted = [{each.get("resourceClaimName") for each in claims.entries(deployment)} for deployment in pair]
    if wanted[0] != wanted[1]:
        raise words.fail(ctx, "two-claims", *(see(each, "resourceClaims", claims.entries(each)) for each in pair), credit=0.4)
    pods = [_first(ctx, deployment) for deployment in pair]
    claim = claims.need(ctx, pods, pair[0])
    device = claims.one_device(ctx, claim)
    ready = [pod for deployment in pair for pod in found.up(ctx, deployment)]
    inside = [claims.in_container(ctx, pod, device, deployment["metadata"]["name"]) for pod, deployment in zip(ready, pair, strict=True)]
    training = ctx.deployment(TRAINING)
    if training.get("status", {}).get("readyReplicas", 0) < training["spec"].get("replicas", 1):
        raise words.wait(
            ctx, "training-waits", see(training, "status.readyReplicas", training.get("status", {}).get("readyReplicas", 0)), credit=0.7
        )
    reserved = [each["name"] for each in resourceclaims.reserved_for(claim)]
    return passed("two Pods share one device, and both trainings run", see(claim, "status.reservedFor", reserved), *inside)


def _first(ctx: Context, deployment: Object) -> Object:
    """A Pod of the Deployment; ends the check where there is none."""
    pods = ctx.pods_of(deployment) or guards.running_and_ready(ctx, deployment)
    return pods[0]


@exercise(f"{LAB}/claim-waits")
def claim_waits(ctx: Context) -> Verdict:
    """A claim that an A100 meets, and that still says so."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    claims.used_by_container(ctx, deployment)
    if not claims.entries(deployment):
        raise words.fail(ctx, "no-claim-yet", see(deployment, "resourceClaims", None))
    pods = ctx.pods_of(deployment)
    claim = claims.need(ctx, pods, deployment)
    texts = claims.expressions(ctx, claim)
    seen = see(claim, "expressions", texts or None)
    if not texts:
        raise words.fail(ctx, "any-card", seen, credit=0.3)
    if not resourceclaims.allocation(claim):
        line = next((ctx.why_pending(pod)[0] for pod in pods if observe.is_pending_for_a_node(pod)), "")
        if line:
            raise words.fail(ctx, "claim-still-waits", Seen(named(pods[0]), "PodScheduled", line), seen)
    device = claims.one_device(ctx, claim)
    if not device.product.startswith(_A100) or device.is_part:
        raise words.fail(
            ctx, "not-an-a100", see(claim, "status.allocation", device.name), seen, credit=0.4, product=f"{device.product}, {device.name}"
        )
    claims.takes_no_other(ctx, claim, _A100)
    found.fits(ctx, deployment)
    pods = found.up(ctx, deployment)
    inside = claims.in_container(ctx, pods[0], device, API)
    guards.diagnosed(ctx, seen)
    return passed("the claim asks for what there is, and the container sees it", seen, inside)


@exercise(f"{LAB}/card-twice")
def card_twice(ctx: Context) -> Verdict:
    """From the device plugin to a claim, with one program that hands out the cards."""
    unchanged.required(ctx)
    api, trial = ctx.deployment(API), ctx.deployment(TRIAL)
    trials = [claim for pod in ctx.pods_of(trial) for claim in claims.of_pod(ctx, pod)]
    its = claims.one_device(ctx, claims.need(ctx, ctx.pods_of(trial), trial) if not trials else trials[0])
    blank = sheet.Blank(
        "device", answers.word, its.name, "the device in the allocation of claim-trial's claim",
        f"kubectl -n {ctx.namespace} get resourceclaims -o yaml", called=("device name",),
    )  # fmt: skip
    by_plugin, by_claim = found.asked_for(api["spec"]["template"]["spec"]).get(GPU, 0), claims.entries(api)
    if by_plugin and not by_claim:
        sheet.judge(ctx, [blank])
        raise words.idle(ctx, "by-the-plugin", _limits(api), credit=0.3)
    if by_plugin:
        raise words.fail(ctx, "asks-twice", _limits(api), see(api, "resourceClaims", by_claim), credit=0.3)
    if not by_claim:
        raise words.fail(ctx, "no-claim-yet", see(api, "resourceClaims", None), credit=0.3)
    claims.used_by_container(ctx, api)
    driven = {node for node, _device in claims.devices(ctx)}
    for facts in ctx.gpu_facts:
        if facts.name in driven and facts.allocatable:
            seen = Seen(f"node/{facts.name}", f"allocatable[{GPU}]", str(facts.allocatable))
            raise words.fail(ctx, "both-give", seen, credit=0.6, node=facts.name, count=facts.allocatable)
    pods = [_first(ctx, deployment) for deployment in (api, trial)]
    given = [claims.one_device(ctx, claims.need(ctx, [pod], deployment)) for pod, deployment in zip(pods, (api, trial), strict=True)]
    for deployment in (api, trial):
        found.fits(ctx, deployment)
    ready = [pod for deployment in (api, trial) for pod in found.up(ctx, deployment)]
    inside = [claims.in_container(ctx, pod, device, name) for pod, device, name in zip(ready, given, (API, TRIAL), strict=True)]
    if given[0].uuid and given[0].uuid == given[1].uuid:
        raise words.fail(ctx, "same-card", *inside)
    if given[0].is_part:
        raise words.fail(ctx, "a-part", see(api, "resourceClaims", by_claim), credit=0.6)
    if selector := api["spec"]["template"]["spec"].get("nodeSelector"):
        raise words.fail(ctx, "by-a-label", see(api, "nodeSelector", selector), credit=0.6)
    sheet.judge(ctx, [blank], done=0.8)
    return passed("each server has a card of its own, and one program hands them out", *inside)


@exercise(f"{LAB}/way-back")
def way_back(ctx: Context) -> Verdict:
    """From a claim to the device plugin: the claim is given back, the driver goes, the plugin comes."""
    unchanged.required(ctx)
    api = ctx.deployment(API)
    by_plugin, by_claim = found.asked_for(api["spec"]["template"]["spec"]).get(GPU, 0), claims.entries(api)
    driver, plugins = (
        ctx.api.get("daemonsets", DRIVER, "kube-system"),
        [each for each in ctx.api.list("daemonsets") if observe.is_plugin(each)],
    )
    serves = driver is not None and driver.get("status", {}).get("desiredNumberScheduled", 0) > 0
    _no_pod_left_hanging(ctx, serves)
    if by_plugin and by_claim:
        raise words.fail(ctx, "asks-twice", _limits(api), see(api, "resourceClaims", by_claim), credit=0.3)
    if by_claim:
        raise words.idle(ctx, "still-by-claim", see(api, "resourceClaims", by_claim))
    if not by_plugin:
        raise words.fail(ctx, "no-device", _limits(api))
    if by_plugin > 1:
        raise words.fail(ctx, "several-cards", _limits(api), count=by_plugin, credit=0.4)
    if _driver_left_first(ctx):
        raise words.fail(ctx, "driver-before-claim", Seen(f"daemonset/{DRIVER}", "", "taken away first"), credit=0.2)
    if plugins and (serves or _came_too_early(ctx)):
        seen = [see(each, "metadata.creationTimestamp", each["metadata"]["creationTimestamp"]) for each in plugins]
        raise words.fail(ctx, "both-at-once", *seen, credit=0.4)
    if serves:
        raise words.idle(ctx, "driver-still-there", see(driver or {}, "status.desiredNumberScheduled", "more than 0"), credit=0.4)
    if not plugins:
        raise words.idle(ctx, "no-plugin-yet", _limits(api), credit=0.6)
    guards.plugin_serves(ctx)
    pods = found.up(ctx, api)
    guards.holds_gpus(ctx, pods[0])
    card = found.its_card(ctx, pods[0])
    return passed(
        "the API is back on the plugin's card, and nobody handed a card out twice",
        _limits(api),
        see(pods[0], "uuid, by its log", card.uuid),
    )


def _no_pod_left_hanging(ctx: Context, serves: bool) -> None:
    """Ends the check where a Pod with a claim is on its way out and nobody is left to take the device back."""
    for pod in ctx.pods:
        if "deletionTimestamp" in pod["metadata"] and pod["spec"].get("resourceClaims") and not serves:
            raise words.fail(
                ctx, "driver-went-first", see(pod, "metadata.deletionTimestamp", pod["metadata"]["deletionTimestamp"]), credit=0.2
            )


def _driver_left_first(ctx: Context) -> bool:
    """Whether the driver was taken away before the API was told to give its card back, by the audit log: its Pod can only be ended by force then."""
    went = [deed.at for deed in ctx.deeds.changes("daemonsets") if deed.name == DRIVER and deed.verb != "create"]
    told = [deed.at for deed in ctx.deeds.changes("deployments", "deployments/scale") if deed.name == API]
    return bool(went and told) and max(went) < min(told)


def _came_too_early(ctx: Context) -> bool:
    """Whether a device plugin was made before the driver was told to go, by the audit log."""
    writes = ctx.deeds.changes("daemonsets")
    came = [deed.at for deed in writes if deed.name != DRIVER and deed.verb in ("create", "patch")]
    went = [deed.at for deed in writes if deed.name == DRIVER]
    return bool(came and went) and min(came) < max(went)
