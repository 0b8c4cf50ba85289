"""Scoring: cause, evidence, order, collateral damage, time and the message, each with a sentence that names what was seen."""

from __future__ import annotations

import copy
import time
from typing import Any

import pytest

from kubeobjects import Object
from lab_checks.drill import judging, restored, update
from lab_checks.drill.clients import Heard, summary
from lab_checks.drill.generator import Drill, generate
from lab_checks.drill.restored import clients_required
from lab_checks.drill.score import PASS, POINTS, Line, Score, time_points
from lab_checks.engine import verdict
from lab_checks.engine.api import NoApi
from lab_checks.engine.audit import Deed, Deeds
from lab_checks.engine.context import Context
from lab_checks.engine.verdict import Outcome, fail, wait
from lab_checks.judging.said import Second

NOW = time.time()
BEGAN = NOW - 300
DRILL = generate(3, only=("taint-not-tolerated",))
LAID = DRILL.laid[0]
WELL = next(each for each in DRILL.services if each is not LAID.service)
MESSAGE = f"Since 10:02 {LAID.service.name} gave no answer. It was restored at 10:09. The next update comes in 30 minutes."


class Api(NoApi):
    def list(self, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = "") -> list[Object]:
        return []


def deployment(name: str, namespace: str, **spec: Any) -> Object:
    return {"metadata": {"name": name, "namespace": namespace, "uid": name}, "spec": {"replicas": 1, "template": {"spec": spec}}}


def pod(name: str, namespace: str, uid: str) -> Object:
    return {"metadata": {"name": name, "namespace": namespace, "uid": uid}, "spec": {}}


START = {
    "deployments": {
        f"{each.namespace}/{name}": deployment(name, each.namespace) for each in DRILL.services for name in (each.name, each.clients)
    }
}
PODS = {
    each.namespace: {
        f"{name}-abc-1": {"uid": f"{name}-1", "node": "", "labels": {}, "owner": f"{name}-abc"} for name in (each.name, each.clients)
    }
    for each in DRILL.services
}


def deed(verb: str, resource: str, at: float, name: str = "", namespace: str = LAID.service.namespace) -> Deed:
    return Deed(at, verb, resource, namespace, name, "kubectl/v1.36", 200, "learner")


READ = deed("list", "events", BEGAN + 10)
FIX = deed("patch", "deployments", BEGAN + 60, LAID.service.name)


def look(*deeds: Deed, now: Object | None = None, gone: tuple[str, ...] = (), known: bool = True) -> Context:
    """A cluster on which the learner has done that; `now` is what every object is, `gone` the Pods that are no more."""
    baseline = {"objects": START, "pods": PODS, "nodes": {}, "drill": {"began": BEGAN}}
    ctx = Context(Api(), DRILL.exercise(), baseline, {}, lambda: Deeds(known, deeds))
    pods = [pod(name, space, row["uid"]) for space, rows in PODS.items() for name, row in rows.items() if row["uid"] not in gone]
    ctx.__dict__.update(nodes=[], all_pods=pods, everything=now or START)
    return ctx


@pytest.fixture(autouse=True)
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything serves again, the clients heard errors for two minutes, and evidence is what begins with `right`."""
    monkeypatch.setattr(restored, "required", lambda *_: None)
    monkeypatch.setattr(restored, "bystander_required", lambda *_: None)
    monkeypatch.setattr(restored, "clients_required", lambda *_: None)
    monkeypatch.setattr("lab_checks.drill.clients.heard", lambda *_: Heard(500, 100, BEGAN + 1, BEGAN + 120, True))

    def diagnose(_ctx: Context, drill: Drill, service: str, cause: str, evidence: str) -> verdict.Verdict:
        laid = drill.laid_on(service)
        good = laid is not None and cause == laid.fault.id and evidence.startswith("right")
        return verdict.passed("shown") if good else verdict.failed("the cause is right, and this evidence does not show it")

    monkeypatch.setattr(judging, "diagnose", diagnose)


RIGHT = {LAID.service.name: {"cause": LAID.fault.id, "evidence": "right line"}}


def score(*deeds: Deed, diagnoses: Any = None, message: str = MESSAGE, **world: Any) -> Score:
    return judging.judge(look(*deeds, **world), DRILL, RIGHT if diagnoses is None else diagnoses, message)


def test_the_lines_make_a_hundred_points() -> None:
    assert sum(POINTS.values()) == 100


def test_read_named_fixed_and_told_is_all_points() -> None:
    found = score(READ, FIX)
    assert [each.told for each in found.lines if each.points != each.of] == []
    assert found.passed
    assert found.verdict().passed
    assert found.total == 100


def test_a_wrong_cause_takes_cause_and_evidence() -> None:
    found = score(READ, FIX, diagnoses={LAID.service.name: {"cause": "no-such-label", "evidence": "right line"}})
    assert found.line("cause").points == found.line("evidence").points == 0
    assert "no-such-label is not the cause" in found.line("cause").why
    assert not found.passed
    assert found.verdict().outcome is Outcome.FAILED


def test_the_right_cause_with_weak_evidence_is_no_pass() -> None:
    found = score(READ, FIX, diagnoses={LAID.service.name: {"cause": LAID.fault.id, "evidence": "my guess"}})
    assert found.line("cause").points == POINTS["cause"]
    assert found.line("evidence").points == 0
    assert "does not show it" in found.line("evidence").why
    assert not found.passed


def test_no_diagnosis_at_all_is_told() -> None:
    found = score(READ, FIX, diagnoses={})
    assert "no cause was named" in found.line("cause").why
    assert found.verdict().next.startswith("ai-lab drill answer")


def test_a_service_that_was_well_and_is_accused_takes_points_back() -> None:
    found = score(READ, FIX, diagnoses={**RIGHT, WELL.name: {"cause": "bad-release", "evidence": "right"}})
    assert found.line("cause").points == POINTS["cause"] / 2
    assert f"nothing was wrong with {WELL.name}" in found.line("cause").why


def test_a_change_before_anything_was_read_takes_the_order() -> None:
    found = score(deed("patch", "deployments", BEGAN + 5, LAID.service.name), READ)
    assert found.line("order").points == 0
    assert "before anything that shows the fault" in found.line("order").why
    assert not found.passed
    assert "order" in found.verdict().headline


def test_what_was_read_elsewhere_is_no_reading_of_this_fault() -> None:
    elsewhere = deed("list", "events", BEGAN + 10, namespace="team-nobody")
    assert score(elsewhere, FIX).line("order").points == 0


def test_a_question_about_rights_and_a_look_inside_are_no_changes() -> None:
    asked = [deed("create", each, BEGAN + 2) for each in ("selfsubjectaccessreviews", "pods/exec", "pods/portforward")]
    assert score(*asked, READ, FIX).line("order").points == POINTS["order"]


def test_without_an_audit_log_nobody_is_blamed() -> None:
    assert score(known=False).line("order").points == POINTS["order"]


def test_damage_beside_the_fix_is_named() -> None:
    now = copy.deepcopy(START)
    now["deployments"][f"{WELL.namespace}/{WELL.name}"]["spec"]["replicas"] = 0
    found = score(READ, FIX, now=now)
    assert found.line("collateral").points == 0
    assert WELL.name in found.line("collateral").why
    assert "replicas" in found.line("collateral").why
    assert not found.passed


def test_what_the_fault_allows_is_no_damage() -> None:
    now = copy.deepcopy(START)
    key = f"{LAID.service.namespace}/{LAID.service.name}"
    now["deployments"][key]["spec"]["template"]["spec"]["tolerations"] = [{"key": "nvidia.com/gpu", "operator": "Exists"}]
    assert score(READ, FIX, now=now).line("collateral").points == POINTS["collateral"]
    now["deployments"][key]["spec"]["template"]["spec"]["hostNetwork"] = True
    assert "hostNetwork" in score(READ, FIX, now=now).line("collateral").why


def test_a_restart_of_everything_is_damage_even_where_it_helps() -> None:
    found = score(READ, FIX, gone=(f"{WELL.name}-1", f"{LAID.service.name}-1", f"{WELL.clients}-1", f"{LAID.service.clients}-1"))
    assert found.line("collateral").points == 0
    assert "was restarted" in found.line("collateral").why
    assert not found.passed


def test_the_pod_of_the_broken_service_may_be_replaced() -> None:
    assert score(READ, FIX, gone=(f"{LAID.service.name}-1",)).line("collateral").points == POINTS["collateral"]


def test_nothing_done_is_not_yet_and_never_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise fail("a Pod is still Pending")

    monkeypatch.setattr(restored, "required", broken)
    found = score(READ, diagnoses={}, message="")
    assert found.idle
    assert found.verdict().outcome is Outcome.NOT_YET
    assert found.verdict().idle


def test_what_is_still_broken_is_told_before_what_still_moves(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise fail("a Pod is still Pending")

    def moving(*_: Any) -> None:
        raise wait("not steady yet")

    monkeypatch.setattr(restored, "required", moving)
    found = score(READ, FIX)
    assert found.verdict().outcome is Outcome.NOT_YET
    assert found.line("time").points == 0
    monkeypatch.setattr(restored, "bystander_required", broken)
    assert score(READ, FIX).verdict().headline == "a Pod is still Pending"


def test_a_failed_verdict_names_the_command_that_begins_this_drill_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise fail("gone", next=f"ai-lab reset {DRILL.exercise().key} brings the start back")

    monkeypatch.setattr(restored, "required", broken)
    assert score(READ, FIX).verdict().next == f"{DRILL.command} brings the start back"


@pytest.mark.parametrize(("minutes", "points"), [(0, 10), (15, 10), (37.5, 5), (60, 0), (300, 0)])
def test_the_time_counts_from_a_quarter_of_an_hour_on(minutes: float, points: float) -> None:
    assert time_points(minutes) == points


def test_the_last_error_of_a_client_ends_the_incident() -> None:
    assert judging.restored_at(look(READ, FIX), DRILL, BEGAN) == BEGAN + 120


def test_where_no_client_had_errors_the_last_change_ends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lab_checks.drill.clients.heard", lambda *_: Heard(500, 0, 0, 0, True))
    assert judging.restored_at(look(READ, FIX), DRILL, BEGAN) == FIX.at


def test_a_slow_restore_alone_still_passes() -> None:
    full = tuple(Line(name, 0 if name == "time" else points, points, "") for name, points in POINTS.items())
    assert Score(full).passed
    assert not Score(tuple(Line(each.name, 0 if each.name == "update" else each.points, each.of, "") for each in full)).passed
    assert PASS <= 90


def seconds(*errors: int) -> list[Second]:
    return [Second(NOW - len(errors) + place, 2 - min(bad, 2), {"200": 2 - min(bad, 2), "503": bad}) for place, bad in enumerate(errors)]


def test_clients_that_get_answers_for_a_while_are_steady() -> None:
    found = summary(seconds(0, 2, 2, 0, 0, 0), NOW - 100, NOW)
    assert found.steady
    assert (found.failed, found.answered) == (4, 8)
    assert found.last_error - found.first_error == 1


def test_clients_with_an_error_just_now_or_a_silent_log_are_not() -> None:
    assert not summary(seconds(0, 0, 0, 0, 1), NOW - 100, NOW).steady
    assert not summary(seconds(0, 0, 0, 0, 0), NOW - 100, NOW + 60).steady
    assert not summary([], NOW - 100, NOW).steady


IMPACT = LAID.fault.impact


def test_a_message_that_says_all_lacks_nothing() -> None:
    assert update.missing(MESSAGE, [LAID.service.name], IMPACT) == []


@pytest.mark.parametrize(
    ("text", "lacks"),
    [
        ("Since 10:02 our API gave no answer to anybody. It was restored at 10:09, next update in 30 minutes.", "which service"),
        (
            f"We worked on {LAID.service.name} and it was restored at 10:09; the next update comes in 30 minutes, thank you all.",
            "what users see",
        ),
        (
            f"Since 10:02 {LAID.service.name} gives no answer to anybody who asks, and we are sorry; next update in 30 minutes.",
            "how it stands",
        ),
        (
            f"Users of {LAID.service.name} got no answer this morning. It is restored, everything works again as it did before, sorry.",
            "a time",
        ),
        ("It is fixed.", "words at least"),
    ],
)
def test_what_a_message_lacks_is_named(text: str, lacks: str) -> None:
    assert any(lacks in each for each in update.missing(text, [LAID.service.name], IMPACT))


def test_a_message_that_nobody_reads_is_told() -> None:
    assert update.missing(f"{MESSAGE} {'so sorry ' * 100}", [LAID.service.name], IMPACT) == [
        "a message that is read: at most 160 words, not 218"
    ]


def broken(*_: Any) -> None:
    raise fail("a Pod is still Pending", verdict.Seen("pod/x", "", "Pending"), expected="a node that takes it", next="kubectl describe pod")


def test_what_is_wrong_is_told_once_its_cause_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restored, "required", broken)
    for unnamed in ({}, {LAID.service.name: {"cause": "no-such-label", "evidence": "right line"}}):
        told = score(READ, FIX, diagnoses=unnamed).verdict()
        assert told.headline == f"{LAID.service.name} is not restored"
        assert "Pending" not in "\n".join(told.of("drill/3").lines())
    assert score(READ, FIX).verdict().headline == "a Pod is still Pending"


def test_a_diagnosis_without_a_change_is_not_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restored, "required", broken)
    found = score(READ).verdict()
    assert (found.outcome, found.idle) == (Outcome.NOT_YET, True)
    assert found.headline == "the cause is named and shown, and nothing was changed yet"
    guessed = score(READ, diagnoses={LAID.service.name: {"cause": "no-such-label", "evidence": "right line"}}).verdict()
    assert guessed.headline == "the cause is not shown yet, and nothing was changed"
    assert "Pending" not in "\n".join(guessed.of("drill/3").lines())


def test_a_service_that_nobody_asks_is_not_restored() -> None:
    class Clients(Api):
        def __init__(self, have: int | None):
            self._have = have

        def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
            return None if self._have is None else {"metadata": {"name": name, "namespace": namespace}, "spec": {"replicas": self._have}}

    def look_at(have: int | None) -> Context:
        baseline = {"objects": START, "pods": {}, "nodes": {}}
        return Context(Clients(have), DRILL.exercise(), baseline, {}, lambda: Deeds(True, ()), LAID.service.namespace)

    clients_required(look_at(1), LAID.service)
    with pytest.raises(verdict.Stop, match=r"do not run: deployment/clients-of-.* has 0 replicas"):
        clients_required(look_at(0), LAID.service)
    with pytest.raises(verdict.Stop, match="are gone"):
        clients_required(look_at(None), LAID.service)


def test_what_kubectl_reads_before_it_writes_is_no_look() -> None:
    own = deed("get", "pods", FIX.at - 0.2, LAID.service.name)
    assert score(own, deed("patch", "pods", FIX.at, LAID.service.name)).line("order").points == 0
    earlier = deed("get", "pods", FIX.at - 30, LAID.service.name)
    assert score(earlier, deed("patch", "pods", FIX.at, LAID.service.name)).line("order").points == POINTS["order"]


def test_pods_of_other_namespaces_show_nothing() -> None:
    for namespace in ("default", "kube-system"):
        assert score(deed("list", "pods", BEGAN + 10, namespace=namespace), FIX).line("order").points == 0


def test_a_token_of_kube_systems_accounts_is_damage() -> None:
    token = deed("create", "serviceaccounts/token", BEGAN + 20, "ai-lab", "kube-system")
    assert "serviceaccount ai-lab (token) was written by hand" in score(READ, token, FIX).line("collateral").why


def test_the_same_words_again_and_again_are_no_message() -> None:
    said = f"{LAID.service.name} errors restored 10:00 " * 5
    assert len(update.missing(said, [LAID.service.name], IMPACT)) == 4


@pytest.mark.parametrize(
    "seen", ["requests failed", "requests were refused", "nobody could reach it: it was unreachable", "calls timed out"]
)
def test_users_words_for_what_they_see_count(seen: str) -> None:
    assert (
        update.missing(
            f"Since 10:02 {seen} on {LAID.service.name}. It is restored now. We write again at 10:30.", [LAID.service.name], IMPACT
        )
        == []
    )
