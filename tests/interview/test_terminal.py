"""`ai-lab interview` on a terminal: it says how an answer ends, breaks lines at words, and whatever stops it, nothing typed is lost."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import yaml

from lab_checks.interview import mock, word_wrap
from tests.cli.terminal import Terminal

GOOD = yaml.safe_load((Path(__file__).parent / "answers" / "good.yaml").read_text())
# What the terminal is sent when keys are read: pasted text comes marked from now on.
READY = "\x1b[?2004h"
TYPED = " begins with a space\r\r  and holds a blank line"
KEPT = TYPED.replace("\r", "\n")


def ask(home: Path, *arguments: str, **more: str) -> Terminal:
    asked = Terminal(home, "interview", *(arguments or ("three-probes",)), **more)
    asked.until(READY)
    return asked


def wait_until_kept(home: Path, end: str, name: str = "three-probes") -> None:
    """Waits until what was typed, up to `end`, is on the disk."""
    deadline = time.monotonic() + 60
    draft = home / "interview" / f"{name}.draft.txt"
    while not (draft.exists() and draft.read_text().endswith(end)):
        assert time.monotonic() < deadline, f"{draft} never ended with {end!r}"
        time.sleep(0.05)


def kept(home: Path) -> str:
    return (home / "interview" / "three-probes.draft.txt").read_text()


def test_how_an_answer_ends_is_said_before_one_is_typed(tmp_path: Path) -> None:
    asked = ask(tmp_path)
    asked.type("\x03")
    status, shown = asked.end()
    assert status == 130
    assert "Ctrl-D ends the answer" in shown.replace("\n", " ")
    assert "Nothing was typed" in shown


@pytest.mark.parametrize("columns", [60, 80])
def test_lines_are_broken_at_words(columns: int, tmp_path: Path) -> None:
    asked = ask(tmp_path, columns=columns)
    asked.type("no idea\x03")
    _, shown = asked.end()
    question = "Your model takes three minutes to load. What do readiness, liveness and startup probes do for it, and how do you set them?"
    head = shown[: shown.index("Type your answer")].splitlines()
    assert " ".join(head) == question
    assert all(len(line) <= columns for line in head)


def test_ctrl_c_keeps_what_was_typed_says_where_and_goes_on_from_there(tmp_path: Path) -> None:
    asked = ask(tmp_path)
    asked.type(TYPED)
    wait_until_kept(tmp_path, "blank line")
    asked.type("\x03")
    status, shown = asked.end()
    assert status == 130
    assert str(tmp_path / "interview") in shown.replace("\n", "")
    assert "ai-lab interview three-probes goes on from there" in shown
    assert kept(tmp_path) == KEPT
    again = ask(tmp_path)
    wait_until_kept(tmp_path, "blank line")
    again.type(" more\x03")
    assert again.end()[0] == 130
    assert kept(tmp_path) == KEPT + " more"


@pytest.mark.parametrize(("number", "status"), [(signal.SIGHUP, 129), (signal.SIGTERM, 143)])
def test_a_signal_takes_nothing_away(number: int, status: int, tmp_path: Path) -> None:
    asked = ask(tmp_path)
    asked.type(TYPED)
    wait_until_kept(tmp_path, "blank line")
    os.kill(asked.child.pid, number)
    assert asked.end()[0] == status
    assert kept(tmp_path) == KEPT


def test_a_terminal_that_hangs_up_takes_nothing_away(tmp_path: Path) -> None:
    asked = ask(tmp_path)
    asked.type(TYPED)
    wait_until_kept(tmp_path, "blank line")
    os.close(asked.child.child_fd)
    os.waitpid(asked.child.pid, 0)
    assert kept(tmp_path) == KEPT


def test_lines_of_any_length_and_pasted_text_come_in_whole(tmp_path: Path) -> None:
    asked = ask(tmp_path)
    asked.type("x" * 6000 + "\r")
    asked.type("\x1b[200~pasted\r\n\tlines\x04 and more\x1b[201~")
    wait_until_kept(tmp_path, "and more")
    asked.type("\x03")
    asked.end()
    assert kept(tmp_path) == "x" * 6000 + "\npasted\n\tlines\x04 and more"


def test_an_answer_is_scored_and_stays_where_it_can_be_read(tmp_path: Path) -> None:
    asked = ask(tmp_path, "three-probes", "--json")
    asked.type(GOOD["three-probes"][0].replace("\n", "\r") + "\x04")
    status, shown = asked.end()
    assert status == 0, shown
    assert json.loads(shown[shown.index("\n{") :])["passed"] is True
    assert (tmp_path / "interview" / "three-probes.txt").read_text() == GOOD["three-probes"][0]


def test_a_mock_interview_goes_on_with_the_question_at_which_it_was_stopped(tmp_path: Path) -> None:
    asked = mock.draw("7")
    first = ask(tmp_path, "--mock", "--seed", "7")
    first.type(" my first answer\x04")
    first.until("2 of 5")
    first.until(READY)
    first.type("half of the second")
    wait_until_kept(tmp_path, "half of the second", f"mock-7/2-{asked[1].id}")
    first.type("\x03")
    status, shown = first.end()
    assert status == 130
    assert "ai-lab interview --mock --seed 7 goes on from there" in shown
    again = Terminal(tmp_path, "interview", "--mock", "--seed", "7", "--report", str(tmp_path / "report.md"))
    again.until(READY)
    again.type(" and the rest\x04")
    for number in range(3, len(asked) + 1):
        again.until(f"{number} of 5")
        again.until(READY)
        again.type(f"answer {number}\x04")
    assert again.end()[0] == 1
    report = (tmp_path / "report.md").read_text()
    assert ">  my first answer\n" in report
    assert "> half of the second and the rest\n" in report
    assert os.listdir(tmp_path / "interview") == []


def test_an_editor_that_cannot_be_run_is_told_and_the_terminal_takes_over(tmp_path: Path) -> None:
    asked = Terminal(tmp_path, "interview", "three-probes", EDITOR="no-such-editor")
    asked.until("opens your editor")
    asked.type("\r")
    asked.until("Type here instead")
    asked.until(READY)
    asked.type("here\x03")
    assert asked.end()[0] == 130
    assert kept(tmp_path) == "here"


def test_words_move_to_the_next_row_and_long_ones_are_broken() -> None:
    assert word_wrap.places("abc de", 10) == [0, 1, 2, 3, 4, 5, 6]
    # "world" would begin at 6 and end beyond 8: it begins the second row.
    assert word_wrap.places("hello world", 8)[6] == 8
    # The space at the end of a full row is shown nowhere.
    assert word_wrap.places("12345678 next", 8)[9] == 8
    assert word_wrap.places("x" * 20, 8)[-1] == 20
