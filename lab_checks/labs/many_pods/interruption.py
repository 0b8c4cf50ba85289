"""Lab 15-many-pods: a training that serving interrupted: where its checkpoints are, and whether it went on where it was."""

from __future__ import annotations

import re

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.judging import words
from lab_checks.labs.many_pods import trainings
from lab_checks.labs.many_pods.trainings import Said

SERVING = "ai-log-summary-api"
_FOLDER = "/checkpoints"
_PEAK = 2
_SCALED_TO = re.compile(r"Scaled up replica set \S+ (?:from \d+ )?to (\d+)")


def keeps_checkpoints(ctx: Context, job: Object) -> Object:
    """The claim in which the Job's checkpoints outlive its Pods."""
    spec = job["spec"]["template"]["spec"]
    mounts = {each["mountPath"].rstrip("/"): each for each in observe.container(spec, "trainer").get("volumeMounts") or []}
    mount = mounts.get(_FOLDER, {})
    volume: Object = next((each for each in spec.get("volumes") or [] if each["name"] == mount.get("name")), {})
    seen = see(job, f"the volume at {_FOLDER}", {key: value for key, value in volume.items() if key != "name"})
    if "hostPath" in volume:
        raise words.fail(ctx, "folder-of-the-node", seen)
    name = (volume.get("persistentVolumeClaim") or {}).get("claimName")
    if not name:
        raise words.idle(ctx, "dies-with-its-pod", seen)
    claim = ctx.get("persistentvolumeclaims", name)
    if claim is None:
        raise words.fail(ctx, "no-such-claim", seen, name=name)
    return claim


def had_its_peak(ctx: Context, deployment: Object, job: Object) -> None:
    """Serving was scaled to two Pods while there was something left to train, both ran, and it was scaled back to none."""
    uid = deployment["metadata"]["uid"]
    told = [each for each in ctx.events if each["reason"] == "ScalingReplicaSet" and each["involvedObject"].get("uid") == uid]
    ups = [(int(found[1]), _when(each)) for each in told if (found := _SCALED_TO.search(each["message"]))]
    if not ups:
        raise words.idle(ctx, "no-peak-yet", see(deployment, "spec.replicas", deployment["spec"].get("replicas", 1)), credit=0.3)
    if max(replicas for replicas, _ in ups) < _PEAK:
        raise words.idle(ctx, "half-a-peak", see(deployment, "events", told[-1]["message"]), credit=0.3)
    if deployment["spec"].get("replicas", 1):
        raise words.idle(ctx, "peak-goes-on", see(deployment, "spec.replicas", deployment["spec"]["replicas"]), credit=0.5)
    created, over = (
        observe.moment(each) if each else None for each in (job["metadata"]["creationTimestamp"], job["status"].get("completionTime"))
    )
    # Events of exercises before this one are still there.
    ran = {
        each["involvedObject"]["uid"]
        for each in ctx.events
        if each["reason"] == "Started" and _is_of(each, SERVING) and _when(each) >= (created or 0.0)
    }
    # Whole seconds: a peak in the second of the end came after it.
    within = any(replicas >= _PEAK and at >= (created or 0.0) and (over is None or at < over) for replicas, at in ups)
    if not within:
        raise words.fail(
            ctx,
            "peak-beside-it",
            see(job, "ran", f"{job['metadata']['creationTimestamp']} to {job['status'].get('completionTime')}"),
            credit=0.4,
        )
    if len(ran) < _PEAK:
        raise words.fail(ctx, "short-peak", see(deployment, "Pods that were started", len(ran)), credit=0.4)


def _when(event: Object) -> float:
    return observe.moment(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"]["creationTimestamp"])


def _is_of(event: Object, workload: str) -> bool:
    return bool(event["involvedObject"].get("kind") == "Pod" and event["involvedObject"]["name"].startswith(f"{workload}-"))


def went_on(ctx: Context, job: Object, told: Said) -> None:
    """The runs of the training follow each other: no step is missing, and none was trained twice."""
    seen = see(job, "runs in the log of Pod 0", ", ".join(f"{first}-{last}" for first, last in told.runs))
    if told.resumed is None and _is_a_successor(ctx, job):
        raise words.fail(ctx, "started-over", seen, credit=0.4)
    if told.resumed is None or len(told.runs) < 2:
        raise words.fail(ctx, "never-interrupted", seen, credit=0.4)
    for (_, last), (first, _) in zip(told.runs, told.runs[1:], strict=False):
        if first != last + 1:
            raise words.fail(ctx, "trained-twice", seen, last=last, first=first, credit=0.5)


def interrupted(ctx: Context, job: Object) -> Said:
    """What Pod 0 says of the training, complete after an interruption."""
    told = trainings.said(ctx, job)
    if trainings.end(job) != "Complete" and told.resumed is None and told.steps and told.steps[0] == 1 and _is_a_successor(ctx, job):
        raise words.fail(ctx, "started-over", see(job, "first step of the newest Pod 0", told.steps[0]), credit=0.4)
    return trainings.trained(ctx, job, credit=0.6)


def _is_a_successor(ctx: Context, job: Object) -> bool:
    """Whether the Job's Pod 0 of now is not its first one: the Job was preempted at least once."""
    return any(
        each["reason"] == "Preempted" and each["involvedObject"]["name"].startswith(f"{job['metadata']['name']}-0-") for each in ctx.events
    )
