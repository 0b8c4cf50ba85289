"""One learner at one cluster: start, diagnose, answer, check, hint, reset. The notebook and the command are two faces of this."""

from __future__ import annotations

import contextlib
import difflib
import logging
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import clusters
from kubeobjects import meta
from lab_checks.engine import audit, course, identity, reach, registry, remote_start, setup, verdict
from lab_checks.engine.api import Api, ApiUnreachable, CommandFailed, NoApi
from lab_checks.engine.context import Context
from lab_checks.engine.course import Exercise, Lab
from lab_checks.engine.progress import Attempt, Progress, Standing, unheard
from lab_checks.engine.reach import NoCluster
from lab_checks.engine.store import StoreError
from lab_checks.engine.verdict import Outcome, Verdict

log = logging.getLogger(__name__)

Say = Callable[[str], None]
Ask = Callable[[str], bool]
Wrote = Callable[[Path], None]

_LOOK_EVERY = 0.5


class NotStarted(Exception):
    """The exercise's start is not what the cluster shows; the message says what it shows instead."""


def agreed(question: str) -> bool:
    """Says yes: what a program does that nobody watches."""
    return True


def silent(line: str) -> None:
    """Says nothing."""


def when(moment: float) -> str:
    """A moment (seconds since the epoch) as people here write it down: 2026-11-26 14:35."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(moment))


def still_passed(exercise: Exercise, standing: Standing) -> bool:
    """Whether this version of the exercise is passed, and was not begun anew since."""
    return standing.passed_version == exercise.version and standing.last_start <= standing.passed_at


def _next_hint(attempt: Attempt | None, of: int) -> tuple[int, str]:
    """(the number of the hint that comes next, the cause where it is the first one since its diagnosis was accepted); above `of`: there is none left."""
    if attempt is None:
        return 1, ""
    diagnosis = attempt.answers.get("diagnosis") or {}
    if not diagnosis.get("accepted"):
        return attempt.hints + 1, ""
    then = diagnosis.get("hints", 0)
    return max(then, of // 2) + attempt.hints - then + 1, diagnosis["cause"] if attempt.hints == then else ""


class Session:
    """`say` hears one line for everything that takes a moment; `ask` is asked before anything outside the course's namespaces is deleted;
    `wrote` is told the state folder after each start, hint and verdict that was kept there.

    Every method raises NoCluster where it needs a cluster and none answers, and StoreError where progress cannot be read, or not be written
    where that is the point.
    """

    def __init__(self, state: Path | None = None, say: Say = silent, ask: Ask = agreed, wrote: Wrote = unheard):
        self.state = state or clusters.state_folder()
        self.progress = Progress(self.state, say, wrote)
        self.say = say
        self.ask = ask
        self._api: Api | None = None

    @property
    def cluster(self) -> clusters.Cluster:
        found = clusters.in_use(self.state)
        if found is None:
            raise reach.no_cluster(None)
        return found

    @property
    def learner(self) -> Path:
        """The kubeconfig with which the learner's own commands work. Raises NoCluster."""
        return self.cluster.kubeconfig

    @property
    def api(self) -> Api:
        """The cluster's API under the course's own account, which has just answered. Raises NoCluster."""
        if self._api is not None:
            try:
                self._api.raw("/version")
                return self._api
            except ApiUnreachable:
                # The cluster may have come back elsewhere, with another kubeconfig.
                self._api = None
        cluster = self.cluster
        self._api = reach.connect(cluster)
        if cluster.made_by_lab:
            self._api = self._own(self._api)
        return self._api

    def _own(self, learners: Api) -> Api:
        """The API under the course's account; under the learner's where that cannot be had, as on a cluster whose disk is full."""
        try:
            for renew in (False, True):
                own = Api(identity.kubeconfig(learners.kubeconfig, self.state, learners.cluster_id(), renew=renew))
                with contextlib.suppress(ApiUnreachable):
                    own.raw("/version")
                    return own
        except (CommandFailed, OSError) as problem:
            log.warning("the course has no account of its own: %s", problem)
        return learners

    def away(self, problem: ApiUnreachable) -> NoCluster:
        """Why a request went unanswered, for people."""
        self._api = None
        return reach.no_cluster(clusters.in_use(self.state), problem)

    # Exercises

    def start(self, exercise: Exercise) -> Attempt:
        """Creates the exercise's start and notes how the cluster is then. Raises LessonError, NoCluster, StoreError."""
        if not exercise.cluster:
            return self.progress.start(exercise.key, exercise.version, "", {})
        api = self.api
        self.progress.ensure_writable()
        with self.cluster_stays():
            before = remote_start.start(exercise.key, self.say) if remote_start.wanted() else self._created(api, exercise)
            return self.progress.start(exercise.key, exercise.version, api.cluster_id(), before)

    def _created(self, api: Api, exercise: Exercise) -> dict[str, Any]:
        since = meta.now()
        before = setup.create_start(api, exercise, self.progress, self.say, self.ask, self.cluster.made_by_lab)
        before["since"] = since
        registry.load(course.load().lab(exercise.lab))
        return before | registry.noted(self.fresh(exercise, before))

    def fresh(self, exercise: Exercise, before: dict[str, Any]) -> Context:
        """The cluster as a start has just left it, with that baseline and before anybody did anything. Raises NoCluster."""
        return Context(self.api, exercise, before, {}, lambda: audit.Deeds(False, ()))

    def reset(self, lab: Lab, exercise: Exercise | None = None) -> None:
        """Takes back all that exercises changed on the cluster; with an exercise, creates its start again. Raises as `start` does."""
        if exercise is not None:
            self.start(exercise)
            return
        if not lab.cluster:
            return
        api = self.api
        self.progress.ensure_writable()
        with self.cluster_stays():
            if remote_start.wanted():
                remote_start.clean(self.say)
                self.progress.cleared(api.cluster_id())
            else:
                setup.clean(api, self.progress, self.say, self.ask, made_by_lab=self.cluster.made_by_lab)

    @contextlib.contextmanager
    def cluster_stays(self) -> Iterator[None]:
        """Around what takes a while: a cluster that goes away meanwhile is told as that, whatever command it stopped."""
        try:
            yield
        except ApiUnreachable as problem:
            raise self.away(problem) from None
        except setup.LessonError:
            _ = self.api
            raise

    def context(self, exercise: Exercise) -> Context:
        """The cluster as a check sees it now. Raises NotStarted."""
        if not exercise.cluster:
            words = self.progress.attempt(exercise.key)
            if words is None:
                raise NotStarted("not started yet")
            return Context(NoApi(), exercise, words.baseline, words.answers, lambda: audit.Deeds(False, ()))
        api = self.api
        attempt, cluster = self.progress.attempt(exercise.key), api.cluster_id()
        if attempt is None or attempt.cluster != cluster:
            raise NotStarted("not started on this cluster")
        shown = self.progress.shown(cluster)
        if shown != exercise.key:
            took = f"{shown} was started after it" if shown else "all exercises were taken back since"
            raise NotStarted(f"not on the cluster any more: {took}")
        started = attempt.started
        return Context(api, exercise, attempt.baseline, attempt.answers, lambda: audit.read(self.cluster.audit_log(started), started))

    def passed_before(self, exercise: Exercise) -> Verdict | None:
        """The pass that the learner has: of this version of the exercise, and not begun anew since. None where there is none."""
        standing = self.progress.standing(exercise.key)
        if not still_passed(exercise, standing):
            return None
        told = f"passed on {when(standing.passed_at)}"
        return replace(verdict.passed(standing.passed_headline), notice=told).of(exercise.id)

    def under_way(self, lab: Lab) -> Exercise | None:
        """The exercise of the lab that was started last and is not passed since."""
        newest = self.progress.newest([each.key for each in lab.exercises])
        found = next((each for each in lab.exercises if each.key == newest), None)
        return found if found is not None and self.passed_before(found) is None else None

    def check(self, exercise: Exercise, patience: float | None = None, *, strict: bool = False, waiting: Say | None = None) -> Verdict:
        """What the check says now; one that is not yet is asked again for up to `patience` seconds (the exercise's own by default).

        `waiting` hears what it waits for, in place of `say`: a face may take that line away again when the verdict is there.
        An exercise that was passed and whose start is not on the cluster any more stays passed; with `strict` it is not yet, with the reason.
        A fault of the checker is a verdict. Raises NoCluster, StoreError.
        """
        lab = course.load().lab(exercise.lab)
        deadline = time.monotonic() + (exercise.patience if patience is None else patience)
        told = False
        while True:
            found, kept = self._seen(lab, exercise, strict)
            if kept:
                return found
            if found.outcome is not Outcome.NOT_YET or found.idle or time.monotonic() >= deadline:
                break
            if not told:
                (waiting or self.say)(f"waiting: {found.headline}")
                told = True
            time.sleep(_LOOK_EVERY)
        return self._recorded(exercise, found)

    def look(self, exercise: Exercise) -> Verdict:
        """One look, for whoever checks by themselves at every change: recorded only where it passes, so that it counts as no try.

        Raises NoCluster, StoreError.
        """
        found, kept = self._seen(course.load().lab(exercise.lab), exercise, False)
        return self._recorded(exercise, found) if found.passed and not kept else found

    def _seen(self, lab: Lab, exercise: Exercise, strict: bool) -> tuple[Verdict, bool]:
        """(the verdict of one look, whether it is a pass that was recorded before)."""
        try:
            return self._look(lab, exercise).of(exercise.id), False
        except NotStarted as problem:
            before = None if strict else self.passed_before(exercise)
            if before is not None:
                return before, True
            return replace(verdict.not_yet(str(problem), next=f"ai-lab start {exercise.key}"), idle=True).of(exercise.id), False

    def _recorded(self, exercise: Exercise, found: Verdict) -> Verdict:
        return self._saved(
            found, lambda: self.progress.record(exercise.key, exercise.version, str(found.outcome), found.headline, found.credit)
        )

    def _saved(self, found: Verdict, write: Callable[[], None]) -> Verdict:
        """The verdict, after `write`; what keeps it from being saved is said with it."""
        try:
            write()
        except StoreError as problem:
            return replace(found, notice=f"this verdict is not saved: {problem.what}. Next: {problem.next}, then check again")
        return found

    def _look(self, lab: Lab, exercise: Exercise) -> Verdict:
        """One look. Raises NotStarted, NoCluster, StoreError."""
        try:
            registry.load(lab)
            function = registry.check_of(exercise)
            if function is None:
                return verdict.error("this exercise has no check", next="this is a fault of the course: please report it")
            ctx = self.context(exercise)
            return registry.confirmed(ctx, function(ctx))
        except verdict.Stop as stop:
            return stop.verdict
        except (NotStarted, clusters.ClusterError, StoreError):
            raise
        except ApiUnreachable as problem:
            raise self.away(problem) from None
        except Exception as problem:
            return self._fault("check", exercise, problem)

    def _fault(self, what: str, exercise: Exercise, problem: Exception) -> Verdict:
        """A fault of the course, unless the cluster went away under it: then raises NoCluster."""
        if exercise.cluster:
            _ = self.api
        log.error("%s of %s", what, exercise.key, exc_info=problem)
        return verdict.error(
            f"the {what} itself broke: {type(problem).__name__}: {problem}",
            next="this is a fault of the course and not yours: please report it",
        )

    def cluster_missing(self, exercise: Exercise) -> NoCluster | None:
        """Why there is no cluster for this exercise now: what a hint or an answer, which need none, say besides."""
        try:
            _ = self.api if exercise.cluster else None
        except NoCluster as problem:
            return problem
        return None

    def diagnose(self, exercise: Exercise, cause: str, evidence: str | list[str]) -> Verdict:
        """Judges a diagnosis and keeps it with the attempt: cause out of the exercise's list, evidence quoted from the cluster.

        Raises NoCluster, StoreError.
        """
        lab = course.load().lab(exercise.lab)
        quotes = "\n".join([evidence] if isinstance(evidence, str) else evidence)
        try:
            registry.load(lab)
            judge = registry.diagnosis_of(exercise)
            if judge is None:
                asked = ", ".join(f"{name}={exercise.forms.get(name, '…')}" for name in exercise.answers)
                then = f'lab.answer("{exercise.id}", {asked})' if asked else f"ai-lab check {exercise.key}"
                found = verdict.not_yet(
                    f"{exercise.id} takes its diagnosis as an answer" if asked else f"{exercise.id} asks for no diagnosis", next=then
                )
                return found.of(exercise.id)
            if cause not in exercise.causes:
                near = difflib.get_close_matches(cause, exercise.causes, n=1, cutoff=0.5)
                meant = f'; did you mean "{near[0]}"?' if near else ""
                found = verdict.failed(f'"{cause}" is not one of the causes to choose from{meant}', expected=", ".join(exercise.causes))
            else:
                found = judge(self.context(exercise), cause, quotes)
        except verdict.Stop as stop:
            found = stop.verdict
        except NotStarted as problem:
            return verdict.not_yet(str(problem), next=f"ai-lab start {exercise.key}").of(exercise.id)
        except (clusters.ClusterError, StoreError):
            raise
        except ApiUnreachable as problem:
            raise self.away(problem) from None
        except Exception as problem:
            return self._fault("diagnosis", exercise, problem).of(exercise.id)
        told = found.on_diagnosis(f"now the fix, then ai-lab check {exercise.key}")
        return self._saved(told.of(exercise.id), lambda: self._keep(exercise, cause, quotes, found.passed))

    def _keep(self, exercise: Exercise, cause: str, quotes: str, accepted: bool) -> None:
        """Notes a diagnosis. One that was accepted stays as it was when the same cause is named again: a cell that is run twice is no second thought."""
        attempt = self.progress.attempt(exercise.key)
        before = (attempt.answers.get("diagnosis") or {}) if attempt else {}
        if before.get("accepted") and before["cause"] == cause:
            return
        tried = [*before.get("tried", ()), *([] if cause in before.get("tried", ()) else [cause])]
        self.progress.answer(
            exercise.key,
            diagnosis={
                "cause": cause, "evidence": quotes, "accepted": accepted, "at": time.time(), "tried": tried,
                "hints": attempt.hints if attempt else 0,
            },
        )  # fmt: skip

    def answer(self, exercise: Exercise, **values: Any) -> bool:
        """Keeps answers with the attempt; False where the exercise was not started. Raises LessonError for what is handed in another way."""
        if "diagnosis" in values and not exercise.diagnosis:
            raise setup.LessonError(f'{exercise.id} has no answer "diagnosis"; its answers are: {", ".join(exercise.answers) or "none"}')
        if "diagnosis" in values:
            raise setup.LessonError(
                f'a diagnosis is handed in with lab.diagnose("{exercise.id}", cause="…", evidence="…"), which judges it'
            )
        return self.progress.answer(exercise.key, **values) is not None

    def unreadable(self, exercise: Exercise, values: Mapping[str, Any]) -> dict[str, str]:
        """Which of these answers the exercise's check cannot read, and why: told when they are handed in, and not at the check only."""
        registry.load(course.load().lab(exercise.lab))
        reads = registry.reading_of(exercise)
        return reads(dict(values)) if reads else {}

    def hint(self, exercise: Exercise) -> tuple[str, int, int]:
        """(hint, its number, how many there are): the next one; the first looks at the cluster where the lab provides for it.

        After an accepted diagnosis they go on from the second half of the hints: the first half leads to the cause.
        A hint is given where there is no cluster, and where it cannot be counted: the latter is said.
        """
        of = len(exercise.hints)
        number, cause = _next_hint(self.progress.attempt(exercise.key), of)
        if number <= of:
            try:
                self.progress.hint(exercise.key)
            except StoreError as problem:
                self.say(f"this hint is not counted: {problem}")
        number = min(number, of)
        text = exercise.hints[number - 1]
        if cause:
            text = f"The cause is found: {cause}. Now the fix. {text}"
        elif number == 1:
            registry.load(course.load().lab(exercise.lab))
            special = registry.first_hint_of(exercise)
            if special is not None:
                with contextlib.suppress(verdict.Stop, NotStarted, NoCluster, ApiUnreachable):
                    text = special(self.context(exercise)) or text
        return text, number, len(exercise.hints)

    def standings(self, lab: Lab | None = None) -> list[tuple[Exercise, Standing]]:
        exercises = lab.exercises if lab is not None else course.load().exercises
        return [(each, self.progress.standing(each.key)) for each in exercises]
