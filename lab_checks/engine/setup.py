"""Laying an exercise's broken start on a cluster, and taking everything back.

An exercise begins from the same place every time: nodes and the GPU plugin as they were before any exercise, the course's namespaces empty,
then the manifests of `manifests/<lab>/<exercise>/` and the steps of its `start.toml`:

    namespaces = ["team-b"]                      # further namespaces to make (and to empty again)
    [[step]]
    run = "kubectl annotate node ai-lab-worker3 gpu.ai-lab.dev/no-devices=true --overwrite"
    [[await]]
    run = "kubectl -n ai-platform get events"
    matches = "FailedScheduling"
    for = "the scheduler's first word on the Pod"
"""

from __future__ import annotations

import json
import re
import time
import tomllib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kubeobjects import Object
from lab_checks.engine import baseline, leftovers, observe, paths, rollout, snapshot
from lab_checks.engine.api import Api, ApiUnreachable, CommandFailed, shell
from lab_checks.engine.context import NAMESPACE
from lab_checks.engine.course import Exercise
from lab_checks.engine.progress import Progress

Say = Callable[[str], None]
Ask = Callable[[str], bool]

# Namespaces that the course makes carry this label, so that it never touches another one.
LABEL = "ai-lab.dev/course"
_KINDS = (
    "deployments,statefulsets,daemonsets,jobs,cronjobs,replicasets,replicationcontrollers,services,ingresses,configmaps,secrets,"
    "resourcequotas,limitranges,networkpolicies,persistentvolumeclaims,poddisruptionbudgets,horizontalpodautoscalers,roles,rolebindings"
)
_BASE_PLUGIN = "daemonset/nvidia-device-plugin-daemonset"
# What a step on nodes, or on what the whole cluster shares, names.
_OUTSIDE = re.compile(r"kube-system|\bnodes?\b|\b(?:un)?cordon\b|\btaint\b|\bdrain\b")
_WAIT = 90.0
_LOOK_EVERY = 0.25


@dataclass(frozen=True)
class Await:
    run: str
    matches: str
    what: str = "the start to be laid"
    seconds: float = _WAIT


@dataclass(frozen=True)
class Start:
    """What an exercise begins with."""

    manifests: tuple[Path, ...] = ()
    namespaces: tuple[str, ...] = ()
    steps: tuple[str, ...] = ()
    awaits: tuple[Await, ...] = field(default=())


def start_of(exercise: Exercise) -> Start:
    folder = paths.manifests(exercise.lab, exercise.id)
    described = folder / "start.toml"
    data = tomllib.loads(described.read_text()) if described.exists() else {}
    return Start(
        manifests=tuple(sorted(folder.glob("*.yaml"))) if folder.is_dir() else (),
        namespaces=tuple(data.get("namespaces", ())),
        steps=tuple(row["run"] for row in data.get("step", ())),
        awaits=tuple(
            Await(row["run"], row["matches"], row.get("for", "the start to be laid"), row.get("seconds", _WAIT))
            for row in data.get("await", ())
        ),
    )


class LessonError(Exception):
    """A start that could not be laid; the message says what did not happen and what to look at."""


def lay(api: Api, exercise: Exercise, progress: Progress, say: Say, ask: Ask, made_by_lab: bool = True) -> Object:
    """Brings the cluster to the exercise's start and returns the baseline; `ask` is asked before anything outside the course is deleted.

    Raises LessonError.

    On a cluster that the lab did not make (`made_by_lab` false) nothing outside the course's own namespaces is written.
    """
    start = start_of(exercise)
    if not made_by_lab and any(_OUTSIDE.search(step) for step in start.steps):
        raise LessonError(
            f"{exercise.key} changes nodes or the GPU plugin, and this cluster was not made by the course; ai-lab up --cluster embedded has nodes for it"
        )
    clean(api, progress, say, ask, keep=start.namespaces, made_by_lab=made_by_lab)
    try:
        for namespace in (NAMESPACE, *start.namespaces):
            _namespace(api, namespace)
        if start.manifests:
            say("laying the start")
            shell(
                "kubectl apply --field-manager=ai-lab --server-side --force-conflicts -n "
                + NAMESPACE
                + "".join(f" -f {path}" for path in start.manifests),
                api.kubeconfig,
            )
        for step in start.steps:
            shell(step, api.kubeconfig, folder=paths.manifests(exercise.lab, exercise.id))
    except CommandFailed as problem:
        raise LessonError(f"the start of {exercise.key} could not be laid: {problem}") from None
    for condition in start.awaits:
        _until(api, condition, say)
    try:
        _settle(api, (NAMESPACE, *start.namespaces), say)
    except CommandFailed as problem:
        raise LessonError(f"the start of {exercise.key} does not come to rest: {problem}") from None
    return baseline.take(api, [NAMESPACE, *start.namespaces])


def _settle(api: Api, namespaces: tuple[str, ...], say: Say) -> None:
    """Removes Pods that a kubelet refused while the start was made, and waits until those that are going are gone."""
    deadline = time.monotonic() + _WAIT
    told = False
    while True:
        left = [pod for name in namespaces for pod in api.list("pods", name)]
        left += [pod for pod in api.list("pods", "kube-system") if observe.is_plugin({"spec": {"template": pod}})]
        going = [pod for pod in left if "deletionTimestamp" in pod["metadata"]]
        for pod in left:
            if pod["metadata"]["namespace"] in namespaces and rollout.refused(pod) and pod not in going:
                made = pod["metadata"]
                shell(f"kubectl -n {made['namespace']} delete pod {made['name']} --wait=false --ignore-not-found", api.kubeconfig)
                going.append(pod)
        # What goes on longer than this is left out of the baseline, and no reason to refuse the start.
        if not going or time.monotonic() > deadline:
            return
        if not told:
            say(f"waiting for {len(going)} Pods that are going")
            told = True
        time.sleep(_LOOK_EVERY)


def _until(api: Api, condition: Await, say: Say) -> None:
    deadline = time.monotonic() + condition.seconds
    told = False
    seen = ""
    while True:
        try:
            seen = shell(condition.run, api.kubeconfig)
        except CommandFailed as problem:
            seen = str(problem)
            # Where the cluster has gone, waiting changes nothing: this raises ApiUnreachable.
            api.raw("/version")
        if re.search(condition.matches, seen, re.S):
            return
        if not told:
            say(f"waiting for {condition.what}")
            told = True
        if time.monotonic() > deadline:
            raise LessonError(f"waited {condition.seconds:.0f} s for {condition.what}; `{condition.run}` last showed:\n{seen.strip()}")
        time.sleep(_LOOK_EVERY)


def _namespace(api: Api, name: str) -> None:
    there = api.get("namespaces", name)
    if there and LABEL in (there["metadata"].get("labels") or {}) and "deletionTimestamp" not in there["metadata"]:
        return
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {LABEL: "true"}}}
    shell("kubectl apply --field-manager=ai-lab --server-side --force-conflicts -f -", api.kubeconfig, stdin=json.dumps(body))
    deadline = time.monotonic() + _WAIT
    while api.get("serviceaccounts", "default", name) is None:
        if time.monotonic() > deadline:
            raise LessonError(f"namespace {name} got no default ServiceAccount: is the controller manager running?")
        time.sleep(0.05)


def clean(api: Api, progress: Progress, say: Say, ask: Ask, keep: tuple[str, ...] = (), *, made_by_lab: bool = True) -> None:
    """Empties the course's namespaces, and brings nodes, the GPU plugin and everything else to what they were before any exercise. Raises LessonError.

    On a cluster that the lab did not make, namespaces without the course's label, nodes and plugins are left alone.
    """
    if not made_by_lab:
        there = api.get("namespaces", NAMESPACE)
        if there and LABEL not in (there["metadata"].get("labels") or {}):
            raise LessonError(
                f"namespace {NAMESPACE} of this cluster was not made by the course, and an exercise would empty it; "
                f"if it is yours to give: kubectl label namespace {NAMESPACE} {LABEL}=true"
            )
        try:
            _empty(api, say, keep)
        except CommandFailed as problem:
            raise LessonError(f"the course's namespaces could not be emptied: {problem}") from None
        return
    restore_nodes(api, progress)
    try:
        _empty(api, say, keep)
        _remove_plugins(api, progress)
        _remove_priorities(api, progress)
        _remove_leftovers(api, progress, say, ask)
        # Replaced, because an apply would leave what a learner added; applied where there is nothing to replace; made anew where a learner's
        # one of that name has another selector, which no update changes.
        plugin = paths.root() / "manifests/base/gpu-device-plugin.yaml"
        apply = f"kubectl apply --field-manager=ai-lab --server-side --force-conflicts -f {plugin}"
        shell(
            f"kubectl replace --field-manager=ai-lab -f {plugin} 2>/dev/null || {apply} 2>/dev/null"
            f" || {{ kubectl -n kube-system delete {_BASE_PLUGIN} --cascade=foreground --wait=true --timeout=60s --ignore-not-found && {apply}; }}",
            api.kubeconfig,
        )
    except CommandFailed as problem:
        raise LessonError(f"the cluster could not be brought back to its beginning: {problem}") from None
    _restore_plugin(api, progress, say)


def _empty(api: Api, say: Say, keep: tuple[str, ...]) -> None:
    ours = [each["metadata"]["name"] for each in api.list("namespaces", labels=f"{LABEL}=true")]
    namespaces = sorted({*ours, NAMESPACE})
    for name in namespaces:
        if api.get("namespaces", name) is None:
            continue
        left = api.list("pods", name)
        shell(
            f"kubectl -n {name} delete {_KINDS} --wait=false --ignore-not-found --field-selector=metadata.name!=kube-root-ca.crt",
            api.kubeconfig,
        )
        if left or api.list("pods", name):
            say(f"clearing namespace {name}")
            shell(f"kubectl -n {name} delete pods --all --grace-period=1 --wait=true --timeout=60s --ignore-not-found", api.kubeconfig)
        if name != NAMESPACE and name not in keep:
            shell(f"kubectl delete namespace {name} --wait=false --ignore-not-found", api.kubeconfig)


def restore_nodes(api: Api, progress: Progress) -> None:
    """Gives every node the labels, taints, cordon and faults that it had before any exercise; remembers them at the first call."""
    cluster = api.cluster_id()
    nodes = {node["metadata"]["name"]: node for node in api.list("nodes")}
    pristine = progress.pristine(cluster)
    if pristine is None:
        # Faults are the course's own annotations: what an unfinished exercise of an earlier learner left is not how the nodes were made.
        pristine = {
            "nodes": {name: {**baseline.node_rules(node), "faults": {}, "sizes": _sizes(node)} for name, node in nodes.items()},
            "objects": {kind: list(objects) for kind, objects in snapshot.take(api).items()},
            "plugins": [_where(*each) for each in _plugins(api)],
            "priorities": [each["metadata"]["name"] for each in api.list("priorityclasses")],
        }
        progress.remember_pristine(cluster, pristine)
    for name, wanted in pristine["nodes"].items():
        if name not in nodes:
            continue
        have = baseline.node_rules(nodes[name])
        if all(have[key] == wanted[key] for key in have):
            continue
        kept = [taint for taint in nodes[name]["spec"].get("taints") or [] if taint["key"].startswith("node.kubernetes.io/")]
        patch = {
            "metadata": {
                "labels": {key: None for key in have["labels"] if key not in wanted["labels"]} | wanted["labels"],
                "annotations": {key: None for key in have["faults"] if key not in wanted["faults"]} | wanted["faults"],
            },
            "spec": {"taints": [*wanted["taints"], *kept] or None, "unschedulable": wanted["unschedulable"] or None},
        }
        shell(
            f"kubectl patch node {name} --type=merge --field-manager=ai-lab --patch-file=/dev/stdin",
            api.kubeconfig,
            stdin=json.dumps(patch),
        )


def _plugins(api: Api) -> list[tuple[str, str, str]]:
    """(namespace, kind, name) of what runs device plugins, wherever somebody put it: workloads of every kind, and Pods that nobody but a person made."""
    found = []
    for kind in ("daemonsets", "deployments", "statefulsets", "replicasets", "jobs", "pods"):
        for each in api.list(kind):
            made = each["metadata"]
            if not made.get("ownerReferences") and observe.is_plugin({"spec": {"template": each}} if kind == "pods" else each):
                found.append((made["namespace"], kind.removesuffix("s"), made["name"]))
    return found


def _where(namespace: str, kind: str, name: str) -> str:
    """How a plugin is remembered."""
    return f"{kind}/{name}" if namespace == "kube-system" else f"{namespace}/{kind}/{name}"


def _remove_plugins(api: Api, progress: Progress) -> None:
    """Takes away device plugins that were not there before any exercise: two of them on a node fight over its devices."""
    known = (progress.pristine(api.cluster_id()) or {}).get("plugins", [])
    for namespace, kind, name in _plugins(api):
        if _where(namespace, kind, name) not in [*known, _BASE_PLUGIN]:
            wait = "--cascade=foreground --wait=true --timeout=60s --ignore-not-found"
            shell(f"kubectl -n {namespace} delete {kind} {name} {wait}", api.kubeconfig)


def _remove_priorities(api: Api, progress: Progress) -> None:
    """Takes away priority classes that were not there before any exercise: a default for everybody would change every later start."""
    known = (progress.pristine(api.cluster_id()) or {}).get("priorities")
    names = [each["metadata"]["name"] for each in api.list("priorityclasses")]
    added = [name for name in names if known is not None and name not in known and not name.startswith("system-")]
    if added:
        shell(f"kubectl delete priorityclass {' '.join(added)} --ignore-not-found", api.kubeconfig)


def _remove_leftovers(api: Api, progress: Progress, say: Say, ask: Ask) -> None:
    """Takes away what was created since the first start: in the course's namespaces at once, elsewhere after a question."""
    before = (progress.pristine(api.cluster_id()) or {}).get("objects")
    if before is None:
        # A cluster from an earlier version of the course, which did not note it.
        return
    now = snapshot.take(api)
    courses = {name for name, each in now["namespaces"].items() if LABEL in (each["metadata"].get("labels") or {})} | {NAMESPACE}
    handled = {*_KINDS.split(","), "pods"}
    leftovers.remove(
        api,
        [
            (kind, key)
            for kind, objects in now.items()
            for key in objects
            if kind not in handled
            and key.partition("/")[0] in courses
            and "/" in key
            and (kind, key.partition("/")[2]) != ("serviceaccounts", "default")
        ],
    )
    rows = leftovers.created(before, now, courses)
    if not rows:
        return
    told = leftovers.told(rows)
    if not ask(f"{told}: not there before the first exercise, and outside the course's namespaces. Delete?"):
        raise LessonError(
            f"{told} was not there before the first exercise and may be in the way. Delete it first: {'; '.join(leftovers.commands(rows))}"
        )
    say(f"deleting what was left over: {told}")
    leftovers.remove(api, rows)


def _sizes(node: Object) -> Object:
    """What the machine beneath a node has, which no exercise changes: a status that was written by hand says something else."""
    return {key: node["status"].get("allocatable", {}).get(key) for key in ("cpu", "memory", "pods")}


def _restore_plugin(api: Api, progress: Progress, say: Say) -> None:
    """Waits until the plugin's rollout is over, GPU nodes offer what their labels promise, and kubelets have corrected a status written by hand."""
    deadline = time.monotonic() + _WAIT
    pristine = (progress.pristine(api.cluster_id()) or {}).get("nodes", {})
    told = False

    def said(pod: Object) -> str:
        try:
            return api.log(pod)
        except ApiUnreachable:
            # Its kubelet does not answer (yet).
            return ""

    while True:
        nodes = api.list("nodes")
        # Before allocatable: until then, that is what the plugin before offered.
        coming = rollout.unfinished(
            api.get("daemonsets", _BASE_PLUGIN.partition("/")[2], "kube-system"), api.list("pods", "kube-system"), nodes, said
        )
        short = [
            node["metadata"]["name"]
            for node in nodes
            if int(node["status"].get("allocatable", {}).get("nvidia.com/gpu", "0"))
            != int(node["metadata"].get("labels", {}).get("nvidia.com/gpu.count", "0"))
            or _sizes(node) != pristine.get(node["metadata"]["name"], {}).get("sizes", _sizes(node))
        ]
        if not short and not coming:
            return
        if not told:
            say(f"waiting for {', '.join(short)} to offer what is in the machine" if short else "waiting for the GPU plugin's rollout")
            told = True
        if time.monotonic() > deadline:
            what = coming or f"{', '.join(short)} did not get back what is in the machine"
            raise LessonError(f"{what}; look at: kubectl -n kube-system get pods -l app=gpu-device-plugin -o wide")
        time.sleep(_LOOK_EVERY)
