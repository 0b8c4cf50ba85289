"""Lab 05-oom: what holds in every exercise, whatever the fix: the same program under the same load, and nothing else disturbed."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, named, see
from lab_checks.engine.verdict import fail
from lab_checks.judging import guards

API = "ai-log-summary-api"
TOOLS = "on-call-tools"
SERVER = "model-server"
_KEPT = ("image", "command", "args", "envFrom", "volumeMounts", "lifecycle")
_WRONG_ROOM = "the number of requests at once and the memory are yours to set; what a single request takes is the model's"


def begin(ctx: Context, *free: str, service: bool = False, tools: bool = False) -> Object:
    """What holds in every exercise: the same server, probes, GPU and neighbours; only memory and the variables `free` may differ."""
    guards.nodes_untouched(ctx)
    guards.node_status_untouched(ctx)
    guards.others_untouched(
        ctx, f"deployments/{API}", *([f"services/{API}"] if service else []), *([f"deployments/{TOOLS}"] if tools else [])
    )
    deployment = guards.same_object(ctx, "deployments", API)
    guards.replicas_kept(ctx, deployment)
    guards.template_has_no_node_name(deployment)
    spec = deployment["spec"]["template"]["spec"]
    guards.walled(spec, deployment)
    guards.tolerates_narrowly(spec, deployment)
    guards.tolerates_only_gpus(ctx, deployment)
    for resource in (GPU, "cpu"):
        guards.requests_kept(ctx, deployment, resource)
    cpu_in_proportion(ctx, deployment)
    same_program(ctx, deployment, free)
    if service:
        alone_behind(ctx, deployment, guards.service_kept(ctx, API))
    if tools:
        tools_go_on(ctx)
    guards.bound_by_scheduler(ctx)
    return ctx.deployment(API)


def cpu_in_proportion(ctx: Context, deployment: Object) -> None:
    """No more CPU requested than its limit was at the start: what is set aside and idle strands the GPU beside it."""
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"][API]["template"]
    now, most = asked(deployment["spec"]["template"]["spec"], "cpu"), asked(before, "cpu", "limits")
    if now > most:
        raise fail(
            f"{named(deployment)} asks for CPU far beyond what it had",
            see(deployment, "requests[cpu]", f"{now}, at most {most}"),
            expected="memory ran out, and not CPU: what is requested and idle keeps others off the node",
            next=f"kubectl -n {ctx.namespace} set resources deployment/{API} -c {SERVER} --requests=cpu=100m",
        )


def alone_behind(ctx: Context, deployment: Object, service: Object) -> None:
    """Every Pod that the Service selects is the Deployment's own: nothing beside it takes a share of the load."""
    uid = deployment["metadata"]["uid"]
    own = {each["metadata"]["uid"] for each in ctx.api.list("replicasets", ctx.namespace) if _owned(each, {uid})}
    wanted = (service["spec"].get("selector") or {}).items()
    for pod in ctx.pods:
        if wanted <= (pod["metadata"].get("labels") or {}).items() and not _owned(pod, own):
            raise fail(
                "another workload answers behind the Service",
                see(pod, "metadata.labels", pod["metadata"].get("labels")),
                expected=f"deployment {API} alone: a second server on another GPU hides what the first one needs",
                next=f"kubectl -n {ctx.namespace} get pods --show-labels",
            )


def _owned(each: Object, owners: set[str]) -> bool:
    return any(owner["uid"] in owners for owner in each["metadata"].get("ownerReferences") or [])


def same_program(ctx: Context, deployment: Object, free: tuple[str, ...]) -> None:
    """The same containers with the same images, probes and variables, save for those that are `free`."""
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"][API]["template"]
    spec = deployment["spec"]["template"]["spec"]
    again = f"ai-lab reset {ctx.exercise.key}"
    names = [each["name"] for each in spec["containers"]]
    if names != [each["name"] for each in before["containers"]] or spec.get("initContainers"):
        raise fail(
            f"{named(deployment)} has other containers now",
            see(deployment, "containers", ", ".join(names)),
            expected="the ones that it had",
            next=again,
        )
    for old, new in zip(before["containers"], spec["containers"], strict=True):
        for key in (*_KEPT, "readinessProbe", "livenessProbe", "startupProbe"):
            if new.get(key) != old.get(key):
                raise fail(
                    f"{key} of {named(deployment)} was changed",
                    see(deployment, f"containers[{new['name']}].{key}", new.get(key, "<none>")),
                    expected="the same server, asked in the same way: it is its size that is in question",
                    next=again,
                )
        was, now = guards.settings(old), guards.settings(new)
        for name in sorted(was.keys() | now.keys()):
            if name not in free and was.get(name) != now.get(name):
                raise fail(
                    f"the variable {name} of {named(deployment)} was changed",
                    see(deployment, f"env[{name}]", (now.get(name) or {}).get("value", "<none>")),
                    expected="the same model: " + (_WRONG_ROOM if free else "a smaller number in a variable makes no model smaller"),
                    next=again,
                )


def tools_go_on(ctx: Context) -> None:
    """The on-call tools ask as they asked at the start."""
    tools = guards.same_object(ctx, "deployments", TOOLS)
    before = ctx.baseline["namespaces"][ctx.namespace]["deployments"].get(TOOLS)
    changed = before is not None and (
        tools["spec"]["template"]["spec"] != before["template"] or tools["spec"]["replicas"] != before["replicas"]
    )
    if changed or not tools["spec"]["replicas"]:
        raise fail(
            "the load was changed, and not the server",
            see(tools, "spec", f"replicas {tools['spec']['replicas']}"),
            expected="eight teams on call who ask as they asked: they are why the server is there",
            next=f"ai-lab reset {ctx.exercise.key}",
        )
    if any(policy for policy in ctx.api.list("networkpolicies", ctx.namespace)):
        raise fail(
            "a NetworkPolicy stands between the tools and the server",
            expected="the tools' requests reach it",
            next=f"kubectl -n {ctx.namespace} get networkpolicies",
        )
