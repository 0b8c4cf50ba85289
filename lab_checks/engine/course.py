"""The course as data: labs, exercises and hints, read from `course.toml` and from `labs/<module>/lab.toml`.

Nothing here looks at a cluster.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

_LABS = Path(__file__).resolve().parents[1] / "labs"


class UnknownName(LookupError):
    """A lab or an exercise that the course does not have; the message says which ones are near."""


@dataclass(frozen=True)
class Evidence:
    """What a quoted line has to be: it matches one of `shows` (regular expressions; `%name%` is filled in from the cluster) and stands on one of
    the objects `of`, by their part in the exercise (`workload`, `node`, `service`, …); `told` says in words where such a line is found.
    """

    shows: tuple[str, ...]
    told: str
    of: tuple[str, ...] = ()


@dataclass(frozen=True)
class Cause:
    """An answer to choose from in a diagnosis, and its evidence: each of `needs` asks for a line; `look` is a command that shows them.

    Where one line fits other causes as well, a second is asked for, and `alone` says why the first is not enough.
    """

    id: str
    needs: tuple[Evidence, ...]
    look: str
    alone: str = ""


@dataclass(frozen=True)
class Exercise:
    """`version` rises when passing means something else than before; `causes` are the answers to choose from in a diagnosis.

    `hints` go from a question to the command. `patience` is how long, in seconds, a check waits for a cluster that is still moving.
    `cluster` is false where words alone are judged, and neither start nor check needs one.
    `same_solution_as` names exercises of the lab whose solution is rightly this one's as well.
    `allow` says which objects may change and in which fields (the form is described in judging/unchanged.py); everything else on the cluster stays as
    it was at the start. `because` gives a field's own reason for staying as it was. `words` are what the lab's own checks say (judging/words.py).
    `forms` shows by example how an answer is written that is no plain word or number: JSON, which Python reads as well.
    `given` lists words of the solution that the notebook may say all the same (authoring/spoilers.py).
    """

    lab: str
    id: str
    title: str
    goal: str
    version: int = 1
    diagnosis: bool = False
    causes: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    hints: tuple[str, ...] = ()
    patience: float = 20.0
    cluster: bool = True
    same_solution_as: tuple[str, ...] = ()
    allow: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    because: Mapping[str, str] = field(default_factory=dict)
    given: tuple[str, ...] = ()
    forms: Mapping[str, str] = field(default_factory=dict)
    words: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.lab}/{self.id}"


@dataclass(frozen=True)
class Lab:
    """`module` names the Python module with the checks; `minutes` is what the lab takes a learner."""

    id: str
    module: str
    title: str
    about: str
    minutes: int
    exercises: tuple[Exercise, ...]
    causes: tuple[Cause, ...] = ()

    @property
    def cluster(self) -> bool:
        """Whether any exercise needs a cluster."""
        return any(each.cluster for each in self.exercises)

    def exercise(self, name: str) -> Exercise:
        found = next((each for each in self.exercises if each.id == name), None)
        if found is None:
            raise UnknownName(_near(f'{self.id} has no exercise "{name}"', name, [each.id for each in self.exercises]))
        return found


@dataclass(frozen=True)
class Course:
    title: str
    labs: tuple[Lab, ...]

    def lab(self, name: str) -> Lab:
        """The lab called `name`: its id, its number or its word. Raises UnknownName."""
        for each in self.labs:
            number, _, word = each.id.partition("-")
            if name in (each.id, number, word):
                return each
        raise UnknownName(_near(f'there is no lab "{name}"', name, [each.id for each in self.labs]))

    def find(self, target: str) -> tuple[Lab, Exercise | None]:
        """The lab and, in `LAB/EXERCISE`, the exercise. Raises UnknownName."""
        name, _, exercise = target.partition("/")
        try:
            lab = self.lab(name)
        except UnknownName:
            keys = {each.id: each.key for each in self.exercises}
            close = difflib.get_close_matches(exercise or name, keys, n=1, cutoff=0.8)
            if close:
                raise UnknownName(f'there is no lab "{name}"; did you mean {keys[close[0]]}?') from None
            raise
        return lab, lab.exercise(exercise) if exercise else None

    @property
    def exercises(self) -> list[Exercise]:
        return [exercise for lab in self.labs for exercise in lab.exercises]


def _near(problem: str, name: str, known: list[str]) -> str:
    close = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    return f"{problem}; did you mean {close[0]}?" if close else f"{problem}; there are: {', '.join(known)}"


def _cause(row: dict[str, Any], shared: dict[str, Any]) -> Cause:
    needs = tuple(Evidence(tuple(each["shows"]), each["told"], tuple(each.get("of", ()))) for each in row["needs"])
    return Cause(row["id"], needs, row.get("look", shared.get("look", "")), row.get("alone", shared.get("alone", "")))


def _exercise(lab: str, row: dict[str, Any], shared: dict[str, Any]) -> Exercise:
    """`shared`: the lab's own `forms`, `allow`, `because` and `given`, to which an exercise adds, and its causes, for a diagnosis that names none."""
    every = shared.get("causes") or [each["id"] for each in shared.get("cause", ())]
    row = {**row, "causes": row.get("causes", every if row.get("diagnosis") else ())}
    allow: dict[str, tuple[str, ...]] = {}
    for table in (shared.get("allow", {}), row.get("allow", {})):
        for name, fields in table.items():
            allow[name] = (*allow.get(name, ()), *fields)
    because = {**shared.get("because", {}), **row.get("because", {})}
    lists = {name: tuple(each.strip() for each in row.get(name, ())) for name in ("causes", "answers", "hints", "same_solution_as")}
    given = (*shared.get("given", ()), *row.get("given", ()))
    forms = {name: form for name, form in shared.get("forms", {}).items() if name in lists["answers"]}
    said = {"allow": allow, "because": because, "words": shared.get("words", {}), "given": given, "forms": forms}
    return Exercise(lab=lab, **{**row, "goal": row["goal"].strip(), **lists, **said})


def _lab(module: str) -> Lab:
    data = tomllib.loads((_LABS / module / "lab.toml").read_text())
    return Lab(
        id=data["id"],
        module=module,
        title=data["title"],
        about=data["about"].strip(),
        minutes=data["minutes"],
        exercises=tuple(_exercise(data["id"], row, data) for row in data["exercise"]),
        causes=tuple(_cause(row, data.get("evidence", {})) for row in data.get("cause", ())),
    )


@cache
def load() -> Course:
    """The course of this installation."""
    data = tomllib.loads((_LABS / "course.toml").read_text())
    return Course(data["title"], tuple(_lab(module) for module in data["labs"]))
