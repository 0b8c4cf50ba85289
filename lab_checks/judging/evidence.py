"""Quotes held against the cluster: a line that a learner (or a model) calls evidence must be found where it is said to come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.context import Context
from lab_checks.judging.quotes import plain

# Shorter quotes prove nothing: `GPU` is found on every page.
_SHORTEST = 8
# Of a log that is longer, its first lines (how it started) and its last ones count.
_LOG_LINES = 400
_LOG_BYTES = 32 * 1024


@dataclass(frozen=True)
class Found:
    """Where a quote was found: `source` is `event on pod/x`, `node/y`, `log of pod/z`; `text` the whole line; `at` when an event came last."""

    source: str
    text: str
    at: str = ""


def event_lines(events: Iterable[Object]) -> Iterator[Found]:
    for each in events:
        target = f"{each['involvedObject'].get('kind', '').lower()}/{each['involvedObject'].get('name', '')}"
        last = each.get("lastTimestamp") or each.get("eventTime") or each["metadata"].get("creationTimestamp") or ""
        yield Found(f"event on {target}", f"{each['type']} {each['reason']} {each.get('message', '')}", last)


def condition_lines(ctx: Context) -> Iterator[Found]:
    for pod in ctx.pods:
        for each in pod.get("status", {}).get("conditions") or []:
            if each.get("message"):
                yield Found(f"condition {each['type']} of pod/{pod['metadata']['name']}", f"{each.get('reason', '')} {each['message']}")
        for status in pod.get("status", {}).get("containerStatuses") or []:
            for moment in ("state", "lastState"):
                for kind, body in (status.get(moment) or {}).items():
                    words = " ".join(f"{key}: {value}" for key, value in (body or {}).items())
                    yield Found(f"{moment} of pod/{pod['metadata']['name']}", f"{kind} {words}")
                    if body and "exitCode" in body:
                        yield Found(
                            f"{moment} of pod/{pod['metadata']['name']}", f"Exit Code: {body['exitCode']} Reason: {body.get('reason', '')}"
                        )


def node_lines(ctx: Context) -> Iterator[Found]:
    """What `kubectl describe node` and `get -o yaml` show of a node, a line a fact."""
    for node in ctx.nodes:
        source = f"node/{node['metadata']['name']}"
        for key, value in (node["metadata"].get("labels") or {}).items():
            yield Found(source, f"{key}={value}")
            yield Found(source, f"{key}: {value}")
        for taint in node["spec"].get("taints") or []:
            value = f"={taint['value']}" if taint.get("value") else ""
            yield Found(source, f"Taints: {taint['key']}{value}:{taint['effect']}")
        for key, value in (node["metadata"].get("annotations") or {}).items():
            yield Found(source, f"{key}: {value}")
        if node["spec"].get("unschedulable"):
            yield Found(source, "Unschedulable: true")
        for section in ("capacity", "allocatable"):
            for key, value in (node.get("status", {}).get(section) or {}).items():
                yield Found(source, f"{section} {key}: {value}")
                yield Found(source, f"{key}: {value}")
    for facts in ctx.gpu_facts:
        yield Found(f"node/{facts.name}", f"Allocated resources {observe.GPU} {facts.held} {facts.held}")


def workload_lines(ctx: Context) -> Iterator[Found]:
    """What `kubectl get` and `describe` show of the controllers and the bounds of the namespace, and of the GPU plugin."""
    for namespace, kind in ((ctx.namespace, "deployments"), ("kube-system", "daemonsets")):
        for each in ctx.api.list(kind, namespace):
            source, status, spec = observe.named(each), each.get("status", {}), each["spec"]
            for condition in status.get("conditions") or []:
                yield Found(
                    source, f"{condition['type']}={condition['status']} {condition.get('reason', '')} {condition.get('message', '')}"
                )
            if kind == "daemonsets":
                wanted, ready = status.get("desiredNumberScheduled", 0), status.get("numberReady", 0)
                yield Found(source, f"{each['metadata']['name']} {wanted} {status.get('currentNumberScheduled', 0)} {ready}")
                yield Found(source, f"Desired Number of Nodes Scheduled: {wanted}")
                yield Found(source, f"desiredNumberScheduled: {wanted}")
            for key, value in (spec["template"]["spec"].get("nodeSelector") or {}).items():
                yield Found(source, f"{key}={value}")
                yield Found(source, f"{key}: {value}")
            tolerations = spec["template"]["spec"].get("tolerations") or []
            if not tolerations:
                yield Found(source, "Tolerations: <none>")
    for each in ctx.api.list("resourcequotas", ctx.namespace):
        used, hard = each.get("status", {}).get("used") or {}, each.get("status", {}).get("hard") or {}
        for key, value in hard.items():
            yield Found(observe.named(each), f"{key} {used.get(key, '0')} {value}")
            yield Found(observe.named(each), f"{key}: {used.get(key, '0')}/{value}")
            yield Found(observe.named(each), f"{key}: {value}")


def probe_text(probe: Object) -> str:
    """A probe as `kubectl describe` shows it: `http-get http://:8080/ready delay=0s timeout=1s period=1s successThreshold=1 failureThreshold=3`."""
    get, listens = probe.get("httpGet"), probe.get("tcpSocket")
    if get:
        asks = f"http-get {get.get('scheme', 'HTTP').lower()}://{get.get('host', '')}:{get.get('port')}{get.get('path', '/')}"
    elif listens:
        asks = f"tcp-socket {listens.get('host', '')}:{listens.get('port')}"
    elif "exec" in probe:
        asks = f"exec [{' '.join(probe['exec'].get('command') or [])}]"
    else:
        asks = "grpc"
    return (
        f"{asks} delay={probe.get('initialDelaySeconds', 0)}s timeout={probe.get('timeoutSeconds', 1)}s "
        f"period={probe.get('periodSeconds', 10)}s "
        f"successThreshold={probe.get('successThreshold', 1)} failureThreshold={probe.get('failureThreshold', 3)}"
    )


def probe_lines(ctx: Context) -> Iterator[Found]:
    """The probes of the namespace's Deployments and Pods, as `kubectl describe` shows them."""
    owners = [(each, each["spec"]["template"]["spec"]) for each in ctx.api.list("deployments", ctx.namespace)]
    for owner, spec in [*owners, *((pod, pod["spec"]) for pod in ctx.pods)]:
        for container in spec.get("containers") or []:
            for word in ("Liveness", "Readiness", "Startup"):
                if probe := container.get(f"{word.lower()}Probe"):
                    text = f"{word}: {probe_text(probe)}"
                    yield Found(observe.named(owner), text)
                    # Before kubectl 1.36 it was shorter.
                    yield Found(observe.named(owner), text.replace("successThreshold", "#success").replace("failureThreshold", "#failure"))


def traffic_lines(ctx: Context) -> Iterator[Found]:
    """Services with what they select, the addresses behind them, and the Pods' labels."""
    for each in ctx.api.list("services", ctx.namespace):
        source, name, spec = observe.named(each), each["metadata"]["name"], each["spec"]
        selector = ",".join(f"{key}={value}" for key, value in sorted((spec.get("selector") or {}).items())) or "<none>"
        ports = ",".join(f"{port['port']}/{port.get('protocol', 'TCP')}" for port in spec.get("ports") or [])
        yield Found(source, f"Selector: {selector}")
        yield Found(source, f"{name} {spec.get('type')} {spec.get('clusterIP')} <none> {ports} 0s {selector}")
        for key, value in (spec.get("selector") or {}).items():
            yield Found(source, f"{key}: {value}")
    for each in ctx.api.list("endpoints", ctx.namespace):
        name = each["metadata"]["name"]
        listed = [
            f"{address['ip']}:{port['port']}"
            for part in each.get("subsets") or []
            for address in part.get("addresses") or []
            for port in part.get("ports") or []
        ]
        yield Found(f"endpoints/{name}", f"{name} {','.join(listed) if listed else '' if each.get('subsets') else '<none>'} 0s")
    for pod in ctx.pods:
        labels = ",".join(f"{key}={value}" for key, value in sorted((pod["metadata"].get("labels") or {}).items()))
        yield Found(observe.named(pod), f"{pod['metadata']['name']} labels {labels}")
        yield Found(observe.named(pod), labels)


def log_lines(ctx: Context) -> Iterator[Found]:
    """What the namespace's containers have printed: the beginning and the end of each log, and the one before a restart."""
    for pod in ctx.pods:
        for status in pod.get("status", {}).get("containerStatuses") or []:
            name = status["name"]
            parts = (
                ctx.api.log(pod, name, first_bytes=_LOG_BYTES),
                ctx.api.log(pod, name, tail=_LOG_LINES),
                ctx.api.log(pod, name, tail=_LOG_LINES, previous=True),
            )
            for line in dict.fromkeys(line for part in parts for line in part.splitlines() if line.strip()):
                yield Found(f"log of pod/{pod['metadata']['name']}", line)


def sources(ctx: Context) -> Iterator[Found]:
    yield from event_lines(reversed(ctx.events))
    yield from condition_lines(ctx)
    yield from node_lines(ctx)
    yield from workload_lines(ctx)
    yield from probe_lines(ctx)
    yield from traffic_lines(ctx)
    yield from log_lines(ctx)


def find(ctx: Context, quote: str) -> list[Found]:
    """Every place on the cluster where the quote stands, the most telling first. A quote of several lines is looked for line by line."""
    found: list[Found] = []
    lines = [plain(line) for line in quote.splitlines() if plain(line)]
    if not lines or max(map(len, lines)) < _SHORTEST:
        return []
    for source in sources(ctx):
        text = plain(f"{source.text}")
        # kubectl's columns put type, reason and object before the message: the quote may hold more than the message, or a part of it.
        if any(len(line) >= _SHORTEST and (line in text or _message_in(text, line)) for line in lines):
            found.append(source)
    return found


def _message_in(text: str, line: str) -> bool:
    """Whether the line is a whole row of kubectl's output that holds this text, or ends in its message."""
    message = text.split(" ", 2)[-1]
    return (len(message) > 24 and message in line) or (len(text) > 24 and text in line)
