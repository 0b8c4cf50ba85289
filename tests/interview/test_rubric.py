"""Scoring, held against many answers as data: good, thin, wrong and stuffed ones for every question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from lab_checks.interview import questions, rubric

ANSWERS = Path(__file__).parent / "answers"
# What the guide's strong answer says, clause by clause.
GUIDE = {
    "needs", "profile", "nodes", "plugin", "resources", "readiness", "internal", "events", "node-state", "logs", "ready-path", "gpu-metrics", "history",
    "no-blind-change", "layers",
}  # fmt: skip


def _load(name: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((ANSWERS / f"{name}.yaml").read_text())
    return found


GOOD = [(key, text) for name in ("good", "spoken", "hurried") for key, texts in _load(name).items() for text in texts]
BAD = _load("bad")
THIN = [(key, text) for key, kinds in BAD.items() for text in kinds["thin"]]
STUFFED = [(key, text) for key, kinds in BAD.items() for text in kinds["stuffed"]]
WRONG = [(key, row["text"], row.get("flag", "")) for key, kinds in BAD.items() for row in kinds["wrong"]]
HALF_RIGHT = [(key, text) for key, texts in _load("half-right").items() for text in texts]
FLAGS = _load("flags")
MEANT = [(flag, text) for flag, rows in FLAGS.items() for text in rows["means"]]
NAMED = [text for rows in FLAGS.values() for text in rows["names"]]


def _score(key: str, text: str) -> rubric.Result:
    return rubric.score(questions.find(key), text)


def test_every_question_has_answers_of_every_kind() -> None:
    ids = {each.id for each in questions.load()}
    assert len(ids) >= 14
    assert {key for key, _ in GOOD} == ids == set(BAD) == {key for key, _ in HALF_RIGHT}
    assert all(len(kinds[kind]) >= 2 for kinds in BAD.values() for kind in ("thin", "wrong", "stuffed"))


@pytest.mark.parametrize(("key", "text"), GOOD)
def test_a_good_answer_passes(key: str, text: str) -> None:
    found = _score(key, text)
    assert found.passed, (found.headline, [point.id for point in found.missing], [(each.flag.id, each.quote) for each in found.flags])


@pytest.mark.parametrize(("key", "text"), THIN)
def test_a_thin_answer_gets_follow_up_questions_and_no_red_flag(key: str, text: str) -> None:
    found = _score(key, text)
    assert not found.passed
    assert found.share < 0.6
    assert not found.flags
    assert not found.heap
    assert found.follow_up.endswith("?")


@pytest.mark.parametrize(("key", "text", "flag"), WRONG)
def test_a_wrong_answer_with_the_right_words_does_not_pass(key: str, text: str, flag: str) -> None:
    found = _score(key, text)
    assert not found.passed
    if flag:
        assert flag in [each.flag.id for each in found.flags]


@pytest.mark.parametrize(("key", "text"), HALF_RIGHT)
def test_a_half_right_answer_does_not_pass(key: str, text: str) -> None:
    assert not _score(key, text).passed


@pytest.mark.parametrize(("key", "text"), STUFFED)
def test_a_heap_of_terms_is_asked_to_say_how(key: str, text: str) -> None:
    found = _score(key, text)
    assert found.heap
    assert found.share < 0.4
    assert found.follow_up == rubric.SAY_HOW


@pytest.mark.parametrize(("flag", "text"), MEANT)
def test_a_red_flag_is_raised_where_it_is_meant(flag: str, text: str) -> None:
    assert flag in [each.flag.id for each in _score("insufficient-gpu", text).flags]


@pytest.mark.parametrize("text", NAMED)
def test_and_not_where_it_is_denied_or_only_named(text: str) -> None:
    assert _score("insufficient-gpu", text).flags == ()


@pytest.mark.parametrize("question", questions.load(), ids=lambda each: each.id)
def test_the_model_answer_names_every_point_and_is_recognised(question: questions.Question) -> None:
    found = rubric.score(question, question.model)
    assert found.missing == ()
    assert found.flags == ()
    assert found.copied
    assert not found.passed
    assert found.follow_up == rubric.OWN_WORDS


@pytest.mark.parametrize("question", questions.load(), ids=lambda each: each.id)
def test_a_model_answer_with_some_words_changed_is_still_recognised(question: questions.Question) -> None:
    words = question.model.split()
    words[7::12] = ["well"] * len(words[7::12])
    assert rubric.score(question, " ".join(words)).copied


@pytest.mark.parametrize("question", questions.load(), ids=lambda each: each.id)
def test_every_missing_point_is_a_question(question: questions.Question) -> None:
    assert question.area in questions.AREAS
    assert 5 <= len(question.points) <= 16
    assert 1 <= sum(point.core for point in question.points) <= 5
    for point in question.points:
        assert point.ask.endswith("?")
        assert point.area in questions.AREAS
        assert point.patterns
    assert len({point.id for point in question.points}) == len(question.points)


@pytest.mark.parametrize("question", questions.load(), ids=lambda each: each.id)
def test_asking_the_interviewers_questions_back_earns_nothing(question: questions.Question) -> None:
    assert _score(question.id, " ".join([question.asks, *(point.ask for point in question.points)])).found == ()


def test_every_clause_of_the_guides_answer_is_a_point() -> None:
    assert {point.id for point in questions.find("the-question").points} == GUIDE


def test_nothing_is_no_answer_and_no_try() -> None:
    for text in ("", " \n\n ", "???"):
        found = _score("the-question", text)
        assert found.empty
        assert not found.tried


def test_to_say_both_is_to_say_it() -> None:
    found = _score("the-question", "First I would restart the Pod. I would not restart the Pod.")
    assert [each.flag.id for each in found.flags] == ["restart-first"]
    assert "say the opposite" in found.flags[0].why


def test_what_is_taken_back_in_so_many_words_was_not_said() -> None:
    found = _score(
        "the-question",
        "First I would restart the Pod. Actually no, I take that back: I would not restart the Pod before I have read its events.",
    )
    assert found.flags == ()


def test_a_restart_after_a_look_at_the_evidence_is_no_red_flag() -> None:
    assert _score("the-question", "I read the events and the log of the Pod. The process hangs. Then I restart it.").flags == ()
    assert _score("the-question", "Then I restart it. I read the events and the log of the Pod afterwards.").flags


def test_the_follow_up_asks_for_what_nobody_leaves_out_first() -> None:
    found = _score("three-probes", "A fixed initialDelaySeconds of ten minutes is the cruder tool, I would rather not have it.")
    musts = [point.ask for point in found.missing if point.core]
    assert found.follow_up == musts[0]


def test_an_answer_is_scored_in_a_moment() -> None:
    import time

    _score("the-question", GOOD[0][1])
    # Of the processor, not of the clock: other work on the machine is not the scorer's.
    began = time.process_time()
    for _ in range(5):
        _score("the-question", GOOD[0][1])
    assert (time.process_time() - began) / 5 < 0.5


@pytest.mark.parametrize(
    "text", ["\0", "🙂 🙂 🙂", "<script>alert(1)</script>", "a" * 5000, "restart " * 500, "- " * 400, "nvidia.com/gpu: 1\n" * 100]
)
def test_odd_input_is_scored_and_breaks_nothing(text: str) -> None:
    assert not _score("the-question", text).passed
