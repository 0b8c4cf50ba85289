"""Lab 10-storage: the first hint of each exercise: a question about what was not looked at or not done yet."""

from __future__ import annotations

from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.registry import first_hint
from lab_checks.labs.storage import cache, claims
from lab_checks.labs.storage.startup import API

_LAB = "10-storage"


@first_hint(f"{_LAB}/four-starts")
def which_start(ctx: Context) -> str:
    ways = [f"weights-{way}" for way in ("image", "init", "claim", "cache")]
    counts = {name: ctx.need("deployments", name)["spec"].get("replicas", 0) for name in ways}
    if missing := [name for name, count in counts.items() if count < 1]:
        return f"{missing[0]} has not been started. From where will its Pod get the file, and how long will that take?"
    if missing := [name for name, count in counts.items() if count < 2]:
        return f"{missing[0]} runs once. What of the first start does a second Pod on the same node find, and what not?"
    return "All run twice. Which Pod of each is the older one, and what does the log of its fetch-weights say?"


@first_hint(f"{_LAB}/each-time-anew")
def what_is_kept(ctx: Context) -> str:
    deployment = ctx.need("deployments", API)
    if not claims.name_of(deployment):
        return "What does the init container do in most of these seconds, where does it put the result, and how long does that place live?"
    if claims.phase(ctx.get("persistentvolumeclaims", claims.name_of(deployment)) or {}) != "Bound":
        return f"The Pod uses the claim {claims.name_of(deployment)}. Is it Bound (kubectl -n ai-platform get pvc), and what do its events say?"
    return "The claim is Bound. Which Pod has filled it, and has any come after that one?"


@first_hint(f"{_LAB}/claim-waits")
def who_waits_for_whom(ctx: Context) -> str:
    if not ctx.deeds.looked_at("persistentvolumeclaims"):
        return "The Pod waits for something. What does `kubectl -n ai-platform get persistentvolumeclaims` show of the two?"
    if not ctx.deeds.looked_at("storageclasses"):
        return "One claim is Pending. Which class does it ask for, and which are there: `kubectl get storageclasses`?"
    return "Which of the two claims has a volume with something on it, and which can go without any loss?"


@first_hint(f"{_LAB}/no-node-takes-it")
def where_is_the_volume(ctx: Context) -> str:
    if not ctx.deeds.looked_at("persistentvolumes"):
        return "What does the scheduler say of the nodes that have GPUs? And on which node is the claim's volume: `kubectl describe persistentvolume`?"
    if claims.name_of(ctx.need("deployments", API)) == "weights":
        return "A volume in a folder of a node stays there. Which other claim could the API have, and who decides on which node its volume is made?"
    return "The API has a claim of its own. Is the trained file on it, and who could hand it out?"


@first_hint(f"{_LAB}/ends-at-load")
def who_left_it(ctx: Context) -> str:
    deployment = ctx.need("deployments", API)
    if not claims.digest(ctx, claims.fetcher(deployment), "WEIGHTS_SHA256"):
        return "What does the server say of its file? And why does the init container not fetch a better one: what does its log say?"
    if not claims.value(ctx, claims.fetcher(deployment), "DOWNLOAD_TO"):
        return "The broken file is found and replaced. Where is the next download written while it is on its way, and who reads there?"
    return "The fetch is safe. Would the server notice if somebody else put another file there?"


@first_hint(f"{_LAB}/asked-for-v2")
def what_was_found(ctx: Context) -> str:
    deployment = ctx.need("deployments", API)
    before = ctx.before("deployments", API)
    if deployment["spec"]["template"]["spec"] == before.get("spec", {}).get("template", {}).get("spec"):
        return "What did the init container find when it was told to fetch v2: `kubectl -n ai-platform logs deployment/ai-log-summary-api -c fetch-weights`?"
    return "Which file does the server load now, by its log (grep 'weights read'), and is the other one still there?"


@first_hint(f"{_LAB}/three-readers")
def what_modes_count(ctx: Context) -> str:
    claim = ctx.get("persistentvolumeclaims", claims.name_of(ctx.need("deployments", "batch-scorer"))) or {}
    if claims.phase(claim) == "Pending":
        modes = observe.shown((claim.get("spec") or {}).get("accessModes"))
        return f"The claim asks for {modes}. Who is to make its volume, and what does that one say (describe the claim)?"
    return "The claim has a volume. Which of the containers can write to it, and which have to?"


@first_hint(f"{_LAB}/evicted-again")
def who_ends_it(ctx: Context) -> str:
    if not ctx.deeds.looked_at("events"):
        return "What is the reason of the newest warning on the Pod, and which component says so: `kubectl -n ai-platform get events --sort-by=.lastTimestamp`?"
    return (
        f"The volume may hold {cache.limit(ctx.need('deployments', API)) or 'anything'}. How much does answer-cache keep, by its own log?"
    )
