"""Lab 15-many-pods: how it reads a training's log, its runs and its times, a webhook's reach, and a Job as a manifest."""

from __future__ import annotations

import json
import subprocess
from types import SimpleNamespace
from typing import Any

import pytest

from kubeobjects import Object
from lab_checks.engine import course, manifests, paths
from lab_checks.engine.verdict import Outcome, Stop
from lab_checks.judging import diff
from lab_checks.labs.many_pods import checks, failures, interruption, manifest, meeting, queues, trainings
from tests.lab_checks.guards.world import Lists

LAB = course.load().lab("15-many-pods")
MANIFESTS = paths.root() / "manifests" / LAB.id
LOG = """\
Pod 0 of 2 of train-classifier, on GPU GPU-1
resumed from step 17, saved at /checkpoints/train-classifier.json
waiting for train-classifier-1.training.ai-platform.svc: Name or service not known
all 2 Pods are here: training goes on after step 17
step 18 of 40, loss 0.512, 2 Pods
step 19 of 40, loss 0.500, 2 Pods
"""
DONE = "done: 40 steps, runs 1-17, 18-40\n"


def context(exercise: str, **more: Any) -> Any:
    return SimpleNamespace(namespace="ai-platform", exercise=LAB.exercise(exercise), **more)


def said(stop: pytest.ExceptionInfo[Stop]) -> str:
    return stop.value.verdict.headline


def job(name: str = "train-classifier", **status: Any) -> Object:
    spec = {"parallelism": 2, "template": {"spec": {"containers": [{"name": "trainer", "resources": {"limits": {"nvidia.com/gpu": 1}}}]}}}
    return {"kind": "Job", "metadata": {"name": name, "namespace": "ai-platform", "uid": f"uid-{name}"}, "spec": spec, "status": status}


def ended(kind: str, reason: str = "") -> Object:
    return {"conditions": [{"type": kind, "status": "True", "reason": reason, "message": "as it was"}]}


def pod(name: str, owner: Object, phase: str = "Running", node: str = "ai-lab-worker2", index: str = "0") -> Object:
    return {
        "kind": "Pod",
        "metadata": {
            "name": name, "namespace": "ai-platform", "creationTimestamp": "2026-11-02T10:00:00Z", "labels": {trainings.INDEX: index},
            "ownerReferences": [{"uid": owner["metadata"]["uid"], "controller": True}],
        },
        "spec": {"nodeName": node} if node else {},
        "status": {"phase": phase},
    }  # fmt: skip


# A training's log


def test_the_log_of_pod_0_is_read_as_facts() -> None:
    found = trainings.read(LOG)
    assert (found.steps, found.of, found.resumed, found.done, found.together) == ((18, 19), 40, 17, 0, 2)
    assert found.waiting.startswith("train-classifier-1.training.ai-platform.svc")
    found = trainings.read(LOG + DONE)
    assert (found.done, found.runs) == (40, ((1, 17), (18, 40)))
    assert trainings.read("") == trainings.Said()


@pytest.mark.parametrize(
    ("log", "says"),
    [
        (DONE, "not interrupted"),
        ("resumed from step 0, saved\ndone: 40 steps, runs 1-40\n", "not interrupted"),
        ("resumed from step 10, saved\ndone: 40 steps, runs 1-17, 11-40\n", "ended at step 17, and the next one began at step 11"),
    ],
)
def test_a_training_that_did_not_go_on_where_it_was_is_told_how(log: str, says: str) -> None:
    with pytest.raises(Stop) as stop:
        interruption.went_on(context("step-zero", events=[]), job(), trainings.read(log))
    assert says in said(stop)
    interruption.went_on(context("step-zero", events=[]), job(), trainings.read(LOG + DONE))


def event(reason: str, kind: str, name: str, message: str = "", at: str = "2026-11-02T10:00:30Z", uid: str = "") -> Object:
    return {
        "reason": reason,
        "message": message,
        "lastTimestamp": at,
        "involvedObject": {"kind": kind, "name": name, "uid": uid or f"uid-{name}"},
    }


def test_a_preempted_training_without_a_checkpoint_started_over() -> None:
    preempted = [event("Preempted", "Pod", "train-classifier-0-abcde")]
    with pytest.raises(Stop, match="began at step 0 again"):
        interruption.went_on(context("step-zero", events=preempted), job(), trainings.read(DONE))


def scaled(message: str, at: str = "2026-11-02T10:00:30Z") -> Object:
    return event("ScalingReplicaSet", "Deployment", interruption.SERVING, f"Scaled up replica set x {message}", at)


STARTED = [event("Started", "Pod", f"{interruption.SERVING}-{number}") for number in range(2)]


@pytest.mark.parametrize(
    ("events", "says"),
    [
        ([], "has not had its peak yet"),
        ([scaled("from 0 to 1"), *STARTED], "scaled to one Pod"),
        ([scaled("from 0 to 2"), STARTED[0]], "before two Pods of serving had started"),
        ([scaled("from 0 to 2", "2026-11-02T10:02:00Z"), *STARTED], "was not during the training"),
        ([scaled("from 0 to 2", "2026-11-02T09:59:00Z"), *STARTED], "was not during the training"),
    ],
)
def test_a_peak_has_two_pods_that_run_while_there_is_something_to_train(events: list[Object], says: str) -> None:
    serving = {
        "kind": "Deployment",
        "metadata": {"name": interruption.SERVING, "uid": f"uid-{interruption.SERVING}"},
        "spec": {"replicas": 0},
    }
    trained = job(completionTime="2026-11-02T10:01:00Z")
    trained["metadata"]["creationTimestamp"] = "2026-11-02T10:00:00Z"
    with pytest.raises(Stop, match=says):
        interruption.had_its_peak(context("step-zero", events=events), serving, trained)
    interruption.had_its_peak(context("step-zero", events=[scaled("from 0 to 1"), scaled("from 1 to 2"), *STARTED]), serving, trained)
    interruption.had_its_peak(context("step-zero", events=[scaled("to 2"), *STARTED]), serving, trained)


def test_two_jobs_ran_apart_where_one_had_ended_before_the_other_began() -> None:
    def ran(start: int, end: int) -> Object:
        return job(startTime=f"2026-11-02T10:00:{start:02d}Z", completionTime=f"2026-11-02T10:00:{end:02d}Z")

    assert trainings.ran_apart(ran(0, 5), ran(5, 9))
    assert trainings.ran_apart(ran(5, 9), ran(0, 5))
    assert not trainings.ran_apart(ran(0, 6), ran(5, 9))


# Half placed


def test_a_job_with_half_of_its_pods_on_nodes_is_told() -> None:
    first, second = job("train-classifier"), job("train-ranker")
    half = [pod("c0", first), pod("c1", first, "Pending", "", "1"), pod("r0", second), pod("r1", second, "Pending", "", "1")]
    with pytest.raises(Stop) as stop:
        checks._none_half_placed(context("half-placed", pods=half), [first, second])
    assert stop.value.verdict.outcome is Outcome.NOT_YET
    assert "each of the two Jobs holds one GPU" in said(stop)
    with pytest.raises(Stop, match="one Job holds a GPU"):
        checks._none_half_placed(context("half-placed", pods=half[:3]), [first, second])
    checks._none_half_placed(context("half-placed", pods=[half[0]]), [first, second])


def test_who_held_and_who_waited_is_read_off_the_start() -> None:
    def row(owner: str, index: str, node: str) -> Object:
        return {"owner": owner, "node": node, "labels": {trainings.INDEX: index}}

    rows = [row("train-classifier", "0", "ai-lab-worker2"), row("train-classifier", "1", ""), row("", "0", "ai-lab-worker")]
    found = checks._placed_at_start(context("half-placed", baseline={"pods": {"ai-platform": dict(enumerate(rows))}}))
    assert found == ({"train-classifier-0"}, {"train-classifier-1"})


@pytest.mark.parametrize(
    "given",
    ["train-classifier-0, train-ranker-0", ["train-ranker-0-x7k2p", "train-classifier-0"], "train-classifier-0-abcde train-ranker-0"],
)
def test_pods_are_named_with_or_without_the_part_that_is_made_up(given: object) -> None:
    blank = checks._pods("holds", frozenset({"train-classifier-0", "train-ranker-0"}), "", "it waits")
    assert blank.wrong(given) == ""
    assert blank.wrong("train-classifier-1") == "train-classifier-1: it waits"


# The queue


@pytest.mark.parametrize(
    ("hook", "spared"),
    [
        ({}, False),
        ({"objectSelector": {"matchExpressions": [{"key": queues.LABEL, "operator": "Exists"}]}}, True),
        ({"objectSelector": {"matchLabels": {queues.LABEL: "training"}}}, True),
        ({"matchConditions": [{"name": "q", "expression": f"'{queues.LABEL}' in object.metadata.?labels.orValue({{}})"}]}, True),
        # A Job without labels ends it in an error, and Fail refuses that Job.
        ({"matchConditions": [{"name": "q", "expression": f"'{queues.LABEL}' in object.metadata.labels"}]}, False),
        ({"matchConditions": [{"name": "q", "expression": f"'{queues.LABEL}' in object.metadata.?labels.orValue({{}}) || true"}]}, False),
        ({"matchConditions": [{"name": "q", "expression": "true"}]}, False),
    ],
)
def test_a_webhook_spares_jobs_of_no_queue_by_a_selector_or_a_condition(hook: Object, spared: bool) -> None:
    assert queues.spares_others(hook) is spared


@pytest.mark.parametrize(
    ("hook", "says"),
    [
        ({"failurePolicy": "Ignore"}, "created unchecked"),
        ({"rules": []}, "not asked about Jobs of this namespace"),
        ({"namespaceSelector": {"matchLabels": {"team": "research"}}}, "not asked about Jobs of this namespace"),
        ({"objectSelector": {"matchLabels": {queues.LABEL: "research"}}}, "not asked about Jobs that name a queue"),
    ],
)
def test_a_webhook_that_was_weakened_is_told_how(hook: Object, says: str) -> None:
    right = {"name": "check", "failurePolicy": "Fail", "rules": [{"resources": ["jobs"], "operations": ["CREATE"]}]}
    there = {"kind": "ValidatingWebhookConfiguration", "metadata": {"name": queues.OPERATOR}, "webhooks": [{**right, **hook}]}
    api = Lists(namespaces=[{"metadata": {"name": "ai-platform", "labels": {"team": "ai-platform"}}}])
    api.get = lambda kind, name, namespace=None: Lists.get(api, kind, name, None)  # type: ignore[method-assign]
    api.raw = lambda path, *, accept="": there  # type: ignore[method-assign]
    with pytest.raises(Stop) as stop:
        queues.webhook(context("no-new-jobs", api=api))
    assert says in said(stop)


def test_the_webhook_of_the_manifest_asks_about_jobs_of_queues_and_the_start_about_all() -> None:
    asked = {}
    for folder in (paths.root() / "manifests/job-queue-operator", MANIFESTS / "no-new-jobs/operator"):
        hooks = next(each for each in manifests.objects(folder) if each["kind"] == "ValidatingWebhookConfiguration")["webhooks"]
        asked[folder.name] = [queues.spares_others(each) for each in hooks]
    assert asked == {"job-queue-operator": [True], "operator": [False]}


# Failures


@pytest.mark.parametrize(
    ("status", "pods", "outcome", "says"),
    [
        (ended("Failed", "BackoffLimitExceeded"), 1, Outcome.FAILED, "tries were used up"),
        ({}, 3, Outcome.FAILED, "tries again and again"),
        ({}, 1, Outcome.NOT_YET, "has not failed yet"),
    ],
)
def test_a_bug_has_to_end_its_job_by_the_policy(status: Object, pods: int, outcome: Outcome, says: str) -> None:
    bad = job(failures.BAD, **status)
    bad["spec"]["podFailurePolicy"] = {"rules": [{"action": "FailJob"}]}
    there = [pod(f"r{number}", bad, "Failed") for number in range(pods)]
    with pytest.raises(Stop) as stop:
        failures.fails_at_once(context("six-tries", pods=there, need=lambda kind, name: bad))
    assert (stop.value.verdict.outcome, says in said(stop)) == (outcome, True)


DISRUPTED: Object = {"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget"}]}


@pytest.mark.parametrize(
    ("rules", "killed", "bug"),
    [
        ([], "Count", "Count"),
        ([DISRUPTED], "Ignore", "Count"),
        ([{"action": "Ignore", "onPodConditions": [{"type": "DisruptionTarget", "status": "False"}]}], "Count", "Count"),
        ([DISRUPTED, {"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0]}}], "Ignore", "FailJob"),
        ([{"action": "FailJob", "onExitCodes": {"operator": "NotIn", "values": [0]}}, DISRUPTED], "FailJob", "FailJob"),
        ([{"action": "Ignore", "onExitCodes": {"operator": "In", "values": [143]}}], "Count", "Count"),
        ([{"action": "Ignore", "onExitCodes": {"operator": "NotIn", "values": [0]}}], "Ignore", "Ignore"),
    ],
)
def test_the_first_rule_that_fits_decides(rules: list[Object], killed: str, bug: str) -> None:
    good = job(failures.GOOD)
    good["spec"]["podFailurePolicy"] = {"rules": rules}
    assert (failures.action(good, 137, disrupted=True), failures.action(good, 42, disrupted=False)) == (killed, bug)


# Names


@pytest.mark.parametrize(
    ("subdomain", "more", "says"),
    [
        (None, {}, "gives its next Pods no names"),
        ("training", {"other": "10.96.0.7"}, "service other was left"),
        ("other", {"other": "10.96.0.7"}, "no names"),
    ],
)
def test_pods_meet_by_names_that_the_next_ones_have_too(subdomain: str | None, more: Object, says: str) -> None:
    services = [
        {"kind": "Service", "metadata": {"name": name}, "spec": {"clusterIP": ip}} for name, ip in {"training": "None", **more}.items()
    ]
    ctx = context(
        "nobody-answers", api=SimpleNamespace(list=lambda *_: services), before=lambda _, name: services[0] if name == "training" else {}
    )
    trained = job()
    trained["spec"]["template"]["spec"]["subdomain"] = subdomain
    with pytest.raises(Stop, match=says):
        meeting.by_full_names(ctx, trained)


# A Job as a file


def test_a_job_as_a_manifest_says_what_it_said_and_can_be_created_again() -> None:
    wanted = next(each for each in manifests.objects(MANIFESTS / "half-placed") if each["kind"] == "Job")
    stored = json.loads(json.dumps(wanted))
    stored["metadata"] |= {"uid": "1", "resourceVersion": "7", "creationTimestamp": "2026-11-02T10:00:00Z"}
    stored["spec"] |= {"selector": {"matchLabels": {"batch.kubernetes.io/controller-uid": "1"}}, "suspend": False, "backoffLimit": 0}
    stored["spec"]["template"]["metadata"]["labels"] |= {"controller-uid": "1", "job-name": "train-classifier"}
    stored["status"] = {"active": 1}
    found = manifest.of(stored)
    wanted["spec"]["backoffLimit"] = 0
    assert found == wanted


def test_the_labels_by_which_a_job_knows_its_pods_are_no_difference() -> None:
    def created(uid: str, app: str = "training") -> Object:
        selector = {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
        template = {"metadata": {"labels": {"controller-uid": uid, "app": app}}}
        return {"metadata": {"name": "j", "uid": uid}, "spec": {"selector": selector, "template": template}}

    assert diff.changed_paths(created("1"), created("2")) == []
    assert [each.path[-1] for each in diff.changed_paths(created("1"), created("2", "other"))] == ["[app]"]


def test_the_manifest_tool_says_what_it_needs() -> None:
    done = subprocess.run(["python3", "-m", "lab_checks.labs.many_pods.manifest"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
