"""Lab 08-release: the checks. What a release left on the cluster: its revisions, who serves, and what clients got meanwhile."""

from __future__ import annotations

import re

from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.registry import exercise
from lab_checks.engine.verdict import Seen, Verdict, passed
from lab_checks.judging import answers, guards, sheet, unchanged, words
from lab_checks.judging.sheet import Blank
from lab_checks.labs.release import budget, canary, clients, hints, history, serving
from lab_checks.labs.release.serving import API

LAB = "08-release"
# Exercise all-ready: failed requests that a release may cost, requests of v3 from which on a share says something, and points by which one may be off.
BUDGET, MEASURED, OFF = 400, 20, 6
# Seconds of progressDeadlineSeconds: half a minute, and no less than a Pod needs on a slow laptop.
LONGEST, SHORTEST = 30, 5
METRICS = "kubectl get --raw /api/v1/namespaces/ai-platform/pods/POD:8080/proxy/metrics | grep ^model_"
# Importing the hints registers them.
__all__ = ["hints"]
# Metrics that are not the same on a Pod of v3 as on one of v2, and those that are (images/model_server/model_server/measures.py).
TELLING = frozenset({"model_requests_total", "model_errors_total", "model_request_duration_seconds", "model_lines_total"})
SAME = {"model_ready": "it is 1 on v2 and on v3", "model_info": "it names the version, and not how it fares"}


@exercise(f"{LAB}/second-version")
def second_version(ctx: Context) -> Verdict:
    """v2 in all Pods, and a history in which image, label and change-cause agree."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    if history.tag(history.server(deployment["spec"]["template"])["image"]) == "v1":
        raise words.idle(ctx, "still-v1", see(deployment, "containers[model-server].image", "v1"))
    serving.image(ctx, deployment, "v2")
    serving.all_pods(ctx, deployment)
    found = history.agrees(ctx, deployment)
    return passed("v2 serves, and the history tells why each version came", *(each.seen("change-cause", each.cause) for each in found))


@exercise(f"{LAB}/all-ready")
def all_ready(ctx: Context) -> Verdict:
    """v3 met clients, was measured, and was taken back in time."""
    unchanged.required(ctx)
    deployment, rows = ctx.deployment(API), clients.counted(ctx)
    well, badly = clients.of_version(rows, "v3", "500")
    if not well:
        raise words.idle(ctx, "never-released", Seen(f"deployment/{clients.CLIENT}", "answers of v3", "0"))
    failed = sum(row.errors for row in rows)
    spent = Seen(f"deployment/{clients.CLIENT}", "failed requests", f"{failed} of {BUDGET}")
    if failed >= BUDGET:
        raise words.fail(ctx, "budget-gone", spent, failed=failed, budget=BUDGET)
    if history.tag(history.server(deployment["spec"]["template"])["image"]) == "v3":
        raise words.idle(ctx, "v3-still-serves", spent, failed=failed, budget=BUDGET, credit=0.2)
    if well + badly < MEASURED:
        raise words.fail(ctx, "too-few-of-v3", Seen(f"deployment/{clients.CLIENT}", "requests of v3", str(well + badly)), least=MEASURED)
    serving.image(ctx, deployment, "v2")
    pods = serving.all_pods(ctx, deployment)
    over = serving.since(pods)
    serving.bad_is_gone(ctx, "v3", over, rows)
    found = history.agrees(ctx, deployment)
    if found[-1].cause == (ctx.before("deployments", API)["metadata"].get("annotations") or {}).get(history.CAUSE):
        raise words.fail(ctx, "rollback-not-told", found[-1].seen(history.CAUSE, found[-1].cause), credit=0.5)
    served = serving.answers_again(ctx, "v2", over, rows)
    share = 100 * badly / (well + badly)
    blanks = [
        Blank(
            "metric", _metric, lambda given: given in TELLING, "a metric of the server that is not the same on v2 and on v3", METRICS,
            told=lambda given: SAME.get(given, "the server's metrics have none of this name that tells v2 from v3"),
            form="the name of one metric is asked for",
        ),
        sheet.number(
            "failed_percent", lambda given: abs(given - share) <= OFF, "v3's requests with code 500, in percent of all its requests",
            METRICS, reads=answers.percent,
        ),
    ]  # fmt: skip
    sheet.judge(ctx, blanks, done=0.6)
    return passed(
        "v3 was found by its metrics and taken back in time, and has answered nothing since", spent,
        Seen(f"deployment/{clients.CLIENT}", "answers of v2 since the rollback", str(served)), found[-1].seen("change-cause", found[-1].cause),
    )  # fmt: skip


def _metric(given: object) -> str | None:
    """The name of the metric that is meant, whichever of its samples was named."""
    found = answers.names(given)
    if found is None or len(found) != 1:
        return None
    name = next(iter(found))
    for end in ("_bucket", "_sum", "_count"):
        name = name.removesuffix(end)
    return name


@exercise(f"{LAB}/stands-still")
def stands_still(ctx: Context) -> Verdict:
    """The release of v2 came to its end by a strategy under which an old Pod goes first, and not both."""
    if unchanged.nothing_done(ctx):
        raise words.idle(ctx, "nothing-done")
    unchanged.required(ctx)
    deployment, rows = ctx.deployment(API), clients.counted(ctx)
    serving.one_at_a_time(ctx, deployment)
    pods = serving.all_pods(ctx, deployment)
    if silent := [row for row in rows if row.silent]:
        raise words.fail(ctx, "nobody-answered", Seen(f"deployment/{clients.CLIENT}", "outcomes", observe.shown(silent[0].outcomes)))
    history.agrees(ctx, deployment)
    return passed(
        "v2 runs on both A100s, and the next release will get through as well", see(deployment, "spec.strategy", deployment["spec"]["strategy"]),
        *(see(pod, "spec.nodeName", pod["spec"]["nodeName"]) for pod in pods),
    )  # fmt: skip


@exercise(f"{LAB}/ten-minutes")
def ten_minutes(ctx: Context) -> Verdict:
    """A deadline that tells soon, what Kubernetes did when it had passed, and the API whole again by the learner's own decision."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    deadline = deployment["spec"].get("progressDeadlineSeconds", 600)
    seen = see(deployment, "spec.progressDeadlineSeconds", deadline)
    if deadline == ctx.before("deployments", API)["spec"].get("progressDeadlineSeconds", 600):
        raise words.idle(ctx, "still-ten-minutes", seen)
    if deadline > LONGEST:
        raise words.fail(ctx, "deadline-too-long", seen, most=LONGEST)
    ready = [pod for pod in ctx.pods if observe.is_ready(pod) and (pod["metadata"].get("labels") or {}).get("app") == API]
    took = max((guards.seconds_to_ready(pod) for pod in ready), default=0.0)
    if deadline < max(SHORTEST, took):
        raise words.fail(ctx, "deadline-too-short", seen, least=SHORTEST, took=took)
    bad = history.server(ctx.before("deployments", API)["spec"]["template"])
    if history.server(deployment["spec"]["template"]).get("env") == bad.get("env"):
        raise words.idle(
            ctx, "still-not-whole", seen, see(deployment, "status.readyReplicas", deployment["status"].get("readyReplicas", 0)), credit=0.3
        )
    tag = history.tag(history.server(deployment["spec"]["template"])["image"])
    if tag not in ("v1", "v2"):
        serving.image(ctx, deployment, "v1")
    pods = serving.all_pods(ctx, deployment)
    history.labelled(ctx, deployment)
    # Whoever deletes the ReplicaSet of the release that was stuck deletes its name, and nothing that is judged here.
    known = [each for each in history.revisions(ctx, deployment) if history.server(each.template).get("env") == bad.get("env")]
    stuck = known[0].name if known else API
    command = f"kubectl -n {ctx.namespace} get deployment {API} -o jsonpath='{{.status.conditions}}'"
    blanks = [
        Blank(
            "message", answers.lines, lambda given: stuck in given and "timed out progressing" in given,
            "the message of the condition Progressing, as it stood when the deadline had passed", command, form="a sentence is asked for",
            told=lambda _given: "the condition does not say this: hand in its whole message, with the name of the ReplicaSet",
        ),
        sheet.number(
            "exit_code", 1, "what `kubectl rollout status` ends with once the deadline has passed", "kubectl rollout status …; echo $?",
            called=("exit code", "code", "exit"), told={0: "that is success, and a pipeline would have gone on"},
        ),
        Blank(
            "template", answers.word, lambda given: history.tag(given) == "v2" or given == "v2",
            "the image tag in the Deployment's template when the deadline had passed", f"kubectl -n {ctx.namespace} get deployment -o wide",
            told=lambda _given: "nobody had changed the template by then",
        ),
        sheet.number("ready", 1, "Pods of the API that were Ready when the deadline had passed", f"kubectl -n {ctx.namespace} get pods"),
    ]  # fmt: skip
    sheet.judge(ctx, blanks, done=0.5)
    return passed(
        "the deadline told, and did nothing else; the API is whole again", seen, see(deployment, "image", tag),
        *(see(pod, "Ready", True) for pod in pods),
    )  # fmt: skip


@exercise(f"{LAB}/one-of-three")
def one_of_three(ctx: Context) -> Verdict:
    """A candidate met a part of the traffic, was measured, and was promoted or withdrawn by what was measured."""
    unchanged.required(ctx)
    deployment, rows = ctx.deployment(API), clients.counted(ctx)
    trial = canary.tried(ctx, deployment, rows)
    candidate = ctx.get("deployments", canary.NAME)
    if candidate is not None and candidate["spec"].get("replicas", 1):
        raise words.idle(ctx, "canary-still-there", *trial.seen, credit=0.3)
    if going := [pod for pod in ctx.pods if (pod["metadata"].get("labels") or {}).get("track") == "canary"]:
        raise words.wait(ctx, "canary-ends", see(going[0], "status.phase", going[0].get("status", {}).get("phase", "")))
    canary.decided_rightly(ctx, deployment, trial)
    serving.all_pods(ctx, deployment)
    history.agrees(ctx, deployment)
    sheet.judge(
        ctx,
        [
            sheet.number(
                "share_percent", lambda given: abs(given - trial.share) <= canary.OFF,
                "requests that the candidate got, good and failed ones, in percent of all requests meanwhile", clients.LOG, reads=answers.percent,
            )
        ],
        done=0.7,
    )  # fmt: skip
    return passed("the candidate was measured with a part of the traffic, and what was measured decided", *trial.seen)


@exercise(f"{LAB}/two-changes")
def two_changes(ctx: Context) -> Verdict:
    """The model of the release before, with the server of this one."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    template = deployment["spec"]["template"]
    code, labels = history.tag(history.server(template)["image"]), template["metadata"].get("labels") or {}
    volume = next((each.get("configMap") or {} for each in template["spec"].get("volumes") or [] if each["name"] == "weights"), {})
    seen = (see(deployment, "image", code), see(deployment, "volumes[weights].configMap.name", volume.get("name")))
    if (code, volume.get("name")) == ("v2", "log-classifier-v3"):
        raise words.idle(ctx, "still-wrong-kinds", *seen)
    if code == "v1":
        raise words.fail(ctx, "server-taken-back", *seen)
    serving.image(ctx, deployment, "v2")
    if volume.get("name") != "log-classifier-v1" or volume.get("items"):
        raise words.fail(ctx, "another-model", *seen)
    if labels.get("model-version") != "v1":
        raise words.fail(ctx, "model-label", see(deployment, "template labels[model-version]", labels.get("model-version")))
    history.labelled(ctx, deployment)
    pods = serving.all_pods(ctx, deployment)
    for pod in pods:
        loaded = serving.model_version(ctx, pod)
        if loaded != "v1":
            raise words.fail(ctx, "loads-another", see(pod, "model_info version", loaded))
    cause = (deployment["metadata"].get("annotations") or {}).get(history.CAUSE, "")
    known = [each.cause for each in history.revisions(ctx, deployment)[:-1]]
    if cause in known or not {"v1", "v2"} <= set(re.findall(r"\bv\d\b", cause)):
        raise words.fail(ctx, "cause-names-both", see(deployment, history.CAUSE, cause), credit=0.7)
    fault = Blank(
        "at_fault", lambda said: answers.choice(_last_word(said), ("model", "server")), "model",
        "which of the two changes gives wrong kinds: server or model", "two Pods that differ in one of them alone, and the same lines for both",
        told={"server": "server v2 with model v1 names the right kinds"}, form="server or model",
    )  # fmt: skip
    sheet.judge(ctx, [fault], done=0.8)
    return passed("the model went back, and the server stayed", *seen, see(pods[0], "model_info version", "v1"))


def _last_word(said: object) -> str:
    """ "the new model v3" as model."""
    found = [word for word in re.findall(r"[a-z]+", answers.text(said).lower()) if word not in ("the", "new", "v")]
    return {"weights": "model", "code": "server", "image": "server"}.get(found[-1], found[-1]) if found else ""


@exercise(f"{LAB}/maintenance")
def maintenance(ctx: Context) -> Verdict:
    """A node was drained under a budget, nobody was without an answer, and v2 came out once the node was back."""
    budget.required(ctx)
    unchanged.required(ctx)
    deployment, rows = ctx.deployment(API), clients.counted(ctx)
    found = budget.fits(ctx, deployment)
    budget.drained(ctx)
    if silent := [row for row in rows if row.silent]:
        raise words.fail(ctx, "both-gone", Seen(f"deployment/{clients.CLIENT}", "outcomes", observe.shown(silent[0].outcomes)))
    budget.node_is_back(ctx)
    if history.tag(history.server(deployment["spec"]["template"])["image"]) == "v1":
        raise words.idle(ctx, "still-v1", see(deployment, "containers[model-server].image", "v1"), credit=0.7)
    serving.image(ctx, deployment, "v2")
    pods = serving.all_pods(ctx, deployment)
    history.agrees(ctx, deployment)
    return passed(
        "drained and released, and one Pod answered at each moment", see(found, "spec", budget.bounds(found)),
        *(see(pod, "spec.nodeName", pod["spec"]["nodeName"]) for pod in pods),
    )  # fmt: skip


@exercise(f"{LAB}/two-colours")
def two_colours(ctx: Context) -> Verdict:
    """From blue to green on one GPU, with blue kept as the way back, and the price of it measured."""
    unchanged.required(ctx)
    blue, green, rows = ctx.deployment(f"{API}-blue"), ctx.deployment(f"{API}-green"), clients.counted(ctx)
    service = ctx.need("services", API)
    chosen = see(service, "spec.selector", service["spec"].get("selector"))
    if not green["spec"].get("replicas", 1):
        raise words.idle(ctx, "green-not-started", chosen, see(green, "spec.replicas", 0))
    if green["spec"].get("replicas", 1) != 1:
        raise words.fail(ctx, "one-gpu-one-pod", see(green, "spec.replicas", green["spec"]["replicas"]))
    if blue["spec"].get("replicas", 1):
        raise words.fail(ctx, "blue-holds-the-gpu", see(blue, "spec.replicas", blue["spec"].get("replicas", 1)), chosen)
    selector = service["spec"].get("selector") or {}
    labels = green["spec"]["template"]["metadata"]["labels"]
    if not selector.items() <= labels.items():
        raise words.fail(ctx, "selects-blue", chosen)
    if selector.items() <= blue["spec"]["template"]["metadata"]["labels"].items():
        raise words.fail(ctx, "selects-both", chosen)
    pods = serving.all_pods(ctx, green)
    serving.answers_again(ctx, "v2", serving.since(pods), rows)
    least, most = clients.gap(rows, "v1", "v2")
    blanks = [
        sheet.number(
            "gpus", 2, "GPUs that a switch without a gap needs: both colours loaded at one moment", "kubectl -n ai-platform get pods -L colour",
            told={1: "with one GPU there was a gap"},
        ),
        sheet.number(
            "gap_seconds", lambda given: least - 1 <= given <= most + 1, "seconds between the last good answer of v1 and the first of v2",
            clients.LOG.replace("20", "60"), reads=answers.seconds,
        ),
    ]  # fmt: skip
    sheet.judge(ctx, blanks, done=0.6)
    return passed(
        "green serves, blue is the way back, and the price is known", chosen, see(blue, "spec.replicas", 0),
        Seen(f"deployment/{clients.CLIENT}", "seconds without a good answer", f"{least} to {most:.0f}"),
    )  # fmt: skip
