"""No spoilers: what solves an exercise must not stand in the learner's notebook, which is read from top to bottom before its check has passed.

What solves an exercise is read from what the course has of it anyway: its last hint, and its solution in `tests/labs/attempts/`:

- the causes and the evidence of its diagnosis, its answers, and the values that its commands write, which may stand nowhere in the notebook;
- the fields and the verbs of its commands, which other sections may teach, but not its own.

What the exercise itself says (title, goal, what its start puts on the cluster) gives nothing away; `given` in lab.toml lists what else does not.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from lab_checks.authoring import attempts, solution_words
from lab_checks.authoring.solution_words import Word
from lab_checks.engine import manifests, paths
from lab_checks.engine.course import Exercise, Lab


@dataclass(frozen=True)
class Passage:
    """A piece of a notebook: the number and the id of its cell, the section (between two headings) that it is in, and its text."""

    cell: int
    id: str
    section: int
    text: str


def passages(notebook: Any) -> list[Passage]:
    found, section = [], 0
    for number, cell in enumerate(notebook.cells):
        parts = re.split(r"^(?=## )", cell.source, flags=re.M) if cell.cell_type == "markdown" else [cell.source]
        for part in parts:
            section += part.startswith("## ")
            found.append(Passage(number, cell.id, section, part))
    return found


def problems(base: Path, lab: Lab, notebook: Any) -> list[str]:
    """Every place of the learner's notebook that gives an exercise of `lab` away, in words: notebook, cell, word and what it solves."""
    ways = attempts.load(base / attempts.FOLDER, lab)
    read = passages(notebook)
    found = []
    for exercise in lab.exercises:
        solution = next((way for way in ways if way.exercise == exercise.id and way.kind == "solution"), None)
        if solution is not None:
            start = functools.cache(functools.partial(_start, paths.manifests(lab.id, exercise.id)))
            found += spoiled(f"labs/{lab.id}.ipynb", exercise, solution_words.of(exercise, solution), read, start)
    return found


def _start(folder: Path) -> str:
    """What a start puts on the cluster, as text."""
    steps = folder / "start.toml"
    return str(yaml.safe_dump_all(manifests.tree(folder))) + (steps.read_text() if steps.exists() else "")


def spoiled(notebook: str, exercise: Exercise, words: Iterable[Word], read: list[Passage], start: Callable[[], str]) -> list[str]:
    """The places in `read` where one of `words` stands too early; `start` tells what the start puts on the cluster, and is asked where it matters."""
    own = {each.section for each in read if re.search(rf"lab\.(?:start|check)\([\"']{exercise.id}[\"']", each.text)}
    found = []
    for word in words:
        for each in read:
            if (word.everywhere or each.section in own) and (hit := word.pattern.search(each.text)):
                if word.written and word.pattern.search(start()):
                    break
                said = " ".join(hit.group().split())
                found.append(f'{notebook}, cell {each.cell} ({each.id}): "{said}" gives {exercise.id} away: {word.of}')
    return found
