"""Lab 08-release: the first hint of each exercise: a question about what was not looked at or not done yet."""

from __future__ import annotations

from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.registry import first_hint
from lab_checks.labs.release import budget, canary, history
from lab_checks.labs.release.serving import API

_LAB = "08-release"


def _tag(ctx: Context, name: str = API) -> str:
    return history.tag(history.server(ctx.need("deployments", name)["spec"]["template"]).get("image", ""))


@first_hint(f"{_LAB}/second-version")
def which_words_where(ctx: Context) -> str:
    deployment = ctx.need("deployments", API)
    found = history.revisions(ctx, deployment)
    if len(found) < 2:
        return "What does `kubectl -n ai-platform rollout history deployment/ai-log-summary-api` show, and which annotation does it read?"
    if len({each.cause for each in found}) < len(found):
        return f"Revisions {found[-2].number} and {found[-1].number} say the same. When did you write the words, and which revision was the newest then?"
    return "Read image, version label and change-cause of each revision side by side. Which one says something else than the other two?"


@first_hint(f"{_LAB}/all-ready")
def what_do_clients_get(ctx: Context) -> str:
    if _tag(ctx) != "v3":
        return "Is v3 out? Before it is: what do the clients get of v2, and which lines of its /metrics count that?"
    if not ctx.deeds.looked_at("pods/proxy", "services/proxy", "pods/portforward"):
        return "All Pods are Ready. Who asked them, and what? And what do those get who ask something else: which page of the server counts that?"
    return "You have seen /metrics. How many requests did v3 answer with 200, how many with something else, and how long does the budget last at that rate?"


@first_hint(f"{_LAB}/stands-still")
def who_waits_for_whom(ctx: Context) -> str:
    if refusal := ctx.first_refusal(ctx.pods):
        return f"A Pod waits: {refusal}. Who holds the GPUs that it could have, and what are those waiting for?"
    return "In which order does this Deployment make new Pods and end old ones, and where does that stand?"


@first_hint(f"{_LAB}/ten-minutes")
def how_long(ctx: Context) -> str:
    deployment = ctx.need("deployments", API)
    progress = observe.condition(deployment, "Progressing")
    if deployment["spec"].get("progressDeadlineSeconds", 600) > 60:
        return (
            f"The condition Progressing says {progress.get('reason')}. When would it say something else, and which field holds that number?"
        )
    if progress.get("reason") == "ProgressDeadlineExceeded":
        return (
            "It says so now. Which image does the template have, how many Pods are Ready, and what does `kubectl rollout status` end with?"
        )
    return "Is the API whole again, and by whose decision?"


@first_hint(f"{_LAB}/one-of-three")
def who_meets_it(ctx: Context) -> str:
    candidate = ctx.get("deployments", canary.NAME)
    if candidate and not candidate["spec"].get("replicas", 1) and _tag(ctx) == "v1":
        return (
            "If the Service chooses among three Pods without looking, and one is the candidate's, which part of the requests does it get?"
        )
    return "Of the requests that the candidate got, how many failed, and with which status? Does v1 fail any?"


@first_hint(f"{_LAB}/two-changes")
def which_pair(ctx: Context) -> str:
    return f"The server is {_tag(ctx)} now. Ask it for the kind of a known line (POST /v1/classify). Which pair of server and model have you not tried yet?"


@first_hint(f"{_LAB}/maintenance")
def who_counts(ctx: Context) -> str:
    found = ctx.api.list("poddisruptionbudgets", ctx.namespace)
    if not found:
        return (
            "Both Pods are on one node. Who keeps a drain from ending both at once, and from which object would it know how many must stay?"
        )
    status = found[0].get("status") or {}
    if status.get("expectedPods") != ctx.need("deployments", API)["spec"].get("replicas", 1):
        return f"The budget counts {status.get('expectedPods', 0)} Pods. Whom does its selector mean?"
    node = next(each for each in ctx.nodes if each["metadata"]["name"] == budget.NODE)
    if node["spec"].get("unschedulable"):
        return "The node is cordoned. Is it empty of the API's Pods, and which Pod waits for a GPU meanwhile?"
    return "The budget stands. How many may be missing at this moment (ALLOWED DISRUPTIONS), and what would a drain do first?"


@first_hint(f"{_LAB}/two-colours")
def who_lets_go(ctx: Context) -> str:
    service = ctx.need("services", API)["spec"].get("selector") or {}
    green = ctx.need("deployments", f"{API}-green")
    if not green["spec"].get("replicas", 1):
        return "What would green wait for if you started it now? And who could let go of that?"
    return f"The Service selects {observe.shown(service)}. Which colour holds the T4, and which one is asked?"
