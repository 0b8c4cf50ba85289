"""Lab 13-interview: the checks. They look at words only: each answer is scored by its question's rubric, and no cluster is asked."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from lab_checks.engine.context import Context
from lab_checks.engine.registry import exercise, first_hint
from lab_checks.engine.verdict import Seen, Verdict, failed, idle, passed
from lab_checks.interview import mock, opinion, questions, rubric
from lab_checks.interview.questions import Question
from lab_checks.interview.rubric import Result

LAB = "13-interview"
ENOUGH = f"the points that nobody leaves out, {rubric.ENOUGH:.0%} of all (a short answer: fewer), and no red flag"
# So many questions of a group are asked for.
TWO = 2

GROUPS = {
    "scheduling": ("insufficient-gpu", "device-plugin", "no-pod-at-all", "rollout-deadlock", "node-maintenance", "priority-preemption"),
    "loading": ("three-probes", "gpu-runtime-mismatch"),
    "resources": ("limits-only", "two-kinds-of-oom", "sharing-a-gpu"),
    "networking": ("empty-endpoints", "safe-exposure", "network-policy"),
    "application": ("signals", "release-and-rollback", "latency-percentiles", "alerting", "bad-model-release"),
    "cost-and-safety": ("cpu-or-gpu", "cost-control", "ai-assistant", "team-guardrails", "admission-policy", "protect-data"),
}


def text_of(value: Any, name: str) -> str:
    """An answer as text. Raises Stop for what is none."""
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return "\n".join(value)
    if not isinstance(value, str):
        raise idle(f"the answer {name} is no text", Seen("answer", name, repr(value)), expected="some sentences, in quotes", next='"""…"""')
    return value


def seen(result: Result, name: str) -> tuple[Seen, ...]:
    """What was named, and what should not have been."""
    named = (
        ()
        if result.copied or result.heap
        else tuple(Seen(name, "named, by a second opinion" if point in result.lifted else "named", point.says) for point in result.found)
    )
    return (*named, *(Seen(name, "red flag", f'"{rubric.shortened(each.quote)}": {each.why}') for each in result.flags))


def of(result: Result, name: str) -> Verdict:
    """The verdict on one answer."""
    if not result.passed:
        return failed(
            result.headline, *seen(result, name), expected=ENOUGH, next=result.follow_up, credit=round(min(result.share, 0.95), 2)
        )
    more = f"the interviewer might still ask: {result.missing[0].ask}" if result.missing else ""
    return replace(passed(result.headline, *seen(result, name)), next=more)


@exercise(f"{LAB}/the-question")
def the_question(ctx: Context) -> Verdict:
    """The question of every interview on this subject."""
    result = opinion.score(questions.find("the-question"), text_of(ctx.answers.get("answer", ""), "answer"))
    if result.empty:
        raise idle("no answer yet", expected="an answer of some sentences", next='lab.answer("the-question", answer="…")')
    return of(result, "answer")


def _group(ctx: Context, asked: tuple[Question, ...]) -> Verdict:
    known = {each.key: each for each in asked}
    for name in ctx.answers:
        if name not in known:
            raise idle(
                f'there is no question "{name}" here',
                expected=", ".join(known),
                next=f'lab.answer("{ctx.exercise.id}", {asked[0].key}="…")',
            )
    results = {key: opinion.score(each, text_of(ctx.answers.get(key, ""), key)) for key, each in known.items()}
    given = {key: each for key, each in results.items() if not each.empty}
    if not given:
        raise idle(
            "no answer yet", expected=f"answers to two of: {', '.join(known)}", next=f'lab.answer("{ctx.exercise.id}", {asked[0].key}="…")'
        )
    good = {key: each for key, each in given.items() if each.passed}
    rows = tuple(row for key, each in given.items() for row in seen(each, key))
    best = sorted((each.share for each in given.values()), reverse=True)[:TWO]
    credit = round(min(sum(best) / TWO, 0.95), 2)
    alarming = next(((key, each) for key, each in given.items() if each.flags), None)
    if alarming:
        key, each = alarming
        return failed(f"{key}: {each.headline}", *rows, expected=ENOUGH, next=each.follow_up, credit=credit)
    if len(good) >= TWO:
        return passed(f"{len(good)} answers would do: {', '.join(good)}", *rows)
    weak = next(((key, each) for key, each in given.items() if not each.passed), None)
    if weak:
        key, each = weak
        return failed(f"{key}: {each.headline}", *rows, expected=ENOUGH, next=each.follow_up, credit=credit)
    left = [each for key, each in known.items() if key not in given]
    raise idle(
        f"one answer would do: {next(iter(good))}; one more is asked for", *rows, expected="answers to two of the questions",
        next=f"{left[0].key}: {left[0].asks}", credit=credit,
    )  # fmt: skip


def _register(name: str, ids: tuple[str, ...]) -> None:
    @exercise(f"{LAB}/{name}")
    def check(ctx: Context) -> Verdict:
        return _group(ctx, tuple(questions.find(each) for each in ids))


for _name, _ids in GROUPS.items():
    _register(_name, _ids)


@exercise(f"{LAB}/mock-interview")
def mock_interview(ctx: Context) -> Verdict:
    """Five questions in a row; four of the answers would do, and none alarms."""
    given = {name: text_of(ctx.answers.get(name, ""), name) for name in mock.NUMBERS}
    if "seed" not in ctx.answers or not any(text.strip() for text in given.values()):
        raise idle(
            "the interview has not begun",
            expected="a seed, and five answers",
            next='lab.answer("mock-interview", seed=7, first="…", second="…", …)',
        )
    interview = mock.judge(ctx.answers["seed"], list(given.values()))
    rows: list[Seen] = []
    for name, each in zip(mock.NUMBERS, interview.results, strict=True):
        rows.append(Seen(name, each.question.title, "no answer" if each.empty else each.headline))
        rows += [row for row in seen(each, name) if row.field == "red flag"]
    areas = tuple(Seen("area", area, f"{named} of {of} points") for area, (named, of) in interview.by_area().items())
    good = sum(each.passed for each in interview.results)
    headline = f"{good} of {len(interview.results)} answers would do"
    if interview.passed:
        return passed(headline, *rows, *areas)
    weak = next(
        (pair for pair in zip(mock.NUMBERS, interview.results, strict=True) if pair[1].flags),
        next(pair for pair in zip(mock.NUMBERS, interview.results, strict=True) if not pair[1].passed),
    )
    name, each = weak
    flags = any(result.flags for result in interview.results)
    return failed(
        headline + (", and one alarms" if flags else ""), *rows, *areas, expected="five answers, four of which would do, and no red flag",
        next=f"{name}: {each.question.asks if each.empty else each.follow_up}", credit=round(min(interview.share, 0.95), 2),
    )  # fmt: skip


@first_hint(f"{LAB}/the-question")
def where_to_begin(ctx: Context) -> str:
    """The follow-up question to what was said already."""
    answer = ctx.answers.get("answer", "")
    if not isinstance(answer, str) or not answer.strip():
        return ""
    return rubric.score(questions.find("the-question"), answer).follow_up
