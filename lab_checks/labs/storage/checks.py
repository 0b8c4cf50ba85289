"""Lab 10-storage: the checks. What a volume keeps, where it ties a Pod, how long a start takes, and which file the server has loaded."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import named, see
from lab_checks.engine.registry import exercise
from lab_checks.engine.verdict import Seen, Verdict, passed
from lab_checks.judging import answers, diagnosis, guards, sheet, unchanged, words
from lab_checks.labs.storage import cache, causes, claims, hints, startup, versions
from lab_checks.labs.storage.startup import API

LAB = "10-storage"
SCORER = "batch-scorer"
WAYS = ("image", "init", "claim", "cache")
_TIMES = (
    "kubectl -n ai-platform get pods -o custom-columns='POD:.metadata.name,CREATED:.metadata.creationTimestamp,"
    'READY:.status.conditions[?(@.type=="Ready")].lastTransitionTime\''
)
# Importing the hints registers them.
__all__ = ["hints"]

diagnosis.install(causes.ENGINE)


@exercise(f"{LAB}/four-starts")
def four_starts(ctx: Context) -> Verdict:
    """Two starts of each way, and what the Pods say of them."""
    unchanged.required(ctx)
    starts = {way: _two_starts(ctx, f"weights-{way}") for way in WAYS}
    for way in ("claim", "cache"):
        first, second = starts[way]
        if not startup.half_at_most(startup.seconds(first), startup.seconds(second)):
            raise words.fail(ctx, "second-as-slow", startup.seen(first), startup.seen(second), name=f"weights-{way}", credit=0.3)
    again = [way for way in WAYS[1:] if startup.fetched(ctx, starts[way][1])]
    # Whose template names neither a claim nor a folder of the node, and fetches nothing.
    anywhere = [way for way in WAYS if not claims.fetcher(ctx.need("deployments", f"weights-{way}"))]
    known = [f"weights-{way}" for way in WAYS]
    took = {
        "image_second": (starts["image"][1], "the second start of weights-image"),
        "init_second": (starts["init"][1], "the second start of weights-init"),
        "claim_first": (starts["claim"][0], "the first start of weights-claim"),
        "claim_second": (starts["claim"][1], "the second start of weights-claim"),
    }
    sheet.judge(
        ctx,
        [
            *(_time(name, pod, asks) for name, (pod, asks) in took.items()),
            sheet.names(
                "fetch_again", [f"weights-{way}" for way in again], "those whose second Pod fetched the file once more, on the same node",
                "kubectl -n ai-platform logs POD -c fetch-weights", known=known, kind="Deployment",
                told="the second Pod of {} found the file, or never fetches".format,
            ),
            sheet.names(
                "any_node", [f"weights-{way}" for way in anywhere], "those whose Pod needs no fetch on a CPU node that is new",
                "kubectl -n ai-platform get deployments -o yaml", known=known, kind="Deployment",
                told="a new node has nothing yet of what {} looks for, or does not reach it".format,
            ),
        ],
        done=0.4,
    )  # fmt: skip
    return passed("four ways measured, each by two starts", *(startup.seen(pod) for way in WAYS for pod in starts[way]))


def _two_starts(ctx: Context, name: str) -> list[Object]:
    """The two Ready Pods of a Deployment, the second created when the first was Ready."""
    deployment = ctx.deployment(name)
    pods = sorted(ctx.pods_of(deployment), key=lambda each: str(each["metadata"]["creationTimestamp"]))
    ready = [pod for pod in pods if observe.is_ready(pod)]
    seen = see(deployment, "status.readyReplicas", len(ready))
    if deployment["spec"].get("replicas") == 2 and len(ready) < 2:
        raise words.wait(ctx, "not-started", seen, name=name)
    if len(ready) != 2 or len(pods) != 2:
        raise words.idle(ctx, "not-started", seen, name=name)
    guards.timed_before_a_stop(
        ready, f"kubectl -n {ctx.namespace} scale deployment/{name} --replicas=0, then to 1, and to 2 once that one is Ready"
    )
    was_ready = observe.moment(observe.condition(ready[0], "Ready")["lastTransitionTime"])
    if observe.moment(ready[1]["metadata"]["creationTimestamp"]) < was_ready:
        raise words.fail(ctx, "both-at-once", *map(startup.seen, ready), name=name)
    return ready


def _time(name: str, pod: Object, asks: str) -> sheet.Blank:
    real = startup.seconds(pod)
    return sheet.number(
        name, lambda given: abs(given - real) <= startup.OFF, f"{asks}, from created to Ready, in seconds", _TIMES, reads=answers.seconds
    )


@exercise(f"{LAB}/each-time-anew")
def each_time_anew(ctx: Context) -> Verdict:
    """A claim that outlives Pods, and a later start that takes half the time."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    claim = claims.kept(ctx, deployment)
    pod = guards.running_and_ready(ctx, deployment)[0]
    guards.made_from_template(ctx, deployment)
    loaded = startup.serves(ctx, pod, startup.card(ctx, "model-card-v2"))
    if startup.fetched(ctx, pod):
        raise words.idle(ctx, "first-with-the-claim", startup.seen(pod), credit=0.6)
    guards.timed_before_a_stop([pod], f"kubectl -n {ctx.namespace} delete pod -l app={API}")
    first = float(ctx.baseline.get("startup") or 0)
    if not startup.half_at_most(first, startup.seconds(pod)):
        raise words.fail(ctx, "not-half", startup.seen(pod), first=first, most=first / 2, credit=0.6)
    return passed(
        "a Pod came after another and found the weights: at most half the time", Seen("start before the change", "", f"{first:.0f} s"),
        startup.seen(pod), see(claim, "status.phase", claims.phase(claim)), loaded,
    )  # fmt: skip


@exercise(f"{LAB}/claim-waits")
def claim_waits(ctx: Context) -> Verdict:
    """The API on a claim that is bound, none that waits, and the old claim untouched."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    claim = claims.kept(ctx, deployment)
    if unchanged.nothing_done(ctx):
        raise words.idle(ctx, "claim-as-it-was", see(claim, "status.phase", claims.phase(claim)), name=claim["metadata"]["name"])
    pod = guards.running_and_ready(ctx, deployment)[0]
    loaded = startup.serves(ctx, pod, startup.card(ctx, "model-card-v2"))
    claims.nothing_waits(ctx)
    guards.diagnosed(ctx, loaded)
    return passed(
        "the API serves from a claim that has a volume", see(claim, "spec.storageClassName", claim["spec"].get("storageClassName")), loaded
    )


@exercise(f"{LAB}/no-node-takes-it")
def no_node_takes_it(ctx: Context) -> Verdict:
    """The trained file, served with a GPU, from a volume that the Pod's node reaches."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    claim = claims.kept(ctx, deployment)
    if claim["metadata"]["name"] == "weights":
        if unchanged.nothing_done(ctx):
            raise words.idle(ctx, "still-tied", see(deployment, "volumes[weights]", "weights"))
        raise words.fail(ctx, "still-tied", see(deployment, "volumes[weights]", "weights"))
    _waits_for_its_file(ctx, deployment)
    pod = guards.running_and_ready(ctx, deployment)[0]
    guards.holds_gpus(ctx, pod)
    loaded = startup.serves(ctx, pod, startup.card(ctx, "model-card-tuned"))
    guards.diagnosed(ctx, loaded)
    volume = ctx.api.get("persistentvolumes", claim["spec"].get("volumeName", "none"))
    return passed(
        "what was trained on one node is served on another, and the trained copy is still where it was",
        see(pod, "spec.nodeName", pod["spec"]["nodeName"]), see(claim, "nodes of its volume", claims.nodes_of(volume, ctx.nodes)), loaded,
    )  # fmt: skip


def _waits_for_its_file(ctx: Context, deployment: Object) -> None:
    """No server of the Deployment runs without a model; ends the check with what one says of its file."""
    pods = [pod for pod in ctx.pods_of(deployment) if pod.get("status", {}).get("phase") == "Running"]
    if failure := startup.load_failure(ctx, pods):
        raise words.wait(ctx, "server-waits-for-its-file", failure, credit=0.4)


@exercise(f"{LAB}/ends-at-load")
def ends_at_load(ctx: Context) -> Verdict:
    """Both sides compare the file with its digest, and a download is no file until it is whole."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    server, fetch = guards.server_container(deployment), claims.fetcher(deployment)
    by_fetch, by_server = claims.digest(ctx, fetch, "WEIGHTS_SHA256"), claims.digest(ctx, server, "MODEL_SHA256")
    if unchanged.nothing_done(ctx):
        failure = startup.load_failure(ctx, ctx.pods_of(deployment))
        raise words.idle(ctx, "broken-file-again", *([failure] if failure else []))
    versions.checked(ctx, deployment, by_fetch, "WEIGHTS_SHA256", "fetch-not-checked", "model-card-v2")
    versions.checked(ctx, deployment, by_server, "MODEL_SHA256", "server-not-checked", "model-card-v2")
    versions.written_aside(ctx, deployment)
    pod = guards.running_and_ready(ctx, deployment)[0]
    guards.made_from_template(ctx, deployment)
    loaded = startup.serves(ctx, pod, startup.card(ctx, "model-card-v2"))
    guards.diagnosed(ctx, loaded)
    return passed("a download that breaks off is thrown away, and no server loads what is not the release", loaded)


@exercise(f"{LAB}/asked-for-v2")
def asked_for_v2(ctx: Context) -> Verdict:
    """Two versions on one claim, and a switch in both directions without a download."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    claims.kept(ctx, deployment)
    versions.has_paths_of_their_own(ctx, deployment)
    fetch = claims.fetcher(deployment)
    versions.checked(ctx, deployment, claims.digest(ctx, fetch, "WEIGHTS_SHA256"), "WEIGHTS_SHA256", "fetch-not-checked", "model-card-v2")
    pod = guards.running_and_ready(ctx, deployment)[0]
    guards.made_from_template(ctx, deployment)
    loaded = startup.serves(ctx, pod, startup.card(ctx, "model-card-v2"))
    versions.came_back(ctx, deployment)
    if startup.fetched(ctx, pod):
        raise words.fail(ctx, "fetched-again", startup.seen(pod), credit=0.7)
    return passed("v2 serves, v1 lies beside it, and neither switch took a download", loaded, startup.seen(pod))


@exercise(f"{LAB}/three-readers")
def three_readers(ctx: Context) -> Verdict:
    """Three Pods, one claim, one writer."""
    unchanged.required(ctx)
    deployment = ctx.deployment(SCORER)
    if "persistentVolumeClaim" not in claims.volume(deployment):
        raise words.fail(ctx, "own-copies", see(deployment, "volumes[weights]", claims.volume(deployment)))
    name = claims.name_of(deployment)
    claim = ctx.get("persistentvolumeclaims", name)
    if unchanged.nothing_done(ctx):
        raise words.idle(ctx, "claim-as-it-was", *([see(claim, "status.phase", claims.phase(claim))] if claim else []), name=name)
    # Said only to somebody who has said it already.
    if claim is not None and (ctx.answers.get("diagnosis") or {}).get("accepted"):
        claims.not_refused(ctx, claim)
    if claim is not None and "ReadWriteOncePod" in (modes := claim["spec"].get("accessModes") or []):
        raise words.fail(ctx, "one-pod-at-a-time", see(claim, "spec.accessModes", modes), name=name, credit=0.3)
    if not claims.read_only(deployment):
        mounts = guards.server_container(deployment).get("volumeMounts")
        raise words.fail(ctx, "server-may-write", see(deployment, "containers[model-server].volumeMounts", mounts), name=SCORER, credit=0.5)
    pods = guards.running_and_ready(ctx, deployment)
    guards.made_from_template(ctx, deployment)
    wanted = startup.card(ctx, "model-card-v2")
    loaded = [startup.serves(ctx, pod, wanted) for pod in pods]
    claims.nothing_waits(ctx)
    guards.diagnosed(ctx, loaded[0])
    nodes = sorted({pod["spec"]["nodeName"] for pod in pods})
    return passed(
        "three Pods read one copy, and only the Job could write it", Seen(f"deployment/{SCORER}", "nodes", ", ".join(nodes)),
        see(claim or deployment, "spec.accessModes", (claim or deployment)["spec"].get("accessModes")), loaded[0],
    )  # fmt: skip


@exercise(f"{LAB}/evicted-again")
def evicted_again(ctx: Context) -> Verdict:
    """A cache that keeps less than its volume may hold, and a Pod that the kubelet has let be."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    if not unchanged.nothing_done(ctx):
        cache.bounded(ctx, deployment)
    blanks = [
        sheet.Blank(
            "by", answers.word, lambda given: given.lower() == "kubelet", "the component of Kubernetes that ended the Pod",
            "kubectl -n ai-platform get events -o custom-columns='REASON:.reason,FROM:.source.component,MESSAGE:.message'",
            told=lambda _given: "the event on the Pod comes from another component", form="one word is asked for",
        ),
        sheet.names(
            "volume", [cache.VOLUME], "the volume that was larger than it may be", "kubectl -n ai-platform get events --field-selector reason=Evicted",
            known=[each["name"] for each in deployment["spec"]["template"]["spec"].get("volumes") or []], kind="volume",
        ),
    ]  # fmt: skip
    sheet.judge(ctx, blanks, done=0.4)
    cache.bounded(ctx, deployment)
    pod = cache.stays(ctx, deployment)
    return passed(
        "the cache stays below its bound, and the kubelet has let the Pod be",
        see(deployment, "volumes[cache].emptyDir.sizeLimit", cache.limit(deployment)), Seen(named(pod), "evictions since", "none"),
    )  # fmt: skip
