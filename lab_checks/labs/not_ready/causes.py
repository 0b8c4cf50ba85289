"""Lab 04-not-ready: why requests do not reach a loaded model, as rules over the live cluster.

A `Scene` comes in; each rule says whether its cause holds now, and what speaks for or against it. Nothing is read from the exercise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.engine.observe import GPU, named, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import guards
from lab_checks.judging.diagnosis import Engine, Finding
from lab_checks.judging.guards.probes import PORT, answered_by
from lab_checks.labs.not_ready.gpus import troubled

API, CLIENTS = "ai-log-summary-api", "log-clients"
# Bytes of a log's beginning that tell how a server started: some hundred lines.
START = 24 * 1024
_LOADED = re.compile(r"model loaded seconds=([\d.]+)")
_LOADING = re.compile(r"loading (\d+)% .*?seconds=([\d.]+)")


@dataclass
class Scene:
    """What the rules look at.

    `logs` maps a Pod's name to how its server started, the container before a restart included; `nodes` are those that do not serve every program.
    """

    deployment: Object
    pods: list[Object]
    service: Object
    events: list[Object]
    logs: dict[str, str]
    neighbours: list[Object]
    nodes: list[Object]

    @cached_property
    def server(self) -> Object:
        return guards.server_container(self.deployment)

    @cached_property
    def load(self) -> float | None:
        """Seconds that a load takes, by the log: measured where one was finished, else worked out of how far it came."""
        log = "\n".join(self.logs.values())
        return measured(log) or under_way(log)

    def probe(self, kind: str, shown: object = None) -> tuple[Seen, ...]:
        return (see(self.deployment, f"containers[model-server].{kind}", shown or self.server.get(kind) or "<none>"),)


def measured(log: str) -> float | None:
    """Seconds of the newest load that a log says was finished."""
    found = _LOADED.findall(log)
    return float(found[-1]) if found else None


def under_way(log: str) -> float | None:
    """Seconds that a load will take, worked out of its last line on how far it is."""
    found = _LOADING.findall(log)
    return round(float(found[-1][1]) * 100 / int(found[-1][0]), 1) if found and int(found[-1][0]) else None


def look(ctx: Context) -> Scene:
    """The scene around the API's Deployment and Service."""
    deployment = ctx.need("deployments", API)
    pods = ctx.pods_of(deployment)
    # A container that has just been restarted has said nothing yet: what the one before it said still counts.
    logs = {
        pod["metadata"]["name"]: "".join(ctx.api.log(pod, "model-server", first_bytes=START, previous=before) for before in (True, False))
        for pod in pods
    }
    made = deployment["metadata"]["creationTimestamp"]
    events = [each for each in ctx.events if (each.get("lastTimestamp") or each.get("eventTime") or "") >= made]
    nodes = [node for node in ctx.nodes if troubled(node)]
    return Scene(deployment, pods, ctx.get("services", API) or {}, events, logs, ctx.pods, nodes)


def _name(node: Object) -> str:
    return str(node["metadata"]["name"])


def no_readiness_probe(now: Scene) -> Finding:
    if now.server.get("readinessProbe"):
        return Finding(False, "there is a readiness probe", now.probe("readinessProbe"))
    return Finding(
        True, "nobody asks the server whether it can answer, so that it counts as Ready as soon as its process runs", now.probe("readinessProbe"),
        {"address": [pod["status"]["podIP"] for pod in now.pods if pod["status"].get("podIP")]},
    )  # fmt: skip


def readiness_lies(now: Scene) -> Finding:
    probe, by = now.server.get("readinessProbe") or {}, answered_by(now.server, "readinessProbe")
    seen = now.probe("readinessProbe")
    if not probe:
        return Finding(False, "there is no readiness probe that could lie", seen)
    if by == "process" or not ("httpGet" in probe or by):
        asks = guards.probe_question(now.server, "readinessProbe")
        return Finding(
            True, "the readiness probe asks something that says yes before the model is loaded", seen, {"path": [asks[0]] if asks else []}
        )
    return Finding(False, "what the readiness probe asks does not say yes too early", seen)


def wrong_port_or_path(now: Scene) -> Finding:
    asks = guards.probe_question(now.server, "readinessProbe")
    if asks is None:
        return Finding(False, "no readiness probe asks by HTTP", now.probe("readinessProbe"))
    seen = (*now.probe("readinessProbe", f"{asks[0]} on port {asks[1]}"), Seen("the server", "listens on", str(PORT)))
    if answered_by(now.server, "readinessProbe"):
        return Finding(False, f"the probe asks {asks[0]} on port {asks[1]}, and the server answers there", seen)
    return Finding(True, f"the probe asks {asks[0]} on port {asks[1]}, where nobody answers for the model", seen)


def liveness_shorter_than_load(now: Scene) -> Finding:
    probe, startup, load = now.server.get("livenessProbe"), now.server.get("startupProbe"), now.load or 0.0
    if not probe:
        return Finding(False, "there is no liveness probe that could kill it", now.probe("livenessProbe"))
    patience, asks = guards.probe_budget(probe), guards.probe_question(now.server, "livenessProbe")
    asked = f"asks {asks[0]} on port {asks[1]}" if asks else "asks nothing by HTTP"
    seen = (
        *now.probe("livenessProbe", f"{asked}, gives up after {patience} s"),
        Seen("the load", "seconds, by the log", f"{load:g}"),
    )
    if answered_by(now.server, "livenessProbe") == "process":
        return Finding(False, "the liveness probe asks what says yes while the model loads", seen)
    if startup and guards.probe_budget(startup) > load:
        return Finding(False, f"a startup probe holds the liveness probe back for up to {guards.probe_budget(startup)} s", seen)
    if load and patience > load:
        return Finding(False, f"the load takes {load:g} s, and the liveness probe waits {patience} s", seen)
    killed = any("failed liveness probe" in each.get("message", "") for each in now.events)
    return Finding(bool(load) or killed, f"the load takes {load:g} s, and the liveness probe ends the container after {patience} s", seen)


def logged(now: Scene, pattern: str, yes: str, no: str) -> Finding:
    """Whether a server's log has a line of that pattern; the last such line is shown, else the last that is no request."""
    last = None
    for pod in now.pods:
        lines = now.logs.get(pod["metadata"]["name"], "").splitlines()
        if found := next((line for line in reversed(lines) if re.search(pattern, line)), ""):
            cards = [node["metadata"]["labels"].get(f"{GPU}.product", "") for node in now.nodes]
            return Finding(True, yes, (Seen(f"log of {named(pod)}", "", found),), {"node": map(_name, now.nodes), "product": cards})
        last = next((Seen(f"log of {named(pod)}", "", line) for line in reversed(lines) if " /v1/" not in line), last)
    return Finding(False, no, (last,) if last else ())


def selector_matches_nothing(now: Scene) -> Finding:
    selector = now.service.get("spec", {}).get("selector") or {}
    found = [pod for pod in now.neighbours if selector and selector.items() <= (pod["metadata"].get("labels") or {}).items()]
    seen = (Seen("service", "spec.selector", str(selector or "<none>")),)
    if found:
        return Finding(False, f"the Service selects {named(found[0])}", seen)
    written = [f"{key}{sign}{value}" for key, value in selector.items() for sign in ("=", ": ", ":", '":"', '": "')]
    facts = {"service": [API], "selector": written}
    return Finding(True, "no Pod of the namespace carries the labels that the Service selects", seen, facts)


def out_of_memory(now: Scene) -> Finding:
    endings = [(pod, ending) for pod in now.pods for ending in observe.endings(pod)]
    killed = [(pod, ending) for pod, ending in endings if ending.reason == "OOMKilled"]
    seen = tuple(see(pod, "lastState", ending.told) for pod, ending in (killed or endings)[:1])
    if killed:
        return Finding(True, "the kernel ended the container: it took more memory than its limit", seen)
    return Finding(False, "no container was killed for want of memory" if endings else "no container has ended", seen)


ENGINE = Engine(
    lab="04-not-ready",
    look=look,
    parts=lambda now: {"workload": [API], "clients": [CLIENTS], "node": map(_name, now.nodes)},
    rules={
        "no-readiness-probe": no_readiness_probe,
        "readiness-lies": readiness_lies,
        "wrong-port-or-path": wrong_port_or_path,
        "liveness-shorter-than-load": liveness_shorter_than_load,
        "model-file-missing": lambda now: logged(
            now, r"FileNotFoundError|No such file or directory", "the server ends itself: it cannot find its file of weights",
            "the log names no file that is missing",
        ),
        "selector-matches-nothing": selector_matches_nothing,
        "driver-too-old": lambda now: logged(
            now, r"driver version is insufficient", "the program was built for a newer CUDA than the driver of its node serves",
            "the log does not complain of the driver's version",
        ),
        "device-not-injected": lambda now: logged(
            now, r"Found no NVIDIA driver", "the container was promised a GPU, and finds neither driver nor device inside",
            "the program found a driver, or did not look for one",
        ),
        "out-of-memory": out_of_memory,
    },
)  # fmt: skip
