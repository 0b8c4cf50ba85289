"""One learner at one cluster: start, diagnose, answer, check, hint, reset. The notebook and the command are two faces of this."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import clusters
from lab_checks import audit, course, lesson, registry, verdict
from lab_checks.api import Api, ApiUnreachable, NoApi
from lab_checks.context import Context
from lab_checks.course import Exercise, Lab
from lab_checks.progress import Attempt, Progress, Standing
from lab_checks.verdict import Outcome, Verdict

log = logging.getLogger(__name__)

Say = Callable[[str], None]

_LOOK_EVERY = 0.5


class NoCluster(Exception):
    """There is no cluster to work on; the message says how to get one."""


class NotStarted(Exception):
    """The exercise's start is not what the cluster shows; the message says what it shows instead."""


def _broke(what: str, problem: Exception) -> Verdict:
    return verdict.error(
        f"the {what} itself broke: {type(problem).__name__}: {problem}",
        next="this is a fault of the course and not yours: please report it",
    )


def silent(line: str) -> None:
    """Says nothing."""


class Session:
    """`say` hears one line for everything that takes a moment."""

    def __init__(self, state: Path | None = None, say: Say = silent):
        self.state = state or clusters.state_folder()
        self.progress = Progress(self.state)
        self.say = say
        self._api: Api | None = None

    @property
    def cluster(self) -> clusters.Cluster:
        found = clusters.in_use(self.state)
        if found is None:
            raise NoCluster("no lab cluster has been started yet: ai-lab up")
        return found

    @property
    def api(self) -> Api:
        """The cluster's API. Raises NoCluster where none was started, or none answers."""
        if self._api is None:
            path = self.cluster.kubeconfig
            if not path.exists():
                raise NoCluster("the lab cluster is not up: ai-lab up")
            try:
                self._api = Api(path)
            except ApiUnreachable as problem:
                raise NoCluster(f"{problem}; ai-lab up") from None
        return self._api

    # Exercises

    def start(self, exercise: Exercise) -> Attempt:
        """Lays the broken start and notes how the cluster is then. Raises LessonError, NoCluster."""
        if not exercise.cluster:
            return self.progress.start(exercise.key, exercise.version, "", {})
        try:
            before = lesson.lay(self.api, exercise, self.progress, self.say, self.cluster.made_by_lab)
            return self.progress.start(exercise.key, exercise.version, self.api.cluster_id(), before)
        except ApiUnreachable as problem:
            self._api = None
            raise NoCluster(f"{problem}; ai-lab status says more") from None

    def reset(self, lab: Lab, exercise: Exercise | None = None) -> None:
        """Takes back all that exercises changed on the cluster; with an exercise, lays its start again."""
        if exercise is not None:
            self.start(exercise)
            return
        if not lab.cluster:
            return
        try:
            lesson.clean(self.api, self.progress, self.say, made_by_lab=self.cluster.made_by_lab)
            self.progress.cleared(self.api.cluster_id())
        except ApiUnreachable as problem:
            self._api = None
            raise NoCluster(f"{problem}; ai-lab status says more") from None

    def context(self, exercise: Exercise) -> Context:
        """The cluster as a check sees it now. Raises NotStarted."""
        if not exercise.cluster:
            words = self.progress.attempt(exercise.key)
            if words is None:
                raise NotStarted("not started yet")
            return Context(NoApi(), exercise, words.baseline, words.answers, lambda: audit.Deeds(False, ()))
        attempt, cluster = self.progress.attempt(exercise.key), self.api.cluster_id()
        if attempt is None or attempt.cluster != cluster:
            raise NotStarted("not started on this cluster")
        shown = self.progress.shown(cluster)
        if shown != exercise.key:
            took = f"{shown} was started after it" if shown else "all exercises were taken back since"
            raise NotStarted(f"not on the cluster any more: {took}")
        started = attempt.started
        return Context(self.api, exercise, attempt.baseline, attempt.answers, lambda: audit.read(self.cluster.audit_log(started), started))

    def check(self, exercise: Exercise, patience: float | None = None) -> Verdict:
        """What the check says now; one that is not yet is asked again for up to `patience` seconds (the exercise's own by default).

        Never raises for what is wrong with the cluster or the checker: both are verdicts.
        """
        lab = course.load().lab(exercise.lab)
        deadline = time.monotonic() + (exercise.patience if patience is None else patience)
        told = False
        while True:
            found = self._look(lab, exercise).of(exercise.id)
            if found.outcome is not Outcome.NOT_YET or found.idle or time.monotonic() >= deadline:
                break
            if not told:
                self.say(f"waiting: {found.headline}")
                told = True
            time.sleep(_LOOK_EVERY)
        self.progress.record(exercise.key, exercise.version, str(found.outcome), found.headline, found.credit)
        return found

    def _look(self, lab: Lab, exercise: Exercise) -> Verdict:
        try:
            registry.load(lab)
            function = registry.check_of(exercise)
            if function is None:
                return verdict.error("this exercise has no check", next="this is a fault of the course: please report it")
            return function(self.context(exercise))
        except verdict.Stop as stop:
            return stop.verdict
        except NotStarted as problem:
            return replace(verdict.not_yet(str(problem), next=f"ai-lab start {exercise.key}"), idle=True)
        except (NoCluster, ApiUnreachable) as problem:
            self._api = None
            return verdict.error(str(problem), next="ai-lab status, then ai-lab up")
        except Exception as problem:
            log.exception("check of %s", exercise.key)
            return _broke("check", problem)

    def diagnose(self, exercise: Exercise, cause: str, evidence: str | list[str]) -> Verdict:
        """Judges a diagnosis and keeps it with the attempt: cause out of the exercise's list, evidence quoted from the cluster."""
        lab = course.load().lab(exercise.lab)
        quotes = "\n".join([evidence] if isinstance(evidence, str) else evidence)
        try:
            registry.load(lab)
            judge = registry.diagnosis_of(exercise)
            if judge is None:
                return verdict.error(f"{exercise.id} asks for no diagnosis").of(exercise.id)
            if cause not in exercise.causes:
                found = verdict.failed(f'"{cause}" is not one of the causes to choose from', expected=", ".join(exercise.causes))
            else:
                found = judge(self.context(exercise), cause, quotes)
        except verdict.Stop as stop:
            found = stop.verdict
        except NotStarted as problem:
            return verdict.not_yet(str(problem), next=f"ai-lab start {exercise.key}").of(exercise.id)
        except (NoCluster, ApiUnreachable) as problem:
            self._api = None
            return verdict.error(str(problem), next="ai-lab status, then ai-lab up").of(exercise.id)
        except Exception as problem:
            log.exception("diagnosis of %s", exercise.key)
            return _broke("diagnosis", problem).of(exercise.id)
        self._keep(exercise, cause, quotes, found.passed)
        return found.of(exercise.id)

    def _keep(self, exercise: Exercise, cause: str, quotes: str, accepted: bool) -> None:
        """Notes a diagnosis. One that was accepted stays as it was when the same cause is named again: a cell that is run twice is no second thought."""
        attempt = self.progress.attempt(exercise.key)
        before = (attempt.answers.get("diagnosis") or {}) if attempt else {}
        if before.get("accepted") and before["cause"] == cause:
            return
        tried = [*before.get("tried", ()), *([] if cause in before.get("tried", ()) else [cause])]
        self.progress.answer(
            exercise.key, diagnosis={"cause": cause, "evidence": quotes, "accepted": accepted, "at": time.time(), "tried": tried}
        )

    def answer(self, exercise: Exercise, **values: Any) -> bool:
        """Keeps answers with the attempt; False where the exercise was not started."""
        return self.progress.answer(exercise.key, **values) is not None

    def hint(self, exercise: Exercise) -> tuple[str, int, int]:
        """(hint, its number, how many there are): the next one; the first looks at the cluster where the lab provides for it."""
        number = min(self.progress.hint(exercise.key) or 1, len(exercise.hints))
        text = exercise.hints[number - 1]
        if number == 1:
            registry.load(course.load().lab(exercise.lab))
            special = registry.first_hint_of(exercise)
            if special is not None:
                with contextlib.suppress(verdict.Stop, NotStarted, NoCluster, ApiUnreachable):
                    text = special(self.context(exercise)) or text
        return text, number, len(exercise.hints)

    def standings(self, lab: Lab | None = None) -> list[tuple[Exercise, Standing]]:
        exercises = lab.exercises if lab is not None else course.load().exercises
        return [(each, self.progress.standing(each.key)) for each in exercises]
