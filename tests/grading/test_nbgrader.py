"""nbgrader itself takes the points over: what it exports of its gradebook then is what `ai-lab grade` wrote, column for column."""

from __future__ import annotations

import csv
import os
import subprocess
from pathlib import Path

import pytest

from lab_checks.grading import gradebook
from lab_checks.grading.gradebook import Weights
from tests.cli.test_installed import uv
from tests.grading.test_gradebook import RESULTS

pytestmark = pytest.mark.xdist_group("installed")

# Newer ones may export other columns: then gradebook.NBGRADER is of yesterday.
NBGRADER = "nbgrader>=0.9.5,<0.10"

# Runs in nbgrader's own environment: ours.csv → its database → its exporter → theirs.csv.
TAKE_OVER = """
import csv
from datetime import datetime
from nbgrader.api import Gradebook
from nbgrader.plugins.export import CsvExportPlugin

with open("ours.csv", newline="") as file, Gradebook("sqlite:///gradebook.db") as book:
    for row in csv.DictReader(file):
        lab, student = row["assignment"], row["student_id"]
        book.update_or_create_assignment(lab)
        book.update_or_create_notebook(lab, lab)
        book.update_or_create_grade_cell("all", lab, lab, max_score=float(row["max_score"]), cell_type="code")
        book.update_or_create_student(student)
        at = datetime.strptime(row["timestamp"], "%Y-%m-%d %H:%M:%S") if row["timestamp"] else None
        book.update_or_create_submission(lab, student, timestamp=at)
        book.find_grade("all", lab, lab, student).manual_score = float(row["raw_score"])
        book.db.commit()
    exporter = CsvExportPlugin()
    exporter.to = "theirs.csv"
    exporter.export(book)
"""


def rows(path: Path) -> tuple[list[str], list[dict[str, str]]]:
    """(columns, rows by assignment and student)."""
    with path.open(newline="") as file:
        read = csv.DictReader(file)
        found = sorted(read, key=lambda row: (row["assignment"], row["student_id"]))
        return list(read.fieldnames or ()), found


@pytest.mark.parametrize("weights", [Weights(), Weights({"00-welcome": 2.5}, partial=True)], ids=["points", "weights and parts"])
def test_nbgrader_exports_what_it_was_given(weights: Weights, nbgrader: Path, tmp_path: Path) -> None:
    (tmp_path / "ours.csv").write_text(gradebook.to_nbgrader(RESULTS, weights))
    done = subprocess.run(
        [str(nbgrader / "python"), "-c", TAKE_OVER], cwd=tmp_path, env={**os.environ, "PATH": f"{nbgrader}{os.pathsep}{os.environ['PATH']}"},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    columns, ours = rows(tmp_path / "ours.csv")
    assert rows(tmp_path / "theirs.csv") == (columns, ours)
    assert len(ours) == 3
    assert [float(row["score"]) for row in ours] != [0.0] * 3


@pytest.fixture(scope="module")
def nbgrader(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with nbgrader: beside the course it would put itself into JupyterLab."""
    folder = tmp_path_factory.mktemp("nbgrader") / "venv"
    uv("venv", "--quiet", str(folder))
    uv("pip", "install", "--quiet", "--python", str(folder / "bin" / "python"), NBGRADER)
    return folder / "bin"
