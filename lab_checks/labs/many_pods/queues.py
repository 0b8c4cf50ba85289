"""Lab 15-many-pods: the operator: is it there, is its kind served, does its webhook answer, and what does its queue say."""

from __future__ import annotations

from pathlib import Path

from kubeobjects import Object, selectors
from lab_checks.engine.api import WEBHOOK_DOWN
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, amount, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import expressions, requests, words

GROUP = "queues.ai-lab.dev"
LABEL = f"{GROUP}/queue"
OPERATOR, HOME = "job-queue-operator", "kube-system"
_DEFINITION = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/jobqueues.{GROUP}"
_CONFIGURATION = f"/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{OPERATOR}"
QUEUE = "training"
OTHER = "a Job that names no queue"
REQUESTS = requests.table(Path(__file__).with_name("requests.yaml"))


def defined(ctx: Context) -> Object:
    """The CRD; ends the check where there is none."""
    definition = ctx.api.raw(_DEFINITION)
    if definition is None:
        raise words.idle(ctx, "no-operator", Seen("cluster", f"CRD jobqueues.{GROUP}", "not there"))
    return definition


def is_served(definition: Object, version: str) -> bool:
    return any(each["name"] == version and each["served"] for each in definition["spec"]["versions"])


def runs(ctx: Context) -> None:
    """The operator's Pod is Ready: its webhook listens."""
    deployment = ctx.api.get("deployments", OPERATOR, HOME)
    if deployment is None:
        raise words.idle(ctx, "no-operator", Seen(f"namespace/{HOME}", f"deployment {OPERATOR}", "not there"))
    if not deployment["spec"].get("replicas", 1):
        raise words.fail(ctx, "operator-stopped", see(deployment, "spec.replicas", 0))
    if not deployment.get("status", {}).get("readyReplicas"):
        # It will not become Ready by itself while the API server does not serve what it asks for.
        told = words.wait if is_served(defined(ctx), "v1") else words.idle
        raise told(ctx, "operator-not-ready", see(deployment, "status.readyReplicas", 0), credit=0.2)


def queue(ctx: Context) -> Object:
    """The one queue of the namespace, of no more GPUs than the nodes have."""
    found = (ctx.api.raw(f"/apis/{GROUP}/v1/namespaces/{ctx.namespace}/jobqueues") or {}).get("items") or []
    if not found:
        raise words.idle(ctx, "no-queue", Seen(f"namespace/{ctx.namespace}", "jobqueues", "none"), credit=0.2)
    if len(found) > 1:
        raise words.fail(ctx, "two-queues", *(see(each, "spec.gpus", each["spec"]["gpus"]) for each in found))
    if found[0]["metadata"]["name"] != QUEUE:
        raise words.fail(ctx, "other-queue", Seen("jobqueues", "", found[0]["metadata"]["name"]), name=found[0]["metadata"]["name"])
    there = int(sum(amount(node["status"].get("allocatable", {}).get(GPU)) for node in ctx.nodes))
    if found[0]["spec"]["gpus"] > there:
        raise words.fail(ctx, "promises-too-much", see(found[0], "spec.gpus", found[0]["spec"]["gpus"]), there=there)
    return {**found[0], "kind": "JobQueue"}


def webhook(ctx: Context) -> Object:
    """The webhook that is asked about Jobs, as strict as it was; ends the check where it was weakened."""
    configuration = ctx.api.raw(_CONFIGURATION)
    hooks = (configuration or {}).get("webhooks") or []
    if configuration is None or not hooks:
        raise words.fail(ctx, "nobody-refuses", Seen("cluster", f"validatingwebhookconfiguration {OPERATOR}", "no webhook"))
    hook = dict(hooks[0])
    if hook.get("failurePolicy") != "Fail":
        raise words.fail(ctx, "fails-open", see(configuration, "webhooks[0].failurePolicy", hook.get("failurePolicy")))
    asked = [each for each in hook.get("rules") or [] if "jobs" in each.get("resources", ()) and "CREATE" in each.get("operations", ())]
    own = ((ctx.api.get("namespaces", ctx.namespace) or {}).get("metadata") or {}).get("labels") or {}
    if not asked or not selectors.from_object(hook.get("namespaceSelector") or {})(own):
        raise words.fail(
            ctx,
            "not-asked-here",
            see(configuration, "webhooks[0].rules, namespaceSelector", [hook.get("rules"), hook.get("namespaceSelector")]),
        )
    if not asks_about(hook, {LABEL: "training"}):
        raise words.fail(ctx, "not-asked-about-queues", see(configuration, "webhooks[0].objectSelector", hook.get("objectSelector")))
    return hook


def asks_about(hook: Object, labels: dict[str, str]) -> bool:
    """Whether the webhook's objectSelector matches a Job with these labels."""
    return bool(selectors.from_object(hook.get("objectSelector") or {})(labels))


def webhooks(ctx: Context) -> list[Object]:
    """All webhooks of the configuration that are asked about Jobs."""
    found = (ctx.api.raw(_CONFIGURATION) or {}).get("webhooks") or []
    return [hook for hook in found if any({"jobs", "*", "*/*"} & set(rule.get("resources", ())) for rule in hook.get("rules") or [])]


def spares_others(hook: Object) -> bool:
    """Whether a Job that names no queue is never sent to the webhook: by its labels, or by a condition on them.

    A condition that ends in an error sends nothing, and refuses the Job all the same: it has to be false.
    """
    conditions = [each.get("expression", "") for each in hook.get("matchConditions") or []]
    for labels in ({}, {"app": "another"}):
        metadata: Object = {"name": "another", "namespace": "team-b", **({"labels": labels} if labels else {})}
        variables: Object = {
            "object": {"metadata": metadata, "spec": {}},
            "oldObject": None,
            "request": {"namespace": "team-b", "operation": "CREATE"},
        }
        if asks_about(hook, labels) and not any(expressions.holds(each, variables) is False for each in conditions):
            return False
    return True


def started(ctx: Context, job: Object, *, credit: float) -> None:
    """Ends the check where a Job that is complete was let go by the learner and not by its queue."""
    uid, name = job["metadata"]["uid"], job["metadata"]["name"]
    if any(each["reason"] == "Admitted" and each["involvedObject"].get("uid") == uid for each in ctx.events):
        return
    for deed in ctx.deeds.changes("jobs"):
        # Of a JSON patch the log keeps no fields.
        may = deed.body is None or (deed.body.get("spec") or {}).get("suspend") is False
        if deed.name == name and deed.verb in ("patch", "update") and may:
            raise words.fail(ctx, "started-by-hand", Seen(f"job/{name}", "events", "the queue never admitted it"), name=name, credit=credit)


def lets_others_through(ctx: Context) -> None:
    """A Job that names no queue can be created; ends the check with what the API server says where it cannot."""
    other = next(each for each in REQUESTS.requests[ctx.exercise.id] if each.asks == OTHER)
    answer = requests.send(ctx.api, other)
    if not answer.allowed:
        raise words.idle(ctx, "jobs-refused", Seen("POST jobs, as a dry run", str(answer.code), answer.message))


def refuses(ctx: Context, *, credit: float) -> None:
    """Right Jobs may be created, and wrong ones not: each is tried without leaving a trace."""
    rows = REQUESTS.requests[ctx.exercise.id]
    silent = next((answer for row in rows if WEBHOOK_DOWN in (answer := requests.send(ctx.api, row)).message), None)
    if silent is not None:
        raise words.wait(ctx, "webhook-silent", Seen("POST jobs, as a dry run", str(silent.code), silent.message), credit=credit)
    requests.judge(ctx, rows, REQUESTS, credit=credit)
