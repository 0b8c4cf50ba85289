"""Lab 00-welcome: the checks. The map of the cluster, a first repair, and a web app beside a model.

Answers are held against the cluster of this moment; nothing here is a stored answer.
"""

from __future__ import annotations

from kubeobjects import placement
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, named, see
from lab_checks.engine.registry import exercise, first_hint
from lab_checks.engine.verdict import Seen, Verdict, fail, idle, passed
from lab_checks.judging import guards, said, sheet, unchanged
from lab_checks.labs.welcome import compare
from lab_checks.labs.welcome.compare import API, WEB
from lab_checks.labs.welcome.map import blanks as map_blanks

LAB = "00-welcome"
RESEARCH = "nightly-scoring"


@exercise(f"{LAB}/cluster-map")
def cluster_map(ctx: Context) -> Verdict:
    """Who offers GPUs, which, how many, to whom, and who counted them; nothing changed on the way."""
    unchanged.required(ctx)
    guards.pods_kept_running(ctx, RESEARCH, "it is research's, and a map is drawn without moving anybody")
    guards.plugin_serves(ctx)
    sheet.judge(ctx, map_blanks(ctx), begin="kubectl get nodes -L nvidia.com/gpu.product,nvidia.com/gpu.count")
    offering = [each for each in ctx.gpu_facts if each.allocatable]
    return passed(
        "the map of the cluster is read right",
        *(Seen(f"node/{each.name}", f"allocatable[{GPU}]", str(each.allocatable)) for each in offering),
    )


@exercise(f"{LAB}/first-fix")
def first_fix(ctx: Context) -> Verdict:
    """One Pod of the API, made by its own Deployment, Ready, with its GPU, behind the Service."""
    unchanged.required(ctx)
    deployment = ctx.need("deployments", API)
    replicas = deployment["spec"].get("replicas", 1)
    if replicas == 0:
        raise idle(
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
    guards.made_from_template(ctx, deployment)
    guards.holds_gpus(ctx, pods[0])
    guards.listed_behind_service(ctx, API, pods)
    return passed(
        f"{API} runs again, behind its Service",
        see(deployment, "spec.replicas", replicas),
        see(pods[0], "Ready", "True"),
        see(pods[0], f"limits[{GPU}]", int(asked(pods[0]["spec"], GPU))),
    )


@exercise(f"{LAB}/two-workloads")
def two_workloads(ctx: Context) -> Verdict:
    """The five rows of the comparison, held against the two Pods, their logs and their metrics."""
    unchanged.required(ctx)
    web, model = (guards.running_and_ready(ctx, ctx.deployment(name))[0] for name in (WEB, API))
    sheet.judge(ctx, compare.blanks(ctx, web, model), begin=f"kubectl -n {ctx.namespace} get pods -o wide")
    total = sum(each.allocatable for each in ctx.gpu_facts)
    return passed(
        "the five rows are read off the cluster",
        see(model, f"limits[{GPU}]", f"{int(asked(model['spec'], GPU))} of {total}"),
        *(see(pod, "memory", f"{said.resident_mib(compare.page(ctx, pod)):.0f} MiB") for pod in (model, web)),
    )


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
