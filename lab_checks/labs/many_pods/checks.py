"""Lab 15-many-pods: the checks."""

from __future__ import annotations

import re
from collections.abc import Sequence

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.registry import exercise
from lab_checks.engine.verdict import Verdict, passed
from lab_checks.judging import answers, sheet, unchanged, words
from lab_checks.labs.many_pods import failures, hints, interruption, meeting, queues, trainings

LAB = "15-many-pods"
CLASSIFIER, RANKER = "train-classifier", "train-ranker"
PODS = 2
# Importing the hints registers them.
__all__ = ["hints"]


@exercise(f"{LAB}/nobody-answers")
def nobody_answers(ctx: Context) -> Verdict:
    """Both Pods of the training have met by their names, and trained to the end."""
    unchanged.required(ctx)
    job = ctx.need("jobs", CLASSIFIER)
    told = trainings.said(ctx, job)
    if job["metadata"]["uid"] == ctx.before("jobs", CLASSIFIER)["metadata"]["uid"] and not told.together:
        raise words.idle(ctx, "nobody-met", see(job, "the log of Pod 0", f"waiting for {told.waiting}"))
    told = trainings.trained(ctx, job, credit=0.5)
    meeting.by_full_names(ctx, job)
    return passed(
        "both Pods met by their full names and trained together", see(job, "Pods that were there", told.together),
        see(job, "steps", told.done),
    )  # fmt: skip


@exercise(f"{LAB}/half-placed")
def half_placed(ctx: Context) -> Verdict:
    """The deadlock is named, and both trainings came to their end, one after the other."""
    unchanged.required(ctx)
    placed, waiting = _placed_at_start(ctx)
    sheet.judge(
        ctx,
        [
            _pods("holds", placed, "the Pods that hold a GPU and train nothing, as JOB-INDEX", "it has no GPU: it waits for a node"),
            _pods("waits", waiting, "the Pods that wait for a node, as JOB-INDEX", "it has a node, and a GPU"),
            sheet.number(
                "trained", 0, "training steps that these GPUs have done so far", "kubectl -n ai-platform logs -l app=training --prefix",
                called=("steps",),
            ),
        ],
        begin="kubectl -n ai-platform get pods -o wide",
    )  # fmt: skip
    jobs = [ctx.need("jobs", name) for name in (CLASSIFIER, RANKER)]
    _none_half_placed(ctx, jobs)
    for job in sorted(jobs, key=lambda each: trainings.end(each) != "Complete"):
        trainings.trained(ctx, job, credit=0.7 if any(map(trainings.end, jobs)) else 0.5)
    for job in jobs:
        if job["spec"].get("parallelism") != PODS:
            raise words.fail(ctx, "fewer-pods", see(job, "spec.parallelism", job["spec"].get("parallelism")), credit=0.8)
    return passed("one training ran, then the other, and no GPU was held in vain", *_times(jobs))


def _pods(name: str, right: frozenset[str], asks: str, told: str) -> sheet.Blank:
    """A blank for Pods by Job and index; the part of a Pod's name that is made up may be there."""
    known = [f"{job}-{index}" for job in (CLASSIFIER, RANKER) for index in range(PODS)]

    def reads(given: object) -> frozenset[str] | None:
        said = [given] if isinstance(given, str) else given
        if not isinstance(said, Sequence):
            return None
        return answers.names([re.sub(r"\b(train-\w+-\d)-[a-z0-9]{5}\b", r"\1", str(each)) for each in said], known)

    def against(given: frozenset[str]) -> str:
        for each in sorted(given - right):
            return f"{each}: {told}" if each in known else f"there is no Pod {each}"
        return "one more belongs to it"

    return sheet.Blank(name, reads, right, asks, "kubectl -n ai-platform get pods -o wide", against, "names of Pods are asked for")


def _placed_at_start(ctx: Context) -> tuple[frozenset[str], frozenset[str]]:
    """(Pods with a node, Pods without one) as the exercise began, by Job and index."""
    rows = [row for row in ctx.baseline["pods"][ctx.namespace].values() if row["owner"] in (CLASSIFIER, RANKER)]
    with_node, without = (
        frozenset(f"{row['owner']}-{row['labels'][trainings.INDEX]}" for row in rows if bool(row["node"]) is placed)
        for placed in (True, False)
    )
    return with_node, without


def _none_half_placed(ctx: Context, jobs: list[Object]) -> None:
    """No Job has some of its Pods on nodes while others of them find none."""
    half = []
    for job in jobs:
        mine = trainings.pods(ctx, job)
        pending = [pod for pod in mine if observe.is_pending_for_a_node(pod)]
        if pending and len(pending) < len(mine):
            half.append(see(job, "Pods with a node", f"{len(mine) - len(pending)} of {len(mine)}"))
    if len(half) == len(jobs):
        raise words.idle(ctx, "still-half-placed", *half, credit=0.3)
    if half:
        raise words.wait(ctx, "one-half-placed", *half, credit=0.4)


def _times(jobs: list[Object]) -> list[observe.Seen]:
    return [see(job, "ran", f"{job['status'].get('startTime')} to {job['status'].get('completionTime')}") for job in jobs]


@exercise(f"{LAB}/first-come")
def first_come(ctx: Context) -> Verdict:
    """The operator is installed and refuses what is wrong; one training ran with all its Pods while the other had none."""
    unchanged.required(ctx)
    queues.defined(ctx)
    queues.runs(ctx)
    queue = queues.queue(ctx)
    jobs = [ctx.need("jobs", name) for name in (CLASSIFIER, RANKER)]
    for job in jobs:
        named = (job["metadata"].get("labels") or {}).get(queues.LABEL)
        if named != queue["metadata"]["name"]:
            raise words.idle(ctx, "in-no-queue", see(job, f"labels[{queues.LABEL}]", named), name=job["metadata"]["name"], credit=0.4)
        if trainings.needs(job) > queue["spec"]["gpus"]:
            seen = see(queue, "spec.gpus", queue["spec"]["gpus"])
            raise words.fail(ctx, "queue-too-small", seen, needs=trainings.needs(job), name=job["metadata"]["name"], credit=0.4)
    queues.webhook(ctx)
    queues.refuses(ctx, credit=0.5)
    for job in jobs:
        if job["spec"].get("suspend"):
            raise words.wait(ctx, "not-its-turn", see(job, "spec.suspend", True), name=job["metadata"]["name"], credit=0.6)
        trainings.trained(ctx, job, credit=0.7)
        queues.started(ctx, job, credit=0.5)
    if not trainings.ran_apart(*jobs):
        raise words.fail(ctx, "ran-together", *_times(jobs), credit=0.5)
    return passed(
        "all Pods of one training ran, then all of the other, and wrong objects are refused", see(queue, "spec.gpus", queue["spec"]["gpus"]),
        *_times(jobs),
    )  # fmt: skip


@exercise(f"{LAB}/step-zero")
def step_zero(ctx: Context) -> Verdict:
    """Serving took the GPUs for its peak and gave them back, and the training went on where it was."""
    unchanged.required(ctx)
    job, serving = ctx.need("jobs", CLASSIFIER), ctx.deployment(interruption.SERVING)
    claim = interruption.keeps_checkpoints(ctx, job)
    interruption.had_its_peak(ctx, serving, job)
    told = interruption.interrupted(ctx, job)
    interruption.went_on(ctx, job, told)
    sheet.judge(
        ctx,
        [
            sheet.number(
                "resumed_from", told.resumed, "the step from which the training resumed after the peak",
                f"kubectl -n {ctx.namespace} logs -l {trainings.INDEX}=0 | grep resumed", called=("step", "from"),
                told={0: "that is where a training without a checkpoint begins", told.of: "that is the last step of all"},
            )
        ],
        done=0.8,
    )  # fmt: skip
    return passed(
        "the training was stopped for the peak, resumed where it stopped, and trained no step twice",
        see(claim, "status.phase", claim.get("status", {}).get("phase", "")),
        see(job, "runs in the log of Pod 0", ", ".join(f"{first}-{last}" for first, last in told.runs)),
    )


@exercise(f"{LAB}/six-tries")
def six_tries(ctx: Context) -> Verdict:
    """A bug ends its Job at once; a disruption does not count."""
    unchanged.required(ctx)
    bad = failures.fails_at_once(ctx)
    good = failures.survives(ctx)
    return passed(
        "the bug ended its Job with the first Pod, and the eviction did not count for the other Job",
        see(bad, "Failed", observe.condition(bad, "Failed").get("message")), see(good, "status.failed", good["status"].get("failed", 0)),
    )  # fmt: skip


@exercise(f"{LAB}/no-new-jobs")
def no_new_jobs(ctx: Context) -> Verdict:
    """Jobs can be created again, the queue works, and a Job that names no queue depends on no operator."""
    unchanged.required(ctx)
    queues.webhook(ctx)
    queues.lets_others_through(ctx)
    definition = queues.defined(ctx)
    queues.runs(ctx)
    queues.refuses(ctx, credit=0.4)
    for hook in queues.webhooks(ctx):
        if not queues.spares_others(hook):
            raise words.idle(ctx, "asks-about-all", see(definition, "webhook", hook["name"]), credit=0.6)
    job = ctx.need("jobs", CLASSIFIER)
    if job["spec"].get("suspend"):
        raise words.wait(ctx, "not-its-turn", see(job, "spec.suspend", True), name=CLASSIFIER, credit=0.8)
    told = trainings.trained(ctx, job, credit=0.8)
    queues.started(ctx, job, credit=0.6)
    return passed(
        "the queue works again, and Jobs outside it no longer depend on the operator", see(job, "steps", told.done),
        see(definition, "status.storedVersions", definition.get("status", {}).get("storedVersions")),
    )  # fmt: skip
