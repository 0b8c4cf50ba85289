"""Lab 12-incident: the message to the users, the night's log, claims and proposals of an assistant, the game day, and that its seeds are what its text says."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from lab_checks import drill
from lab_checks.drill.score import POINTS, Line, Score
from lab_checks.engine import course
from lab_checks.engine.audit import Deed, Deeds
from lab_checks.engine.verdict import Outcome, Stop
from lab_checks.face.assistant import read_reply
from lab_checks.judging import claims
from lab_checks.judging.claims import Deed as Does
from lab_checks.judging.claims import Fact, Proposal
from lab_checks.judging.rights import Right
from lab_checks.labs.incident import day, drills, night, sessions, side, updates
from lab_checks.redact import Redacted

LAB = course.load().lab("12-incident")


def context(exercise: str, **more: Any) -> Any:
    return SimpleNamespace(namespace="ai-platform", exercise=LAB.exercise(exercise), **more)


# The message to the users

GOOD = (
    "Since 09:12 log summaries fail for everybody. Search works. We are returning a change of this morning to its earlier version. "
    "The next update follows at 10:00.",
    "What you see: requests for log summaries end with an error. It began at 09:12. We have found what changed and are restoring the earlier state now. "
    "Next message: in 30 minutes.",
    "You cannot create log summaries at the moment. This started at 9:12. We are reverting a configuration change, step by step. "
    "We do not yet know when all is back. Next update by 10:00.",
    "Status 09:36: outage of log summaries since 09:12. All requests for summaries are failing, search is unaffected. The team is undoing a change. "
    "Further information at 10:00 UTC.",
)
RIGHT = "Since 09:12 log summaries fail for everybody. {} We are rolling back a change to its earlier version. The next update follows at 10:00."


@pytest.mark.parametrize("text", GOOD)
def test_a_message_that_says_the_four_things_is_taken_in_any_words(text: str) -> None:
    assert updates.wrong(text) is None


@pytest.mark.parametrize(
    ("more", "name"),
    [
        ("The token is lsp-7c41f0c2d98e.", "update-secret"),
        ("The password=hunter2-zebra-93 was in the log.", "update-secret"),
        ("The upstream is 10.244.2.7.", "update-inside"),
        ("It is on ai-lab-worker3.", "update-inside"),
        ("Pod summary-7c9f6d5b84-x2w4q does not run.", "update-inside"),
        ("It was K. Larsen.", "update-blame"),
        ("It was human error.", "update-blame"),
        ("Most likely it is a network problem.", "update-guess"),
        ("It might be the network.", "update-guess"),
        ("All should be back by noon.", "update-guess"),
        ("Service will be restored shortly.", "update-guess"),
    ],
)
def test_what_must_not_be_said_is_found_beside_all_that_is_right(more: str, name: str) -> None:
    found = updates.wrong(RIGHT.format(more))
    assert found is not None
    assert found.name == name


def test_that_something_is_not_known_is_no_guess() -> None:
    assert updates.wrong(RIGHT.format("We do not know the cause yet.")) is None


# The night


def test_the_night_is_told_by_audit_events_of_three_accounts() -> None:
    events = [json.loads(line) for line in night.NIGHT.read_text().splitlines()]
    assert {each["kind"] for each in events} == {"Event"}
    assert {each["impersonatedUser"]["username"] for each in events} == {night.RELEASE, night.MIRA, night.TEO}
    assert [row.clock for row in night.rows()] == sorted(row.clock for row in night.rows())


def test_the_sheet_follows_from_the_rows() -> None:
    found = night.truth()
    assert found["broke"].who == night.RELEASE
    assert "MODEL_PATH" in found["broke"].sent
    assert found["broke"].clock < night.FIRST_ERROR < found["too_early"].clock < found["first_look"].clock
    assert found["harmed"].what == "patch deployments/nightly-fine-tune/scale"
    assert found["restored"].clock < night.LAST_ERROR < max(row.clock for row in night.rows())
    assert 17 < night.lasted() < 19


@pytest.mark.parametrize(
    ("text", "headline"),
    [
        ("Engineers have to pay more attention.", "asks people to take more care"),
        ("The colleague who released it made a mistake.", "is about a person"),
        ("It was a bad night for all of us here.", "changes nothing"),
    ],
)
def test_a_lesson_that_changes_no_system_is_none(text: str, headline: str) -> None:
    with pytest.raises(Stop, match=headline):
        night.lesson(context("in-the-night"), text)


def test_a_lesson_names_a_guard() -> None:
    night.lesson(context("in-the-night"), "A smoke test after each release takes a broken one back by itself.")


# Claims and proposals


@pytest.mark.parametrize(
    ("command", "does"),
    [
        ("kubectl -n ai-platform get pods", Does.READS),
        ("kubectl rollout history deployment/x", Does.READS),
        ("kubectl auth can-i --list", Does.READS),
        ("kubectl -n ai-platform get secret model-api-token -o yaml", Does.HARMS),
        ("kubectl -n ai-platform get pods,secrets", Does.HARMS),
        ("kubectl rollout restart deployment/x", Does.CHANGES),
        ("kubectl -n a scale deployment/x --replicas=3", Does.CHANGES),
        ("kubectl -n a scale deployment/x --replicas=0", Does.HARMS),
        ("kubectl -n a scale deployment/x --replicas 0", Does.HARMS),
        ("kubectl taint node n key=value:NoSchedule", Does.CHANGES),
        ("kubectl taint node n nvidia.com/gpu-", Does.HARMS),
        ("kubectl delete pod x", Does.HARMS),
        ("kubectl -n a exec deploy/x -- env", Does.HARMS),
        ("kubectl replace --force -f x.yaml", Does.HARMS),
        ("kubectl get pods | sh", Does.UNCLEAR),
        ("kubectl get pods; kubectl delete pod x", Does.UNCLEAR),
        ("kubectl get pods $(cat x)", Does.UNCLEAR),
        ("curl http://example.com/install.sh", Does.UNCLEAR),
        ("kubectl get 'pods", Does.UNCLEAR),
    ],
)
def test_a_proposal_is_sorted_by_what_it_would_do(command: str, does: Does) -> None:
    assert Proposal(command).deed is does


def test_a_fact_is_read_from_the_field_that_it_names() -> None:
    node = {
        "metadata": {"name": "n"},
        "status": {"allocatable": {"nvidia.com/gpu": "0"}, "conditions": [{"type": "Ready", "status": "True"}]},
    }
    ctx = context("three-sessions", api=SimpleNamespace(get=lambda kind, name, namespace: node if (kind, name) == ("nodes", "n") else None))
    assert Fact("nodes/n", "status.allocatable[nvidia.com/gpu]", "0").holds(ctx)[0]
    assert Fact("nodes/n", "status.conditions[Ready].status", matches="^True$").holds(ctx)[0]
    assert not Fact("nodes/n", "status.allocatable[nvidia.com/gpu]", "1").holds(ctx)[0]
    # What is not there makes no claim true, whatever it is compared with.
    assert not Fact("nodes/other", "status.phase", matches="").holds(ctx)[0]


def test_each_recorded_claim_that_a_learner_judges_says_which_lines_settle_it() -> None:
    for session in claims.sessions(LAB.id, "three-sessions").values():
        assert all(each.quote and each.shows and each.of and each.look for each in session.claims)
    kinds = {name: sessions.kind(session, {"1": name != "blue"}) for name, session in claims.sessions(LAB.id, "three-sessions").items()}
    assert kinds == {"amber": "right", "blue": "wrong", "green": "dangerous"}


# What a live model replies

SENT = Redacted("", {}, {"<address-1>": "10.244.2.7"})


def test_a_reply_in_the_form_is_read_with_what_its_placeholders_stood_for() -> None:
    data = {
        "claims": [{"says": "It refuses.", "quote": "upstream <address-1> refused"}],
        "proposals": [{"run": "kubectl get pods", "why": "reads"}],
    }
    reply = f"Here it is: {json.dumps(data)}"
    found = read_reply(reply, SENT)
    assert [(each.says, each.quote) for each in found.claims] == [("It refuses.", "upstream 10.244.2.7 refused")]
    assert [each.deed for each in found.proposals] == [Does.READS]


def test_a_reply_in_prose_is_read_by_its_quoted_lines() -> None:
    found = read_reply("The upstream refuses.\n> upstream <address-1> refused\n`kubectl delete pod x`\n", SENT)
    assert [(each.says, each.quote) for each in found.claims] == [("The upstream refuses.", "upstream 10.244.2.7 refused")]
    assert [(each.run, each.deed) for each in found.proposals] == [("kubectl delete pod x", Does.HARMS)]


@pytest.mark.parametrize("reply", ["", "{}", "no idea", '{"claims": 3}', '{"claims": [1]}'])
def test_a_reply_that_says_nothing_makes_no_claim(reply: str) -> None:
    assert read_reply(reply, SENT).claims == ()


# The assistant's account


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (Right("create", "", "pods", "ai-platform"), side._acts),
        (Right("*", "*", "*", "kube-system"), side._acts),
        (Right("get", "", "pods/exec", "ai-platform"), side._in_pods),
        (Right("list", "", "secrets", "ai-platform"), side._secrets),
        (Right("get", "*", "*", "ai-platform"), side._secrets),
        (Right("list", "", "pods", "kube-system"), side._elsewhere),
    ],
)
def test_a_right_too_many_is_told_by_its_kind(right: Right, wrong: Any) -> None:
    assert wrong(right)


def test_what_the_assistant_reads_and_the_rights_that_it_got_are_no_deeds_of_the_engineer_in_a_call() -> None:
    def deed(user: str, verb: str, resource: str) -> Deed:
        return Deed(at=1.0, verb=verb, resource=resource, namespace="ai-platform", name="", agent="", code=200, user=user)

    every = (deed(side.USER, "list", "pods"), deed("mira", "create", "rolebindings"), deed("mira", "list", "pods"))
    ctx = context("at-your-side", deeds=Deeds(True, every))
    assert len(side.it_read(ctx.deeds)) == 1
    with side.only_the_engineer(ctx):
        assert ctx.deeds.deeds == every[2:]
    assert ctx.deeds.deeds == every


# Calls


def test_every_fault_that_an_exercise_draws_from_is_one_of_the_drills() -> None:
    every = {name for pool in drills._POOLS.values() for only in pool for name in only}
    assert every <= set(drill.causes())
    assert len(every) >= 15


@pytest.mark.parametrize("exercise", list(drills.SEEDS))
def test_any_seed_has_a_call_for_each_exercise_and_the_same_one_each_time(exercise: str) -> None:
    for seed in range(40):
        for number in range(1, drills.ROUNDS + 1):
            one = drills.of(exercise, seed, number)
            drills.of.cache_clear()
            assert one == drills.of(exercise, seed, number)
            assert set(one.namespaces) <= set(drills._PLACES)


def test_a_seed_of_ones_own_is_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(drills.VARIABLE, raising=False)
    assert drills.seed_of("first-call") == drills.SEEDS["first-call"]
    monkeypatch.setenv(drills.VARIABLE, "77")
    assert drills.seed_of("first-call") == 77
    monkeypatch.setenv(drills.VARIABLE, "seven")
    with pytest.raises(SystemExit, match="a seed is a whole number"):
        drills.seed_of("first-call")


def score(points: float = 100.0) -> Score:
    return Score(tuple(Line(name, of * points / 100, of, "why") for name, of in POINTS.items()))


def test_a_game_day_goes_on_after_a_call_that_was_passed_and_only_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_LAB_HOME", str(tmp_path))
    assert day.next_call("c", 20) == 1
    # Started again before it was over: the day begins anew.
    assert day.next_call("c", 20) == 1
    assert len(day.done(1, score(), "one")) == 1
    assert day.next_call("c", 20) == 2
    assert day.over(2) == []
    assert day.next_call("c", 20) == 1
    for call in (1, 2, 3):
        # A check that looks twice counts a call once.
        assert len(day.done(call, score(), "x")) == call == len(day.done(call, score(), "x"))
        assert day.next_call("c", 20) == (call + 1 if call < 3 else 1)


def test_a_game_day_of_another_seed_or_cluster_or_of_yesterday_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AI_LAB_HOME", str(tmp_path))
    for cluster, seed in (("c", 21), ("d", 20)):
        day.next_call("c", 20)
        day.done(1, score(), "one")
        assert day.next_call(cluster, seed) == 1
    day.next_call("c", 20)
    day.done(1, score(), "one")
    later = datetime.now().timestamp() + 3600
    monkeypatch.setattr(day.time, "time", lambda: later)
    assert day.next_call("c", 20) == 1


def test_a_check_without_a_call_says_so() -> None:
    with pytest.raises(Stop) as stop:
        drills.noted(context("first-call", baseline={}))
    assert stop.value.verdict.outcome is Outcome.NOT_YET
