"""What submissions are worth, whose they are, and the files that say so."""

from __future__ import annotations

import csv
import json
import os
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest

from lab_checks.engine import course
from lab_checks.grading import gradebook, rooms, submissions
from lab_checks.grading.gradebook import BadWeights, Weights
from lab_checks.grading.rooms import Graded, Marked
from lab_checks.grading.submissions import NoSubmission, Submission
from tests.cli.test_command import run
from tests.grading.handed_in import notebook

COURSE = course.load()
LAB = COURSE.lab("00")


def graded(learner: str, *outcomes: tuple[str, float], ended: str = "") -> Graded:
    marks = tuple(
        Marked(exercise, outcome, f"said {outcome}", credit, 1) for exercise, (outcome, credit) in zip(LAB.exercises, outcomes, strict=True)
    )
    return Graded(Submission(learner, Path(f"{learner}.ipynb"), LAB, changed=1e9), ended, "words" if ended else "", 12.5, marks, 9, 8, (3,))


RESULTS = [
    graded("ann", ("passed", 1.0), ("failed", 0.5), ("passed", 1.0)),
    graded("=HYPERLINK(1)", ("not confirmed", 0.0), ("not reached", 0.0), ("not reached", 0.0), ended="time"),
    rooms.unread(Submission("eve\x00\x1b<b>", Path("eve.ipynb"), LAB, "it is empty")),
    rooms.unread(Submission("who", Path("who.ipynb"), None, "nothing in it says which lab it is of")),
]


# Weights


def test_an_exercise_weighs_its_own_weight_else_its_labs_else_the_default(tmp_path: Path) -> None:
    path = tmp_path / "weights.toml"
    path.write_text(f'default = 0.5\n[weights]\n"{LAB.id}" = 2\n"{LAB.exercises[0].key}" = 3\n')
    found = gradebook.weights(path, COURSE, False)
    assert [found.of(each) for each in (*LAB.exercises, COURSE.labs[1].exercises[0])] == [3, 2, 2, 0.5]
    assert gradebook.score(RESULTS[0], found) == (5, 7)
    assert gradebook.score(RESULTS[0], gradebook.weights(path, COURSE, True)) == (6, 7)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[weights]\nnothing = 1", "there is no lab"),
        ('[weights]\n"00-welcome" = -1', "a number from 0 on"),
        ('[weights]\n"00-welcome" = true', "a number from 0 on"),
        ('[weights]\n"00-welcome" = nan', "a number from 0 on"),
        ("weights = 3", "a table"),
        ("[weight]", 'there is no "weight"'),
        ("nonsense", "Expected '='"),
    ],
)
def test_weights_that_cannot_be_meant_are_refused(text: str, words: str, tmp_path: Path) -> None:
    path = tmp_path / "weights.toml"
    path.write_text(text)
    with pytest.raises(BadWeights, match=words):
        gradebook.weights(path, COURSE, False)


# Whose, and of which lab


def test_submissions_are_found_with_their_learners_and_labs(tmp_path: Path) -> None:
    opens = notebook('lab = open_lab("03-pending")')
    for name in ("mira/ps1/any.ipynb", "teo.ipynb", "ann/05-oom.ipynb", "ann/.ipynb_checkpoints/05-oom.ipynb", "who/any.ipynb"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(opens if name.startswith(("mira", "teo")) else notebook("1"))
    (tmp_path / "notes.txt").write_text("none")
    found = submissions.find([tmp_path], COURSE)
    assert [(each.learner, each.lab and each.lab.id) for each in found] == [
        ("ann", "05-oom"),
        ("mira", "03-pending"),
        ("teo", "03-pending"),
        ("who", None),
    ]
    assert "--lab" in found[-1].problem
    assert all(not each.problem for each in submissions.find([tmp_path], COURSE, LAB))


def test_two_of_one_learner_are_told_apart(tmp_path: Path) -> None:
    for name in ("first", "second"):
        (tmp_path / "ann").mkdir(exist_ok=True)
        (tmp_path / "ann" / f"{name}.ipynb").write_text(notebook('open_lab("00")'))
    assert [each.learner for each in submissions.find([tmp_path], COURSE)] == ["ann (first)", "ann (second)"]


def test_links_and_pipes_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("of the instructor's")
    (tmp_path / "a-link.ipynb").symlink_to(tmp_path / "secret")
    os.mkfifo(tmp_path / "b-pipe.ipynb")
    (tmp_path / "c-folder.ipynb").mkdir()
    found = submissions.find([tmp_path], COURSE, LAB)
    assert [each.problem for each in found] == ["it is a link, not a file", "it is not a file", "it cannot be read: Is a directory"]
    assert not any(each.text for each in found)


def test_a_place_without_notebooks_is_told(tmp_path: Path) -> None:
    for place, words in ((tmp_path, "holds no notebook"), (tmp_path / "none", "is not there")):
        with pytest.raises(NoSubmission, match=words):
            submissions.find([place], COURSE)
        done = run(tmp_path, "grade", str(place))
        assert done.returncode == 2
        assert words in done.stderr


# Files


def read(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


def test_every_file_says_the_same(tmp_path: Path) -> None:
    gradebook.write(tmp_path, RESULTS, Weights(), 1e9, "namespaces")
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(gradebook.NAMES)
    told = json.loads((tmp_path / "results.json").read_text())
    points = [(each["points"], each["of"]) for each in told["submissions"]]
    assert points == [(2.0, 3.0), (0.0, 3.0), (0.0, 3.0), (0.0, 0.0)]
    nbgrader = read((tmp_path / "nbgrader.csv").read_text())
    assert [(float(row["score"]), float(row["max_score"])) for row in nbgrader] == points[:3]
    assert nbgrader[0]["timestamp"] == "2001-09-09 01:46:40"
    lti = read((tmp_path / "lti.csv").read_text())
    assert [(float(row["scoreGiven"]), float(row["scoreMaximum"])) for row in lti] == points[:3]
    assert [row["gradingProgress"] for row in lti] == ["FullyGraded", "PendingManual", "PendingManual"]
    rows = read((tmp_path / "results.csv").read_text())
    assert [row["verdict"] for row in rows[:4]] == ["passed", "failed", "passed", "not confirmed"]
    suites = ET.parse(tmp_path / "junit.xml").getroot()
    assert [(each.get("tests"), each.get("failures"), each.get("errors"), each.get("skipped")) for each in suites] == [
        ("3", "1", "0", "0"), ("4", "1", "1", "2"), ("4", "0", "1", "3"), ("1", "0", "1", "0"),
    ]  # fmt: skip
    assert sum(len(suite.findall("testcase")) for suite in suites) == 12


def test_a_name_is_no_formula_and_no_markup(tmp_path: Path) -> None:
    gradebook.write(tmp_path, RESULTS, Weights(), 1e9, "namespaces")
    for name in ("results.csv", "nbgrader.csv", "lti.csv"):
        cells = [cell for row in csv.reader((tmp_path / name).read_text().splitlines()) for cell in row]
        assert "'=HYPERLINK(1)" in cells
        assert not [cell for cell in cells if cell.startswith("=")]
    suites = ET.parse(tmp_path / "junit.xml").getroot()
    assert suites[2].get("name") == "eve??<b>: 00-welcome"
