"""Proving exercises on live clusters: on the one in use, or side by side on embedded clusters that are made for it.

`python -m lab_checks.authoring.proofs` is one of those that work side by side: names of labs and exercises come in, one a line; lines of JSON go out.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import clusters
from clusters.base import Progress
from lab_checks.authoring import attempts
from lab_checks.engine import course, identity, manifests, paths, reach
from lab_checks.engine.api import CommandFailed, shell
from lab_checks.engine.session import Session
from lab_checks.engine.setup import LessonError


@dataclass(frozen=True)
class Line:
    """What one proof showed: `problem` is empty where it behaved as it must."""

    about: str
    what: str = ""
    headline: str = ""
    problem: str = ""


Tell = Callable[[Line], None]


@contextlib.contextmanager
def session() -> Iterator[Session]:
    """A session on the cluster in use, with a progress of its own: proving the course is no learner's progress."""
    cluster = clusters.in_use()
    api = reach.connect(cluster)
    if cluster and cluster.made_by_lab:
        # Commands of an attempt that act for the course (lab 01's technician) take the account from the state folder. It is made now:
        # within an exercise, making it would be a change of the learner's.
        identity.kubeconfig(api.kubeconfig, clusters.state_folder(), api.cluster_id())

    class Proving(Session):
        @property
        def cluster(self) -> clusters.Cluster:
            assert cluster is not None
            return cluster

    with tempfile.TemporaryDirectory(prefix="ai-lab-proof-") as folder:
        yield Proving(Path(folder))


def prove(session: Session, name: str, tell: Tell) -> None:
    """Proves what `name` means: LAB, that its manifests are valid; LAB/EXERCISE, its start, its ways and its neighbours' solutions."""
    lab, exercise = course.load().find(name)
    if exercise is None:
        for line in _invalid(session, lab):
            tell(line)
        return
    ways = attempts.load(paths.root() / attempts.FOLDER, lab)

    def told(proof: attempts.Proof) -> None:
        tell(Line(proof.exercise, proof.name, proof.verdict.headline, proof.problem))

    try:
        attempts.prove(session, exercise, [way for way in ways if way.exercise == exercise.id], told)
        attempts.prove_apart(session, exercise, ways, told)
    except LessonError as problem:
        tell(Line(exercise.key, problem=str(problem)))


def _invalid(session: Session, lab: course.Lab) -> Iterator[Line]:
    for folder in sorted({path.parent for path in (paths.root() / "manifests" / lab.id).rglob("*.yaml")}):
        try:
            shell("kubectl create --dry-run=client --validate=strict -o name -f -", session.api.kubeconfig, stdin=manifests.text(folder))
        except CommandFailed as problem:
            yield Line(str(folder.relative_to(paths.root())), problem=f"is not valid: {problem}")


def side_by_side(names: Iterable[str], count: int, tell: Tell) -> None:
    """Proves the names on `count` embedded clusters at once. Raises clusters.ClusterError where one does not start."""
    left: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in names:
        left.put(name)
    failures: list[BaseException] = []

    def work() -> None:
        try:
            _on_a_cluster_of_its_own(left, tell)
        except Exception as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    try:
        for thread in threads:
            thread.join()
    except KeyboardInterrupt:
        # What is under way ends with its process, which hears Ctrl-C too; nothing else is begun, and the clusters are taken down.
        with contextlib.suppress(queue.Empty):
            while True:
                left.get_nowait()
        for thread in threads:
            thread.join()
        raise
    if failures:
        raise failures[0]


def _on_a_cluster_of_its_own(left: queue.SimpleQueue[str], tell: Tell) -> None:
    with tempfile.TemporaryDirectory(prefix="ai-lab-proof-") as folder:
        cluster = clusters.get("embedded", Path(folder))
        try:
            cluster.up(Progress())
            clusters.remember(cluster, Path(folder))
            while not left.empty():
                _worker(Path(folder), left, tell)
        finally:
            cluster.wipe()


def _worker(home: Path, left: queue.SimpleQueue[str], tell: Tell) -> None:
    """One process that takes names until none is left. Where it ends before it is done, the name is told, and the next process goes on."""
    worker = subprocess.Popen(
        [sys.executable, "-m", __name__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        cwd=paths.root(), env={**os.environ, "AI_LAB_HOME": str(home)},
    )  # fmt: skip
    assert worker.stdin is not None
    assert worker.stdout is not None
    with worker:
        while True:
            try:
                name = left.get_nowait()
            except queue.Empty:
                return
            worker.stdin.write(f"{name}\n")
            for line in iter(worker.stdout.readline, ""):
                if line == "done\n":
                    break
                tell(Line(**json.loads(line)))
            else:
                tell(Line(name, problem="the process that proves it ended; what it said is above"))
                return


def main() -> None:
    def tell(line: Line) -> None:
        print(json.dumps(asdict(line)), flush=True)

    with session() as found:
        for name in sys.stdin:
            prove(found, name.strip(), tell)
            print("done", flush=True)


if __name__ == "__main__":
    main()
