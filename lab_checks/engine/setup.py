"""Creating an exercise's broken start on a cluster, and taking everything back.

An exercise begins from the same place every time: nodes and the GPU plugin as they were before any exercise, the course's namespaces empty,
then the manifests of `manifests/<lab>/<exercise>/` (the healthy base and patches, by kustomize, or plain YAML) and the steps of its `start.toml`:

    namespaces = ["team-b"]                      # further namespaces to make (and to empty again)
    [[step]]
    run = "kubectl annotate node ai-lab-worker3 gpu.ai-lab.dev/no-devices=true --overwrite"
    [[step]]
    apply = "after"                              # a folder of manifests beside it
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
from lab_checks.engine import baseline, claimed, course, identity, leftovers, manifests, monitoring, observe, paths, rollout, snapshot
from lab_checks.engine.api import Api, ApiUnreachable, CommandFailed, shell
from lab_checks.engine.context import NAMESPACE
from lab_checks.engine.course import Exercise, UnknownName
from lab_checks.engine.progress import Progress

Say = Callable[[str], None]
Ask = Callable[[str], bool]

# Namespaces that the course makes carry this label, so that it never touches another one.
LABEL = "ai-lab.dev/course"
# What a namespace of the course may be labelled with before an exercise begins.
_NAMESPACE_LABELS = frozenset({LABEL, "kubernetes.io/metadata.name", "team"})
_KINDS = (
    "deployments,statefulsets,daemonsets,jobs,cronjobs,replicasets,replicationcontrollers,services,ingresses,configmaps,secrets,"
    "resourcequotas,limitranges,networkpolicies,persistentvolumeclaims,poddisruptionbudgets,horizontalpodautoscalers,roles,rolebindings"
)
_CLUSTER_RIGHTS = ("clusterroles", "clusterrolebindings")
# Kubernetes' own roles and bindings, such as `edit`. Its API server puts them right only when it starts.
_BUILT_IN = "kubernetes.io/bootstrapping"
_BASE_PLUGIN = "daemonset/nvidia-device-plugin-daemonset"
# What a step on nodes, or on what the whole cluster shares, names.
_OUTSIDE = re.compile(r"kube-system|\bnodes?\b|\b(?:un)?cordon\b|\btaint\b|\bdrain\b")
# Manifests of kinds that the whole cluster shares.
_SHARED = re.compile(r"^kind: *(?:ClusterRole|ClusterRoleBinding|PriorityClass|\w*AdmissionPolicy(?:Binding)?)$", re.M)
# Kinds that may refuse what the course does next, a deletion among it: what was left of them goes first.
_ADMISSION = re.compile(r"(?:validating|mutating)(?:admissionpolic|webhookconfiguration)")
_WAIT = 90.0
# Seconds that one command of a start may take; those that wait have a shorter limit of their own.
_STEP = 200.0
_LOOK_EVERY = 0.25


@dataclass(frozen=True)
class Await:
    run: str
    matches: str
    what: str = "the start to be ready"
    seconds: float = _WAIT


@dataclass(frozen=True)
class Step:
    """A command line with what it reads, or a folder whose manifests are applied."""

    run: str = ""
    apply: Path | None = None
    stdin: str = ""


@dataclass(frozen=True)
class Start:
    """What an exercise begins with: the manifests of `folder`, then the steps."""

    folder: Path
    namespaces: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    awaits: tuple[Await, ...] = field(default=())


def start_of(exercise: Exercise) -> Start:
    folder = paths.manifests(exercise.lab, exercise.id)
    described = folder / "start.toml"
    data = tomllib.loads(described.read_text()) if described.exists() else {}
    return Start(
        folder=folder,
        namespaces=tuple(data.get("namespaces", ())),
        steps=tuple(Step(row.get("run", ""), folder / row["apply"] if "apply" in row else None) for row in data.get("step", ())),
        awaits=tuple(
            Await(row["run"], row["matches"], row.get("for", "the start to be ready"), row.get("seconds", _WAIT))
            for row in data.get("await", ())
        ),
    )


class LessonError(Exception):
    """A start that could not be created; the message says what did not happen and what to look at."""


def create_start(api: Api, exercise: Exercise, progress: Progress, say: Say, ask: Ask, made_by_lab: bool = True) -> Object:
    """Brings the cluster to the exercise's start and returns the baseline. Raises LessonError; `create` says the rest."""
    return create(api, exercise.key, start_of(exercise), progress, say, ask, made_by_lab)


def create(api: Api, key: str, start: Start, progress: Progress, say: Say, ask: Ask, made_by_lab: bool = True) -> Object:
    """Brings the cluster to a start and returns the baseline; `ask` is asked before anything outside the course is deleted.

    `key` is what the start is called. Raises LessonError.
    On a cluster that the lab did not make (`made_by_lab` false) nothing outside the course's own namespaces is written.
    """
    if not made_by_lab and any(_OUTSIDE.search(step.run) for step in start.steps):
        raise LessonError(
            f"{key} changes nodes or the GPU plugin, and this cluster was not made by the course; ai-lab up --cluster embedded has nodes for it"
        )
    try:
        with manifests.rendering([start.folder, *(step.apply for step in start.steps if step.apply)]) as rendered:
            if not made_by_lab and (shared := _SHARED.search(rendered(start.folder))):
                raise LessonError(
                    f"{key} creates a {shared.group().split()[-1]}, which the whole cluster shares, and this cluster was not made by "
                    "the course; ai-lab up --cluster embedded has one for it"
                )
            clean(api, progress, say, ask, keep=start.namespaces, made_by_lab=made_by_lab)
            for namespace in (NAMESPACE, *start.namespaces):
                _namespace(api, namespace)
            if rendered(start.folder):
                say("creating the start")
                _apply(api, monitoring.chosen(api, rendered(start.folder)))
            for step in start.steps:
                if step.apply:
                    _apply(api, monitoring.chosen(api, rendered(step.apply)))
                else:
                    shell(step.run, api.kubeconfig, stdin=step.stdin, folder=start.folder, timeout=_STEP)
    except CommandFailed as problem:
        raise LessonError(f"the start of {key} could not be created: {problem}") from None
    for condition in start.awaits:
        until(api, condition, say)
    try:
        _settle(api, (NAMESPACE, *start.namespaces), say)
    except CommandFailed as problem:
        raise LessonError(f"the start of {key} does not come to rest: {problem}") from None
    return baseline.take(api, [NAMESPACE, *start.namespaces])


def _apply(api: Api, manifests: str) -> None:
    shell(identity.APPLY, api.kubeconfig, stdin=manifests)


def _settle(api: Api, namespaces: tuple[str, ...], say: Say) -> None:
    """Removes Pods that a kubelet refused while the start was made, and waits until those that are going are gone."""
    deadline = time.monotonic() + _WAIT
    told = False
    while True:
        # Of every namespace: what was left elsewhere holds its GPU until its last moment.
        left = api.list("pods")
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


def until(api: Api, condition: Await, say: Say) -> None:
    """Waits until the condition's command prints what it has to. Raises LessonError with what it last printed."""
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
    """The namespace, empty or not, with no other labels than the course's own: an exercise's, such as a level of Pod Security, are gone."""
    there = api.get("namespaces", name)
    deadline = time.monotonic() + _WAIT
    while there and "deletionTimestamp" in there["metadata"]:
        if time.monotonic() > deadline:
            raise LessonError(f"namespace {name} is still going; look at: kubectl get namespace {name} -o yaml")
        time.sleep(_LOOK_EVERY)
        there = api.get("namespaces", name)
    labels = (there or {}).get("metadata", {}).get("labels") or {}
    if LABEL in labels:
        if added := sorted(set(labels) - _NAMESPACE_LABELS):
            shell(f"kubectl label namespace {name} {' '.join(f'{each}-' for each in added)} --field-manager=ai-lab", api.kubeconfig)
        return
    body = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": {LABEL: "true"}}}
    shell(identity.APPLY, api.kubeconfig, stdin=json.dumps(body))
    while api.get("serviceaccounts", "default", name) is None:
        if time.monotonic() > deadline:
            raise LessonError(f"namespace {name} got no default ServiceAccount: is the controller manager running?")
        time.sleep(0.05)


def clean(api: Api, progress: Progress, say: Say, ask: Ask, keep: tuple[str, ...] = (), *, made_by_lab: bool = True) -> None:
    """Empties the course's namespaces, and brings nodes, the GPU plugin and everything else to what they were before any exercise. Raises LessonError.

    On a cluster that the lab did not make, namespaces without the course's label, nodes and plugins are left alone.
    """
    if not made_by_lab:
        for name in (NAMESPACE, *keep):
            there = api.get("namespaces", name)
            if there and LABEL not in (there["metadata"].get("labels") or {}):
                raise LessonError(
                    f"namespace {name} of this cluster was not made by the course, and an exercise would empty it; "
                    f"if it is yours to give: kubectl label namespace {name} {LABEL}=true"
                )
        progress.cleared(api.cluster_id())
        try:
            _empty(api, say, keep)
        except CommandFailed as problem:
            raise LessonError(f"the course's namespaces could not be emptied: {problem}") from None
        return
    first = first_look(api, progress)
    asked_for = _asked_for(progress.shown(api.cluster_id()))
    # From here on no exercise's start is whole on the cluster: one that is stopped half-way is not judged.
    progress.cleared(api.cluster_id())
    _restore_nodes(api, first)
    try:
        _remove_leftovers(api, first, say, ask, asked_for, only=_ADMISSION)
        _restore_rights(api, first, say)
        claimed.bring_driver(api, LABEL)
        _empty(api, say, keep)
        _remove_plugins(api, first)
        _remove_priorities(api, first)
        _remove_leftovers(api, first, say, ask, asked_for)
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
    _restore_plugin(api, first, say)


def _empty(api: Api, say: Say, keep: tuple[str, ...]) -> None:
    """Empties the course's namespaces, deletes those that `keep` does not name, and what the course made at cluster scope: it carries the same label."""
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
        _claims_are_gone(api, name)
        if name != NAMESPACE and name not in keep:
            shell(f"kubectl delete namespace {name} --wait=false --ignore-not-found", api.kubeconfig)
    # After the Pods: a driver that they need to end has its rights from here. Asked for first: most exercises have made nothing there, and a delete
    # that finds nothing takes as long as one that does.
    ours_only = [("labelSelector", f"{LABEL}=true")]
    if any((api.raw(f"/apis/rbac.authorization.k8s.io/v1/{kind}", ours_only) or {}).get("items") for kind in _CLUSTER_RIGHTS):
        shell(f"kubectl delete {','.join(_CLUSTER_RIGHTS)} -l {LABEL}=true --ignore-not-found", api.kubeconfig)


def _claims_are_gone(api: Api, namespace: str) -> None:
    """Waits for the namespace's claims: one stays until no Pod uses it, and the next start may ask for another of its name. Raises LessonError."""
    deadline = time.monotonic() + _WAIT
    while left := api.list("persistentvolumeclaims", namespace):
        if time.monotonic() > deadline:
            raise LessonError(f"a claim is still going; look at: kubectl -n {namespace} describe pvc {left[0]['metadata']['name']}")
        time.sleep(_LOOK_EVERY)


def first_look(api: Api, progress: Progress) -> Object:
    """The cluster before any exercise: its nodes, its plugins, and the names of its objects. Taken and kept at the first call."""
    cluster = api.cluster_id()
    found = progress.pristine(cluster)
    if found is None:
        # Faults are the course's own annotations: what an unfinished exercise of an earlier learner left is not how the nodes were made.
        found = {
            "nodes": {
                node["metadata"]["name"]: {**baseline.node_rules(node), "faults": {}, "sizes": _sizes(node)} for node in api.list("nodes")
            },
            "objects": {kind: list(objects) for kind, objects in snapshot.take(api).items()},
            "plugins": [_where(*each) for each in _plugins(api)],
            "priorities": [each["metadata"]["name"] for each in api.list("priorityclasses")],
            "rights": _built_in_rights(api),
        }
        progress.remember_pristine(cluster, found)
    return found


def _restore_nodes(api: Api, first: Object) -> None:
    """Gives every node the labels, taints, cordon and faults that it had at the first look."""
    nodes = {node["metadata"]["name"]: node for node in api.list("nodes")}
    if gone := sorted(first["nodes"].keys() - nodes.keys()):
        raise LessonError(
            f"node {gone[0]} was deleted, and a kubelet registers its Node only when it starts: ai-lab down, then ai-lab up; what you did is kept"
        )
    for name, wanted in first["nodes"].items():
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


def _rights(api: Api) -> dict[str, Object]:
    """All roles and bindings of the cluster, without what the API server writes into them, by `kind/name`."""
    found = {}
    for kind in _CLUSTER_RIGHTS:
        for each in (api.raw(f"/apis/rbac.authorization.k8s.io/v1/{kind}") or {}).get("items", []):
            made = each["metadata"]
            kept = {key: value for key in ("aggregationRule", "rules", "roleRef", "subjects") if (value := each.get(key))}
            if "aggregationRule" in kept:
                # A controller adds the rules up.
                kept.pop("rules", None)
            metadata = {"name": made["name"], **{key: made[key] for key in ("labels", "annotations") if made.get(key)}}
            found[f"{kind}/{made['name']}"] = {"metadata": metadata, **kept}
    return found


def _built_in_rights(api: Api) -> dict[str, Object]:
    """Those that Kubernetes brings along."""
    return {key: each for key, each in _rights(api).items() if _BUILT_IN in each["metadata"].get("labels", {})}


def _restore_rights(api: Api, first: Object, say: Say) -> None:
    """Gives Kubernetes' own roles and bindings what they had at the first look: whoever deleted `edit` has every later exercise refused."""
    wanted = first.get("rights", {})
    have = _rights(api) if wanted else {}
    for key in (key for key in wanted if have.get(key) != wanted[key]):
        say(f"restoring {key}")
        kind = "ClusterRole" if key.startswith("clusterroles/") else "ClusterRoleBinding"
        body = json.dumps({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, **wanted[key]})
        # A binding's roleRef is immutable: one that was created anew with another role has to go.
        if key in have and have[key].get("roleRef") != wanted[key].get("roleRef"):
            shell(f"kubectl delete {key}", api.kubeconfig)
            del have[key]
        shell(f"kubectl {'replace' if key in have else 'create'} --field-manager=ai-lab -f -", api.kubeconfig, stdin=body)


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


def _remove_plugins(api: Api, first: Object) -> None:
    """Takes away device plugins that were not there before any exercise: two of them on a node fight over its devices."""
    known = first.get("plugins", [])
    for namespace, kind, name in _plugins(api):
        if _where(namespace, kind, name) not in [*known, _BASE_PLUGIN]:
            wait = "--cascade=foreground --wait=true --timeout=60s --ignore-not-found"
            shell(f"kubectl -n {namespace} delete {kind} {name} {wait}", api.kubeconfig)


def _remove_priorities(api: Api, first: Object) -> None:
    """Takes away priority classes that were not there before any exercise: a default for everybody would change every later start."""
    known = first.get("priorities")
    names = [each["metadata"]["name"] for each in api.list("priorityclasses")]
    added = [name for name in names if known is not None and name not in known and not name.startswith("system-")]
    if added:
        shell(f"kubectl delete priorityclass {' '.join(added)} --ignore-not-found", api.kubeconfig)


def _asked_for(shown: str) -> leftovers.AskedFor:
    """What the exercise that is on the cluster asks its learner to create."""
    try:
        exercise = course.load().find(shown)[1] if shown else None
    except UnknownName:
        # Of another version of the course.
        exercise = None
    return leftovers.asked_for(exercise.allow if exercise else {})


def _remove_leftovers(
    api: Api, first: Object, say: Say, ask: Ask, asked_for: leftovers.AskedFor, only: re.Pattern[str] | None = None
) -> None:
    """Takes away what was created since the first start: in the course's namespaces, by the course, or because the exercise asked for it, at once;
    anything else after a question. Of the kinds that `only` matches, where it is given."""
    before = first.get("objects")
    if before is None:
        # A cluster from an earlier version of the course, which did not note it.
        return
    everything = snapshot.take(api)
    now = {kind: objects for kind, objects in everything.items() if only is None or only.match(kind)}
    courses = {name for name, each in everything["namespaces"].items() if LABEL in (each["metadata"].get("labels") or {})} | {NAMESPACE}
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
    ours = [row for row in rows if asked_for(row) or LABEL in (now[row[0]][row[1]]["metadata"].get("labels") or {})]
    leftovers.remove(api, ours)
    rows = [row for row in rows if row not in ours]
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


def _restore_plugin(api: Api, first: Object, say: Say) -> None:
    """Waits until the plugin's rollout is over, GPU nodes offer what their labels promise, and kubelets have corrected a status written by hand."""
    deadline = time.monotonic() + _WAIT
    pristine = first.get("nodes", {})
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
