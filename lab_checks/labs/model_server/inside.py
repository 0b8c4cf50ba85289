"""Lab 02-model-server: the Service: closed to the outside, found by those inside, and a summary that came through it."""

from __future__ import annotations

import json
import re

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen, fail, idle, wait
from lab_checks.judging import guards
from lab_checks.labs.model_server.guards import API, PORT
from lab_checks.labs.model_server.live import Said

_CLOCK = re.compile(r"\b(\d{2}:\d{2}:\d{2})\b")


def nothing_public(ctx: Context) -> None:
    """No Service and no Ingress of the namespace leads in from outside the cluster."""
    inside = "a ClusterIP Service: logs hold addresses, names and tokens, and a model that answers to everybody gives them to everybody"
    for service in ctx.api.list("services", ctx.namespace):
        spec = service["spec"]
        opened = spec.get("type", "ClusterIP") if spec.get("type", "ClusterIP") not in ("ClusterIP", "ExternalName") else ""
        if opened or spec.get("externalIPs"):
            raise fail(
                f"the Service {service['metadata']['name']} is open to the outside",
                see(service, "spec.type" if opened else "spec.externalIPs", opened or spec["externalIPs"]),
                expected=inside,
                next=f"kubectl -n {ctx.namespace} patch service {service['metadata']['name']} "
                + (
                    '-p \'{"spec": {"type": "ClusterIP"}}\''
                    if opened
                    else '--type=json -p \'[{"op": "remove", "path": "/spec/externalIPs"}]\''
                ),
            )
    for pod in ctx.pods:
        opened = "hostNetwork" if pod["spec"].get("hostNetwork") else ""
        if opened or any(port.get("hostPort") for each in pod["spec"]["containers"] for port in each.get("ports") or []):
            raise fail(
                "a Pod stands on the address of its node",
                see(pod, "spec", opened or "hostPort"),
                expected=inside,
                next=f"kubectl -n {ctx.namespace} get pods -o wide: which Pod has the address of a node, and who made it?",
            )
    for ingress in ctx.api.list("ingresses", ctx.namespace):
        raise fail(
            f"the Ingress {ingress['metadata']['name']} leads in from outside",
            see(ingress, "spec.rules", ingress["spec"].get("rules") or ingress["spec"].get("defaultBackend")),
            expected=inside,
            next=f"kubectl -n {ctx.namespace} delete ingress {ingress['metadata']['name']}",
        )


def service(ctx: Context, deployment: Object) -> Object:
    """The Service of type ClusterIP on port 8080 that selects the Deployment's Pods and nobody else's."""
    found = ctx.get("services", API)
    write = f"kubectl -n {ctx.namespace} expose deployment {API} --port={PORT}"
    if found is None:
        for other in ctx.api.list("services", ctx.namespace):
            raise fail(
                f"there is a Service, and it is not called {API}",
                see(other, "metadata.name", other["metadata"]["name"]),
                expected=API,
                next=write,
            )
        raise idle(
            f"there is no Service {API} yet",
            Seen(f"namespace/{ctx.namespace}", "services", "none"),
            next=f"{write} --dry-run=client -o yaml",
        )
    spec = found["spec"]
    if spec.get("type", "ClusterIP") != "ClusterIP":
        raise fail(f"the Service is of type {spec['type']}", see(found, "spec.type", spec["type"]), expected="ClusterIP", next=write)
    selector = spec.get("selector") or {}
    labels = deployment["spec"]["template"]["metadata"].get("labels") or {}
    if not selector:
        raise fail(
            "the Service has no selector",
            see(found, "spec.selector", "<none>"),
            expected="a selector: addresses that are written by hand stay when their Pod is long gone",
            next=f"kubectl -n {ctx.namespace} set selector service {API} app={API}",
        )
    if any(labels.get(key) != value for key, value in selector.items()):
        raise fail(
            "the Service selects no Pod of the API", see(found, "spec.selector", selector), see(deployment, "template labels", labels),
            expected="labels that the API's Pods carry", next=f"kubectl -n {ctx.namespace} get pods --show-labels",
        )  # fmt: skip
    if spec.get("publishNotReadyAddresses"):
        raise fail(
            "the Service sends requests to Pods that are not Ready",
            see(found, "spec.publishNotReadyAddresses", "true"),
            expected="only Ready Pods: otherwise the readiness probe keeps nobody away from a loading model",
            next="remove publishNotReadyAddresses",
        )
    port = next((each for each in spec.get("ports") or [] if each["port"] == PORT), None)
    if port is None:
        raise fail(
            f"the Service does not listen on port {PORT}", see(found, "spec.ports", [each["port"] for each in spec.get("ports") or []]),
            expected=str(PORT), next=f"kubectl -n {ctx.namespace} describe service {API}",
        )  # fmt: skip
    names = {each.get("name"): each["containerPort"] for each in guards.server(deployment).get("ports") or []}
    target = port.get("targetPort", PORT)
    if names.get(target, target) != PORT:
        raise fail(
            "the Service knocks at a port where nobody answers", see(found, "spec.ports.targetPort", target),
            expected=f"{PORT}, or http: where the container listens", next=f"kubectl -n {ctx.namespace} describe pod -l app={API} | grep -i port",
        )  # fmt: skip
    return found


def leads_to(ctx: Context, pods: list[Object]) -> list[str]:
    """The addresses behind the Service, all of them of these Pods; and a request through the Service is answered."""
    addresses = guards.listed(ctx, API, pods)
    if foreign := set(addresses) - {pod["status"].get("podIP") for pod in pods}:
        raise fail(
            "somebody else stands behind the Service as well",
            Seen(f"endpoints/{API}", "addresses", ", ".join(sorted(foreign))),
            expected="the API's own Pods only",
            next=f"kubectl -n {ctx.namespace} get pods -o wide --show-labels",
        )
    reply = ctx.api.through("services", f"{API}:{PORT}", ctx.namespace, "ready")
    if not reply or '"ready": true' not in reply:
        raise wait(
            "nobody answers through the Service yet", Seen(f"service/{API}", "GET :8080/ready", reply or "no answer"),
            next=f"kubectl -n {ctx.namespace} get endpoints {API}",
        )  # fmt: skip
    return addresses


def summarised(ctx: Context, pod: Object, said: Said) -> str:
    """The summary that was handed in: of the incident that lies here now, and made by the server that runs here now. Returns its beginning."""
    given = ctx.answers.get("summary")
    ask = f"kubectl -n {ctx.namespace} port-forward service/{API} 8080:8080, then POST the incident's log to /v1/summarize"
    if not given:
        raise idle(
            "the Service is right, and no summary has been handed in yet", Seen(f"service/{API}", "POST /v1/summarize", f"answered {said.summaries} times"),
            next=ask, credit=0.6,
        )  # fmt: skip
    text = _text(given)
    incident = ctx.need("configmaps", "incident").get("data", {}).get("incident.log", "")
    lines = [line.strip() for line in incident.splitlines() if line.strip()]
    times = [clock[1] for line in lines if (clock := _CLOCK.search(line))]
    quoted = re.search(r'Clearest line: "(.*?)"\.', text)
    head = f"{len(lines)} log lines between {times[0]} and {times[-1]}." if times else f"{len(lines)} log lines"
    if not text.startswith(head) or (quoted and quoted[1] not in lines):
        raise fail(
            "this is not the summary of the incident that lies here",
            Seen("answer", "summary", text[:160]),
            Seen("configmap/incident", "lines", str(len(lines))),
            expected="the field summary of the server's reply to the whole log, as it is: each start lays another incident",
            next=ask,
            credit=0.6,
        )
    if said.summaries < 1 or sum(said.lines.values()) < len(lines):
        raise fail(
            "the server that runs here has not summarised this log",
            see(pod, "model_requests_total{kind=summarize,code=200}", said.summaries),
            see(pod, "model_lines_total", sum(said.lines.values())),
            expected=f"a request with all {len(lines)} lines to the Pod that runs now",
            next=ask,
            credit=0.6,
        )
    return head


def _text(given: object) -> str:
    """The summary alone, also out of the whole reply."""
    if isinstance(given, dict):
        return str(given.get("summary", ""))
    text = str(given).strip()
    if text.startswith("{"):
        try:
            return _text(json.loads(text))
        except ValueError:
            return text
    if len(text) > 1 and text[0] == text[-1] == '"':
        text = text[1:-1]
    return " ".join(text.split())
