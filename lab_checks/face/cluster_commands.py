"""The commands of `ai-lab` that are about the cluster: up, down, status, env, open and doctor.

The Kubernetes client and Rich are imported where they are used: `ai-lab up` must not wait for them.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated

import typer

import clusters
from clusters import ClusterError
from lab_checks.face import shell_setup
from lab_checks.face.terminal import (
    FAILED,
    NO_CLUSTER,
    USAGE,
    JsonOption,
    TerminalProgress,
    ask_line,
    command,
    confirm,
    die,
    echo,
    tilde,
    typable,
)

ClusterOption = Annotated[str, typer.Option("--cluster", help="auto, embedded, kind or current")]

LearnerOption = Annotated[
    str | None, typer.Option("--learner", help="your name, for `ai-lab report`; empty: the account's. AI_LAB_LEARNER comes before it")
]


def _note_learner(given: str | None, ask: bool = False) -> None:
    """Keeps the learner's name where one is given; with `ask`, asks for it once, where somebody sits at a terminal."""
    from lab_checks.engine import learner

    state = clusters.state_folder()
    if given is None:
        if not ask or learner.asked(state) or not (sys.stdin.isatty() and sys.stderr.isatty()):
            return
        given = ask_line(f"Your name, for your instructor (Enter keeps {learner.account()})")
    try:
        name = learner.remember(state, given)
    except learner.BadName as problem:
        raise die(str(problem), USAGE, "ai-lab up --learner NAME") from None
    except OSError as problem:
        # The course goes on without it.
        typer.echo(f"Your name cannot be kept: {problem.filename or state}: {problem.strerror}", err=True)
        return
    typer.echo(f"You are {name} in reports.", err=True)


def _cluster(name: str) -> clusters.Cluster:
    if name not in ("auto", *clusters.NAMES):
        raise die(f'there is no cluster called "{name}"', USAGE, f"--cluster with one of: auto, {', '.join(clusters.NAMES)}")
    try:
        if name != "auto":
            return clusters.get(name)
        chosen, why = clusters.choose()
    except ClusterError as problem:
        raise die(problem.what, NO_CLUSTER, problem.next) from None
    if why:
        echo(why, err=True)
    return chosen


def _up(name: str, recover: bool = False) -> clusters.Cluster:
    if recover and name not in ("auto", "embedded"):
        raise die(f"the {name} cluster has no stored state to recover", USAGE, f"ai-lab up --cluster {name}")
    cluster = _cluster("embedded" if recover else name)
    cluster.recover = recover
    try:
        cluster.up(TerminalProgress())
        clusters.remember(cluster)
    except ClusterError as problem:
        offer = "" if cluster.name == "embedded" or "embedded" in problem.next else "; or: ai-lab up --cluster embedded"
        raise die(problem.what, NO_CLUSTER, problem.next + offer) from None
    except KeyboardInterrupt:
        # The server has a session of its own and hears no Ctrl-C.
        clusters.remember(cluster)
        echo("\nStopped waiting; the cluster may still come up. See it with ai-lab status, stop it with ai-lab down", err=True)
        raise
    return cluster


def up(
    cluster: ClusterOption = "auto",
    learner: LearnerOption = None,
    recover: Annotated[
        bool, typer.Option("--recover", help="if the embedded cluster's state is damaged, go on with what is whole")
    ] = False,
) -> None:
    """Start the lab cluster, or find it running."""
    _note_learner(learner)
    found = _up(cluster, recover)
    if os.environ.get("KUBECONFIG") == str(found.kubeconfig) and command() == "ai-lab":
        typer.echo(f"The {found.name} cluster is up, and kubectl in this shell speaks to it.")
    else:
        typer.echo(f"The {found.name} cluster is up. For kubectl in this shell: {shell_setup.how_to(shell_setup.asking(), command())}")


# What `down --wipe` takes away, by the cluster's name.
_FORGOTTEN = {
    "embedded": "every object on the embedded cluster, its volumes and its logs are deleted, and the next `ai-lab up` begins with an empty one",
    "kind": "the kind cluster is deleted, and the archive of images from which the next one would start",
    "current": "the context is forgotten; the cluster itself is not touched",
}


def down(
    cluster: ClusterOption = "auto",
    wipe: Annotated[bool, typer.Option("--wipe", help="delete what the cluster has stored too, after a question")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="with --wipe: do not ask")] = False,
) -> None:
    """Stop the lab cluster.

    The embedded one keeps its objects; kind's is deleted. Progress and notebooks are kept, also with --wipe.
    """
    found = clusters.in_use() if cluster == "auto" else _cluster(cluster)
    if found is None:
        typer.echo("No lab cluster is up.")
        return
    if wipe:
        _agree_to_wipe(found, yes)
    try:
        if found.status().state == "absent":
            typer.echo(f"The {found.name} cluster is not up.")
            found.down(clusters.Progress())
        else:
            found.down(TerminalProgress())
        if wipe:
            found.wipe()
            typer.echo(f"The {found.name} cluster's state is deleted.")
    except ClusterError as problem:
        raise die(problem.what, NO_CLUSTER, problem.next) from None


def _agree_to_wipe(found: clusters.Cluster, yes: bool) -> None:
    """Says what will be gone. Raises the exit where the answer is no, or where nobody can answer."""
    echo(f"With --wipe, {_FORGOTTEN[found.name]}. Progress and notebooks are kept.", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        raise die("nobody can be asked here, so nothing was deleted or stopped", USAGE, "ai-lab down --wipe --yes")
    if not confirm("Delete?", False):
        raise die("nothing was deleted or stopped", FAILED)


def status(as_json: JsonOption = False) -> None:
    """Say how the lab cluster is. Exit status 0 only when it is ready."""
    found = clusters.in_use()
    if found is None:
        if as_json:
            typer.echo(json.dumps({"cluster": "", "state": "absent", "nodes": []}))
            raise typer.Exit(NO_CLUSTER)
        raise die("no lab cluster has been started yet", NO_CLUSTER, "ai-lab up")
    seen = found.status()
    if as_json:
        typer.echo(json.dumps(seen.to_json(), indent=1))
    else:
        echo(f"{seen.cluster}: {seen.state}{f' ({seen.detail})' if seen.detail else ''}")
        if seen.server:
            typer.echo(f"  API server  {seen.server}\n  kubeconfig  {seen.kubeconfig}")
        if seen.memory:
            spread = f" in {len(seen.pids)} processes" if seen.pids else ""
            typer.echo(f"  memory      {seen.memory / 1024**2:.0f} MiB{spread}")
        for node in seen.to_json()["nodes"]:
            gpus = f", {node['gpus']} GPU" if node["gpus"] else ""
            typer.echo(f"  {'✔' if node['ready'] else '✘'} {node['name']}{gpus}")
    raise typer.Exit(0 if seen.state == "ready" else NO_CLUSTER)


def env(shell: Annotated[str, typer.Option(help="auto, bash, zsh, fish or sh; auto is the shell that asks")] = "auto") -> None:
    """Set up kubectl and ai-lab in a shell of your own.

    Prints what the shell evaluates: eval "$(ai-lab env)", and in fish: ai-lab env | source.
    """
    from lab_checks.engine.api import environment

    if shell not in ("auto", *shell_setup.KINDS):
        raise die(f'there is no shell called "{shell}" here', USAGE, f"one of: auto, {', '.join(shell_setup.KINDS)}")
    found = clusters.in_use()
    if found is None:
        raise die("no lab cluster has been started yet", NO_CLUSTER, "ai-lab up")
    typer.echo(shell_setup.lines(shell_setup.asking() if shell == "auto" else shell, environment(found.kubeconfig)))


def _not_copied(where: Path, problem: OSError) -> typer.Exit:
    return die(f"the notebooks cannot be copied to {where}: {problem.strerror}", USAGE, "ai-lab open --folder SOME/FOLDER")


def _kept(names: list[str]) -> str:
    return f"yours were kept; the course has newer ones: {', '.join(names)}. Rename yours to get the new one at the next ai-lab open"


def open_course(
    cluster: ClusterOption = "auto",
    browser: Annotated[bool, typer.Option(help="open a browser window")] = True,
    port: Annotated[int, typer.Option(help="JupyterLab's port on 127.0.0.1 (the next free one is taken where it is in use)")] = 8888,
    folder: Annotated[Path | None, typer.Option(help="where your copies of the notebooks are kept")] = None,
) -> None:
    """Start the cluster and open the course in JupyterLab.

    Notebooks that you have not begun are copied into your folder.
    """
    from lab_checks.engine import paths
    from lab_checks.face import jupyter

    _note_learner(None, ask=True)
    found = _up(cluster)
    where = folder or paths.learners_notebooks()
    progress = TerminalProgress()
    try:
        with progress.step(f"Your notebooks in {tilde(where)}"):
            begun = where.exists()
            lock = jupyter.lock(where, lambda: progress.say("another `ai-lab open` is starting JupyterLab on them; waiting for it"))
            fresh, kept = jupyter.copy_notebooks(where)
    except OSError as problem:
        raise _not_copied(where, problem) from None
    if begun and fresh:
        progress.say(f"new or renewed: {', '.join(fresh)}")
    if kept:
        progress.say(_kept(kept))
    running = jupyter.running(where)
    if running:
        typer.echo(f"JupyterLab is already open on these notebooks: {jupyter.address(running)}")
        if browser:
            jupyter.show_in_browser(running)
        return
    goes_on = typable("The lab cluster goes on running; stop it with: ai-lab down")
    jupyter.become_jupyterlab(where, found.kubeconfig, port, browser, f"JupyterLab has stopped. {goes_on}", lock)


def notebooks(folder: Annotated[Path | None, typer.Argument(help="where they are kept")] = None) -> None:
    """Copy the notebooks into your folder, for your own editor.

    Those that you have changed stay as they are. `ai-lab open` does the same, and opens JupyterLab on them.
    """
    from lab_checks.engine import paths
    from lab_checks.face import jupyter

    where = folder or paths.learners_notebooks()
    try:
        fresh, kept = jupyter.copy_notebooks(where)
    except OSError as problem:
        raise _not_copied(where, problem) from None
    typer.echo(f"Your notebooks are in {tilde(where)}: {len(fresh)} new or renewed")
    if kept:
        echo(_kept(kept), err=True)


def doctor(as_json: JsonOption = False) -> None:
    """Say what each kind of cluster has, and what is missing.

    With the command that brings it.
    """
    from clusters import doctor as checks

    findings = checks.examine(clusters.state_folder())
    if as_json:
        typer.echo(json.dumps([finding.to_json() for finding in findings], indent=1))
    else:
        for area in dict.fromkeys(finding.area for finding in findings):
            typer.secho(area, bold=True)
            for finding in findings:
                if finding.area == area:
                    sign, colour = {"ok": ("✔", "green"), "warn": ("!", "yellow"), "missing": ("✘", "red")}[finding.state]
                    typer.secho(f"  {sign} ", fg=colour, nl=False)
                    echo(f"{finding.name}: {finding.seen}")
                    if finding.mend:
                        echo(f"      next: {finding.mend}")
    broken = any(finding.state == "missing" and finding.area in ("course", "embedded") for finding in findings)
    raise typer.Exit(FAILED if broken else 0)
