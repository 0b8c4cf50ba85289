"""The mock interview: which questions a seed asks, what the answers are worth together, and the report."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from lab_checks.interview import mock, questions, report

GOOD = yaml.safe_load((Path(__file__).parent / "answers" / "good.yaml").read_text())


def _good(seed: int) -> list[str]:
    return [GOOD[each.id][0] for each in mock.draw(seed)]


def test_a_seed_asks_the_same_five_questions_from_five_areas() -> None:
    for seed in range(50):
        asked = mock.draw(seed)
        assert asked == mock.draw(str(seed))
        assert len({each.area for each in asked}) == 5
    assert len({tuple(each.id for each in mock.draw(seed)) for seed in range(50)}) > 30


def test_a_question_that_is_added_changes_only_the_seeds_that_ask_it(monkeypatch: pytest.MonkeyPatch) -> None:
    all_questions = questions.load()
    monkeypatch.setattr(questions, "load", lambda: all_questions[:-1])
    before = {seed: mock.draw(seed) for seed in range(50)}
    monkeypatch.setattr(questions, "load", lambda: all_questions)
    after = {seed: mock.draw(seed) for seed in range(50)}
    changed = [seed for seed in before if before[seed] != after[seed]]
    assert changed
    assert all(all_questions[-1] in after[seed] for seed in changed)
    assert all(sum(a != b for a, b in zip(before[seed], after[seed], strict=True)) == 1 for seed in changed)


def test_every_question_is_asked_by_some_seed() -> None:
    assert {each.id for seed in range(200) for each in mock.draw(seed)} == {each.id for each in questions.load()}


def test_good_answers_pass_and_each_area_is_counted() -> None:
    found = mock.judge(2, _good(2))
    assert found.passed
    assert found.share > 0.8
    assert all(named <= of for named, of in found.by_area().values())
    assert sum(of for _, of in found.by_area().values()) == sum(len(each.points) for each in mock.draw(2))


def test_one_red_flag_or_one_missing_answer_fails_the_interview() -> None:
    good = _good(2)
    assert not mock.judge(2, [*good[:4], "First I would restart it."]).passed
    assert not mock.judge(2, good[:4]).passed
    assert not mock.judge(2, []).passed


def test_the_report_says_what_was_heard_and_what_would_be_asked() -> None:
    answers = [*_good(2)[:3], "First I would restart the Pod. Then I read its events and see what the old Pod does with the GPU.", ""]
    written = report.markdown(mock.judge(2, answers), answers)
    assert "3 of 5 answers would do" in written
    assert "1 red flag." in written
    assert "| scheduling |" in written
    assert '- "First I would restart the Pod.":' in written
    assert "No answer." in written
    assert "The interviewer would go on asking:" in written
    assert "## What next" in written
    assert all(f"## {number} · {each.title}" in written for number, each in enumerate(mock.draw(2), 1))


def test_the_model_answer_is_not_in_the_report_of_somebody_who_did_not_try() -> None:
    answers = ["no idea"] * 5
    written = report.markdown(mock.judge(2, answers), answers)
    assert "One good answer" not in written


def test_the_report_is_written_where_it_is_wanted(tmp_path: Path) -> None:
    path = report.write(mock.judge(2, _good(2)), _good(2), tmp_path / "new" / "report.md")
    assert path.read_text().count("**Would do**") == 5
