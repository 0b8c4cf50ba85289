"""The test before and after a class: the same themes, no question twice, scored offline, kept, and compared."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest
import yaml

from lab_checks.interview import questions
from lab_checks.teaching import knowledge_test
from tests.cli.terminal import Terminal
from tests.conftest import BIN, ROOT

# The terminal takes keys from here on: it says so by turning bracketed paste on.
READY = "\x1b[?2004h"
GOOD: dict[str, list[str]] = yaml.safe_load((ROOT / "tests" / "interview" / "answers" / "good.yaml").read_text())


def run(home: Path, *arguments: str, said: str = "") -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(BIN / "ai-lab"), "teach", "test", *arguments], input=said, capture_output=True, text=True, check=False, cwd=home,
        env={**os.environ, "AI_LAB_HOME": str(home / "state"), "AI_LAB_LEARNER": "Mira"},
    )  # fmt: skip


def answers(which: str, seed: str, good: int) -> str:
    """Answers to a test, the first `good` of which would do."""
    asked = knowledge_test.draw(which, seed)
    return "\n---\n".join(GOOD[each.id][0] if number < good else "I would look it up." for number, each in enumerate(asked))


@pytest.mark.parametrize("seed", ["1", "2", "mira", "0", "99999", ""])
def test_both_are_of_the_same_themes_and_share_no_question(seed: str) -> None:
    pre, post = (knowledge_test.draw(which, seed) for which in knowledge_test.WHICH)
    assert len(pre) == len(post) == 10
    assert Counter(each.area for each in pre) == Counter(each.area for each in post) == Counter(knowledge_test.themes())
    assert len({each.id for each in (*pre, *post)}) == 20
    assert {each.area for each in pre} == set(questions.AREAS)


def test_a_seed_asks_the_same_again_and_another_seed_asks_others() -> None:
    drawn = {seed: tuple(each.id for each in knowledge_test.draw("pre", seed)) for seed in map(str, range(20))}
    assert drawn == {seed: tuple(each.id for each in knowledge_test.draw("pre", seed)) for seed in drawn}
    assert len(set(drawn.values())) > 15
    # Over the seeds, every question of the bank is asked.
    assert {each for asked in drawn.values() for each in asked} == {each.id for each in questions.load()}


def test_a_class_takes_both_and_sees_what_changed(tmp_path: Path) -> None:
    before = run(tmp_path, "pre", said=answers("pre", "1", good=2))
    assert before.returncode == 0, before.stderr
    assert "2 of 10 answers would do" in before.stdout
    assert "ai-lab teach test post" in before.stdout
    assert run(tmp_path, "compare").returncode == 3
    after = run(tmp_path, "post", said=answers("post", "1", good=9))
    assert "9 of 10 answers would do" in after.stdout
    shown = run(tmp_path, "compare")
    assert shown.returncode == 0
    assert "scheduling" in shown.stdout
    told = json.loads(run(tmp_path, "compare", "--json").stdout)
    assert told["learner"] == "Mira"
    assert told["comparable"] is True
    assert told["gain"] > 0.3
    for which, good in (("pre", 2), ("post", 9)):
        assert told[which]["total"]["passed"] == good
        assert {theme: row["questions"] for theme, row in told[which]["themes"].items()} == dict(knowledge_test.themes())
    # What somebody wrote stays on the machine, for its account only.
    assert "look it up" not in json.dumps(told)
    kept = tmp_path / "state" / "teach" / "test-pre.json"
    assert kept.stat().st_mode & 0o777 == 0o600
    assert "I would look it up." in json.loads(kept.read_text())["answers"]


def test_a_test_is_taken_once_unless_it_is_asked_for_again(tmp_path: Path) -> None:
    run(tmp_path, "pre", said=answers("pre", "1", good=2))
    assert "2 of 10" in run(tmp_path, "pre", said=answers("pre", "1", good=9)).stdout
    other = run(tmp_path, "pre", "--seed", "5")
    assert other.returncode == 2
    assert "taken with seed 1" in other.stderr
    assert "9 of 10" in run(tmp_path, "pre", "--again", said=answers("pre", "1", good=9)).stdout


def test_the_second_takes_the_seed_of_the_first_and_no_other(tmp_path: Path) -> None:
    run(tmp_path, "pre", "--seed", "blue team", said=answers("pre", "blue team", good=1))
    refused = run(tmp_path, "post", "--seed", "1", said=answers("post", "1", good=1))
    assert refused.returncode == 2
    assert "may ask its questions again" in refused.stderr
    assert "--seed 'blue team'" in refused.stderr
    told = json.loads(run(tmp_path, "post", "--json", said=answers("post", "blue team", good=3)).stdout)
    assert told["post"]["seed"] == "blue team"
    assert told["comparable"] is True
    # A first one that is taken again with another seed has no second one yet.
    run(tmp_path, "pre", "--again", "--seed", "2", said=answers("pre", "2", good=1))
    shown = run(tmp_path, "compare")
    assert shown.returncode == 1
    assert "cannot be compared: the seeds were 2 and blue team" in shown.stdout
    assert json.loads(run(tmp_path, "compare", "--json").stdout)["gain"] is None


def test_no_answer_is_no_test(tmp_path: Path) -> None:
    done = run(tmp_path, "pre")
    assert done.returncode == 3
    assert knowledge_test.draw("pre", "1")[0].asks in done.stderr
    assert not (tmp_path / "state" / "teach").exists()


def test_more_answers_than_questions_are_refused(tmp_path: Path) -> None:
    done = run(tmp_path, "pre", said=answers("pre", "1", good=1) + "\n---\nand another")
    assert done.returncode == 2
    assert "11 answers to 10 questions" in done.stderr


def test_a_damaged_result_is_told_and_can_be_replaced(tmp_path: Path) -> None:
    run(tmp_path, "pre", said=answers("pre", "1", good=1))
    kept = tmp_path / "state" / "teach" / "test-pre.json"
    kept.write_text(kept.read_text()[:200])
    done = run(tmp_path, "compare")
    assert done.returncode == 6
    assert "damaged" in done.stderr
    assert "Traceback" not in done.stderr
    assert run(tmp_path, "pre", "--again", said=answers("pre", "1", good=1)).returncode == 0


def test_there_are_two_tests_and_one_comparison(tmp_path: Path) -> None:
    done = run(tmp_path, "middle")
    assert done.returncode == 2
    assert "pre, post, compare" in done.stderr


def test_what_was_typed_before_a_stop_is_there_when_it_goes_on(tmp_path: Path) -> None:
    first = knowledge_test.draw("pre", "1")[0]
    terminal = Terminal(tmp_path, "teach", "test", "pre")
    terminal.until("1 of 10")
    terminal.until(READY)
    terminal.type("I read the events of the Pod first.\x04")
    terminal.until("2 of 10")
    terminal.until(READY)
    terminal.type("\x03")
    code, said = terminal.end()
    assert code == 130
    assert "goes on with: ai-lab teach test pre --seed 1 --again" in " ".join(said.split()).replace(f"{BIN}/", "")
    terminal = Terminal(tmp_path, "teach", "test", "pre")
    terminal.until("You have answered this one.")
    for number in range(2, 11):
        terminal.until(f"{number} of 10")
        terminal.until(READY)
        terminal.type("\x04")
    code, said = terminal.end()
    assert code == 0
    assert "0 of 10 answers would do" in " ".join(said.split())
    kept = json.loads((tmp_path / "teach" / "test-pre.json").read_text())
    assert (kept["questions"][0]["question"], kept["answers"][0]) == (first.id, "I read the events of the Pod first.")
    assert not list((tmp_path / "interview").glob("test-*"))
