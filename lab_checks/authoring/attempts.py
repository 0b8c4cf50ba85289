"""Ways to work an exercise, as data that a machine can replay: `tests/labs/attempts/<lab>.yaml`.

    too-many-gpus:
      solution:
        - diagnose: {cause: more-gpus-than-any-node, evidence: "Insufficient nvidia.com/gpu"}
        - run: kubectl -n ai-platform set resources deployment/ai-log-summary-api --limits=nvidia.com/gpu=1
      right:                                   # other ways that must pass too
        - name: by a patch
          steps: [{run: …}]
      wrong:                                   # tempting ways that must fail, and the words in which they do
        - name: delete and recreate
          steps: [{run: …, stdin: …}]
          says: was deleted and made again

A step is `run` (a bash line with kubectl set to the lab's cluster; `stdin` is fed to it), `diagnose`, `answer`, `await` (run, matches), or
`measure`: like `run`, and what it prints, a JSON object, is handed in as answers. It is for what differs from run to run.
An answer or a piece of evidence that only the cluster knows is `{run: …}`: what that command prints.
`{cluster: restart}` is `ai-lab down` and `ai-lab up`; `{exercise: reset}` lays the start again; `{check: now}` looks at it in between.
"""

from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from clusters.base import Progress
from kubeobjects import yaml_loader
from lab_checks.engine.api import CommandFailed, shell
from lab_checks.engine.course import Exercise, Lab
from lab_checks.engine.session import Session
from lab_checks.engine.verdict import Outcome, Verdict

FOLDER = Path("tests/labs/attempts")
_WAIT = 60.0


@dataclass(frozen=True)
class Attempt:
    """One way: `kind` is solution, right or wrong; `says` a regular expression that the verdict of a wrong one must match."""

    exercise: str
    kind: str
    name: str
    steps: tuple[dict[str, Any], ...]
    says: str = ""


def load(folder: Path, lab: Lab) -> list[Attempt]:
    """All attempts of a lab. Raises ValueError for a file that names an exercise that the lab has not."""
    path = folder / f"{lab.id}.yaml"
    # Some files have a thousand lines.
    data = yaml.load(path.read_text(), yaml_loader.fastest()) if path.exists() else {}
    found = []
    for name, ways in data.items():
        if name not in {each.id for each in lab.exercises}:
            raise ValueError(f"{path.name}: {lab.id} has no exercise {name}")
        if "solution" in ways:
            found.append(Attempt(name, "solution", "the solution", tuple(ways["solution"])))
        for kind in ("right", "wrong"):
            for row in ways.get(kind) or ():
                found.append(Attempt(name, kind, row["name"], tuple(row["steps"]), row.get("says", "")))
    return found


def missing(lab: Lab, attempts: list[Attempt]) -> list[str]:
    """What is not written down of a lab's exercises: each has a solution and at least three wrong ways."""
    found = []
    for exercise in lab.exercises:
        kinds = [each.kind for each in attempts if each.exercise == exercise.id]
        if kinds.count("wrong") < 3:
            found.append(f"{exercise.key}: {kinds.count('wrong')} wrong attempts are written down, 3 are the least")
        if "solution" not in kinds:
            found.append(f"{exercise.key}: no solution is written down")
    return found


def replay(session: Session, exercise: Exercise, attempt: Attempt) -> None:
    """Does what an attempt does. Raises CommandFailed for a command that the attempt itself gets wrong."""
    for step in attempt.steps:
        if "diagnose" in step:
            given = step["diagnose"]["evidence"]
            session.diagnose(
                exercise, step["diagnose"]["cause"], [_value(session, each) for each in ([given] if not isinstance(given, list) else given)]
            )
        elif "answer" in step:
            session.answer(exercise, **{name: _value(session, value) for name, value in step["answer"].items()})
        elif "measure" in step:
            session.answer(exercise, **_measured(shell(step["measure"], session.learner, stdin=step.get("stdin", "")), step["measure"]))
        elif "cluster" in step:
            session.cluster.down(Progress())
            session.cluster.up(Progress())
        elif "exercise" in step:
            session.start(exercise)
        elif "check" in step:
            session.check(exercise)
        elif "await" in step:
            _await(session, step["await"])
        else:
            shell(step["run"], session.learner, stdin=step.get("stdin", ""))


def _measured(printed: str, command: str) -> dict[str, Any]:
    """The answers that a command printed. Raises CommandFailed for what is no JSON object: on another exercise it measures what is not there."""
    try:
        found = json.loads(printed)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise CommandFailed(f"{command} printed no JSON object: {printed}")
    return found


def _value(session: Session, value: Any) -> Any:
    """An answer as it stands, or what its command prints."""
    return shell(value["run"], session.learner).strip() if isinstance(value, dict) and "run" in value else value


def _await(session: Session, condition: dict[str, Any]) -> None:
    deadline = time.monotonic() + condition.get("seconds", _WAIT)
    while True:
        seen = shell(condition["run"], session.learner)
        if re.search(condition["matches"], seen, re.S):
            return
        if time.monotonic() > deadline:
            raise CommandFailed(f"{condition['run']} never showed /{condition['matches']}/; last:\n{seen}")
        time.sleep(0.25)


@dataclass(frozen=True)
class Proof:
    """What replaying one attempt showed: `problem` is empty where it behaved as it must."""

    exercise: str
    name: str
    verdict: Verdict
    problem: str = ""


def prove(session: Session, exercise: Exercise, attempts: list[Attempt], tell: Callable[[Proof], None]) -> list[Proof]:
    """Proves one exercise: its start does not pass, right ways pass, wrong ones fail in their own words."""
    found: list[Proof] = []

    def note(name: str, verdict: Verdict, problem: str) -> None:
        found.append(Proof(exercise.key, name, verdict, problem))
        tell(found[-1])

    session.start(exercise)
    verdict = session.check(exercise, patience=0)
    problem = "the start passes" if verdict.passed else verdict.headline if verdict.outcome is Outcome.ERROR else ""
    note("the start", verdict, problem)
    wrong = [each for each in attempts if each.kind == "wrong"]
    for attempt in [*wrong, *(each for each in attempts if each.kind != "wrong")]:
        if found[-1].name != "the start":
            session.start(exercise)
        try:
            replay(session, exercise, attempt)
        except CommandFailed as failure:
            note(attempt.name, verdict, f"its own command failed: {failure}")
            continue
        verdict = session.check(exercise)
        said = "\n".join(verdict.lines())
        if attempt.kind != "wrong":
            problem = "" if verdict.passed else f"does not pass: {said}"
        elif verdict.passed:
            problem = "passes, and must not"
        elif verdict.outcome is Outcome.ERROR:
            problem = f"breaks the checker: {said}"
        elif attempt.says and not re.search(attempt.says, said, re.S | re.I):
            problem = f"does not say /{attempt.says}/ but: {said}"
        else:
            problem = ""
        note(attempt.name, verdict, problem)
    return found


# Seconds: what a neighbour's way does not do soon it does not do.
_SHORT = 3.0


def prove_apart(session: Session, exercise: Exercise, ways: list[Attempt], tell: Callable[[Proof], None]) -> list[Proof]:
    """Proves that no solution of another exercise in `ways` solves this one. Commands that do not even apply here are no problem."""
    found: list[Proof] = []
    for attempt in ways:
        if attempt.kind != "solution" or attempt.exercise in (exercise.id, *exercise.same_solution_as):
            continue
        session.start(exercise)
        with contextlib.suppress(CommandFailed):
            replay(session, exercise, attempt)
        verdict = session.check(exercise, patience=_SHORT)
        problem = f"passes, and is the solution of {attempt.exercise}" if verdict.passed else ""
        if verdict.outcome is Outcome.ERROR:
            problem = f"breaks the checker: {verdict.headline}"
        found.append(Proof(exercise.key, f"the solution of {attempt.exercise}", verdict, problem))
        tell(found[-1])
    return found
