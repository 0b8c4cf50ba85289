"""One hub in JupyterLab's server: it watches the cluster and the learner's progress while a window is open, and tells every window what is new.

Messages out: `cluster` (rows, in the form of `board.news`), `state` (how the cluster is), `course` (the map), `said` (what a button's work says
meanwhile), `verdict` (of a check by itself), `watch` (whether checks happen by themselves). Requests come in by `ask`.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import clusters
from kubeobjects import Object
from lab_checks.engine import course, progress
from lab_checks.engine.api import ApiUnreachable, environment
from lab_checks.engine.store import StoreError
from lab_checks.face.live import course_map, load, reading
from lab_checks.face.live.board import Board
from lab_checks.face.live.exercises import Answer, Exercises, problem_in_words

log = logging.getLogger(__name__)

Listener = Callable[[str], None]

_FLUSH_AFTER = 0.06  # seconds: what changes together is told together
_LOOK_AFTER = 0.15  # seconds of quiet before a check by itself
_LOOK_EVERY = 1.0  # seconds between two of them, at least
_AGAIN_AFTER = 1.5  # seconds, until a cluster that did not answer is asked again
_PROGRESS_EVERY = 0.2  # seconds: whether the progress file was written
_MEMORY_EVERY = 2.0  # seconds between two looks at the kubelets' memory: they offer no watch
_LOAD_EVERY = 5.0  # seconds between two queries to the cluster's monitoring
_LEAVE_AFTER = 60.0  # seconds without a window until the watches are closed
_UP_WITHIN = 600.0  # seconds for `ai-lab up` and `ai-lab down`


def _message(kind: str, **fields: Any) -> str:
    return json.dumps({"kind": kind, **fields}, separators=(",", ":"))


class Hub:
    """`watching`: whether the exercise under way is checked by itself when the cluster or the answers change."""

    def __init__(self) -> None:
        self.board = Board()
        self.watching = False
        self._listeners: set[Listener] = set()
        self._worker = ThreadPoolExecutor(1, "ai-lab-exercises")
        self._reader = ThreadPoolExecutor(1, "ai-lab-progress")
        self._exercises: Exercises | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._state: dict[str, Any] = {"state": "asking", "what": "The cluster is being asked.", "next": ""}
        self._course: dict[str, Any] | None = None
        self._told_verdict = ""
        self._left_at = 0.0
        self._news = asyncio.Event()
        self._written = asyncio.Event()
        self._api_file: Path | None = None
        self._changing = ""
        self._chased: dict[str, float] = {}

    # Windows

    def join(self, listener: Listener) -> None:
        """A window opens: it is told everything, and from then on what is new."""
        self._listeners.add(listener)
        listener(_message("hello", looks=course_map.looks(), watching=self.watching))
        listener(_message("state", **self._state))
        if self._course is not None:
            listener(_message("course", **self._course))
        listener(_message("cluster", whole=True, sections=self.board.whole()))
        if not self._tasks:
            loops = (
                self._follow_cluster, self._tell_news, self._follow_progress, self._check_by_itself, self._measure, self._measure_load,
            )  # fmt: skip
            self._tasks = [asyncio.create_task(self._steady(each)) for each in loops]

    def leave(self, listener: Listener) -> None:
        self._listeners.discard(listener)
        self._left_at = time.monotonic()

    def stop(self) -> None:
        for each in self._tasks:
            each.cancel()
        self._tasks = []
        self.board.clear()
        self._state = {"state": "asking", "what": "The cluster is being asked.", "next": ""}

    def _tell(self, kind: str, **fields: Any) -> None:
        text = _message(kind, **fields)
        for each in list(self._listeners):
            each(text)

    @staticmethod
    async def _steady(work: Callable[[], Awaitable[None]]) -> None:
        """Goes on with one of the hub's loops after a fault, which is logged."""
        while True:
            try:
                await work()
            except Exception:
                log.exception("the course's panel")
                await asyncio.sleep(_AGAIN_AFTER)

    # The learner's session, in a thread of its own

    def _session(self) -> Exercises:
        if self._exercises is None:
            loop = asyncio.get_running_loop()

            def say(line: str) -> None:
                loop.call_soon_threadsafe(lambda: self._tell("said", line=line))

            self._exercises = Exercises(say)
        return self._exercises

    async def _in_worker(self, work: Callable[..., Any], *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._worker, work, *arguments)

    # The cluster

    async def _follow_cluster(self) -> None:
        """Watches the cluster while there is one; says why where there is none. Ends the hub's work when no window is open any more."""
        exercises = self._session()
        while True:
            try:
                api = await self._in_worker(lambda: exercises.session.api)
                self._api_file = api.kubeconfig
                await reading.read(api.kubeconfig, self, self._is_up)
            except Exception as problem:
                told = await self._in_worker(problem_in_words, problem, exercises.session)
                if told is None:
                    raise
                self._api_file = None
                self.board.clear()
                self._news.set()
                if not self._changing:
                    self._note("down", told["problem"], told["next"])
            await asyncio.sleep(_AGAIN_AFTER)

    def _is_up(self) -> None:
        found = clusters.in_use()
        if self._changing != "down":
            self._note("ready", f"The {found.name} cluster is up." if found is not None else "The cluster is up.")

    def _note(self, state: str, what: str, then: str = "") -> None:
        now = {"state": state, "what": what, "next": then}
        if now != self._state:
            self._state = now
            self._tell("state", **now)

    def replaced(self, kind: str, objects: list[Object]) -> None:
        self.board.replaced(kind, objects)
        self._news.set()

    def changed(self, kind: str, how: str, obj: Object) -> None:
        self.board.changed(kind, how, obj)
        self._news.set()

    async def _tell_news(self) -> None:
        while True:
            await self._news.wait()
            await asyncio.sleep(_FLUSH_AFTER)
            self._news.clear()
            found = self.board.news()
            if found:
                self._tell("cluster", sections=found)

    async def _measure(self) -> None:
        """Memory of containers that have a limit, from the kubelets that run some."""
        while True:
            await asyncio.sleep(_MEMORY_EVERY)
            wanted = self.board.limits_somewhere() if self._listeners else set()
            file = self._api_file
            if not wanted or file is None:
                continue
            with contextlib.suppress(ApiUnreachable):
                connection = reading.Connection(file)
                try:
                    for node in sorted(wanted):
                        self.board.measured(await connection.get(f"/api/v1/nodes/{node}/proxy/stats/summary"))
                        self._news.set()
                finally:
                    await connection.close()

    async def _measure_load(self) -> None:
        """Latency and queue of the model servers, where the cluster has monitoring."""
        while True:
            await asyncio.sleep(_LOAD_EVERY)
            file = self._api_file
            if file is None or not self._listeners:
                continue
            if not self.board.has_service(load.NAMESPACE, load.SERVICE):
                self.board.metrics({})
                continue
            with contextlib.suppress(ApiUnreachable):
                connection = reading.Connection(file)
                try:
                    self.board.metrics(await load.measure(connection, time.time()))
                    self._news.set()
                finally:
                    await connection.close()

    # The course

    async def _follow_progress(self) -> None:
        """Tells the map anew whenever somebody, in a notebook or a terminal, has started or checked something."""
        exercises, seen = self._session(), (-1, -1)
        while True:
            stamp = progress.stamp(exercises.session.state)
            if stamp != seen:
                seen = stamp
                self._written.set()
                self.board.stirred += 1
                self._news.set()
                await self._tell_course(exercises)
            await asyncio.sleep(_PROGRESS_EVERY)
            if not self._listeners and time.monotonic() - self._left_at > _LEAVE_AFTER:
                self.stop()

    async def _tell_course(self, exercises: Exercises) -> None:
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._reader, course_map.of, exercises.session)
        except StoreError as problem:
            self._tell("problem", problem=problem.what, next=problem.next)
            return
        if found != self._course:
            self._course = found
            self._tell("course", **found)

    # Checks

    async def _check_by_itself(self) -> None:
        """Looks at the exercise under way after each change, once the cluster is quiet for a moment; tells a verdict when it is another one."""
        seen = -1
        while True:
            await asyncio.sleep(_LOOK_AFTER)
            now = time.monotonic()
            self._chased = {key: until for key, until in self._chased.items() if until > now}
            if self.board.stirred == seen or not (self.watching or self._chased) or self._state["state"] != "ready":
                continue
            seen = self.board.stirred
            for key in list(self._chased):
                found = await self._in_worker(self._session().do, "check", key)
                self._judged(found)
            if self.watching and not self._chased:
                looked = await self._in_worker(self._session().look)
                if looked is not None:
                    self._judged(looked)
            await asyncio.sleep(_LOOK_EVERY)

    def _judged(self, found: Answer) -> None:
        verdict = found.get("verdict")
        if verdict is None:
            return
        if verdict["mark"] != "not yet" or verdict["idle"]:
            self._chased.pop(verdict["exercise"], None)
        text = json.dumps(verdict, sort_keys=True)
        if text != self._told_verdict:
            self._told_verdict = text
            self._tell("verdict", **found)

    # What a window asks for

    async def ask(self, request: dict[str, Any]) -> Answer:
        """One request: `verb`, and the `exercise` where it is about one. The answer has `problem` where it could not be done."""
        verb, key = str(request.get("verb", "")), str(request.get("exercise", ""))
        if verb in ("up", "down"):
            return await self._change_cluster(verb)
        if verb == "watch":
            self.watching = bool(request.get("on"))
            self._told_verdict = ""
            self.board.stirred += 1
            self._tell("watch", watching=self.watching)
            return {"watching": self.watching}
        if verb not in ("start", "check", "hint", "reset", "debrief"):
            return {"problem": f"there is no button {verb}", "next": ""}
        began = time.monotonic()
        found: Answer = await self._in_worker(self._session().do, verb, key)
        verdict = found.get("verdict")
        if verdict is not None:
            self._told_verdict = json.dumps(verdict, sort_keys=True)
            if verdict["mark"] == "not yet" and not verdict["idle"]:
                exercise = course.load().find(key)[1]
                self._chased[verdict["exercise"]] = time.monotonic() + (exercise.patience if exercise else 0.0)
        return {**found, "took": round(time.monotonic() - began, 3)}

    async def _change_cluster(self, verb: str) -> Answer:
        """Runs `ai-lab up` or `ai-lab down`, as a terminal would."""
        if self._changing:
            return {"problem": f"ai-lab {self._changing} is running already.", "next": ""}
        self._changing = verb
        self._note("changing", "The cluster is starting." if verb == "up" else "The cluster is stopping.")
        try:
            found = clusters.in_use()
            named = ["--cluster", found.name] if found is not None else []
            done = await asyncio.get_running_loop().run_in_executor(None, _ai_lab, verb, *named)
        finally:
            self._changing = ""
        if done.returncode:
            lines = [each.strip() for each in (done.stderr or done.stdout).splitlines() if each.strip()]
            self._note("down", " ".join(lines[-3:]) or f"ai-lab {verb} failed.", f"ai-lab {verb}")
            return {"problem": " ".join(lines[-3:]), "next": f"ai-lab {verb}"}
        if verb == "down":
            self._note("down", "The cluster is stopped. Its objects are kept.", "ai-lab up")
        return {}


def _ai_lab(*arguments: str) -> subprocess.CompletedProcess[str]:
    found = clusters.in_use()
    more = environment(found.kubeconfig) if found is not None else {}
    return subprocess.run(
        [sys.executable, "-P", "-m", "lab_checks", *arguments], env={**os.environ, **more}, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=False, timeout=_UP_WITHIN, start_new_session=True,
    )  # fmt: skip
