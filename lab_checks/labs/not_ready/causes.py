"""Lab 04-not-ready: why requests do not reach a loaded model, as rules over the live cluster.

A `Scene` (the Deployment, its Pods, the Service, events and logs) comes in; each rule says whether its cause holds now, and what speaks for or
against it. Nothing is read from the exercise: the cluster alone decides.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import named, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import guards
from lab_checks.judging.guards.probes import PORT
from lab_checks.labs.pending.causes import Finding

# Bytes of a log's beginning that tell how a server started: some hundred lines.
_START = 24 * 1024
# Paths that the server answers as soon as its web server runs, whatever its model does.
EARLY = ("/healthz", "/metrics", "/")
_LOADED = re.compile(r"model loaded seconds=([\d.]+)")
_LOADING = re.compile(r"loading (\d+)% .*?seconds=([\d.]+)")
_LISTENS = re.compile(r"listening port=(\d+)")


@dataclass
class Scene:
    """What the rules look at. `logs` maps a Pod's name to how its server started, the container before a restart included."""

    deployment: Object
    pods: list[Object]
    service: Object
    events: list[Object]
    logs: dict[str, str]
    neighbours: list[Object]

    @cached_property
    def server(self) -> Object:
        return guards.server(self.deployment)

    @cached_property
    def log(self) -> str:
        return "\n".join(self.logs.values())

    @property
    def port(self) -> int:
        """The port that the server itself says it listens on."""
        found = _LISTENS.search(self.log)
        return int(found[1]) if found else PORT

    @property
    def load(self) -> float | None:
        """Seconds that a load takes, by the log: measured where one was finished, else worked out of how far it came."""
        return measured(self.log) or under_way(self.log)


def measured(log: str) -> float | None:
    """Seconds of the newest load that a log says was finished."""
    found = _LOADED.findall(log)
    return float(found[-1]) if found else None


def under_way(log: str) -> float | None:
    """Seconds that a load will take, worked out of its last line on how far it is."""
    found = _LOADING.findall(log)
    return round(float(found[-1][1]) * 100 / int(found[-1][0]), 1) if found and int(found[-1][0]) else None


def scene(ctx: Context, name: str) -> Scene:
    """The scene around the Deployment and the Service of that name."""
    deployment = ctx.need("deployments", name)
    pods = ctx.pods_of(deployment)
    logs = {}
    for pod in pods:
        # A container that has just been restarted has said nothing yet: what the one before it said still counts.
        logs[pod["metadata"]["name"]] = "".join(
            ctx.api.log(pod, "model-server", first_bytes=_START, previous=before) for before in (True, False)
        )
    made = deployment["metadata"]["creationTimestamp"]
    events = [each for each in ctx.events if (each.get("lastTimestamp") or each.get("eventTime") or "") >= made]
    return Scene(deployment, pods, ctx.get("services", name) or {}, events, logs, ctx.pods)


def _line(log: str, pattern: str) -> str:
    """The last line of a log that holds the pattern; "" for none."""
    return next((line for line in reversed(log.splitlines()) if re.search(pattern, line)), "")


def _logged(now: Scene, pattern: str, yes: str, no: str) -> Finding:
    for pod in now.pods:
        if line := _line(now.logs.get(pod["metadata"]["name"], ""), pattern):
            return Finding(True, yes, (Seen(f"log of {named(pod)}", "", line),))
    return Finding(False, no, _newest_line(now))


def _newest_line(now: Scene) -> tuple[Seen, ...]:
    for pod in now.pods:
        lines = [line for line in now.logs.get(pod["metadata"]["name"], "").splitlines() if " /v1/" not in line]
        if lines:
            return (Seen(f"log of {named(pod)}", "", lines[-1]),)
    return ()


def no_readiness_probe(now: Scene) -> Finding:
    probe = now.server.get("readinessProbe")
    seen = (see(now.deployment, "containers[model-server].readinessProbe", probe or "<none>"),)
    if probe:
        return Finding(False, "there is a readiness probe", seen)
    return Finding(True, "nobody asks the server whether it can answer, so that it counts as Ready as soon as its process runs", seen)


def readiness_lies(now: Scene) -> Finding:
    probe = now.server.get("readinessProbe")
    if not probe:
        return Finding(False, "there is no readiness probe that could lie", (see(now.deployment, "readinessProbe", "<none>"),))
    asks = guards.question(now.server, "readinessProbe")
    seen = (see(now.deployment, "containers[model-server].readinessProbe", asks or probe),)
    if asks is None or (asks[1] == now.port and asks[0] in EARLY):
        return Finding(True, "the readiness probe asks something that says yes before the model is loaded", seen)
    return Finding(False, f"the readiness probe asks {asks[0]} on port {asks[1]}, which does not say yes too early", seen)


def wrong_port_or_path(now: Scene) -> Finding:
    asks = guards.question(now.server, "readinessProbe")
    if asks is None:
        return Finding(False, "no readiness probe asks by HTTP", (see(now.deployment, "readinessProbe", "no HTTP question"),))
    seen = (see(now.deployment, "readinessProbe.httpGet", f"{asks[0]} on port {asks[1]}"), Seen("the server", "listens on", str(now.port)))
    if asks[1] != now.port or asks[0] not in ("/ready", *EARLY):
        return Finding(True, f"the probe asks {asks[0]} on port {asks[1]}, where nobody answers for the model", seen)
    return Finding(False, f"the probe asks {asks[0]} on port {asks[1]}, and the server answers there", seen)


def liveness_shorter_than_load(now: Scene) -> Finding:
    probe = now.server.get("livenessProbe")
    if not probe:
        return Finding(False, "there is no liveness probe that could kill it", (see(now.deployment, "livenessProbe", "<none>"),))
    patience, load, startup = guards.budget(probe), now.load or 0.0, now.server.get("startupProbe")
    seen = (
        see(now.deployment, "livenessProbe", f"{guards.question(now.server, 'livenessProbe')}, gives up after {patience} s"),
        Seen("the load", "seconds, by the log", f"{load:g}"),
    )
    if guards.question(now.server, "livenessProbe") == ("/healthz", now.port):
        return Finding(False, "the liveness probe asks /healthz, which says yes while the model loads", seen)
    if startup and guards.budget(startup) > load:
        return Finding(False, f"a startup probe holds the liveness probe back for up to {guards.budget(startup)} s", seen)
    if load and patience > load:
        return Finding(False, f"the load takes {load:g} s, and the liveness probe waits {patience} s", seen)
    killed = any("failed liveness probe" in each.get("message", "") for each in now.events)
    return Finding(bool(load) or killed, f"the load takes {load:g} s, and the liveness probe ends the container after {patience} s", seen)


def model_file_missing(now: Scene) -> Finding:
    return _logged(
        now, r"FileNotFoundError|No such file or directory", "the server ends itself: it cannot find its file of weights",
        "the log names no file that is missing",
    )  # fmt: skip


def selector_matches_nothing(now: Scene) -> Finding:
    selector = now.service.get("spec", {}).get("selector") or {}
    found = [
        pod
        for pod in now.neighbours
        if selector and all((pod["metadata"].get("labels") or {}).get(key) == value for key, value in selector.items())
    ]
    seen = (Seen("service", "spec.selector", str(selector or "<none>")),)
    if found:
        return Finding(False, f"the Service selects {named(found[0])}", seen)
    return Finding(True, "no Pod of the namespace carries the labels that the Service selects", seen)


def driver_too_old(now: Scene) -> Finding:
    return _logged(
        now, r"driver version is insufficient", "the program was built for a newer CUDA than the driver of its node serves",
        "the log does not complain of the driver's version",
    )  # fmt: skip


def device_not_injected(now: Scene) -> Finding:
    return _logged(
        now, r"Found no NVIDIA driver", "the container was promised a GPU, and finds neither driver nor device inside",
        "the program found a driver, or did not look for one",
    )  # fmt: skip


def out_of_memory(now: Scene) -> Finding:
    endings = [(pod, ending) for pod in now.pods for ending in observe.endings(pod)]
    for pod, ending in endings:
        if ending.reason == "OOMKilled":
            return Finding(
                True, "the kernel ended the container: it took more memory than its limit", (see(pod, "lastState", "OOMKilled, 137"),)
            )
    seen = tuple(see(pod, "lastState", f"{ending.reason}, exit code {ending.code}") for pod, ending in endings[:1])
    return Finding(False, "no container was killed for want of memory" if endings else "no container has ended", seen)


CAUSES: dict[str, Callable[[Scene], Finding]] = {
    "no-readiness-probe": no_readiness_probe,
    "readiness-lies": readiness_lies,
    "wrong-port-or-path": wrong_port_or_path,
    "liveness-shorter-than-load": liveness_shorter_than_load,
    "model-file-missing": model_file_missing,
    "selector-matches-nothing": selector_matches_nothing,
    "driver-too-old": driver_too_old,
    "device-not-injected": device_not_injected,
    "out-of-memory": out_of_memory,
}


def found(now: Scene) -> dict[str, Finding]:
    """The causes that hold now."""
    findings = {name: rule(now) for name, rule in CAUSES.items()}
    return {name: finding for name, finding in findings.items() if finding.holds}
