"""`ai-lab grade`: submitted notebooks are run and judged, several at a time, each on a cluster of its own.

ai-lab grade submitted/                         every notebook in a folder
ai-lab grade submitted/ -j 4 --weights w.toml   four at a time, with weights
ai-lab grade mira.ipynb --lab 03-pending        one notebook, of which lab it is
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

import clusters
from lab_checks.engine import course
from lab_checks.face import tables
from lab_checks.face.terminal import FAILED, USAGE, JsonOption, die, echo, tilde

ENCLOSED = "namespaces: files, processes, ports and network of each submission are its own"
TRUSTED = "none: submissions ran as this account, one at a time"


def grade(
    places: Annotated[list[Path], typer.Argument(metavar="FILE|DIR...", help="submitted notebooks, or folders of them")],
    lab: Annotated[str, typer.Option(metavar="LAB", help="which lab they are of; left out: what each opens")] = "",
    jobs: Annotated[int | None, typer.Option("-j", "--jobs", metavar="N", min=1, help="so many at a time; left out: half the CPUs")] = None,
    out: Annotated[Path, typer.Option(metavar="DIR", help="where results are written")] = Path("grades"),
    weights: Annotated[Path | None, typer.Option(metavar="FILE", help="TOML: what exercises weigh; left out: 1 each")] = None,
    partial: Annotated[bool, typer.Option("--partial-credit", help="what is solved in part earns that part")] = False,
    minutes: Annotated[float, typer.Option(metavar="N", min=0.1, help="how long one submission may take")] = 30,
    cell: Annotated[int, typer.Option("--cell-seconds", metavar="N", min=1, help="how long one cell may take")] = 300,
    memory: Annotated[int, typer.Option(metavar="MIB", min=512, help="memory of one submission with its cluster")] = 2048,
    processes: Annotated[int, typer.Option(metavar="N", min=50, help="processes of one submission with its cluster")] = 400,
    disk: Annotated[int, typer.Option(metavar="MIB", min=100, help="files of one submission with its cluster")] = 2048,
    output: Annotated[int, typer.Option(metavar="KIB", min=10, help="what one notebook may print")] = 2048,
    trusted: Annotated[bool, typer.Option("--trusted", help="run without an enclosure, one at a time: you trust the notebooks")] = False,
    as_json: JsonOption = False,
) -> None:
    """Grade submitted notebooks.

    Each is run by papermill on a cluster of its own. What it claims to have passed is checked again from outside. Results are written to DIR:
    results.json, results.csv, junit.xml, nbgrader.csv, lti.csv, and the notebooks as they were run.

    Exit status 0 where all were graded, 1 where the grader itself failed at one.
    """
    from lab_checks.grading import enclosure, gradebook, rooms, submissions, worker

    told = course.load()
    try:
        found = submissions.find(places, told, told.lab(lab) if lab else None)
        weighed = gradebook.weights(weights, told, partial) if weights else gradebook.Weights(partial=partial)
    except course.UnknownName as problem:
        raise die(str(problem), USAGE, "ai-lab progress lists the labs") from None
    except submissions.NoSubmission as problem:
        raise die(str(problem), USAGE, "name notebooks, or a folder with one folder or one notebook for each learner") from None
    except gradebook.BadWeights as problem:
        raise die(str(problem), USAGE, '[weights] holds lines such as "03-pending/moved-in" = 2') from None
    why = "" if trusted else enclosure.missing()
    if why:
        raise die(
            f"this machine cannot keep submissions apart ({why})",
            USAGE,
            "grade on Linux with user namespaces, or with --trusted if you trust all of them",
        )
    many = 1 if trusted else min(jobs or max(1, (os.cpu_count() or 2) // 2), len(found))
    if trusted:
        echo("Without an enclosure: a notebook can read and change all files of this account, and end its programs.", err=True)
    limits = rooms.Limits(
        seconds=minutes * 60, cell=cell, memory=memory * 2**20, processes=processes, output=output * 1024, disk=disk * 2**20
    )
    private = [*places, out, clusters.state_folder(), *([weights] if weights else ())]
    out.mkdir(parents=True, exist_ok=True)
    stop = threading.Event()
    # As Ctrl-C does: every run is ended, and its folder removed.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))

    def one(number: int) -> rooms.Graded:
        each = found[number]
        if each.problem or each.lab is None:
            return rooms.unread(each)
        keep = out / "notebooks" / f"{number + 1:03d}-{each.lab.id}.ipynb"
        try:
            return rooms.grade(each, folder, number, limits, not trusted, stop, keep, private)
        except OSError as problem:
            # A full disk, say: the others' results are kept.
            return replace(rooms.unread(each), ended=worker.FAULT, words=f"it could not be run: {problem.strerror or problem}")

    graded: dict[int, rooms.Graded] = {}
    with (
        tempfile.TemporaryDirectory(prefix="ai-lab-grade-", ignore_cleanup_errors=True) as name,
        ThreadPoolExecutor(many) as pool,
    ):
        folder = Path(name).resolve()
        running = {pool.submit(one, number): number for number in range(len(found))}
        try:
            for done in as_completed(running):
                number = running[done]
                graded[number] = done.result()
                points, most = gradebook.score(graded[number], weighed)
                echo(
                    f"{len(graded)} of {len(found)}: {graded[number].submission.learner}: {points:g} of {most:g}, {gradebook.told(graded[number])}",
                    err=True,
                )
        except BaseException:
            stop.set()
            for waiting in running:
                waiting.cancel()
            raise
    results = [graded[number] for number in sorted(graded)]
    at = time.time()
    isolation = TRUSTED if trusted else ENCLOSED
    gradebook.write(out, results, weighed, at, isolation)
    if as_json:
        typer.echo(json.dumps(gradebook.to_json(results, weighed, at, isolation), indent=1))
    else:
        rows = []
        for each in results:
            points, most = gradebook.score(each, weighed)
            rows.append(
                (
                    each.submission.learner,
                    each.submission.lab.id if each.submission.lab else "",
                    f"{points:g} of {most:g}",
                    gradebook.told(each),
                )
            )
        for line in tables.table(("learner", "lab", "points", "run"), rows, tables.width(), keep=3):
            typer.echo(line)
        echo(f"  results: {tilde(out.resolve())}")
    raise typer.Exit(FAILED if any(each.ended == worker.FAULT for each in results) else 0)
