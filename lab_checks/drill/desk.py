"""One learner's drills: starting one, handing in answers, checking, and what is kept of it. The command is the face of this."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from kubeobjects import meta
from lab_checks.drill import judging, laying, record
from lab_checks.drill.generator import LAB, VERSION, Drill, generate
from lab_checks.drill.score import Score
from lab_checks.engine import setup
from lab_checks.engine.context import Context
from lab_checks.engine.progress import Attempt
from lab_checks.engine.session import NotStarted, Say, Session
from lab_checks.engine.verdict import Outcome, Verdict

# Seconds that a check waits for a platform that is still moving.
PATIENCE = 45.0
_LOOK_EVERY = 1.0
# Seconds between the two looks that a failure takes.
_AGAIN = 4.0
_REPORT = "drill-report.json"


class NoDrill(Exception):
    """No drill is under way on the cluster; the message says what is there instead."""


class Desk:
    """The drills of a session. Everything raises NoCluster where no cluster answers, StoreError where progress cannot be read or written."""

    def __init__(self, session: Session):
        self._session = session

    def start(self, drill: Drill) -> Attempt:
        """Creates the drill and starts its clock. Raises LessonError."""
        session = self._session
        api = session.api
        if not session.cluster.made_by_lab:
            raise setup.LessonError(
                "a drill breaks nodes and the GPU plugin, and this cluster was not made by the course; ai-lab up --cluster embedded has nodes for it"
            )
        session.progress.ensure_writable()
        with session.cluster_stays():
            since = meta.now()
            before = setup.create(api, drill.key, laying.start_of(drill), session.progress, session.say, session.ask)
            before["since"] = since
            before |= judging.note(session.fresh(drill.exercise(), before), drill)
            return session.progress.start(drill.key, VERSION, api.cluster_id(), before)

    def current(self) -> Drill:
        """The drill on the cluster. Raises NoDrill."""
        shown = self._session.progress.shown(self._session.api.cluster_id())
        found = of_key(shown)
        if found is None:
            there = f"{shown} is on the cluster" if shown else "no exercise is on the cluster"
            raise NoDrill(f"no drill is under way: {there}")
        return found

    def context(self, drill: Drill) -> Context:
        try:
            return self._session.context(drill.exercise())
        except NotStarted as problem:
            raise NoDrill(str(problem)) from None

    def attempt(self, drill: Drill) -> Attempt:
        found = self._session.progress.attempt(drill.key)
        if found is None:
            raise NoDrill("it was not started")
        return found

    def answer(self, drill: Drill, service: str, cause: str, evidence: str) -> Verdict:
        """Judges a diagnosis and keeps it."""
        found = judging.diagnose(self.context(drill), drill, service, cause, evidence)
        if drill.service(service) is not None:
            answers = self.attempt(drill).answers.get("diagnoses") or {}
            row = {"cause": cause, "evidence": evidence, "accepted": found.passed, "at": time.time()}
            self._session.progress.answer(drill.key, diagnoses={**answers, service: row})
        return found.of(drill.key)

    def update(self, drill: Drill, message: str) -> None:
        """Keeps the message to the users."""
        self.attempt(drill)
        self._session.progress.answer(drill.key, update=message, update_at=time.time())

    def score(self, drill: Drill) -> Score:
        """The score as things stand now."""
        return self._looked(drill)[1]

    def _looked(self, drill: Drill) -> tuple[Context, Score]:
        ctx = self.context(drill)
        return ctx, judging.judge(ctx, drill, ctx.answers.get("diagnoses") or {}, str(ctx.answers.get("update") or ""))

    def check(self, drill: Drill, patience: float = PATIENCE, waiting: Say | None = None) -> Score:
        """The score, after up to `patience` seconds for a platform that is still moving; the verdict is kept, and so is the report."""
        deadline, told, twice = time.monotonic() + patience, False, False
        while time.monotonic() < deadline:
            ctx = self.context(drill)
            still = judging.still_open(ctx, drill, ctx.answers.get("diagnoses") or {})
            if still is None or judging.untouched(ctx) or (still.outcome is not Outcome.NOT_YET and twice):
                break
            # One look can lie: a Pod that the scheduler is about to place is Pending as well.
            twice = still.outcome is not Outcome.NOT_YET
            if not told:
                (waiting or self._session.say)(f"waiting: {still.headline}")
                told = True
            time.sleep(_AGAIN if twice else _LOOK_EVERY)
        ctx, found = self._looked(drill)
        verdict = found.verdict()
        self._session.progress.record(drill.key, VERSION, str(verdict.outcome), verdict.headline, verdict.credit)
        self._keep(self._report(ctx, drill, found))
        return found

    def report(self, drill: Drill) -> record.Report:
        """The report as things stand now."""
        ctx, found = self._looked(drill)
        made = self._report(ctx, drill, found)
        self._keep(made)
        return made

    def _report(self, ctx: Context, drill: Drill, score: Score) -> record.Report:
        return record.report(ctx, drill, score, ctx.answers.get("diagnoses") or {}, str(ctx.answers.get("update") or ""))

    def _keep(self, found: record.Report) -> None:
        path = self.kept()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(found, indent=1), encoding="utf-8")

    def kept(self) -> Path:
        """Where the newest report is kept: it can be read after the drill has ended."""
        return self._session.state / _REPORT

    def last(self) -> record.Report:
        """The newest report. Raises NoDrill."""
        found = newest(self._session.state)
        if found is None:
            raise NoDrill("no drill has been checked yet, so there is no report")
        return found

    def end(self) -> None:
        """Takes everything back. Raises LessonError."""
        session = self._session
        with session.cluster_stays():
            setup.clean(session.api, session.progress, session.say, session.ask, made_by_lab=session.cluster.made_by_lab)


def newest(state: Path) -> record.Report | None:
    """The newest report of the learner whose state folder this is; None where there is none that can be read."""
    try:
        found: dict[str, Any] = json.loads((state / _REPORT).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return found


def of_key(key: str) -> Drill | None:
    """The drill whose attempt is kept under this key; None for any other key."""
    lab, _, name = key.partition("/")
    seed, _, faults = name.partition("-")
    if lab != LAB or not seed.isdecimal() or (faults and not faults.isdecimal()):
        return None
    return generate(int(seed), int(faults or 1))
