"""Lab 02-model-server: the Service: closed to the outside, found by those inside, and a summary that came through it."""

from __future__ import annotations

import json
import re

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import answers, guards, words
from lab_checks.labs.model_server.live import Said
from lab_checks.labs.model_server.written import API, PORT

_CLOCK = re.compile(r"\b(\d{2}:\d{2}:\d{2})\b")


def service(ctx: Context, deployment: Object) -> Object:
    """The Service of type ClusterIP on port 8080 that selects the Deployment's Pods and nobody else's."""
    found = ctx.get("services", API)
    if found is None:
        raise words.idle(ctx, "no-service", Seen(f"namespace/{ctx.namespace}", "services", "none"))
    spec = found["spec"]
    if spec.get("type", "ClusterIP") != "ClusterIP" or spec.get("externalIPs"):
        raise words.fail(
            ctx, "open-to-the-outside", see(found, "spec.type", spec.get("type")), see(found, "spec.externalIPs", spec.get("externalIPs"))
        )
    if not spec.get("selector"):
        raise words.fail(ctx, "no-selector", see(found, "spec.selector", None))
    guards.selects_every_pod(ctx, found, deployment)
    if spec.get("publishNotReadyAddresses"):
        raise words.fail(ctx, "sends-to-the-unready", see(found, "spec.publishNotReadyAddresses", True))
    port = next((each for each in spec.get("ports") or [] if each["port"] == PORT), None)
    if port is None:
        raise words.fail(ctx, "another-port", see(found, "spec.ports", [each["port"] for each in spec.get("ports") or []]))
    ports = {each.get("name"): each["containerPort"] for each in guards.server_container(deployment).get("ports") or []}
    if ports.get(port.get("targetPort", PORT), port.get("targetPort", PORT)) != PORT:
        raise words.fail(ctx, "another-target", see(found, "spec.ports.targetPort", port["targetPort"]))
    return found


def leads_to(ctx: Context, pod: Object) -> list[str]:
    """The addresses behind the Service, the Pod's among them; and a request through the Service is answered."""
    addresses = guards.listed_behind_service(ctx, API, [pod])
    reply = ctx.api.through("services", f"{API}:{PORT}", ctx.namespace, "ready")
    if not reply or '"ready": true' not in reply:
        raise words.wait(ctx, "no-answer-yet", Seen(f"service/{API}", "GET :8080/ready", reply or "no answer"))
    return addresses


def summarised(ctx: Context, pod: Object, said: Said) -> str:
    """The summary that was handed in: of the incident that is here now, and made by the server that runs here now. Returns its beginning."""
    given = ctx.answers.get("summary")
    if not given:
        raise words.idle(ctx, "no-summary", Seen(f"service/{API}", "POST /v1/summarize", f"answered {said.summaries} times"), credit=0.6)
    text = _text(given)
    incident = ctx.need("configmaps", "incident").get("data", {}).get("incident.log", "")
    lines = [line.strip() for line in incident.splitlines() if line.strip()]
    times = [clock[1] for line in lines if (clock := _CLOCK.search(line))]
    head = f"{len(lines)} log lines between {times[0]} and {times[-1]}." if times else f"{len(lines)} log lines"
    if text.startswith(head) and (said.summaries < 1 or sum(said.lines.values()) < len(lines)):
        seen = (
            see(pod, "model_requests_total{kind=summarize,code=200}", said.summaries),
            see(pod, "model_lines_total", sum(said.lines.values())),
        )
        raise words.fail(ctx, "not-this-server", *seen, credit=0.6, count=len(lines))
    if not text.startswith(head) or not _tells(text.removeprefix(head), lines, said):
        seen = (Seen("answer", "summary", text[:160]), Seen("configmap/incident", "lines", str(len(lines))))
        raise words.fail(ctx, "another-summary", *seen, credit=0.6)
    return head


def _tells(rest: str, lines: list[str], said: Said) -> bool:
    """Whether the rest of a summary is of these lines: one of them quoted and so many counted, or nothing wrong where the server found nothing."""
    most = max((count for kind, count in said.lines.items() if kind != "routine"), default=0)
    quoted, counted = re.search(r'Clearest line: "(.*?)"\.', rest), re.search(r"\((\d+) lines?\)", rest)
    if not quoted or not counted:
        return "routine" in rest and not most
    return any(line.startswith(quoted[1].rstrip("…")) for line in lines) and 0 < int(counted[1]) <= most


def _text(given: object) -> str:
    """The summary alone, also out of the whole reply, and behind the word for it."""
    if isinstance(given, dict):
        return str(given.get("summary", ""))
    text = str(given).strip()
    if text.startswith("{"):
        try:
            return _text(json.loads(text))
        except ValueError:
            return text
    return answers.text(answers.unlabelled(answers.text(text), ("summary",)))
