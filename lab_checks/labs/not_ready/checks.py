"""Lab 04-not-ready: the checks. Requests do not reach a loaded model, each time for another reason.

Each check asks what decides about traffic and restarts, and not whether the Pod happens to be Ready at this moment.
"""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, see
from lab_checks.engine.registry import diagnosis, exercise, first_hint
from lab_checks.engine.verdict import Seen, Verdict, fail, passed
from lab_checks.judging import guards
from lab_checks.labs.not_ready import diagnosis as not_ready_diagnosis
from lab_checks.labs.not_ready import gpus as not_ready_gpus
from lab_checks.labs.not_ready import guards as also
from lab_checks.labs.not_ready import hints as not_ready_hints
from lab_checks.labs.not_ready import traffic as not_ready_traffic

API = "ai-log-summary-api"
LAB = "04-not-ready"
EXERCISES = (
    "slow-load", "killed-while-loading", "wrong-door", "missing-weights", "nobody-behind", "endpoint-that-lies", "gpu-mismatch",
    "gpu-not-injected",
)  # fmt: skip


def judge(ctx: Context, cause: str, quotes: str) -> Verdict:
    return not_ready_diagnosis.judge(ctx, API, cause, quotes)


def first_question(ctx: Context) -> str:
    return not_ready_hints.question(ctx, API)


for _each in EXERCISES:
    diagnosis(f"{LAB}/{_each}")(judge)
    first_hint(f"{LAB}/{_each}")(first_question)


def begin(ctx: Context, *variables: str, selector: bool = False, keys: tuple[str, ...] = ()) -> Object:
    """What holds in every exercise: the same server on the same nodes behind the same Service; only `variables` and `keys` may differ."""
    guards.nodes_untouched(ctx)
    guards.node_status_untouched(ctx)
    guards.others_untouched(ctx, f"deployments/{API}", f"services/{API}")
    deployment = guards.same_object(ctx, "deployments", API)
    guards.replicas_kept(ctx, deployment)
    guards.template_has_no_node_name(deployment)
    spec = deployment["spec"]["template"]["spec"]
    guards.walled(spec, deployment)
    guards.tolerates_narrowly(spec, deployment)
    guards.tolerates_only_gpus(ctx, deployment)
    also.template_kept(ctx, deployment, variables=variables, keys=keys)
    guards.service_kept(ctx, API, keep_selector=not selector)
    deployment = ctx.deployment(API)
    also.untouched(ctx, deployment)
    return deployment


def ready(ctx: Context, deployment: Object) -> list[Object]:
    """The API's Pods: every one Ready with its GPU and by its model's word, was not restarted, and stands alone behind the Service."""
    guards.probes_are_true(ctx, deployment)
    also.probes_are_bounded(deployment)
    also.room_is_being_made(ctx, ctx.pods_of(deployment))
    pods = guards.running_and_ready(ctx, deployment)
    also.rolled_out(ctx, deployment, pods)
    load = guards.load_seconds(guards.server(deployment))
    for pod in pods:
        guards.holds_gpus(ctx, pod)
        took = guards.seconds_to_ready(pod)
        # Timestamps are whole seconds: a load of 4 s may look like 3.
        if took < load - 1.5:
            raise fail(
                "the Pod was Ready before its model was loaded",
                see(pod, "Ready", f"after {took:g} s, the load takes {load:g} s"),
                expected="Ready when /ready says so",
                next="what does the readiness probe ask?",
            )
    guards.listed(ctx, API, pods)
    also.only_the_api_answers(ctx, API, pods)
    return pods


def done(ctx: Context, pods: list[Object], *more: Seen) -> Verdict:
    """Passed where somebody also said why it did not work."""
    seen = (
        see(pods[0], "Ready", "True"),
        Seen(f"endpoints/{API}", "addresses", str(len(pods))),
        see(pods[0], f"limits[{GPU}]", int(asked(pods[0]["spec"], GPU))),
        *more,
    )
    guards.diagnosed(ctx, *seen)
    return passed(f"{API} gets requests, and only when its model can answer", *seen)


def measured(ctx: Context, deployment: Object, pods: list[Object]) -> Verdict:
    """The load's seconds are known, and a startup budget has room for them."""
    load = also.load_of(ctx, pods)
    also.budget_has_room(deployment, load)
    seen = Seen(f"log of pod/{pods[0]['metadata']['name']}", "model loaded seconds", f"{load:g}")
    also.load_was_measured(ctx, load, seen)
    return done(ctx, pods, seen)


@exercise(f"{LAB}/slow-load")
def slow_load(ctx: Context) -> Verdict:
    """A readiness probe that asks the model."""
    deployment = begin(ctx)
    return measured(ctx, deployment, ready(ctx, deployment))


@exercise(f"{LAB}/killed-while-loading")
def killed_while_loading(ctx: Context) -> Verdict:
    """Time to load, and a liveness probe that is still of use afterwards."""
    deployment = begin(ctx)
    return measured(ctx, deployment, ready(ctx, deployment))


@exercise(f"{LAB}/wrong-door")
def wrong_door(ctx: Context) -> Verdict:
    """The readiness probe at the server's own port and path."""
    return done(ctx, ready(ctx, begin(ctx)))


@exercise(f"{LAB}/missing-weights")
def missing_weights(ctx: Context) -> Verdict:
    """The path of the weights, where it is written."""
    return done(ctx, ready(ctx, begin(ctx, "MODEL_PATH")))


@exercise(f"{LAB}/nobody-behind")
def nobody_behind(ctx: Context) -> Verdict:
    """The Service's selector, and the Pod untouched."""
    deployment = begin(ctx, selector=True)
    before = ctx.baseline["namespaces"][ctx.namespace]["pods"]
    for pod in ctx.pods_of(deployment):
        row = before.get(pod["metadata"]["name"])
        if row is None or row["uid"] != pod["metadata"]["uid"] or row["labels"] != pod["metadata"].get("labels"):
            raise fail(
                "the healthy Pod was replaced or relabelled",
                see(pod, "metadata.labels", pod["metadata"].get("labels")),
                expected="the Pod as it was: it was Ready all the time, and the Service looked elsewhere",
                next=f"ai-lab reset {ctx.exercise.key}, then compare the Service's selector with the Pod's labels",
            )
    service = ctx.need("services", API)
    selector, labels = service["spec"].get("selector") or {}, deployment["spec"]["template"]["metadata"]["labels"]
    if not selector or any(labels.get(key) != value for key, value in selector.items()):
        raise fail(
            "the Service selects no Pod of the API",
            see(service, "spec.selector", selector or "<none>"),
            expected="labels that the API's Pods carry",
            next=f"kubectl -n {ctx.namespace} get pods --show-labels",
        )
    return done(ctx, ready(ctx, deployment))


@exercise(f"{LAB}/endpoint-that-lies")
def endpoint_that_lies(ctx: Context) -> Verdict:
    """A probe that asks the model, and a whole rollout in which no request failed."""
    clients = not_ready_traffic.clients_kept(ctx)
    deployment = begin(ctx)
    pods = ready(ctx, deployment)
    return done(ctx, pods, not_ready_traffic.nobody_failed(ctx, clients, pods))


@exercise(f"{LAB}/gpu-mismatch")
def gpu_mismatch(ctx: Context) -> Verdict:
    """A program and a driver that fit each other: by the image, or by the node."""
    deployment = begin(ctx, keys=("image", "nodeSelector", "affinity"))
    not_ready_gpus.same_model(ctx, deployment)
    guards.plugin_serves(ctx)
    pods = ready(ctx, deployment)
    if not not_ready_gpus.built_for_older_cuda(deployment):
        not_ready_gpus.goes_where_it_works(ctx, deployment)
    return done(ctx, pods, not_ready_gpus.uses_a_gpu(ctx, pods[0]))


@exercise(f"{LAB}/gpu-not-injected")
def gpu_not_injected(ctx: Context) -> Verdict:
    """A node that hands its devices over, and only such."""
    deployment = begin(ctx, keys=("nodeSelector", "affinity"))
    guards.plugin_serves(ctx)
    pods = ready(ctx, deployment)
    not_ready_gpus.goes_where_it_works(ctx, deployment)
    return done(ctx, pods, not_ready_gpus.uses_a_gpu(ctx, pods[0]))
