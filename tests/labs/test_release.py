"""Lab 08-release: how it reads the clients' log, a history, a strategy, a trial and a budget, and its picture."""

from __future__ import annotations

import copy
import functools
import json
from types import SimpleNamespace
from typing import Any

import pytest

from kubeobjects import Object
from lab_checks.engine import course, manifests, paths
from lab_checks.engine.audit import Deed, Deeds
from lab_checks.engine.verdict import Outcome, Stop
from lab_checks.face import pictures
from lab_checks.judging.said import seconds
from lab_checks.labs.release import budget, canary, checks, clients, history, serving, view
from lab_checks.labs.release.clients import Second
from tests.lab_checks.guards.world import Lists

LAB = course.load().lab("08-release")
MANIFESTS = paths.root() / "manifests" / LAB.id
START = "2026-11-02T10:00:{:02d}.123456789Z "


def line(second: int, **models_and_failures: int) -> str:
    failures = {key[1:]: count for key, count in models_and_failures.items() if key.startswith("_")}
    models = {key: count for key, count in models_and_failures.items() if not key.startswith("_")}
    ok, errors = sum(models.values()), sum(failures.values())
    row = {"at": float(second), "ok": ok, "errors": errors, "outcomes": {**({"200": ok} if ok else {}), **failures}, "models": models}
    return START.format(second) + json.dumps(row)


def rows(*lines: str) -> list[Second]:
    return seconds("\n".join(lines))


@functools.cache
def started(exercise: str) -> list[Object]:
    return list(manifests.objects(MANIFESTS / exercise))


def deployment(exercise: str = "second-version", name: str = "ai-log-summary-api") -> Object:
    found = copy.deepcopy(next(each for each in started(exercise) if each["kind"] == "Deployment" and each["metadata"]["name"] == name))
    return {**found, "metadata": {**found["metadata"], "uid": "uid-api"}}


def context(exercise: str = "second-version", **more: Any) -> Any:
    return SimpleNamespace(namespace="ai-platform", exercise=LAB.exercise(exercise), **more)


def said(stop: pytest.ExceptionInfo[Stop]) -> str:
    return stop.value.verdict.headline


# What clients got


def test_a_second_is_read_with_its_versions_and_failures_and_other_lines_are_left_out() -> None:
    found = rows("no line", line(1, v2=4), START.format(2) + "{}", line(3, v2=3, _500=1), START.format(4) + '{"summary": {"ok": 1}}')
    assert [(each.ok, each.errors, each.models) for each in found] == [(4, 0, {"v2": 4}), (3, 1, {"v2": 3})]
    assert found[1].until - found[0].until == pytest.approx(2)
    assert clients.of_version(found, "v2", "500") == (7, 1)


def test_a_second_is_silent_only_where_requests_ended_and_none_of_them_well() -> None:
    quiet, silent, mixed = rows(line(1), line(2, _503=4), line(3, v1=1, _503=3))
    assert [each.silent for each in (quiet, silent, mixed)] == [False, True, False]


def test_a_gap_is_what_lies_between_two_versions() -> None:
    found = rows(line(1, v1=4), line(2, v1=2, _503=2), line(3, _503=4), line(4, _503=4), line(5, v2=4), line(9, v2=4))
    assert clients.gap(found, "v1", "v2") == (2, pytest.approx(3))


# History


def replica_set(number: int, tag: str, cause: str, label: str | None = None) -> Object:
    template = copy.deepcopy(deployment()["spec"]["template"])
    history.server(template)["image"] = f"registry.example.com/ai-log-summary-api:{tag}"
    template["metadata"]["labels"][history.VERSION] = label or tag
    notes = {"deployment.kubernetes.io/revision": str(number), history.CAUSE: cause}
    metadata = {
        "name": f"api-{number}", "namespace": "ai-platform", "annotations": notes, "ownerReferences": [{"uid": "uid-api"}],
        "creationTimestamp": "2026-11-02T10:00:00Z",
    }  # fmt: skip
    return {"kind": "ReplicaSet", "metadata": metadata, "spec": {"template": template}}


def judge_history(*sets: Object) -> list[history.Revision]:
    newest = deployment()
    newest["spec"]["template"] = sets[-1]["spec"]["template"]
    return history.agrees(context(api=Lists(replicasets=list(reversed(sets))), pods_of=lambda _deployment: []), newest)


FIRST = replica_set(1, "v1", "v1: the first release, single words")


@pytest.mark.parametrize(
    "cause", ["v2: faster, and right more often", "nightly needs the speed of V2", "v2, since v1 was too slow", "(v2) faster, they say"]
)
def test_a_cause_that_names_its_version_and_a_reason_is_one(cause: str) -> None:
    assert [each.number for each in judge_history(FIRST, replica_set(2, "v2", cause))] == [1, 2]


@pytest.mark.parametrize(
    ("newer", "words"),
    [
        (replica_set(2, "v2", ""), "has no change-cause"),
        (replica_set(2, "v2", "v1: the first release, single words"), "carry the same change-cause"),
        (replica_set(2, "v2", "v1 is too slow for us"), "does not name the version"),
        (replica_set(2, "v2", "v2.1 is faster than all before"), "does not name the version"),
        (replica_set(2, "v2", "v20 is faster than all before"), "does not name the version"),
        (replica_set(2, "v2", "v2"), "does not say why"),
        (replica_set(2, "v2", "v2 v2 v2 12345"), "does not say why"),
        (replica_set(2, "v2", "kubectl set image deployment/api server=api:v2"), "does not say why"),
        (replica_set(2, "v2", "v2: faster, and right more often", label="v1"), "version label in the Pod template"),
    ],
)
def test_a_history_that_does_not_agree_is_told_why(newer: Object, words: str) -> None:
    with pytest.raises(Stop) as stop:
        judge_history(FIRST, newer)
    assert words in said(stop)


def test_an_older_revision_with_a_label_of_another_is_told() -> None:
    with pytest.raises(Stop) as stop:
        judge_history(replica_set(1, "v1", "v1: the first release", label="v9"), replica_set(2, "v2", "v2: faster, and right more often"))
    assert "version label of revision 1" in said(stop)


@pytest.mark.parametrize(
    ("image", "tag"), [("registry.example.com/api:v2", "v2"), ("localhost:5000/api", ""), ("api", ""), ("localhost:5000/api:v1", "v1")]
)
def test_a_tag_is_what_stands_behind_the_images_own_name(image: str, tag: str) -> None:
    assert history.tag(image) == tag


# Strategies


@pytest.mark.parametrize(
    ("strategy", "words"),
    [
        ({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}}, ""),
        ({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "50%"}}, ""),
        ({"rollingUpdate": {"maxSurge": "0%", "maxUnavailable": "10%"}}, ""),
        ({"rollingUpdate": {"maxSurge": 1, "maxUnavailable": "49%"}}, "a GPU that an old one holds"),
        ({"rollingUpdate": {}}, "a GPU that an old one holds"),
        ({}, "a GPU that an old one holds"),
        ({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 2}}, "may end all Pods at once"),
        ({"rollingUpdate": {"maxSurge": 0, "maxUnavailable": "100%"}}, "may end all Pods at once"),
        ({"type": "Recreate"}, "may end all Pods at once"),
    ],
)
def test_a_strategy_is_read_as_kubernetes_rounds_it(strategy: Object, words: str) -> None:
    found = deployment("stands-still")
    found["spec"]["strategy"] = strategy
    if not words:
        serving.one_at_a_time(context("stands-still"), found)
        return
    with pytest.raises(Stop) as stop:
        serving.one_at_a_time(context("stands-still"), found)
    assert words in said(stop)


def test_the_start_that_stands_still_is_one_that_does() -> None:
    with pytest.raises(Stop) as stop:
        serving.one_at_a_time(context("stands-still"), deployment("stands-still"))
    assert stop.value.verdict.outcome is Outcome.FAILED


# The version that was taken back


def bad_pod(log: str) -> tuple[Object, Lists]:
    pod = {
        "kind": "Pod", "metadata": {"name": "api-x", "namespace": "default"}, "status": {"phase": "Running"},
        "spec": {"containers": [{"name": "s", "image": "registry.example.com/ai-log-summary-api:v3"}]},
    }  # fmt: skip
    api = Lists()
    api.log = lambda _pod, **_options: log  # type: ignore[attr-defined]
    return pod, api


def test_a_bad_pod_that_still_serves_is_told_by_its_own_log() -> None:
    pod, api = bad_pod(START.format(30) + "INFO model_server.http: POST /v1/summarize 200 ms=560 client=10.244.1.7")
    over = rows(line(20, v2=4))[0].until
    with pytest.raises(Stop) as stop:
        serving.bad_is_gone(context("all-ready", all_pods=[pod], api=api), "v3", over, [])
    assert "still answered requests" in said(stop)
    assert "POST /v1/summarize 200" in stop.value.verdict.seen[0].value


def test_a_bad_pod_that_serves_nobody_any_more_has_still_to_go() -> None:
    pod, api = bad_pod(START.format(10) + "INFO model_server.http: POST /v1/summarize 200 ms=560 client=10.244.1.7")
    with pytest.raises(Stop) as stop:
        serving.bad_is_gone(context("all-ready", all_pods=[pod], api=api), "v3", rows(line(20, v2=4))[0].until, [])
    assert stop.value.verdict.outcome is Outcome.NOT_YET


def test_answers_of_the_bad_version_after_the_rollback_are_told() -> None:
    found = rows(line(10, v3=3), line(20, v2=4), line(30, v2=3, v3=1))
    ctx = context("all-ready", all_pods=[], api=Lists())
    serving.bad_is_gone(ctx, "v3", found[1].until, found[:2])
    with pytest.raises(Stop) as stop:
        serving.bad_is_gone(ctx, "v3", found[1].until, found)
    assert "after the rollback" in said(stop)


def test_three_good_seconds_in_a_row_are_waited_for() -> None:
    found = rows(line(20, v2=4), line(23, v2=3, _500=1), line(24, v2=4), line(25, v2=4), line(26, v2=4))
    ctx = context("two-colours")
    with pytest.raises(Stop) as stop:
        serving.answers_again(ctx, "v2", found[0].until, found[:4])
    assert stop.value.verdict.outcome is Outcome.NOT_YET
    assert serving.answers_again(ctx, "v2", found[0].until, found) == 15


# The trial


def test_a_trial_counts_from_the_candidates_first_answer_to_its_last_before_the_promotion() -> None:
    found = rows(line(1, v1=9), line(2, v1=6, v2=3), line(3, v1=6, _429=3), line(4, v1=9), line(5, v1=6, v2=3), line(6, v2=9))
    tried = canary.trial(found, found[-1].until - 0.5)
    assert (tried.well, tried.badly, tried.all) == (6, 3, 36)
    assert (tried.share, tried.good) == (25, False)
    assert canary.trial(found[:1], float("inf")) == canary.Trial(0, 0, 0)


@pytest.mark.parametrize(("badly", "good"), [(0, True), (2, True), (3, False), (50, False)])
def test_a_candidate_is_good_where_hardly_a_request_failed(badly: int, good: bool) -> None:
    assert canary.Trial(50 - badly, badly, 150).good is good


def test_a_trial_with_most_of_the_requests_is_told() -> None:
    ctx = context("one-of-three", api=Lists(replicasets=[]))
    alone = rows(*(line(second, v2=4) for second in range(1, 20)))
    with pytest.raises(Stop) as stop:
        canary.tried(ctx, deployment("one-of-three"), alone)
    assert "the candidate got 100 % of the requests" in said(stop)
    beside = rows(*(line(second, v1=6, v2=3) for second in range(1, 20)))
    assert canary.tried(ctx, deployment("one-of-three"), beside).share == pytest.approx(100 / 3)


def decide(stable: Object, trial: canary.Trial) -> None:
    names = ("ai-log-summary-api", canary.NAME)
    before = {name: deployment("one-of-three", name) for name in names}
    canary.decided_rightly(context("one-of-three", before=lambda _kind, name: before[name]), stable, trial)


GOOD, BAD = canary.Trial(50, 0, 150), canary.Trial(30, 20, 150)


def promoted(settings: str = "model-settings-2") -> Object:
    found = deployment("one-of-three")
    history.server(found["spec"]["template"]).update(
        image="registry.example.com/ai-log-summary-api:v2", envFrom=[{"configMapRef": {"name": settings}}]
    )
    return found


def test_a_good_one_is_promoted_and_a_bad_one_withdrawn() -> None:
    decide(promoted(), GOOD)
    decide(deployment("one-of-three"), BAD)


@pytest.mark.parametrize(
    ("stable", "trial", "words"),
    [
        (promoted(), BAD, "was promoted, and it failed requests"),
        (deployment("one-of-three"), GOOD, "nothing that was measured speaks against it"),
        (promoted("model-settings-1"), GOOD, "the settings are others"),
    ],
)
def test_a_decision_against_the_numbers_is_told(stable: Object, trial: canary.Trial, words: str) -> None:
    with pytest.raises(Stop) as stop:
        decide(stable, trial)
    assert words in said(stop)


# The budget


def judge_budget(spec: Object, *more: Object, expected: int = 2) -> None:
    api_ = {"matchLabels": {"app": "ai-log-summary-api"}}
    found = [
        {
            "kind": "PodDisruptionBudget", "metadata": {"name": f"b{number}", "namespace": "ai-platform"},
            "spec": {"selector": api_, **each}, "status": {"expectedPods": expected},
        }
        for number, each in enumerate((spec, *more))
    ]  # fmt: skip
    owner = deployment("maintenance")
    owner["spec"]["replicas"] = 2
    budget.fits(context("maintenance", api=Lists(poddisruptionbudgets=found)), owner)


@pytest.mark.parametrize(
    "spec",
    [
        {"minAvailable": 1},
        {"maxUnavailable": 1},
        {"minAvailable": "50%"},
        {"minAvailable": "1%"},
        {"maxUnavailable": "50%"},
        {"maxUnavailable": "10%"},
    ],
)
def test_a_budget_that_lets_one_of_two_go_fits(spec: Object) -> None:
    judge_budget(spec)


def test_a_budget_may_select_by_expressions_as_long_as_it_counts_the_pods() -> None:
    selector = {"matchExpressions": [{"key": "app", "operator": "In", "values": ["ai-log-summary-api"]}]}
    judge_budget({"minAvailable": 1, "selector": selector})
    with pytest.raises(Stop) as stop:
        judge_budget({"minAvailable": 1, "selector": selector}, expected=0)
    assert "protects nobody" in said(stop)


@pytest.mark.parametrize(
    ("specs", "words"),
    [
        ([{"minAvailable": 2}], "no Pod may ever be evicted"),
        ([{"minAvailable": "51%"}], "no Pod may ever be evicted"),
        ([{"maxUnavailable": 0}], "no Pod may ever be evicted"),
        ([{"minAvailable": 0}], "both Pods may be evicted at once"),
        ([{"maxUnavailable": 2}], "both Pods may be evicted at once"),
        ([{"maxUnavailable": "51%"}], "both Pods may be evicted at once"),
        ([{}], "both Pods may be evicted at once"),
        ([{"minAvailable": 1, "selector": {}}], "counts every Pod of the namespace"),
        ([{"minAvailable": 1, "selector": {"matchLabels": {"app": "other"}}}], "protects nobody"),
        ([{"minAvailable": 1, "selector": {"matchLabels": {history.VERSION: "v1"}}}], "one version alone"),
        ([{"minAvailable": 1}, {"minAvailable": 1}], "several PodDisruptionBudgets"),
    ],
)
def test_a_budget_that_does_not_fit_is_told_why(specs: list[Object], words: str) -> None:
    with pytest.raises(Stop) as stop:
        judge_budget(*specs)
    assert words in said(stop)


@pytest.mark.parametrize(
    ("evicted", "cordoned", "words"),
    [
        (["ai-log-summary-api-1"], True, ""),
        # One of a release before the drain.
        (["ai-log-summary-api-9"], True, ""),
        (["ai-log-summary-api-9"], False, "no Pod was evicted"),
        (["on-call-tools-1"], True, "no Pod was evicted"),
        ([], True, "no Pod was evicted"),
    ],
)
def test_a_drain_closes_the_node_and_evicts_a_pod_of_the_api(evicted: list[str], cordoned: bool, words: str) -> None:
    node = {"metadata": {"name": budget.NODE}, "spec": {}}
    stood = {"ai-log-summary-api-1": {"uid": "u1", "node": budget.NODE, "owner": "ai-log-summary-api-1"}}
    done = [Deed(1.0, "create", "pods/eviction", "ai-platform", name, "kubectl", 201) for name in evicted]
    if cordoned:
        done.append(Deed(1.0, "patch", "nodes", "", budget.NODE, "kubectl", 200))
    ctx = context("maintenance", pods=[], nodes=[node], baseline={"pods": {"ai-platform": stood}}, deeds=Deeds(True, tuple(done)))
    if not words:
        budget.drained(ctx)
        return
    with pytest.raises(Stop) as stop:
        budget.drained(ctx)
    assert words in said(stop)


# Answers, settings and the picture


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("model_errors_total", "model_errors_total"),
        ('model_requests_total{kind="summarize",code="500"}', "model_requests_total"),
        ("model_request_duration_seconds_bucket", "model_request_duration_seconds"),
        ("the metric model_lines_total", "model_lines_total"),
        ("model_errors_total, model_ready", None),
        ("", None),
    ],
)
def test_a_metric_is_read_whichever_of_its_samples_is_named(given: str, name: str | None) -> None:
    assert checks._metric(given) == name


@pytest.mark.parametrize(
    ("given", "choice"),
    [("the new model v3", "model"), ("Model", "model"), ("weights", "model"), ("server v2", "server"), ("both", "both"), ("", "")],
)
def test_who_is_at_fault_is_read_out_of_a_few_words(given: str, choice: str) -> None:
    assert checks._last_word(given) == choice


def test_the_picture_shows_each_version_and_the_failures_once_where_they_went_on() -> None:
    found = view.spans(rows(line(0, v2=4), line(1, v2=4), line(2, v2=2, v3=1, _500=1), line(3, v3=4), line(4, v2=4), line(9, v2=4)))
    assert [(name, until) for name, _since, until, _colour in found] == [("v2", 4), ("v3", 3), ("some failed", 2), ("v2", 9)]
    assert found[2][3] == pictures.RED


@pytest.mark.parametrize("name", ["ai-log-summary-api-blue", "ai-log-summary-api-green"])
def test_each_colour_needs_the_one_card_and_is_told_from_the_other(name: str) -> None:
    found = deployment("two-colours", name)
    assert found["spec"]["template"]["spec"]["nodeSelector"] == {"nvidia.com/gpu.product": "Tesla-T4"}
    assert found["spec"]["selector"]["matchLabels"]["colour"] == name.rpartition("-")[2]
