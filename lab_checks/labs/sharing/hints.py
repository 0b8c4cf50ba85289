"""Lab 14-sharing-a-gpu: the first hint of each exercise: a question about what was not looked at or not done yet."""

from __future__ import annotations

from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU
from lab_checks.engine.registry import first_hint
from lab_checks.labs.sharing import claims, devices
from lab_checks.labs.sharing.devices import API, SCORING

_LAB = "14-sharing-a-gpu"


def _pending(ctx: Context, name: str = API) -> str:
    """The scheduler's line on a Pod of the Deployment that has no node; empty where all have one."""
    pods = ctx.pods_of(ctx.need("deployments", name))
    return ctx.first_refusal(pods)


@first_hint(f"{_LAB}/no-such-gpu")
def which_names(ctx: Context) -> str:
    wanted = devices.asked_for(ctx.need("deployments", API)["spec"]["template"]["spec"])
    if not ctx.deeds.looked_at("nodes"):
        return f"The Pod asks for {', '.join(wanted) or 'no device'}. Which names do the nodes offer? `kubectl describe nodes | grep -E '^Name:|nvidia.com/'`"
    if line := _pending(ctx):
        return f"The scheduler says: {line}. Which of the names that the nodes offer holds 8 GiB?"
    return "What does the server's log say of the device that it found: its name, and its memory?"


@first_hint(f"{_LAB}/two-on-one")
def who_has_it(ctx: Context) -> str:
    if not ctx.deeds.looked_at("pods/log"):
        return "The API's container ends by itself. What did it say last? `kubectl -n ai-platform logs deployment/ai-log-summary-api --previous`"
    if devices.needed(ctx.need("deployments", SCORING)) == devices.needed(ctx.before("deployments", SCORING)):
        return "Both Pods were promised the card. What does nvidia-smi say in the Pod that runs, and did anybody promise memory?"
    return "The setting has changed. Is each server within its share, and is the API still waiting for its next start?"


@first_hint(f"{_LAB}/greedy-neighbour")
def what_limits(ctx: Context) -> str:
    wanted = devices.asked_for(ctx.need("deployments", API)["spec"]["template"]["spec"])
    return f"The API asks for {', '.join(wanted) or 'no device'}. What keeps another Pod out of the memory behind this name?"


@first_hint(f"{_LAB}/by-memory")
def what_is_offered(ctx: Context) -> str:
    if not ctx.deeds.looked_at("resourceslices"):
        return "Which devices does the driver offer, and what does it tell of each? `kubectl get resourceslices -o yaml | less`"
    if not ctx.api.list("resourceclaims", ctx.namespace):
        return "No Pod has a claim so far. Which object makes one for each Pod, and where does a Pod name it?"
    return "There is a claim. Which expression does it have, which device was it given, and does the container name it?"


@first_hint(f"{_LAB}/three-cards")
def who_made_them(ctx: Context) -> str:
    found = ctx.api.list("resourceclaims", ctx.namespace)
    look = "kubectl -n ai-platform get resourceclaims -o yaml | grep -A4 reservedFor"
    return f"There are {len(found)} claims here. For whom is each reserved, and who made it? `{look}`"


@first_hint(f"{_LAB}/claim-waits")
def what_does_not_fit(ctx: Context) -> str:
    if line := _pending(ctx):
        return f"The scheduler says: {line}. How many devices are there, and what does the claim want of them?"
    return "The Pod has a node by now. Which device was its claim given, and is it the kind that was meant?"


@first_hint(f"{_LAB}/card-twice")
def who_gives(ctx: Context) -> str:
    if claims.entries(ctx.need("deployments", API)):
        counts = {each.name: each.allocatable for each in ctx.gpu_facts if each.allocatable}
        return f"The API has a claim. Which nodes still offer {GPU} ({observe.shown(counts)}), and who tells them to?"
    return "Which UUID does each of the two servers tell in its log, and who gave it to them?"


@first_hint(f"{_LAB}/way-back")
def who_is_needed(ctx: Context) -> str:
    found = ctx.api.list("resourceclaims", ctx.namespace)
    if found:
        return f"{len(found)} claims still have devices. Who has to be there when a Pod gives its device back?"
    return "No claim is left. Who still offers cards on the nodes, and who should?"
