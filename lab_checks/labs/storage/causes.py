"""Lab 10-storage: why weights do not reach a server, as rules over claims, volumes, classes, nodes and logs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from kubeobjects import Object, placement
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, asked, named, see
from lab_checks.engine.verdict import Seen, fail
from lab_checks.judging.diagnosis import Engine, Finding
from lab_checks.labs.storage import claims

# The workloads whose weights the exercises are about: one of them is there.
_WORKLOADS = ("ai-log-summary-api", "batch-scorer")
_CUT = re.compile(r"file not fully covered|invalid header length|header too small")
_LOG_LINES = 40


@dataclass
class Scene:
    """What the rules look at: a Deployment, the claim that it uses (None where there is none), that claim's volume and events, and its servers' logs."""

    deployment: Object
    claim: Object | None
    volume: Object | None
    classes: list[str]
    nodes: list[Object]
    events: list[Object]
    logs: dict[str, str]

    @cached_property
    def claim_name(self) -> str:
        return claims.name_of(self.deployment)

    def phase(self) -> tuple[Seen, ...]:
        return (see(self.claim, "status.phase", claims.phase(self.claim)),) if self.claim else ()

    def said(self, pattern: str | re.Pattern[str]) -> Seen | None:
        """The newest line of a server's log in which this stands."""
        for name, log in self.logs.items():
            if lines := [line for line in log.splitlines() if re.search(pattern, line)]:
                return Seen(f"log of pod/{name}", "", lines[-1])
        return None


def look(ctx: Context) -> Scene:
    """The scene around the workload of the exercise. Ends the check where it is gone."""
    deployment = next((found for name in _WORKLOADS if (found := ctx.get("deployments", name))), None)
    if deployment is None:
        raise fail("the Deployment of this exercise is gone", next=f"ai-lab reset {ctx.exercise.key}")
    name = claims.name_of(deployment)
    claim = ctx.get("persistentvolumeclaims", name) if name else None
    bound = (claim or {}).get("spec", {}).get("volumeName", "")
    logs = {
        pod["metadata"]["name"]: "".join(ctx.api.log(pod, "model-server", tail=_LOG_LINES, previous=before) for before in (True, False))
        for pod in ctx.pods_of(deployment)
        if pod["spec"].get("nodeName")
    }
    return Scene(
        deployment,
        claim,
        ctx.api.get("persistentvolumes", bound) if bound else None,
        [each["metadata"]["name"] for each in ctx.api.list("storageclasses")],
        ctx.nodes,
        [each for each in ctx.events if each["involvedObject"].get("name") == name],
        logs,
    )


def class_not_there(scene: Scene) -> Finding:
    if scene.claim is None:
        return Finding(False, f"there is no claim {scene.claim_name or 'at all'} that could name a class")
    name = scene.claim["spec"].get("storageClassName") or ""
    seen = (see(scene.claim, "spec.storageClassName", name), *scene.phase())
    if not name or name in scene.classes:
        return Finding(False, f"the claim's class, {name or 'none'}, is one that the cluster has", seen)
    return Finding(True, f"no StorageClass is called {name}, so that nobody makes a volume for the claim", seen, {"class": [name]})


def volume_of_another_node(scene: Scene) -> Finding:
    if scene.volume is None:
        return Finding(False, "the claim has no volume yet that could be on any node", scene.phase())
    near = claims.nodes_of(scene.volume, scene.nodes)
    seen = (see(scene.volume, "spec.nodeAffinity", near),)
    template = scene.deployment["spec"]["template"]["spec"]
    wanted = asked(template, GPU)
    fit = [
        node["metadata"]["name"] for node in scene.nodes if placement.allocatable(node, GPU) >= wanted and placement.admits(template, node)
    ]
    if both := sorted(set(near) & set(fit)):
        return Finding(False, f"{both[0]} reaches the volume and has what the Pod asks for", seen)
    why = f"the volume is on {', '.join(near) or 'no node'}, and the Pod can run only on {', '.join(fit) or 'no node'}"
    return Finding(bool(fit), why, seen)


def access_mode_not_served(scene: Scene) -> Finding:
    refused = [each for each in scene.events if each["reason"] == "ProvisioningFailed" and "access modes" in each.get("message", "")]
    if scene.claim is None or not refused or claims.phase(scene.claim) != "Pending":
        return Finding(False, "no provisioner has refused the claim's access modes", scene.phase())
    modes = scene.claim["spec"].get("accessModes")
    seen = (see(scene.claim, "spec.accessModes", modes), Seen(named(scene.claim), "event", refused[-1]["message"]))
    return Finding(True, f"the claim asks for {', '.join(modes or [])}, which its provisioner does not serve", seen)


def no_such_claim(scene: Scene) -> Finding:
    if scene.claim is not None or not scene.claim_name:
        return Finding(False, f"the claim {scene.claim_name} is there", scene.phase())
    return Finding(True, f"the Pod names a claim {scene.claim_name} that there is not")


def file_cut_short(scene: Scene) -> Finding:
    line = scene.said(_CUT)
    if line is None:
        return Finding(False, "no server has read a file that ends too early", scene.phase())
    return Finding(True, "the file at the server's path ends in the middle", (line,))


def digest_of_another_file(scene: Scene) -> Finding:
    line = scene.said("digest mismatch")
    if line is None:
        return Finding(False, "no server has compared its file with a digest and found another", scene.phase())
    return Finding(True, "the file is another one than MODEL_SHA256 names", (line,))


def no_file_at_the_path(scene: Scene) -> Finding:
    line = scene.said("No such file or directory")
    if line is None:
        return Finding(False, "no server has found its path empty", scene.phase())
    return Finding(True, "there is no file at the path at which the server looks", (line,))


def parts(scene: Scene) -> dict[str, list[str]]:
    """Which objects a quoted line may be of."""
    return {"workload": [str(scene.deployment["metadata"]["name"])], "claim": [scene.claim_name]}


_RULES = (
    class_not_there, volume_of_another_node, access_mode_not_served, no_such_claim, file_cut_short, digest_of_another_file, no_file_at_the_path,
)  # fmt: skip
ENGINE = Engine(lab="10-storage", look=look, parts=parts, rules={each.__name__.replace("_", "-"): each for each in _RULES})
