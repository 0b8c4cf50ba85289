"""A learner's first minutes: `ai-lab open`, JupyterLab in a real browser, the first exercise started and checked there, and what the README and
lab 00 say to type, typed in a terminal and in a cell."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.browser.conftest import PATIENCE, learner_environment, open_notebook, shot
from tests.browser.learner import Terminal, run_cell
from tests.conftest import BIN, ROOT

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

MANY_CELLS = 40  # more than stand before anything that is waited for


def run_to(page: Any, marker: str) -> None:
    """Runs code cell after code cell until an output shows `marker`."""
    for number in range(MANY_CELLS):
        cell = page.locator(".jp-NotebookPanel:visible .jp-CodeCell").nth(number)
        cell.scroll_into_view_if_needed(timeout=PATIENCE)
        if marker in run_cell(page, cell):
            return
    raise AssertionError(f"no output ever showed {marker!r}")


def test_the_first_exercise_is_started_and_checked_in_the_browser(page: Any, jupyterlab: tuple[str, Path]) -> None:
    address, folder = jupyterlab
    assert sorted(path.name for path in folder.glob("*.ipynb")) == sorted(path.name for path in (ROOT / "labs").glob("*.ipynb"))
    open_notebook(page, address, "03-pending.ipynb")
    shot(page, "opened")
    run_to(page, "started · moved-in")
    shot(page, "started")
    run_to(page, "not yet · moved-in")
    card = page.locator(".jp-OutputArea-output div[role='status']").first
    card.scroll_into_view_if_needed()
    shot(page, "verdict")
    assert "Seen:" in card.inner_text()
    # Shown once: what a terminal would show is there for programs only.
    assert not page.locator(".jp-OutputArea-output:has-text('[not yet]')").count()


def test_opening_twice_says_where_it_is_open_and_starts_nothing(jupyterlab: tuple[str, Path]) -> None:
    address, folder = jupyterlab
    done = subprocess.run(
        [str(BIN / "ai-lab"), "open", "--cluster", "embedded", "--no-browser", "--folder", str(folder)],
        env=learner_environment(folder.parent), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert address in done.stdout


# What the README and lab 00 tell people to type, in this order, and what has to appear then.
TYPED = (
    ("ai-lab status", r"embedded: ready"),
    ("kubectl get nodes", r"ai-lab-worker3\s+Ready"),
    ("ai-lab env", r"export KUBECONFIG="),
    ("ai-lab doctor", r"Python: 3\."),
    ("ai-lab progress", r"03-pending"),
    ("ai-lab check 00-welcome", r"0 of 3 exercises passed"),
    ("ai-lab start 00-welcome/cluster-map", r"\[started\]"),
    ("ai-lab hint 00-welcome/cluster-map", r"\[hint 1 of \d"),
    ("ai-lab interview", r"three-probes"),
    ("ai-lab up", r"cluster is up"),
)


def test_what_people_are_told_to_type_works_in_a_jupyterlab_terminal(page: Any, jupyterlab: tuple[str, Path]) -> None:
    address, _ = jupyterlab
    told = (ROOT / "README.md").read_text() + (ROOT / "solutions" / "00-welcome.md").read_text()
    terminal = Terminal(page)
    base, _, query = address.partition("?")
    page.goto(f"{base}?{query}&reset", timeout=PATIENCE)
    terminal.open()
    for command, pattern in TYPED:
        name = " ".join(command.split()[:2]) if command.startswith("ai-lab") else command
        assert name in told or name.removeprefix("ai-lab ") in told, f"nobody is told to type {command!r}"
        answer = terminal.type(command)
        assert re.search(pattern, answer), answer
        assert "command not found" not in answer
    shot(page, "terminal")


def test_what_people_are_told_to_type_works_in_a_cell(page: Any, jupyterlab: tuple[str, Path]) -> None:
    address, folder = jupyterlab
    cells = {
        "!ai-lab status": "embedded: ready",
        "!kubectl get nodes": r"ai-lab-worker3\s+Ready",
        "%%bash\nai-lab status && kubectl get nodes": r"embedded: ready.*ai-lab-worker3\s+Ready",
    }
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(each) for each in cells])
    notebook.metadata["kernelspec"] = {"display_name": "Python 3", "language": "python", "name": "python3"}
    nbformat.write(notebook, folder / "mine.ipynb")
    open_notebook(page, address, "mine.ipynb")
    for number, pattern in enumerate(cells.values()):
        said = run_cell(page, page.locator(".jp-Notebook .jp-CodeCell").nth(number))
        assert re.search(pattern, said, re.S), said
    shot(page, "cells")
