"""What the story tells only after an exercise was solved: who may read which part of it, in a notebook and on a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from typer.testing import CliRunner

from lab_checks.authoring import notebooks
from lab_checks.engine import course, debrief
from lab_checks.engine.course import Exercise, Lab
from lab_checks.engine.progress import Progress
from lab_checks.face import debriefs

SOURCE = """\
# 99 · A lab

<!-- #region debrief="one" after="diagnosis" -->
**Teo:** It is the taint.

So tolerate it.
<!-- #endregion -->

```python
lab.check("one")
```

<!-- #region debrief="one" -->
**Mira:** That was it.
<!-- #endregion -->

## What you take with you

<!-- #region debrief="summary" -->
| seen | cause |
|---|---|
| a | first | <!-- one -->
| b | second | <!-- one two -->

**Questions**
1. Why? <!-- two -->
<!-- #endregion -->
"""

ONE = Exercise("99-lab", "one", "One", "Do it.", diagnosis=True)
TWO = Exercise("99-lab", "two", "Two", "Do it.")
LAB = Lab("99-lab", "lab", "A lab", "", 5, (ONE, TWO))


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "99-lab.md"
    path.write_text(SOURCE)
    monkeypatch.setattr(debrief, "source", lambda lab: tmp_path / f"{lab}.md")
    return path


@pytest.fixture
def progress(tmp_path: Path) -> Progress:
    return Progress(tmp_path / "state")


def test_a_debrief_has_a_part_for_the_diagnosis_and_one_for_the_pass() -> None:
    assert debrief.of(ONE) == debrief.Debrief("**Teo:** It is the taint.\n\nSo tolerate it.", "**Mira:** That was it.")
    assert debrief.of(TWO) == debrief.Debrief()


def test_neither_notebook_has_the_debrief_in_it(source: Path) -> None:
    text = notebooks.text_of(notebooks.read(source))
    assert "tolerate" not in text
    assert "debrief" not in text
    assert "What you take with you" in text


def test_nothing_is_open_before_the_exercise_was_passed(progress: Progress) -> None:
    progress.start(ONE.key, 1, "cluster", {})
    assert debriefs.told(progress, LAB, ONE) == ("", "[not yet] one: the debrief opens when your diagnosis is accepted")
    progress.answer(ONE.key, diagnosis={"cause": "x", "accepted": False})
    progress.record(ONE.key, 1, "failed", "no", 0.5)
    assert debriefs.told(progress, LAB, ONE)[0] == ""
    assert debriefs.told(progress, LAB, None) == ("", "[not yet] summary: 3 more lines open, each when its exercise is passed")


def test_an_accepted_diagnosis_opens_the_first_part(progress: Progress) -> None:
    progress.start(ONE.key, 1, "cluster", {})
    progress.answer(ONE.key, diagnosis={"cause": "x", "accepted": True})
    text, closed = debriefs.told(progress, LAB, ONE)
    assert "tolerate" in text
    assert "That was it" not in text
    assert closed == '[not yet] one: the rest of the debrief opens when lab.check("one") passes'


def test_a_pass_opens_all_of_it_for_good(progress: Progress) -> None:
    progress.record(ONE.key, 1, "passed", "yes", 1.0)
    progress.start(ONE.key, 1, "cluster", {})
    assert debriefs.told(progress, LAB, ONE) == ("**Teo:** It is the taint.\n\nSo tolerate it.\n\n**Mira:** That was it.", "")
    assert debriefs.told(progress, LAB, TWO) == ("", "[note] two: there is no debrief")


def test_the_summary_opens_line_by_line(progress: Progress) -> None:
    progress.record(ONE.key, 1, "passed", "yes", 1.0)
    text, closed = debriefs.told(progress, LAB, None)
    assert text == "| seen | cause |\n|---|---|\n| a | first |"
    assert closed == "[not yet] summary: 2 more lines open, each when its exercise is passed"
    progress.record(TWO.key, 1, "passed", "yes", 1.0)
    text, closed = debriefs.told(progress, LAB, None)
    assert text.endswith("| b | second |\n\n**Questions**\n1. Why?")
    assert closed == ""


def test_a_course_without_its_solutions_has_no_debriefs(source: Path, progress: Progress) -> None:
    source.unlink()
    assert debriefs.told(progress, LAB, ONE) == ("", "[note] one: there is no debrief")


def test_the_command_shows_it_again_and_refuses_before_the_pass(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lab_checks.face.cli import app

    monkeypatch.setenv("AI_LAB_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(course, "load", lambda: course.Course("A course", (LAB,)))
    refused = CliRunner().invoke(app, ["debrief", "99-lab/one"])
    assert refused.exit_code == 3
    assert refused.output.strip() == "[not yet] one: the debrief opens when your diagnosis is accepted"
    Progress(tmp_path / "home").record(ONE.key, 1, "passed", "yes", 1.0)
    shown = CliRunner().invoke(app, ["debrief", "99-lab/one"])
    assert shown.exit_code == 0
    assert "So tolerate it." in shown.output


def test_what_is_shown_in_a_notebook_has_a_plain_form(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[dict[str, str]] = []
    monkeypatch.setattr("IPython.display.display", lambda data, raw: shown.append(data))
    debriefs.after_pass(ONE)
    debriefs.after_diagnosis(TWO)
    assert shown == [{"text/markdown": "**Mira:** That was it.", "text/plain": "**Mira:** That was it."}]


@pytest.mark.parametrize("lab", course.load().labs, ids=lambda each: each.id)
def test_the_solved_notebook_tells_every_debrief_below_its_verdict(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    notebook = nbformat.read(debrief.paths.root() / "solutions" / f"{lab.id}.ipynb", as_version=4)
    shown: dict[str, list[str]] = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            # A verdict is one output in two forms, a debrief is Markdown, and what is printed is a stream.
            data = output.get("data", {})
            shown.setdefault(cell.source, []).append(output.get("text") or data.get("text/markdown") or data.get("text/plain", ""))
    for exercise in lab.exercises:
        whole = debrief.of(exercise)
        verdict = re.compile(rf"\[(?:passed|diagnosis accepted)\] {exercise.id}:")
        below = [told for source, told in shown.items() if verdict.search("".join(told)) and f'"{exercise.id}"' in source]
        assert not whole.diagnosed or [whole.diagnosed] in [told[-1:] for told in below], exercise.key
        assert not whole.passed or [whole.passed] in [told[-1:] for told in below], exercise.key


def test_every_debrief_belongs_to_an_exercise_of_its_lab() -> None:
    for lab in course.load().labs:
        text = debrief.paths.root().joinpath("solutions", f"{lab.id}.md").read_text()
        known = {each.id for each in lab.exercises} | {debrief.SUMMARY}
        assert {name for name, _, _ in debrief.regions(text)} <= known
        assert text.count("#region") == text.count("#endregion") == len(debrief.regions(text))
