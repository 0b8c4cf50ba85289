"""The notebooks run: the solved ones give the outputs they are kept with, the learners' ones run unsolved to their end."""

from __future__ import annotations

import copy
import functools
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import nbformat
import papermill
import pytest
from nbclient import NotebookClient
from nbval.plugin import get_sanitize_patterns

from lab_checks.authoring import notebooks
from lab_checks.engine import verdict
from lab_checks.face.notebook import verdict_card
from tests.conftest import BIN, ROOT

SOLVED = sorted((ROOT / "solutions").glob("*.ipynb"))
UNSOLVED = sorted((ROOT / "labs").glob("*.ipynb"))
# Backwards every lab takes as long as forwards. What one lab's cells do there the others' do too, so `make test` takes one lab of each kind: nothing
# but looks, a server that is not ready, two namespaces and rights, claims, answers without a cluster. AI_LAB_TEST_ALL=1 takes all of them.
BACKWARDS = ("00-welcome", "04-not-ready", "07-guardrails", "10-storage", "13-interview")
VERDICT = r"^\[(passed|failed|not yet|checker error|diagnosis accepted|diagnosis not accepted)\] [\w-]+:"


def by_lab(paths: list[Path]) -> list[Any]:
    """Each notebook as a parameter; one lab's runs stay together, since they forward the same ports of this machine."""
    return [pytest.param(path, id=path.stem, marks=pytest.mark.xdist_group(path.stem)) for path in paths]


pytestmark = [pytest.mark.notebook, pytest.mark.timeout(900)]


def environment(home: Path) -> dict[str, str]:
    return {**os.environ, "AI_LAB_HOME": str(home)}


def new_learner(home: Path) -> None:
    """What an earlier notebook passed and answered is forgotten."""
    subprocess.run([str(BIN / "ai-lab"), "reset", "--all", "--yes"], env=environment(home), check=True, capture_output=True, timeout=120)


def printed(notebook: Any) -> str:
    lines = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            lines.append(output.get("text", "") or output.get("data", {}).get("text/plain", ""))
    return "\n".join(lines)


def test_there_are_notebooks_to_run() -> None:
    assert SOLVED
    assert [path.name for path in SOLVED] == [path.name for path in UNSOLVED]


def test_what_differs_from_run_to_run_is_left_aside_when_outputs_are_compared() -> None:
    text = (ROOT / "tests" / "notebooks" / "sanitize.cfg").read_text()
    found = get_sanitize_patterns(text)
    assert len(found) == len(re.findall(r"^\[", text, re.M)), "nbval passes over a pattern without a replacement"
    one, other = (verdict.failed("no", verdict.Seen("pod/a", "phase", each), next=each).of("x") for each in ("Pending", "Running"))
    for shown in ((*("\n".join(each.lines()) for each in (one, other)),), tuple(map(verdict_card, (one, other)))):
        left = [functools.reduce(lambda said, row: re.sub(row[0], row[1], said), found, each) for each in shown]
        assert left[0] == left[1]
    assert "[failed] x: no" in functools.reduce(lambda said, row: re.sub(row[0], row[1], said), found, "\n".join(one.lines()))


@pytest.mark.parametrize("path", by_lab(SOLVED))
def test_the_solved_notebook_gives_its_outputs_again(path: Path, lab_home: Path) -> None:
    command = [
        sys.executable, "-m", "pytest", "--nbval-lax", "--nbval-current-env", "--nbval-cell-timeout", "240", "-q", "-p", "no:cacheprovider",
        "--nbval-sanitize-with", str(ROOT / "tests" / "notebooks" / "sanitize.cfg"), "-p", "tests.notebooks.nbval_updates",
        "-o", "addopts=", "-o", "timeout=0", str(path),
    ]  # fmt: skip
    done = subprocess.run(command, env=environment(lab_home), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-2000:]


@pytest.mark.parametrize("path", by_lab(UNSOLVED))
def test_the_learners_notebook_runs_unsolved_to_its_end(
    path: Path, lab_home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new_learner(lab_home)
    target = tmp_path / path.name
    monkeypatch.setenv("AI_LAB_HOME", str(lab_home))
    papermill.execute_notebook(str(path), str(target), cwd=str(tmp_path), progress_bar=False)
    text = printed(nbformat.read(target, as_version=4))
    verdicts = re.findall(VERDICT, text, re.M)
    assert verdicts, "the notebook checks nothing"
    assert set(verdicts) <= {"not yet", "failed", "diagnosis not accepted"}, f"nothing was solved, and yet: {verdicts}\n{text[-3000:]}"


@pytest.mark.parametrize("path", by_lab([each for each in UNSOLVED if each.stem in BACKWARDS or os.environ.get("AI_LAB_TEST_ALL")]))
def test_cells_in_another_order_say_what_to_do_and_break_nothing(path: Path, lab_home: Path, tmp_path: Path) -> None:
    new_learner(lab_home)
    notebook = nbformat.read(path, as_version=4)
    setup, *rest = [cell for cell in notebook.cells if cell.cell_type == "code"]
    notebook.cells = [setup, *reversed(rest), copy.deepcopy(setup)]
    for number, cell in enumerate(notebook.cells):
        cell.id = f"cell-{number}"
    client = NotebookClient(notebook, timeout=240, allow_errors=True, resources={"metadata": {"path": str(tmp_path)}})
    client.execute(env=environment(lab_home))
    for cell in notebook.cells:
        for output in cell.outputs:
            if output.output_type == "error":
                assert output.ename in ("CannotGoOn", "CalledProcessError"), f"{cell.source}\n{output.evalue}"
                assert len(output.traceback) == 1, cell.source
    said = re.findall(VERDICT, printed(notebook), re.M)
    assert said
    assert set(said) <= {"not yet", "failed", "diagnosis not accepted"}


@pytest.mark.parametrize("path", UNSOLVED, ids=lambda path: path.stem)
def test_a_look_that_finds_nothing_does_not_end_the_notebook(path: Path) -> None:
    """`grep` ends with 1 where no line fits: a log that is empty for a second after a restart would stop the whole run."""
    for cell in nbformat.read(path, as_version=4).cells:
        last = cell.source.rstrip().rpartition("\n")[2] if cell.source.startswith("%%bash") else ""
        bare = re.sub(r"'[^']*'", "", last)
        assert last.startswith("#") or not re.search(r"\|\s*grep\b[^|]*$", bare), f"end it with || true: {last}"


def test_learners_notebooks_are_the_solved_ones_without_solutions() -> None:
    assert notebooks.out_of_step(ROOT) == []
