"""`python -m lab_checks.grading.worker JOB`: runs one submission and judges it, inside of its enclosure.

papermill runs the cells; their kernel is in an enclosure of its own, within this one, and so is the cluster. This process makes the starts that the
notebook asks for. After each cell it checks what the notebook says to have checked, on the same cluster. The result is written after each cell, so that
whatever ends the run leaves what was judged before.
"""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.clientwrap import PapermillNotebookClient
from papermill.engines import NBClientEngine, papermill_engines
from papermill.exceptions import PapermillExecutionError

import clusters
from lab_checks import whole_file
from lab_checks.engine import course, identity, reach, remote_start, setup
from lab_checks.engine.course import Exercise
from lab_checks.engine.session import Say, Session, silent
from lab_checks.engine.store import StoreError
from lab_checks.engine.verdict import Outcome
from lab_checks.grading import claims, enclosure, starts
from lab_checks.redact import redact

_ENGINE = "ai-lab-grade"
# How a run ended, where it did not go through all cells.
BROKEN, TIME, OUTPUT, DIED, FAULT = "broken", "time", "output", "died", "fault"
# Seconds: until a cluster or a kernel is there, and between two looks at its log.
_START = 180
_LOOK_EVERY = 0.2
_IS_UP = "the cluster is up"
# A cluster with all Pods of the largest lab has some hundreds.
_THREADS = 4000


class Folders:
    """The folders of one submission: `grader` is hidden from notebook and cluster, `state` and `home` are the notebook's own, `cluster` is the cluster's.

    The notebook can read `cluster` and `runtime`.
    """

    def __init__(self, room: Path):
        self.room = room
        self.grader = room / "grader"
        self.cluster = room / "cluster"
        self.runtime = room / "runtime"
        self.state = room / "state"
        self.home = room / "home"

    def make(self) -> None:
        for path in (self.grader, self.cluster, self.runtime, self.state, self.home, self.home / "tmp", self.home / "work"):
            path.mkdir(parents=True, mode=0o700)
        # The notebook finds the cluster where it looks for it, and cannot write there.
        (self.state / "embedded").symlink_to(self.cluster / "embedded")
        (self.state / "cluster").write_text("embedded\n")


class Judge:
    """The grader's own session at the submission's cluster, and what it found of each exercise."""

    def __init__(self, folders: Folders, lab: course.Lab):
        self.folders = folders
        self.lab = lab
        self.found: dict[str, dict[str, Any]] = {}
        self._known = {each.key: each for each in lab.exercises}
        self._state = os.open(folders.state, os.O_RDONLY | os.O_DIRECTORY)
        self._answers: dict[int, dict[str, Any]] = {}
        self._judged = 0
        # Starts are made in a thread, for a cell that runs.
        self._one_at_a_time = threading.Lock()

        class Grading(Session):
            @property
            def cluster(self) -> clusters.Cluster:
                return clusters.get("embedded", folders.cluster)

        self.session = Grading(folders.grader / "progress")
        if lab.cluster:
            api = reach.connect(self.session.cluster)
            # Made and looked at before anything is started: afterwards it would be a change of the learner's.
            identity.kubeconfig(api.kubeconfig, self.session.state, api.cluster_id())
            setup.first_look(self.session.api, self.session.progress)

    def start(self, key: str, say: Say) -> dict[str, Any]:
        """Makes a start for the notebook; gives its baseline. Raises LessonError."""
        with self._one_at_a_time, _told():
            try:
                exercise = course.load().find(key)[1]
            except course.UnknownName as problem:
                raise setup.LessonError(str(problem)) from None
            if exercise is None:
                raise setup.LessonError(f"{key} is no exercise")
            self.session.say = say
            return self.session.start(exercise).baseline

    def clean(self, say: Say) -> None:
        """Takes back all that exercises changed. Raises LessonError."""
        with self._one_at_a_time, _told():
            self.session.say = say
            self.session.reset(self.lab)

    def look(self) -> None:
        """After a cell: takes over what is new, and judges what the notebook has checked."""
        with self._one_at_a_time:
            self.session.say = silent
            told = claims.read(self._state, self.folders.grader)
            # Answers belong to the newest start of their exercise. Of a start before it, nothing is new.
            for start in {each.exercise: each for each in told.starts}.values():
                self._take_over(start)
            for start in told.starts:
                if start.exercise in self._known:
                    row = self._row(self._known[start.exercise])
                    row["hints"] = max(row["hints"], start.hints)
            new = [each for each in told.verdicts if each.number > self._judged]
            self._judged = max((each.number for each in new), default=self._judged)
            for key in dict.fromkeys(each.exercise for each in new):
                if key in self._known:
                    self._check(self._known[key], [each for each in new if each.exercise == key][-1])

    def _take_over(self, start: claims.Start) -> None:
        exercise = self._known.get(start.exercise)
        if exercise is None:
            return
        if not exercise.cluster and start.number not in self._answers:
            # There is nothing to create, so the notebook asks nobody.
            self.session.start(exercise)
        before = self._answers.get(start.number, {})
        self._answers[start.number] = start.answers
        given = {name: value for name, value in start.answers.items() if name != "diagnosis" and before.get(name) != value}
        if given:
            self.session.progress.answer(exercise.key, **given)
        diagnosis = start.answers.get("diagnosis")
        if isinstance(diagnosis, dict) and diagnosis != before.get("diagnosis"):
            self.session.diagnose(exercise, str(diagnosis.get("cause")), str(diagnosis.get("evidence")))

    def _row(self, exercise: Exercise) -> dict[str, Any]:
        return self.found.setdefault(
            exercise.key, {"outcome": "started", "headline": "started, and not checked", "credit": 0.0, "claimed": "", "hints": 0}
        )

    def _check(self, exercise: Exercise, claim: claims.Claim) -> None:
        row = self._row(exercise)
        row["claimed"] = claim.outcome
        if row["outcome"] == str(Outcome.PASSED):
            return
        found = self.session.check(exercise, strict=True)
        row |= {
            "outcome": str(found.outcome),
            # A headline quotes the cluster, and results are handed around.
            "headline": redact(found.headline).text[:500],
            "credit": 1.0 if found.passed else round(float(found.credit), 3),
        }


@contextlib.contextmanager
def _told() -> Iterator[None]:
    """Whatever keeps a start from being made, as a LessonError."""
    try:
        yield
    except (clusters.ClusterError, StoreError) as problem:
        raise setup.LessonError(str(problem)) from None


@contextlib.contextmanager
def _cluster(folders: Folders, told: dict[str, Any]) -> Iterator[str]:
    """A cluster as long as the block lasts; gives why there is none, or the empty text."""
    environment = {**os.environ, "AI_LAB_HOME": str(folders.cluster), "HOME": str(folders.cluster)}
    up = f"{shlex.quote(sys.executable)} -m lab_checks up --cluster embedded"
    if not told["enclosed"]:
        done = subprocess.run(["sh", "-c", up], env=environment, capture_output=True, text=True, check=False, timeout=_START)
        yield done.stderr.strip()[-300:] if done.returncode else ""
        return
    # Paths of unix sockets are short. This folder is the enclosure's own, wherever the submission's lies.
    environment["TMPDIR"] = enclosure.SHORT
    # Pods are a stranger's programs as well. They end with the enclosure, so the enclosure has to stay.
    held = enclosure.Enclosure(
        (folders.cluster,), hide=(folders.grader, folders.runtime), memory=told["memory"], file=told["file"], processes=_THREADS
    )
    with (folders.grader / "cluster.log").open("wb") as log:
        process = subprocess.Popen(
            held.command(["sh", "-c", f"{up} && echo {_IS_UP} && exec sleep infinity"]), env=environment,
            cwd=folders.cluster, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
    try:
        deadline = time.monotonic() + _START
        while _IS_UP not in (said := (folders.grader / "cluster.log").read_text(errors="replace")):
            if process.poll() is not None or time.monotonic() > deadline:
                yield said.strip()[-300:] or "it said nothing"
                return
            time.sleep(_LOOK_EVERY)
        yield ""
    finally:
        process.kill()
        process.wait()


def main(job: Path) -> int:
    told = json.loads(job.read_text())
    folders = Folders(Path(told["room"]))
    result: dict[str, Any] = {"ended": "", "words": "", "cells": 0, "ran": 0, "errors": [], "exercises": {}}

    def write() -> None:
        whole_file.write(folders.grader / "result.json", json.dumps(result))

    try:
        notebook = nbformat.read(folders.grader / "submission.ipynb", as_version=4)
        nbformat.validate(notebook)
    except Exception as problem:
        # Whatever nbformat makes of a file that is no notebook: KeyError, TypeError, RecursionError …
        result |= {
            "ended": BROKEN,
            "words": f"it is no notebook: {str(problem).splitlines()[0][:200] if str(problem) else type(problem).__name__}",
        }
        write()
        return 0
    lab = course.load().lab(told["lab"])
    result["cells"] = sum(cell.cell_type == "code" for cell in notebook.cells)
    write()
    with contextlib.ExitStack() as stack:
        if lab.cluster and (why := stack.enter_context(_cluster(folders, told))):
            result |= {"ended": FAULT, "words": f"the cluster did not start: {why}"}
            write()
            return 0
        judge = Judge(folders, lab)
        result["exercises"] = judge.found
        by = stack.enter_context(starts.served(judge.start, judge.clean))
        _prepare(notebook, folders, told, by)
        client = _run(notebook, folders, told, judge, result, write)
    if client is not None and client.too_much:
        result |= {"ended": OUTPUT, "words": f"more than {told['output']} bytes of output"}
    write()
    return 0


def _prepare(notebook: Any, folders: Folders, told: dict[str, Any], starts_by: str) -> None:
    """A notebook without the outputs and the kernel that it came with, and the kernel that runs it."""
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # A kernel ends with the process that started it, by whose number it has in here: that one is another's.
    kernel = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--IPKernelApp.parent_handle=0"]
    limits = {"memory": told["memory"], "file": told["file"]}
    if told["enclosed"]:
        own = enclosure.Enclosure((folders.state, folders.home), hide=(folders.grader,), last=True, processes=told["processes"], **limits)
        argv = own.command(kernel)
    else:
        argv = enclosure.limited(kernel, **limits)
    spec = folders.grader / "jupyter" / "kernels" / _ENGINE
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps({"argv": argv, "display_name": "Python 3", "language": "python", "env": {remote_start.VARIABLE: starts_by}})
    )
    notebook.metadata = nbformat.from_dict({"kernelspec": {"display_name": "Python 3", "language": "python", "name": _ENGINE}})
    nbformat.write(notebook, folders.grader / "run.ipynb")


class _Client(PapermillNotebookClient):
    """papermill's client, which goes on after a cell that failed, and stops at too much output."""

    too_much = False
    allowed = 0
    judge: Judge
    result: dict[str, Any]
    write: Any

    def process_message(self, msg: Any, *arguments: Any, **named: Any) -> Any:
        if msg["msg_type"] != "status":
            self.allowed -= len(str(msg["content"]))
        if self.allowed < 0:
            if not self.too_much:
                self.too_much = True
                self._end_kernel()
            if msg["msg_type"] != "status":
                return None
        return super().process_message(msg, *arguments, **named)

    def _end_kernel(self) -> None:
        process = getattr(self.km.provisioner, "process", None) if self.km else None
        if process is not None:
            os.kill(process.pid, signal.SIGKILL)

    def papermill_execute_cells(self) -> None:
        number = 0
        for index, cell in enumerate(self.nb.cells):
            self.nb_man.cell_start(cell, index)
            try:
                self.execute_cell(cell, index)
            finally:
                self.nb_man.cell_complete(self.nb.cells[index], cell_index=index)
            if cell.cell_type != "code":
                continue
            number += 1
            self.result["ran"] = number
            if any(output.output_type == "error" for output in cell.outputs):
                self.result["errors"].append(number)
            self.judge.look()
            self.write()


def _run(notebook: Any, folders: Folders, told: dict[str, Any], judge: Judge, result: dict[str, Any], write: Any) -> _Client | None:
    made: list[_Client] = []

    class Engine(NBClientEngine):  # type: ignore[misc]
        @classmethod
        def execute_managed_notebook(cls, nb_man: Any, kernel_name: str, **named: Any) -> Any:
            client = _Client(nb_man, timeout=told["cell"], startup_timeout=_START, kernel_name=kernel_name, allow_errors=True)
            client.allowed, client.judge, client.result, client.write = told["output"], judge, result, write
            made.append(client)
            return client.execute()

    papermill_engines.register(_ENGINE, Engine)
    os.environ |= {"JUPYTER_PATH": str(folders.grader / "jupyter"), "JUPYTER_RUNTIME_DIR": str(folders.runtime)}
    try:
        papermill.execute_notebook(
            str(folders.grader / "run.ipynb"), str(folders.grader / "executed.ipynb"), engine_name=_ENGINE, kernel_name=_ENGINE, progress_bar=False,
            cwd=str(folders.home / "work"), request_save_on_cell_execute=False,
        )  # fmt: skip
    except PapermillExecutionError:
        # A cell failed, and those after it ran.
        pass
    except CellTimeoutError:
        result |= {"ended": TIME, "words": f"cell {result['ran'] + 1} took longer than {told['cell']} s"}
    except DeadKernelError:
        result |= {
            "ended": DIED,
            "words": f"the kernel died in cell {result['ran'] + 1}: more memory than {told['memory'] // 2**20} MiB, or it ended itself",
        }
    except Exception as problem:
        result |= {"ended": FAULT, "words": f"the run broke: {type(problem).__name__}: {str(problem)[:300]}"}
    return made[0] if made else None


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
