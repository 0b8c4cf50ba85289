"""Lab 00-welcome: the checks. The map of the cluster, a first repair, and a web app beside a model.

Answers are held against the cluster of this moment; nothing here is a stored answer.
"""

from __future__ import annotations

from kubeobjects import Object, placement
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, named, see
from lab_checks.engine.registry import exercise, first_hint
from lab_checks.engine.verdict import Seen, Verdict, fail, passed
from lab_checks.judging import guards
from lab_checks.labs.welcome.answers import judged
from lab_checks.labs.welcome.compare import API, WEB, Pair
from lab_checks.labs.welcome.map import Map

LAB = "00-welcome"
RESEARCH = "nightly-scoring"


def as_it_was(ctx: Context, *allowed: str) -> None:
    """Nodes, their status and everything that is not `allowed` are as they were."""
    guards.nodes_untouched(ctx)
    guards.node_status_untouched(ctx)
    guards.others_untouched(ctx, *allowed)


def template_kept(ctx: Context, deployment: Object, why: str) -> None:
    """The Pods are made as they were at the start."""
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"][deployment["metadata"]["name"]]["template"]
    now = deployment["spec"]["template"]["spec"]
    for key in sorted(before.keys() | now.keys()):
        if before.get(key) != now.get(key):
            raise fail(
                f"the Pod template of {named(deployment)} was changed",
                see(deployment, f"spec.template.spec.{key}", "not what it was"),
                expected=why,
                next=f"ai-lab reset {ctx.exercise.key}",
            )


def nothing_added(ctx: Context) -> None:
    """No Pod beside those of the start asks for a GPU, and nobody made or changed what counts devices, or a node."""
    known = {row["uid"] for row in ctx.baseline["namespaces"][ctx.namespace]["pods"].values()}
    for pod in ctx.pods:
        if pod["metadata"]["uid"] not in known and asked(pod["spec"], GPU) and "deletionTimestamp" not in pod["metadata"]:
            raise fail(
                "a Pod was added that asks for a GPU",
                see(pod, f"limits[{GPU}]", int(asked(pod["spec"], GPU))),
                expected="a map of the cluster as it is: reading changes nothing",
                next=f"kubectl -n {ctx.namespace} delete pod {pod['metadata']['name']}, or ai-lab reset {ctx.exercise.key}",
            )
    made = [deed for deed in ctx.deeds.changes("nodes") if deed.verb == "create"]
    for deed in [*made, *ctx.deeds.changes("daemonsets")]:
        raise fail(
            f"{deed.resource.removesuffix('s')} {deed.name} was {'added' if deed.verb == 'create' else 'changed'}",
            Seen("audit log", deed.verb, f"{deed.resource} {deed.name}".strip()),
            expected="a map of the cluster as it is: reading changes nothing",
            next=f"take it back, then ai-lab reset {ctx.exercise.key}",
        )


@exercise(f"{LAB}/cluster-map")
def cluster_map(ctx: Context) -> Verdict:
    """Who offers GPUs, which, how many, to whom, and who counted them; nothing changed on the way."""
    as_it_was(ctx)
    guards.goes_on(ctx, RESEARCH, "it is research's, and a map is drawn without moving anybody")
    nothing_added(ctx)
    guards.plugin_serves(ctx)
    judged(ctx, Map(ctx).judges(), "kubectl get nodes -L nvidia.com/gpu.product,nvidia.com/gpu.count")
    offering = [each for each in ctx.gpu_facts if each.allocatable]
    return passed(
        "the map of the cluster is read right",
        *(Seen(f"node/{each.name}", f"allocatable[{GPU}]", str(each.allocatable)) for each in offering),
    )


@exercise(f"{LAB}/first-fix")
def first_fix(ctx: Context) -> Verdict:
    """One Pod of the API, made by its own Deployment, Ready, with its GPU, behind the Service."""
    as_it_was(ctx, f"deployments/{API}", f"services/{API}")
    deployment = guards.same_object(ctx, "deployments", API)
    template_kept(ctx, deployment, "the program and what it asks for as they were: nothing is wrong with them")
    guards.service_kept(ctx, API)
    _nobody_beside(ctx, deployment)
    replicas = deployment["spec"].get("replicas", 1)
    if replicas == 0:
        raise fail(
            f"{named(deployment)} wants no Pod, so it has none",
            see(deployment, "spec.replicas", 0),
            Seen(f"endpoints/{API}", "addresses", "<none>"),
            expected="one Pod of the API behind its Service",
            next=f"kubectl -n {ctx.namespace} get deployment {API}: READY counts what is there, and what is wanted",
        )
    if replicas > 1:
        raise fail(
            f"{named(deployment)} was scaled to {replicas}, and the team runs one",
            see(deployment, "spec.replicas", replicas),
            expected=f"1: each Pod holds a whole GPU, and the cluster has {sum(each.allocatable for each in ctx.gpu_facts)} for everybody",
            next=f"kubectl -n {ctx.namespace} scale deployment/{API} --replicas=1",
        )
    pods = guards.running_and_ready(ctx, ctx.deployment(API))
    guards.holds_gpus(ctx, pods[0])
    guards.bound_by_scheduler(ctx)
    guards.would_be_placed_again(ctx, pods[0])
    guards.listed(ctx, API, pods)
    return passed(
        f"{API} runs again, behind its Service",
        see(deployment, "spec.replicas", replicas),
        see(pods[0], "Ready", "True"),
        see(pods[0], f"limits[{GPU}]", int(asked(pods[0]["spec"], GPU))),
    )


def _nobody_beside(ctx: Context, deployment: Object) -> None:
    """No Pod that somebody else made stands in for the Deployment's."""
    selector = ctx.need("services", API)["spec"].get("selector") or {}
    sets = {
        each["metadata"]["uid"]
        for each in ctx.api.list("replicasets", ctx.namespace)
        if any(owner["uid"] == deployment["metadata"]["uid"] for owner in each["metadata"].get("ownerReferences") or [])
    }
    for pod in ctx.pods:
        owners = {owner["uid"] for owner in pod["metadata"].get("ownerReferences") or []}
        labels = pod["metadata"].get("labels") or {}
        if "deletionTimestamp" in pod["metadata"] or owners & sets:
            continue
        stands_in = all(labels.get(key) == value for key, value in selector.items())
        if stands_in or asked(pod["spec"], GPU):
            made_by = next((owner["kind"] for owner in pod["metadata"].get("ownerReferences") or []), "hand")
            raise fail(
                f"a Pod that is not the Deployment's stands {'behind the Service' if stands_in else 'beside it and asks for a GPU'}",
                see(pod, "made by", made_by),
                see(deployment, "spec.replicas", deployment["spec"].get("replicas", 1)),
                expected=f"{named(deployment)} makes its own Pod again: one that stands beside it is updated, counted and replaced by nobody",
                next=f"ai-lab reset {ctx.exercise.key}, then ask the Deployment for a Pod",
            )


@exercise(f"{LAB}/two-workloads")
def two_workloads(ctx: Context) -> Verdict:
    """The five rows of the comparison, held against the two Pods, their logs and their metrics."""
    as_it_was(ctx)
    for deed in ctx.deeds.changes("configmaps"):
        raise fail(
            f"the ConfigMap {deed.name} was changed",
            Seen(f"configmap/{deed.name}", "", deed.verb),
            expected="both programs as they were: they are measured, not improved",
            next=f"ai-lab reset {ctx.exercise.key}",
        )
    deployments = [guards.same_object(ctx, "deployments", name) for name in (WEB, API)]
    for each in deployments:
        template_kept(ctx, each, "both workloads as they were: they are measured, not improved")
    web, model = (guards.running_and_ready(ctx, ctx.deployment(each["metadata"]["name"]))[0] for each in deployments)
    pair = Pair(ctx, web, model)
    judged(ctx, pair.judges(), f"kubectl -n {ctx.namespace} get pods -o wide")
    return passed("the five rows are read off the cluster", *pair.rows())


# The first hint looks at the cluster, and at what was looked at.


@first_hint(f"{LAB}/cluster-map")
def _where_to_begin(ctx: Context) -> str:
    closed = [each["metadata"]["name"] for each in ctx.nodes if placement.untolerated({}, each)]
    if not ctx.deeds.looked_at("nodes"):
        return (
            f"The cluster has {len(ctx.nodes)} nodes, and you have not looked at one yet. What does `kubectl describe node "
            f"{ctx.nodes[-1]['metadata']['name']}` say under Taints, Allocatable and, at the end, Allocated resources?"
        )
    return (
        f"You have seen the nodes. {len(closed)} of {len(ctx.nodes)} keep ordinary Pods away: which field of the node says so, "
        "and which one says how many GPUs it can give?"
    )


@first_hint(f"{LAB}/first-fix")
def _how_many_are_wanted(ctx: Context) -> str:
    deployment = ctx.need("deployments", API)
    wanted, ready = deployment["spec"].get("replicas", 1), deployment.get("status", {}).get("readyReplicas", 0)
    if wanted:
        return f"The Deployment shows READY {ready}/{wanted}. What do its Pod's events say, and how many Pods does the team run?"
    return (
        f"The Deployment shows READY {ready}/{wanted}. No Pod can have failed, none is wanted: so who decided that, "
        "and what does the Deployment's annotation say?"
    )


@first_hint(f"{LAB}/two-workloads")
def _what_was_not_read(ctx: Context) -> str:
    if not ctx.deeds.looked_at("pods/log"):
        return f"Which file does the model server read before it is ready? You have not read its log yet: `kubectl -n {ctx.namespace} logs deployment/{API}`."
    if not ctx.deeds.looked_at("pods/proxy", "services/proxy", "pods/portforward", "pods/exec"):
        return "You have read the log. What do the two programs tell about themselves on /metrics, and which names has only one of them?"
    return (
        "You have log and metrics. When did each container start, and when did its Pod become Ready? Two fields of the Pod's status say it."
    )
