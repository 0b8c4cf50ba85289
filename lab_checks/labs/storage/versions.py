"""Lab 10-storage: files that are checked by their digest, written aside, and kept side by side."""

from __future__ import annotations

from pathlib import PurePosixPath

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.judging import guards, words
from lab_checks.labs.storage import claims, startup

_NUMBER = "deployment.kubernetes.io/revision"
# Numbers that a ReplicaSet had before it became the newest one again.
_HISTORY = "deployment.kubernetes.io/revision-history"
_V1 = "/releases/v1/"


def checked(ctx: Context, deployment: Object, digest: str, variable: str, missing: str, card: str) -> None:
    """A digest that somebody compares a file with is the model card's; `missing` names the words for where there is none."""
    seen = see(deployment, variable, digest or "<none>")
    if not digest:
        raise words.fail(ctx, missing, seen, card=card, credit=0.3)
    if digest != startup.card(ctx, card):
        raise words.fail(ctx, "digest-of-another", seen, name=variable, card=card, credit=0.3)


def written_aside(ctx: Context, deployment: Object) -> None:
    """A download has a name of its own until it is whole, in the folder of the volume on which its target is."""
    fetch = claims.fetcher(deployment)
    target, part = (PurePosixPath(claims.value(ctx, fetch, name) or "/") for name in ("TARGET", "DOWNLOAD_TO"))
    seen = see(deployment, "initContainers[fetch-weights].env[DOWNLOAD_TO]", claims.value(ctx, fetch, "DOWNLOAD_TO") or "<none>")
    if part in (target, PurePosixPath("/")):
        raise words.fail(ctx, "written-in-place", seen, credit=0.6)
    folder = next((mount["mountPath"] for mount in fetch.get("volumeMounts") or [] if mount["name"] == claims.VOLUME), "/weights")
    if ".." in part.parts or not part.is_relative_to(folder):
        raise words.fail(ctx, "part-elsewhere", seen, folder=folder, credit=0.6)
    if target.is_relative_to(part) or part.is_relative_to(target):
        raise words.fail(ctx, "part-in-the-way", seen, part=part, folder=folder, credit=0.6)


def _templates(ctx: Context, deployment: Object) -> list[tuple[int, list[int], Object, str]]:
    """(revision, the revisions that it was before, Pod template, name) of each ReplicaSet of the Deployment, oldest first."""
    uid, found = deployment["metadata"]["uid"], []
    for each in ctx.api.list("replicasets", deployment["metadata"]["namespace"]):
        if any(owner["uid"] == uid for owner in each["metadata"].get("ownerReferences") or []):
            notes = each["metadata"].get("annotations") or {}
            before = [observe.whole(number) for number in notes.get(_HISTORY, "").split(",") if number]
            found.append((observe.whole(notes.get(_NUMBER, "0")), before, each["spec"]["template"], each["metadata"]["name"]))
    return sorted(found, key=lambda row: row[0])


def _asks_for_v1(ctx: Context, template: Object) -> bool:
    return _V1 in claims.value(ctx, claims.fetcher({"spec": {"template": template}}), "WEIGHTS_URL")


def _path(ctx: Context, template: Object) -> str:
    return claims.value(
        ctx, guards.server_container({"kind": "ReplicaSet", "metadata": {"name": "x"}, "spec": {"template": template}}), "MODEL_PATH"
    )


def has_paths_of_their_own(ctx: Context, deployment: Object) -> None:
    """v2 is asked for, and neither fetched to nor read from the path of v1."""
    template = deployment["spec"]["template"]
    before = ctx.before("deployments", deployment["metadata"]["name"])["spec"]["template"]
    target = claims.value(ctx, claims.fetcher(deployment), "TARGET")
    seen = (see(deployment, "initContainers[fetch-weights].env[TARGET]", target), see(deployment, "env[MODEL_PATH]", _path(ctx, template)))
    if _asks_for_v1(ctx, template):
        raise words.idle(ctx, "morning-still", see(deployment, "env[WEIGHTS_URL]", _V1), credit=0.3)
    if template["spec"] == before["spec"]:
        raise words.idle(ctx, "morning-still", *seen)
    if _path(ctx, before) in (target, _path(ctx, template)):
        raise words.fail(ctx, "one-path-for-two", *seen)


def came_back(ctx: Context, deployment: Object) -> None:
    """Before the present template v1's was the newest, and before that v2 had served already from its own path."""
    rows = _templates(ctx, deployment)
    number, earlier, newest, _ = rows[-1]
    here = _path(ctx, newest)
    seen = see(deployment, "revisions", [row[0] for row in rows])
    there = [row for row in rows if _path(ctx, row[2]) == here and not _asks_for_v1(ctx, row[2])]
    served = [*earlier, *(row[0] for row in there if row[0] != number)]
    returned = [each for each, _, template, _ in rows[:-1] if _asks_for_v1(ctx, template)]
    if not served or not any(min(served) < each < number for each in returned):
        raise words.idle(ctx, "way-back-not-tried", seen, credit=0.6)
    v2 = [name for _, _, _, name in there]
    v1 = [name for _, _, template, name in rows if _asks_for_v1(ctx, template)]
    # A rolling update that may surge takes the last Pod of v2 away once v1 is Ready. One that may not, for want of a second GPU, takes it away first.
    if not any(_scaled(ctx, "down", name) for name in v2) or not _began(ctx, v1, v2, guards.server_container(deployment)["name"]):
        raise words.fail(ctx, "v1-never-ready", seen, credit=0.6)
    _v1_still_there(ctx, deployment, rows)


def _scaled(ctx: Context, direction: str, replicaset: str) -> list[Object]:
    """What the Deployment's events say of Pods that this ReplicaSet got ("up") or gave up for another one ("down")."""
    begins = f"Scaled {direction} replica set {replicaset} "
    return [each for each in ctx.told("ScalingReplicaSet") if each.get("message", "").startswith(begins)]


def _began(ctx: Context, v1: list[str], v2: list[str], container: str) -> bool:
    """Whether the server of a Pod of these ReplicaSets of v1 was started after those of v2 had got their first Pod: what it waits for was over."""
    since = min((each.get("firstTimestamp") or "" for name in v2 for each in _scaled(ctx, "up", name)), default="")
    return any(
        each["involvedObject"]["name"].rpartition("-")[0] in v1
        and each["involvedObject"].get("fieldPath") == f"spec.containers{{{container}}}"
        and (each.get("firstTimestamp") or "") >= since
        for each in ctx.told("Started")
    )


def _v1_still_there(ctx: Context, deployment: Object, rows: list[tuple[int, list[int], Object, str]]) -> None:
    """No template since the start has put v2 at the path of v1, or a later one of v1 has asked for v1's own digest and fetched it again."""
    old = claims.value(ctx, claims.fetcher(ctx.before("deployments", deployment["metadata"]["name"])), "TARGET")
    # The newest revision that left v1's file at that path, and the newest that left another one there.
    newest = {True: 0, False: 0}
    for number, _, template, _ in rows:
        fetch = claims.fetcher({"spec": {"template": template}})
        digest = claims.digest(ctx, fetch, "WEIGHTS_SHA256")
        if digest and claims.value(ctx, fetch, "TARGET") == old:
            newest[digest == startup.card(ctx, "model-card-v1")] = number
    if newest[False] > newest[True]:
        seen = see(deployment, f"revision {newest[False]}", f"TARGET {old}, with another digest than v1's")
        raise words.fail(ctx, "v1-overwritten", seen, credit=0.6)
