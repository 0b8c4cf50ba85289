"""One submission, from its file to its result: a folder, an enclosure, a cluster, limits, and an end that leaves nothing behind."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from lab_checks import whole_file
from lab_checks.engine.course import Exercise
from lab_checks.engine.verdict import Outcome
from lab_checks.grading import enclosure, worker
from lab_checks.grading.submissions import Submission

_LOOK_EVERY = 0.25
_LARGEST_RESULT = 5_000_000
# A run's end, beside those of worker.py.
MEMORY, PROCESSES, DISK, STOPPED = "memory", "processes", "disk", "stopped"
NOT_REACHED = "not reached"
NOT_CONFIRMED = "not confirmed"


@dataclass(frozen=True)
class Limits:
    """What one submission may take, its cluster included: wall-clock of the whole run and of one cell in seconds, sizes in bytes.

    `memory` bounds each process's data, and all processes of the submission together. `processes` bounds those of the whole submission, and
    the notebook's own with their threads.
    """

    seconds: float = 1800
    cell: int = 300
    memory: int = 2 * 2**30
    processes: int = 400
    output: int = 2_000_000
    disk: int = 2 * 2**30
    file: int = 512 * 2**20


@dataclass(frozen=True)
class Marked:
    """What the grader says of one exercise. `credit` is from 0 to 1; `hints` are those that were taken."""

    exercise: Exercise
    outcome: str
    headline: str
    credit: float = 0.0
    hints: int = 0

    @property
    def passed(self) -> bool:
        return self.outcome == str(Outcome.PASSED)


@dataclass(frozen=True)
class Graded:
    """The result of one submission. `ended` is empty where the run went through all cells; else one word, and `words` for people.

    `cells` are its code cells, `ran` those that ended; `errors` are the numbers of those that failed. `seconds` is the wall-clock.
    """

    submission: Submission
    ended: str
    words: str
    seconds: float
    marks: tuple[Marked, ...]
    cells: int = 0
    ran: int = 0
    errors: tuple[int, ...] = field(default=())


def unread(submission: Submission) -> Graded:
    """The result of a submission that cannot be run at all."""
    return Graded(submission, worker.BROKEN, submission.problem, 0.0, _marks(submission, {}))


def _environment(folders: worker.Folders) -> dict[str, str]:
    """Nothing of the grader's own: no key, no proxy, no kubeconfig."""
    home = folders.home
    return {
        "PATH": os.pathsep.join((str(Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin")),
        "HOME": str(home),
        "TMPDIR": str(home / "tmp"),
        "USER": "learner",
        "LOGNAME": "learner",
        "LANG": "C.UTF-8",
        "AI_LAB_HOME": str(folders.state),
        "AI_LAB_LEARNER": "learner",
        "IPYTHONDIR": str(home / ".ipython"),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def grade(
    submission: Submission, rooms: Path, number: int, limits: Limits, enclosed: bool, stop: threading.Event, keep: Path, private: list[Path]
) -> Graded:
    """Runs a submission in a folder of its own below `rooms`; it does not see those of others, nor `private`.

    `stop` ends it early; `keep` is where the notebook that was run goes. Raises OSError.
    """
    assert submission.lab is not None
    folders = worker.Folders(rooms / f"{number:03d}")
    folders.make()
    began = time.monotonic()
    try:
        (folders.grader / "submission.ipynb").write_bytes(submission.text)
        job = {"room": str(folders.room), "lab": submission.lab.id, "enclosed": enclosed}
        job |= {"cell": limits.cell, "output": limits.output, "memory": limits.memory, "file": limits.file, "processes": limits.processes}
        (folders.grader / "job.json").write_text(json.dumps(job))
        if enclosed:
            enclosure.give(folders.room)
        ended, words = _watched(folders, private, limits, enclosed, stop)
        told = _result(folders)
        _keep(folders, keep)
        if not ended and told is None:
            ended, words = worker.FAULT, "the grader's own process ended early"
        told = told or {}
        return Graded(
            submission,
            ended or str(told.get("ended", "")),
            words or str(told.get("words", ""))[:500],
            round(time.monotonic() - began, 1),
            _marks(submission, told.get("exercises") or {}),
            int(told.get("cells", 0)),
            int(told.get("ran", 0)),
            tuple(int(each) for each in told.get("errors", ())),
        )
    finally:
        if not enclosed:
            _take_down(folders)
        _remove(folders.room)


def _watched(folders: worker.Folders, private: list[Path], limits: Limits, enclosed: bool, stop: threading.Event) -> tuple[str, str]:
    """Runs the worker until it ends, or until a limit does; gives (how it ended, words), both empty where it ended by itself."""
    command = [sys.executable, "-m", "lab_checks.grading.worker", str(folders.grader / "job.json")]
    if enclosed:
        command = enclosure.for_a_stranger(folders.room, [folders.room.parent, *private], file=limits.file).command(command)
    with (folders.grader / "log").open("wb") as log:
        process = subprocess.Popen(
            command, env=_environment(folders), cwd=folders.home / "work", stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    deadline = time.monotonic() + limits.seconds
    looked_at_disk = time.monotonic()
    try:
        while process.poll() is None:
            if stop.wait(_LOOK_EVERY):
                return STOPPED, "the grader was stopped"
            if time.monotonic() > deadline:
                return worker.TIME, f"the whole run took longer than {limits.seconds:g} s"
            memory, count = _taken(process.pid)
            if count > limits.processes:
                return PROCESSES, f"more than {limits.processes} processes"
            if memory > limits.memory:
                return MEMORY, f"more than {limits.memory // 2**20} MiB of memory in all its processes"
            if time.monotonic() - looked_at_disk > 2:
                if _size(folders.room) > limits.disk:
                    return DISK, f"more than {limits.disk // 2**20} MiB on the disk"
                looked_at_disk = time.monotonic()
        return "", ""
    finally:
        _end(process)


def _taken(pid: int) -> tuple[int, int]:
    """(bytes of memory, number of processes) of a process and of all below it. Files that have no name any more, or never had one, count as memory."""
    memory = count = 0
    nameless: dict[tuple[int, int], int] = {}
    with contextlib.suppress(psutil.Error):
        root = psutil.Process(pid)
        for each in (root, *root.children(recursive=True)):
            count += 1
            with contextlib.suppress(psutil.Error):
                memory += each.memory_info().rss
            if sys.platform == "linux":
                nameless |= _nameless(each.pid)
    return memory + sum(nameless.values()), count


def _nameless(pid: int) -> dict[tuple[int, int], int]:
    """(device, inode) → bytes of the files without a name that a process holds open: no folder shows them."""
    found = {}
    with contextlib.suppress(OSError):
        for each in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(OSError):
                state = os.stat(f"/proc/{pid}/fd/{each}")
                if stat.S_ISREG(state.st_mode) and not state.st_nlink:
                    found[state.st_dev, state.st_ino] = state.st_blocks * 512
    return found


def _size(folder: Path) -> int:
    """The bytes of all files in a folder, which may change meanwhile."""
    total = 0
    for where, _, names in os.walk(folder):
        for name in names:
            with contextlib.suppress(OSError):
                total += os.lstat(os.path.join(where, name)).st_blocks * 512
    return total


def _end(process: subprocess.Popen[bytes]) -> None:
    """Ends a worker and all that it started. An enclosure's processes are killed by the kernel with its first one."""
    below: list[psutil.Process] = []
    with contextlib.suppress(psutil.Error):
        below = psutil.Process(process.pid).children(recursive=True)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    for each in below:
        with contextlib.suppress(psutil.Error):
            each.kill()
    process.wait()
    psutil.wait_procs(below, timeout=60)


def _take_down(folders: worker.Folders) -> None:
    """The cluster of a submission that had no enclosure."""
    subprocess.run(
        [sys.executable, "-m", "lab_checks", "down"], env={**_environment(folders), "AI_LAB_HOME": str(folders.cluster)},
        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False, timeout=120,
    )  # fmt: skip


def _opened(path: Path, largest: int) -> bytes | None:
    """What a file holds that a hostile program may have put there; None where it is none, or too large."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return None
    with os.fdopen(number, "rb") as file:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            return None
        found = file.read(largest + 1)
    return found if len(found) <= largest else None


def _result(folders: worker.Folders) -> dict[str, Any] | None:
    found = _opened(folders.grader / "result.json", _LARGEST_RESULT)
    try:
        told = json.loads(found or b"null")
    except (ValueError, RecursionError):
        return None
    return told if isinstance(told, dict) else None


def _keep(folders: worker.Folders, target: Path) -> None:
    """The notebook as it was run, as far as it came."""
    found = _opened(folders.grader / "executed.ipynb", 50_000_000)
    if found is not None:
        target.parent.mkdir(parents=True, exist_ok=True)
        whole_file.write(target, found)


def _remove(folder: Path) -> None:
    """Removes a folder, also where its owner has taken its own rights away. Links in it are removed, not followed."""
    for where, names, _ in os.walk(folder):
        for name in names:
            path = os.path.join(where, name)
            if not os.path.islink(path):
                with contextlib.suppress(OSError):
                    os.chmod(path, 0o700)
    shutil.rmtree(folder, ignore_errors=True)


def _marks(submission: Submission, told: dict[str, Any]) -> tuple[Marked, ...]:
    if submission.lab is None:
        return ()
    found = []
    for exercise in submission.lab.exercises:
        row = told.get(exercise.key)
        if not isinstance(row, dict):
            found.append(Marked(exercise, NOT_REACHED, "the notebook did not start it"))
            continue
        outcome, headline = str(row.get("outcome")), str(row.get("headline"))
        if outcome != str(Outcome.PASSED) and row.get("claimed") == str(Outcome.PASSED):
            outcome, headline = NOT_CONFIRMED, f"the notebook says passed; the grader, after that cell: {headline}"
        found.append(Marked(exercise, outcome, headline, float(row.get("credit", 0)), int(row.get("hints", 0))))
    return tuple(found)
