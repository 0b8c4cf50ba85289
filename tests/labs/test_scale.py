"""Lab 11-scale-and-cost: its arithmetic, what it reads off logs and metrics, an autoscaler against the GPUs, and node groups."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any

import pytest

from kubeobjects import Object
from lab_checks.engine import course, manifests, paths
from lab_checks.engine.audit import Deed, Deeds
from lab_checks.engine.verdict import Outcome, Stop
from lab_checks.judging.said import seconds
from lab_checks.labs.scale import autoscaler, clients, groups, night, prices, shift
from tests.lab_checks.guards.world import Lists

LAB = course.load().lab("11-scale-and-cost")
MANIFESTS = paths.root() / "manifests" / LAB.id
START = "2026-11-02T10:00:{:02d}.000000000Z "


def context(exercise: str, **more: Any) -> Any:
    return SimpleNamespace(namespace="ai-platform", exercise=LAB.exercise(exercise), **more)


def said(stop: pytest.ExceptionInfo[Stop]) -> str:
    return stop.value.verdict.headline


def line(second: int, ok: int, **failures: int) -> str:
    outcomes = {**({"200": ok} if ok else {}), **{key.removeprefix("_"): count for key, count in failures.items()}}
    return START.format(second) + json.dumps(
        {"at": float(second), "ok": ok, "errors": sum(failures.values()), "outcomes": outcomes, "models": {}}
    )


# Money


def test_a_thousand_requests_share_the_hours_price() -> None:
    assert prices.per_thousand(0.55, 4) == pytest.approx(0.0382, abs=0.0001)
    assert prices.per_thousand(0.55, 40) == pytest.approx(prices.per_thousand(0.55, 4) / 10)


@pytest.mark.parametrize(
    ("typed", "euros"),
    [
        (4.4, 4.4),
        ("4.40", 4.4),
        ("4.40 €", 4.4),
        ("4,40 euros", 4.4),
        ("€0.038", 0.038),
        ("3.8 cents", 0.038),
        ("3.8 ct per thousand", 0.038),
    ],
)
def test_money_is_read_as_people_write_it(typed: object, euros: float) -> None:
    assert prices.euros(typed) == pytest.approx(euros)


@pytest.mark.parametrize("typed", ["much", "4 s", "40 %", ""])
def test_what_is_no_money_is_none(typed: object) -> None:
    assert prices.euros(typed) is None


# Clients and servers


def test_failures_and_good_answers_are_counted_over_the_seconds() -> None:
    rows = seconds("\n".join([line(1, 9, _429=3), line(2, 7, _429=4, timeout=1)]))
    assert clients.good_a_second(rows) == 8
    assert clients.failures(rows) == {"429": 7, "timeout": 1}


def test_the_share_within_a_second_is_over_all_kinds_of_requests() -> None:
    page = "\n".join(
        f'model_request_duration_seconds_{name}{{{labels}kind="{kind}"}} {value}'
        for kind, soon, every in (("summarize", 30.0, 40.0), ("classify", 60.0, 60.0))
        for name, labels, value in (("bucket", 'le="1.0",', soon), ("bucket", 'le="+Inf",', every), ("count", "", every))
    )
    assert clients.within_a_second(page) == (90.0, 100)
    assert clients.within_a_second("") == (0.0, 0)


# The autoscaler


def scaler(most: int = 3, least: int = 1, name: str = autoscaler.QUEUE, target: str = autoscaler.API, **status: Any) -> Object:
    metric = {"type": "Pods", "pods": {"metric": {"name": name}, "target": {"type": "AverageValue", "averageValue": "4"}}}
    spec = {"scaleTargetRef": {"kind": "Deployment", "name": target}, "minReplicas": least, "maxReplicas": most, "metrics": [metric]}
    return {"kind": "HorizontalPodAutoscaler", "metadata": {"name": "api", "namespace": "ai-platform"}, "spec": spec, "status": status}


THREE = [SimpleNamespace(allocatable=2), SimpleNamespace(allocatable=1), SimpleNamespace(allocatable=0)]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "there is no HorizontalPodAutoscaler yet"),
        ([scaler(), scaler()], "there are several"),
        ([scaler(target="on-call-tooling")], "scales something else"),
    ],
)
def test_one_autoscaler_scales_the_api(found: list[Object], words: str) -> None:
    with pytest.raises(Stop) as stop:
        autoscaler.the_one(context("long-queue", api=Lists(horizontalpodautoscalers=found)))
    assert words in said(stop)


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (scaler(most=6), "may make 6 Pods, and there are 3 GPUs"),
        (scaler(most=2), "stops at 2 Pods, and there are 3 GPUs"),
        (scaler(least=3), "never makes fewer than 3 Pods"),
    ],
)
def test_an_autoscaler_is_held_against_the_gpus_that_there_are(one: Object, words: str) -> None:
    with pytest.raises(Stop) as stop:
        autoscaler.fits_the_gpus(context("long-queue", gpu_facts=THREE), one)
    assert words in said(stop)
    autoscaler.fits_the_gpus(context("long-queue", gpu_facts=THREE), scaler())


def test_an_autoscaler_looks_at_the_queue_whichever_type_its_metric_has() -> None:
    ctx = context("long-queue")
    for metric in (
        {"type": "Object", "object": {"metric": {"name": autoscaler.QUEUE}}},
        {"type": "External", "external": {"metric": {"name": autoscaler.QUEUE}}},
    ):
        one = scaler()
        one["spec"]["metrics"] = [metric]
        autoscaler.scales_by_the_queue(ctx, one)
    one = scaler()
    one["spec"]["metrics"] = [{"type": "Resource", "resource": {"name": "cpu"}}]
    with pytest.raises(Stop, match="CPU"):
        autoscaler.scales_by_the_queue(ctx, one)
    with pytest.raises(Stop, match="does not follow the queue"):
        autoscaler.scales_by_the_queue(ctx, scaler(name="model_in_flight"))


def deed(resource: str, body: Object, name: str = autoscaler.API, verb: str = "patch") -> Deed:
    return Deed(
        at=1.0, verb=verb, resource=resource, namespace="ai-platform", name=name, agent="kubectl/v1.36", code=200, user="me", body=body
    )


def test_who_sets_the_number_of_pods_by_hand_is_told_so() -> None:
    quiet = Deeds(
        True, (deed("deployments", {"spec": {"template": {}}}), deed("deployments/scale", {"spec": {"replicas": 3}}, name="other"))
    )
    autoscaler.not_by_hand(context("long-queue", deeds=quiet))
    with pytest.raises(Stop, match="set by hand"):
        autoscaler.not_by_hand(context("long-queue", deeds=Deeds(True, (deed("deployments/scale", {"spec": {"replicas": 3}}),))))


def test_an_autoscaler_that_has_not_grown_is_not_yet() -> None:
    active = {"type": "ScalingActive", "status": "True", "message": "the HPA was able to compute"}
    with pytest.raises(Stop) as stop:
        autoscaler.reached_its_maximum(context("long-queue"), scaler(desiredReplicas=1, conditions=[active]))
    assert stop.value.verdict.outcome is Outcome.NOT_YET
    autoscaler.reached_its_maximum(context("long-queue"), scaler(desiredReplicas=3, conditions=[active]))


def test_an_autoscaler_that_never_takes_a_pod_away_is_refused() -> None:
    one = scaler()
    autoscaler.comes_down_again(context("long-queue"), one)
    one["spec"]["behavior"] = {"scaleDown": {"selectPolicy": "Disabled"}}
    with pytest.raises(Stop, match="never removes one"):
        autoscaler.comes_down_again(context("long-queue"), one)


@pytest.mark.parametrize(("most", "enough"), [("1", False), ("2", False), ("3", True), ("5", True), ("400", True)])
def test_a_full_queue_keeps_a_pod_on_each_gpu(most: str, enough: bool) -> None:
    deployment = {
        "kind": "Deployment", "metadata": {"name": autoscaler.API},
        "spec": {"template": {"spec": {"containers": [{"name": "model-server", "env": [{"name": "MAX_QUEUE", "value": most}]}]}}},
    }  # fmt: skip
    ctx = context("all-too-late", gpu_facts=THREE)
    if enough:
        autoscaler.sees_the_bounded_queue(ctx, scaler(), deployment)
        return
    with pytest.raises(Stop, match="will scale down"):
        autoscaler.sees_the_bounded_queue(ctx, scaler(), deployment)


# A batch that gives way


def priority(name: str, value: int, **more: Any) -> Object:
    return {"kind": "PriorityClass", "metadata": {"name": name}, "value": value, **more}


def serving(name: str = "") -> Object:
    template = {"spec": {"containers": [], **({"priorityClassName": name} if name else {})}}
    return {"kind": "Deployment", "metadata": {"name": autoscaler.API}, "spec": {"template": template}}


def night_scoring(name: str = "") -> Object:
    metadata = {"name": shift.BATCH, "uid": "uid-cron"}
    return {"kind": "CronJob", "metadata": metadata, "spec": {"jobTemplate": {"spec": {"template": serving(name)["spec"]["template"]}}}}


TRAINING = {
    "kind": "Pod", "metadata": {"name": "fine-tuning-1", "namespace": "research"},
    "spec": {"priority": 0, "containers": [{"name": "a", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]},
}  # fmt: skip


@pytest.mark.parametrize(
    ("classes", "api", "batch", "words"),
    [
        ([priority("low", -100)], "", "low", ""),
        ([priority("low", -100, preemptionPolicy="Never")], "", "low", ""),
        ([priority("mid", -1), priority("low", -2)], "mid", "low", ""),
        ([], "", "", "the batch is not below the API"),
        ([], "", "low", "names priority class low, which does not exist"),
        ([priority("high", 1000)], "high", "", "may preempt research"),
        ([priority("high", 1000)], "", "high", "may preempt research"),
        ([priority("low", -100, globalDefault=True)], "", "low", "is the default for every Pod without a class"),
        ([priority("mid", -1, preemptionPolicy="Never"), priority("low", -2)], "mid", "low", "may not preempt it"),
    ],
)
def test_the_batch_is_below_the_api_and_neither_above_research(classes: list[Object], api: str, batch: str, words: str) -> None:
    ctx = context("card-not-back", api=Lists(priorityclasses=classes), all_pods=[TRAINING])
    if not words:
        shift.gives_way(ctx, serving(api), night_scoring(batch))
        return
    with pytest.raises(Stop, match=words):
        shift.gives_way(ctx, serving(api), night_scoring(batch))


def test_a_night_is_told_by_the_scheduler_and_its_job_waits() -> None:
    owner = [{"uid": "uid-cron"}]
    job = {
        "kind": "Job",
        "metadata": {"name": "tonight", "namespace": "ai-platform", "uid": "uid-job", "ownerReferences": owner},
        "status": {"active": 1},
    }
    event = {"metadata": {"name": "e"}, "reason": "Preempted", "message": "Preempted by pod x", "involvedObject": {"name": "tonight-abcde"}}
    waits = {
        "kind": "Pod", "metadata": {"name": "tonight-fghij", "namespace": "ai-platform", "ownerReferences": [{"uid": "uid-job"}]},
        "spec": {}, "status": {"phase": "Pending", "conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable"}]},
    }  # fmt: skip

    def world(jobs: list[Object], events: list[Object], pods: list[Object]) -> Any:
        return context("card-not-back", api=Lists(jobs=jobs), pods=pods, told=lambda _reason: events)

    assert shift.gave_way(world([job], [event], [waits]), night_scoring()) == (event, job)
    failed = {**job, "status": {"conditions": [{"type": "Failed", "status": "True"}]}}
    for ctx, words in (
        (world([job], [], [waits]), "no night has shown"),
        (world([job], [event], []), "its next one is not there yet"),
        (world([failed], [event], [waits]), "the batch gave way and is lost"),
        (world([], [event], [waits]), "the batch gave way and is lost"),
    ):
        with pytest.raises(Stop, match=words):
            shift.gave_way(ctx, night_scoring())


# A night


POD = {"kind": "Pod", "metadata": {"name": "api", "creationTimestamp": "2026-11-02T10:00:10Z"}}


def test_a_cold_start_is_from_the_pod_to_the_first_good_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = seconds("\n".join([line(1, 3), *(line(at, 0, refused=3) for at in range(4, 18)), line(18, 2), line(19, 3)]))
    monkeypatch.setattr(clients, "all_rows", lambda _ctx: rows)
    found = night.gap(context("asleep"), POD)
    assert found == night.Gap(8.0, 14)
    assert night.is_cold_start(7.5, found, load=6)
    assert not night.is_cold_start(6, found, load=6)
    assert "load of the model alone" in night.told(6, found, 6)
    assert "the night among it" in night.told(14, found, 6)


def test_without_good_answers_the_morning_has_not_come(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clients, "all_rows", lambda _ctx: seconds(line(12, 0, refused=3)))
    with pytest.raises(Stop, match="two good seconds"):
        night.gap(context("asleep"), POD)


def test_a_deleted_pod_is_no_night() -> None:
    deployment = {"kind": "Deployment", "metadata": {"name": autoscaler.API}, "spec": {"replicas": 1}}
    night.was_at_zero(context("asleep", deeds=Deeds(True, (deed("deployments/scale", {"spec": {"replicas": 0}}),))), deployment)
    with pytest.raises(Stop, match="never at zero") as stop:
        night.was_at_zero(context("asleep", deeds=Deeds(True, (deed("pods", {}, name="api-1", verb="delete"),))), deployment)
    assert stop.value.verdict.outcome is Outcome.FAILED


# Node groups


def waiting() -> dict[str, tuple[Object, str]]:
    found = manifests.objects(MANIFESTS / "no-new-node" / "after")
    return {each["metadata"]["name"]: (each["spec"]["template"]["spec"], each["metadata"]["labels"]["node-group"]) for each in found}


def the_groups() -> dict[str, Any]:
    config = next(each for each in manifests.objects(MANIFESTS / "no-new-node") if each["kind"] == "ConfigMap")
    return groups.read(context("no-new-node", need=lambda _kind, _name: config))


def test_each_pod_of_the_start_is_kept_out_by_one_thing_and_one_by_none() -> None:
    found = the_groups()
    assert {name: groups.blockers(spec, group, found[group]) for name, (spec, group) in waiting().items()} == {
        "captions": ["selector"], "embeddings": ["size"], "reranker": ["taint"], "translator": [], "vision": ["memory"],
    }  # fmt: skip
    assert set(waiting()) == set(groups.WAITING)


def test_a_pod_with_more_gpus_or_cores_than_the_template_is_kept_out() -> None:
    spec, group = waiting()["translator"]
    larger = copy.deepcopy(spec)
    larger["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] = 2
    larger["containers"][0]["resources"]["requests"]["cpu"] = "6"
    assert groups.blockers(larger, group, the_groups()[group]) == ["gpus", "cpu"]
    assert groups.answer(spec, group, the_groups()[group]) == groups.GROWS
