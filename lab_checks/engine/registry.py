"""Which function checks which exercise: filled by the modules in `labs/` when they are imported."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from lab_checks.engine.context import Context
from lab_checks.engine.course import Exercise, Lab
from lab_checks.engine.verdict import Verdict

Check = Callable[[Context], Verdict]
Diagnosis = Callable[[Context, str, str], Verdict]
FirstHint = Callable[[Context], str]

# What cannot be read in answers that are handed in, by the answer's name; nothing where all of it can be read.
Reading = Callable[[dict[str, Any]], dict[str, str]]

# Judges a passed exercise once more, by what holds in all of them: a verdict takes the place of the pass, None lets it stand.
Everywhere = Callable[[Context], Verdict | None]

# Notes what a start shows, for later: a name and what is kept under it in the baseline.
AtStart = Callable[[Context], dict[str, Any]]

_checks: dict[str, Check] = {}
_at_start: list[AtStart] = []
_everywhere: list[Everywhere] = []
_diagnoses: dict[str, Diagnosis] = {}
_first_hints: dict[str, FirstHint] = {}
_readings: dict[str, Reading] = {}


def exercise(key: str) -> Callable[[Check], Check]:
    """Registers the check of `LAB/EXERCISE`: a function from a Context to a Verdict, which may also end by raising `verdict.Stop`."""

    def register(function: Check) -> Check:
        _checks[key] = function
        return function

    return register


def everywhere(function: Everywhere) -> Everywhere:
    """Registers what every exercise on a cluster is held against once its own check passes."""
    if function not in _everywhere:
        _everywhere.append(function)
    return function


def at_start(function: AtStart) -> AtStart:
    """Registers what is noted of every start, once it stands, and kept in the baseline."""
    if function not in _at_start:
        _at_start.append(function)
    return function


def noted(ctx: Context) -> dict[str, Any]:
    """What is noted of the start that stands on the cluster now."""
    return {name: value for function in _at_start for name, value in function(ctx).items()}


def confirmed(ctx: Context, found: Verdict) -> Verdict:
    """A verdict after everything that holds everywhere: a pass may become another verdict."""
    if not found.passed or not ctx.exercise.cluster:
        return found
    return next((other for judge in _everywhere if (other := judge(ctx)) is not None), found)


def diagnosis(key: str) -> Callable[[Diagnosis], Diagnosis]:
    """Registers what judges a diagnosis of `LAB/EXERCISE`: (context, cause, quoted evidence) to a Verdict."""

    def register(function: Diagnosis) -> Diagnosis:
        _diagnoses[key] = function
        return function

    return register


def first_hint(key: str) -> Callable[[FirstHint], FirstHint]:
    """Registers what the first hint of `LAB/EXERCISE` says, given the cluster as it is and what the learner has looked at."""

    def register(function: FirstHint) -> FirstHint:
        _first_hints[key] = function
        return function

    return register


def reading(key: str) -> Callable[[Reading], Reading]:
    """Registers what says, as soon as answers to `LAB/EXERCISE` are handed in, which of them its check cannot read, and why."""

    def register(function: Reading) -> Reading:
        _readings[key] = function
        return function

    return register


def load(lab: Lab) -> None:
    """Imports the checks of a lab."""
    importlib.import_module(f"lab_checks.labs.{lab.module}.checks")


def check_of(each: Exercise) -> Check | None:
    return _checks.get(each.key)


def diagnosis_of(each: Exercise) -> Diagnosis | None:
    return _diagnoses.get(each.key)


def first_hint_of(each: Exercise) -> FirstHint | None:
    return _first_hints.get(each.key)


def reading_of(each: Exercise) -> Reading | None:
    return _readings.get(each.key)


def registered() -> dict[str, Any]:
    """All checks by exercise, for proving that the course and its checks name the same ones."""
    return dict(_checks)
