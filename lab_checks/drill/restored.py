"""Whether a service of a drill is restored: it serves as it did, its clients get answers, and what was wrong is gone. A state is asked for, and no command."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from kubeobjects import Object
from lab_checks.drill import clients
from lab_checks.drill.generator import PLUGIN, Condition, Laid, Service
from lab_checks.engine import rollout
from lab_checks.engine.api import CommandFailed, shell
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen, Stop, fail, wait
from lab_checks.judging import guards


def required(ctx: Context, laid: Laid, since: float) -> None:
    """Ends the look with what still keeps the service from being restored. `ctx` is the view from the service's namespace."""
    service = laid.service
    deployment = ctx.deployment(service.name)
    _as_many(ctx, deployment)
    for condition in laid.mitigated:
        _holds(ctx, condition)
    guards.made_from_template(ctx, deployment)
    try:
        pods = guards.running_and_ready(ctx, deployment)
        for name in laid.fault.guards:
            _GUARDS[name](ctx, deployment, pods)
    except Stop:
        if laid.fault.reach == "platform":
            _plugin_stands(ctx)
        raise
    _served(ctx, service, pods)
    _answered(ctx, service, since)


def bystander_required(ctx: Context, service: Service, since: float) -> None:
    """The same of a service that nothing was wrong with: it still serves."""
    pods = guards.running_and_ready(ctx, ctx.deployment(service.name))
    _served(ctx, service, pods)
    _answered(ctx, service, since)


def clients_required(ctx: Context, service: Service) -> None:
    """Ends the look where nobody asks the service: without its clients nobody can say that it is restored."""
    name = service.clients
    deployment = ctx.get("deployments", name)
    if deployment is None:
        raise fail(
            f"the clients of {service.name} are gone",
            Seen(f"deployment/{name}", "", "not found"),
            expected=f"deployment {name}, as it was at the start: its log says what users get",
        )
    before = ctx.before("deployments", name).get("spec", {}).get("replicas", 1)
    have = deployment["spec"].get("replicas", 1)
    if have < before:
        raise fail(
            f"the clients of {service.name} do not run: deployment/{name} has {have} replicas",
            see(deployment, "spec.replicas", have),
            expected=f"{before}, as at the start: a service that nobody asks is not restored",
            next=f"kubectl -n {ctx.namespace} scale deployment/{name} --replicas={before}",
        )


def _as_many(ctx: Context, deployment: Object) -> None:
    before = ctx.before("deployments", deployment["metadata"]["name"]).get("spec", {}).get("replicas", 1)
    have = deployment["spec"].get("replicas", 1)
    if have != before:
        raise fail(
            f"deployment {deployment['metadata']['name']} has {have} replicas, and had {before}",
            see(deployment, "spec.replicas", have),
            expected=f"{before}: as many as its clients were promised",
            next=f"kubectl -n {ctx.namespace} scale deployment/{deployment['metadata']['name']} --replicas={before}",
        )


def _holds(ctx: Context, condition: Condition) -> None:
    try:
        printed = shell(condition.run, ctx.api.kubeconfig, timeout=30)
    except CommandFailed as problem:
        printed = str(problem)
    if bool(re.search(condition.matches, printed, re.S)) == condition.absent:
        value = " ".join(printed.split())
        raise fail(
            condition.says,
            Seen(condition.run.split(" -o ")[0], "", value[:200] or "nothing"),
            expected=condition.expected,
            next=condition.next,
        )


def _gpu(ctx: Context, deployment: Object, pods: list[Object]) -> None:
    """Each Pod holds one GPU, and was placed by rules that place the next one as well."""
    guards.tolerates_narrowly(deployment["spec"]["template"]["spec"], deployment)
    guards.tolerates_only_gpus(ctx, deployment)
    guards.tied_to_no_node(ctx, deployment)
    guards.template_has_no_node_name(deployment)
    for pod in pods:
        guards.holds_gpus(ctx, pod)
        guards.would_be_placed_again(ctx, pod)


def _plugin_stands(ctx: Context) -> None:
    """Not yet while the GPU plugin is being rolled out: until it has registered, its node offers nothing."""
    plugin = ctx.api.get("daemonsets", PLUGIN, "kube-system")
    pods = [each for each in ctx.all_pods if each["metadata"]["namespace"] == "kube-system"]
    if plugin is not None and (coming := rollout.unfinished(plugin, pods, ctx.nodes, ctx.api.log)):
        raise wait(f"the GPU plugin is not there yet: {coming}", next=f"kubectl -n kube-system rollout status daemonset/{PLUGIN}")
    for node in ctx.gpu_facts:
        if node.allocatable < node.promised:
            raise wait(
                f"{node.name} does not offer its GPUs yet",
                Seen(f"node/{node.name}", "allocatable", f"{node.allocatable} of {node.promised}"),
                next=f"kubectl describe node {node.name}",
            )


def _probes(_ctx: Context, deployment: Object, _pods: list[Object]) -> None:
    guards.probes_are_true(deployment)


def _memory(ctx: Context, deployment: Object, _pods: list[Object]) -> None:
    guards.memory_limited(ctx, deployment)


_GUARDS: Mapping[str, Callable[[Context, Object, list[Object]], None]] = {"gpu": _gpu, "probes": _probes, "memory": _memory}


def _served(ctx: Context, service: Service, pods: list[Object]) -> None:
    found = ctx.get("services", service.name)
    if found is None:
        raise fail(f"service {service.name} is gone", Seen(f"service/{service.name}", "", "not found"), expected="the Service as it was")
    guards.selects_every_pod(ctx, found, ctx.deployment(service.name))
    guards.listed_behind_service(ctx, service.name, pods)


def _answered(ctx: Context, service: Service, since: float) -> None:
    got = clients.heard(ctx, service, since)
    if not got.steady:
        raise wait(
            f"the clients of {service.name} do not get answers all the time yet",
            Seen(f"log of deployment/{service.clients}", "", clients.told(got)),
            expected=f"{clients.STEADY} seconds without an error",
            next=f"kubectl -n {ctx.namespace} logs deployment/{service.clients} --tail=5",
        )
