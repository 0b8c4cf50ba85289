"""Lab 10-storage: in which volume a Deployment keeps its weights, and what its claim says."""

from __future__ import annotations

from pathlib import PurePosixPath

from kubeobjects import Object, node_selection
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.judging import guards, words

VOLUME = "weights"


def volume(deployment: Object, name: str = VOLUME) -> Object:
    """The volume of this name in the Deployment's template; {} where there is none."""
    found: Object = next((each for each in deployment["spec"]["template"]["spec"].get("volumes") or [] if each["name"] == name), {})
    return found


def name_of(deployment: Object) -> str:
    """The claim behind the weights; empty where there is none."""
    return str((volume(deployment).get("persistentVolumeClaim") or {}).get("claimName", ""))


def phase(claim: Object) -> str:
    return str(claim.get("status", {}).get("phase", "Pending"))


def kept(ctx: Context, deployment: Object) -> Object:
    """The claim that keeps the weights; ends the check where they are kept in anything that goes with a Pod, or stays on one node by hand."""
    found = volume(deployment)
    seen = see(deployment, f"volumes[{VOLUME}]", {key: value for key, value in found.items() if key != "name"})
    if "hostPath" in found:
        raise words.fail(ctx, "folder-of-one-node", seen)
    if "ephemeral" in found:
        raise words.fail(ctx, "goes-with-the-pod", seen)
    if "persistentVolumeClaim" not in found:
        raise (words.fail if (found.get("emptyDir") or {}) else words.idle)(ctx, "still-an-emptydir", seen)
    name = name_of(deployment)
    claim = ctx.get("persistentvolumeclaims", name)
    if claim is None:
        raise words.idle(ctx, "no-such-claim", seen, name=name)
    not_refused(ctx, claim)
    _stays(ctx, claim)
    _read_from_it(ctx, deployment)
    return claim


def _stays(ctx: Context, claim: Object) -> None:
    """Nobody has deleted the claim: it would be Terminating until the last Pod that uses it ends, and take its files along."""
    if gone := claim["metadata"].get("deletionTimestamp"):
        raise words.fail(ctx, "claim-on-its-way-out", see(claim, "metadata.deletionTimestamp", gone), name=claim["metadata"]["name"])


def _read_from_it(ctx: Context, deployment: Object) -> None:
    """The server's file lies on the volume of the claim, and not on another one that is mounted at its path."""
    server = guards.server_container(deployment)
    path = PurePosixPath(value(ctx, server, "MODEL_PATH"))
    over = [each for each in server.get("volumeMounts") or [] if path.is_relative_to(each["mountPath"])]
    nearest = max(over, key=lambda each: len(PurePosixPath(each["mountPath"]).parts), default={"name": "none"})
    if nearest["name"] != VOLUME:
        seen = see(deployment, "containers[model-server].volumeMounts", server.get("volumeMounts") or "none")
        raise words.fail(ctx, "read-from-elsewhere", seen, path=path, name=nearest["name"])


def not_refused(ctx: Context, claim: Object) -> None:
    """No provisioner has refused the claim; ends the check with the event that says otherwise."""
    if phase(claim) != "Pending":
        return
    mine = [each for each in ctx.events if each["involvedObject"].get("uid") == claim["metadata"]["uid"]]
    # Of a class that is not there the binder speaks, and no provisioner.
    refused = [each for each in mine if each["reason"] == "ProvisioningFailed" and "failed to provision" in each.get("message", "")]
    if refused:
        modes = see(claim, "spec.accessModes", claim["spec"].get("accessModes"))
        raise words.fail(ctx, "claim-refused", see(claim, "event", refused[-1]["message"]), modes, name=claim["metadata"]["name"])


def nothing_waits(ctx: Context) -> None:
    """No claim of the namespace is Pending; ends the check with the first that is."""
    for claim in ctx.api.list("persistentvolumeclaims", ctx.namespace):
        if phase(claim) == "Pending":
            name = claim["metadata"]["name"]
            raise words.fail(
                ctx, "claim-left-waiting", see(claim, "status.phase", "Pending"), see(claim, "spec.storageClassName", claim["spec"].get("storageClassName")),
                name=name, credit=0.7,
            )  # fmt: skip


def nodes_of(volume_: Object | None, nodes: list[Object]) -> list[str]:
    """The names of the nodes from which a PersistentVolume can be reached, by its node affinity."""
    if volume_ is None:
        return []
    wanted = (volume_["spec"].get("nodeAffinity") or {}).get("required")
    return [node["metadata"]["name"] for node in nodes if node_selection.selector_matches(wanted, node)]


def read_only(deployment: Object, container: str = "model-server") -> bool:
    """Whether a container of the template can only read the weights, at every path at which it has them."""
    spec = deployment["spec"]["template"]["spec"]
    if (volume(deployment).get("persistentVolumeClaim") or {}).get("readOnly"):
        return True
    everyone = [*(spec.get("initContainers") or []), *(spec.get("containers") or [])]
    mounts = [
        mount for each in everyone if each["name"] == container for mount in each.get("volumeMounts") or [] if mount["name"] == VOLUME
    ]
    return bool(mounts) and all(mount.get("readOnly") for mount in mounts)


def value(ctx: Context, container: Object, name: str) -> str:
    """The value of a variable, out of the ConfigMap that it refers to where it does; other variables in it are filled in as the kubelet does."""
    found = guards.variables(container).get(name) or {}
    if reference := (found.get("valueFrom") or {}).get("configMapKeyRef"):
        return str(((ctx.get("configmaps", reference["name"]) or {}).get("data") or {}).get(reference["key"], ""))
    text = str(found.get("value", ""))
    for other, row in guards.variables(container).items():
        text = text.replace(f"$({other})", str(row.get("value", "")))
    return text


def digest(ctx: Context, container: Object, name: str) -> str:
    """The SHA-256 in a variable, as it is compared: small letters, without what stands in front."""
    return value(ctx, container, name).lower().removeprefix("sha256:")


def fetcher(deployment: Object) -> Object:
    """The init container that fetches the weights; {} where there is none."""
    found: Object = next(
        (each for each in deployment["spec"]["template"]["spec"].get("initContainers") or [] if each["name"] == "fetch-weights"), {}
    )
    return found
