"""Probes: what they ask, how long they wait, and whether traffic waits for a loaded model."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from datetime import datetime
from urllib.parse import urlsplit

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.observe import named, see
from lab_checks.engine.verdict import fail, wait

PORT = 8080
PROBES = ("readinessProbe", "livenessProbe", "startupProbe")
# Seconds. A hung server is to be found within the first, a Pod that stopped answering gets no requests after the second; a model that does not load
# within the third never will here.
LIVENESS_PATIENCE = 30
READINESS_PATIENCE = 60
STARTUP_PATIENCE = 120
# On a slow day a load takes this many times what it takes today.
ROOM = 1.2
# Seconds. Longer, and new Pods stand idle although they can answer.
MIN_READY = 30
# Who answers a question: the model by the first path, the process alone by the others.
_MODEL, _PROCESS = "/ready", ("/healthz", "/metrics", "/")
_HERE = ("localhost", "127.0.0.1", "::1", "0.0.0.0")
_URL = re.compile(r"https?://[^\s'\")]+")
_IMPORTS = re.compile(r"(?:\s*(?:import|from)\s[\w., ]+(?:;|\n))*")


def probe_budget(probe: Object) -> int:
    """Seconds from the container's start until a probe that never gets an answer has given up: the next question waits for the last one's timeout."""
    return int(probe.get("initialDelaySeconds", 0)) + _stays(probe)


def probe_question(container: Object, kind: str) -> tuple[str, int] | None:
    """The path, without its query, and the port that a probe asks by HTTP, named ports resolved; None for no such probe."""
    get = (container.get(kind) or {}).get("httpGet")
    if not get:
        return None
    return get.get("path", "/").partition("?")[0], number_of(container, get.get("port"))


def number_of(container: Object, port: str | int | None) -> int:
    """A port by its number, or by the name that the container gives it; 0 for none such."""
    named_ports = {each.get("name"): each["containerPort"] for each in container.get("ports") or []}
    return int(named_ports.get(port, port if str(port).isdecimal() else 0) or 0)


def server_container(owner: Object) -> Object:
    """The container model-server of a workload's template; ends the check where there is none."""
    found = observe.container(owner["spec"]["template"]["spec"], "model-server")
    if not found:
        raise fail(f"{named(owner)} has no container model-server any more", see(owner, "containers", "model-server is missing"))
    return found


def variables(container: Object) -> dict[str, Object]:
    """A container's variables by name, as they stand in its spec."""
    return {each["name"]: each for each in container.get("env") or []}


def load_seconds(container: Object) -> float:
    """Seconds that the model server is told to take for its load."""
    return float(variables(container).get("MODEL_LOAD_SECONDS", {}).get("value", 0))


def command_asks(command: list[str]) -> tuple[str, int] | None:
    """The path and the port of the one request with which a command decides; None where its answer may come from elsewhere.

    Read are curl with --fail, wget, and urlopen in a line of Python, each of which fails where the server says no; alone, or in `sh -c`.
    """
    if command[:1] and command[0].rpartition("/")[2] in ("sh", "bash") and len(command) == 3 and command[1] in ("-c", "-ec"):
        # What follows a request has the last word.
        if re.search(r"[|;&\n`]|\$\(", command[2]):
            return None
        try:
            command = shlex.split(command[2].removeprefix("exec "))
        except ValueError:
            return None
    urls = _URL.findall(" ".join(command))
    program = command[0].rpartition("/")[2] if command else ""
    if len(urls) != 1 or not (
        (program == "curl" and any(re.fullmatch(r"--fail(-with-body)?|-[a-zA-Z]*f[a-zA-Z]*", each) for each in command[1:]))
        or program == "wget"
        or (re.fullmatch(r"python[\d.]*", program) and len(command) == 3 and command[1] == "-c" and _only_opens(command[2]))
    ):
        return None
    url = urlsplit(urls[0])
    return (url.path or "/", url.port or 80) if url.hostname in _HERE and url.scheme == "http" else None


def _only_opens(code: str) -> bool:
    """Whether a line of Python does nothing after its imports but urlopen."""
    rest = code[len(found[0]) if (found := _IMPORTS.match(code)) else 0 :].strip().rstrip(";")
    return "urlopen(" in rest and not re.search(r";|\n|\b(or|and|if|lambda)\b", rest)


def answered_by(container: Object, kind: str) -> str:
    """Who answers a probe: "model", "process" where nothing is said of the model, and the empty text for nobody in this Pod."""
    probe = container.get(kind) or {}
    get, listens = probe.get("httpGet") or {}, probe.get("tcpSocket") or {}
    if get.get("host") or get.get("scheme", "HTTP") != "HTTP" or listens.get("host"):
        return ""
    if listens:
        return "process" if number_of(container, listens.get("port")) == PORT else ""
    asks = probe_question(container, kind) if get else command_asks((probe.get("exec") or {}).get("command") or [])
    if asks is None or asks[1] != PORT:
        return ""
    return "model" if asks[0] == _MODEL else "process" if asks[0] in _PROCESS else ""


def _described(container: Object, kind: str) -> str:
    """What a probe asks, in words."""
    probe = container.get(kind) or {}
    asks = probe_question(container, kind)
    if asks:
        get = probe["httpGet"]
        elsewhere = f" of {get['host']}" if get.get("host") else ""
        return f"{get.get('scheme', 'HTTP')} GET {asks[0]} on port {asks[1]}{elsewhere}"
    if "exec" in probe:
        return f"the command {shlex.join(probe['exec'].get('command') or [])}"
    return f"TCP port {probe['tcpSocket'].get('port')}" if "tcpSocket" in probe else "<none>" if not probe else "gRPC"


def _stays(probe: Object) -> int:
    """Seconds for which a Pod that stopped answering still counts as Ready, or lives on."""
    return max(int(probe.get("periodSeconds", 10)), int(probe.get("timeoutSeconds", 1))) * int(probe.get("failureThreshold", 3))


def probes_are_true(deployment: Object) -> None:
    """Traffic waits for the model and no longer, a hung server is found, and nobody is killed while it loads: the values of the probes say so."""
    container = server_container(deployment)
    for kind, says, value, expected, where in (*_readiness(container), *_liveness(container), *_startup(container)):
        raise fail(says, see(deployment, f"containers[model-server].{kind}", value), expected=expected, next=where)
    if int(deployment["spec"].get("minReadySeconds", 0)) > MIN_READY:
        raise fail(
            f"{named(deployment)} waits far too long for Pods that are Ready",
            see(deployment, "spec.minReadySeconds", deployment["spec"]["minReadySeconds"]),
            expected=f"at most {MIN_READY}: it counts seconds and asks nobody, and a Pod gets requests from its first Ready second all the same",
            next="the readiness probe decides about requests: what does it ask?",
        )


# (probe, what is wrong, its value, what is expected, where to look)
_Problem = tuple[str, str, object, str, str]


def _readiness(container: Object) -> Iterator[_Problem]:
    kind, probe = "readinessProbe", container.get("readinessProbe") or {}
    if not probe:
        yield (
            kind, "the server has no readiness probe", "<none>",
            "a probe that asks the model: without one the Pod is Ready as soon as its process runs",
            "which path of the server answers for the model, and not for the process?",
        )  # fmt: skip
    elif answered_by(container, kind) != "model":
        yield (
            kind, "the readiness probe does not ask the model", _described(container, kind),
            f"HTTP GET {_MODEL} on port {PORT} of this Pod, or one command (curl --fail, wget) that does the same and nothing after it; an open port "
            "and /healthz say only that the process lives",
            f"kubectl port-forward to the Pod, then curl -v localhost:{PORT} with the path: before the model is loaded, and after",
        )  # fmt: skip
    first = int(probe.get("initialDelaySeconds", 0)) + int(probe.get("periodSeconds", 10)) * (int(probe.get("successThreshold", 1)) - 1)
    if first > LIVENESS_PATIENCE:
        yield (
            kind, "the readiness probe says yes far too late", f"initialDelaySeconds and successThreshold: {first} s",
            f"at most {LIVENESS_PATIENCE} s: every new Pod stands idle for as long, with a model that was loaded long ago",
            "measure the load time in the log; the answer of /ready decides about the rest",
        )  # fmt: skip
    if _stays(probe) > READINESS_PATIENCE:
        yield (
            kind, "the readiness probe leaves a Pod in traffic long after it stopped answering",
            f"period or timeout × failureThreshold = {_stays(probe)} s", f"at most {READINESS_PATIENCE} s",
            "periodSeconds, timeoutSeconds, failureThreshold",
        )  # fmt: skip


def _liveness(container: Object) -> Iterator[_Problem]:
    kind, probe = "livenessProbe", container.get("livenessProbe") or {}
    if not probe:
        yield (
            kind, "the liveness probe is gone", "<none>", "a liveness probe: without one a hung server stays hung until a person looks",
            "give the load time of its own with a startupProbe, and put the liveness probe back",
        )  # fmt: skip
        return
    if not answered_by(container, kind) or "tcpSocket" in probe:
        yield (
            kind, "the liveness probe does not ask this server whether it lives", _described(container, kind),
            f"/healthz (or /ready) on port {PORT} of this Pod: a hung server still has its port open", "what did the probe ask at the start?",
        )  # fmt: skip
    if probe_budget(probe) > LIVENESS_PATIENCE:
        yield (
            kind, "the liveness probe is too patient to be of use", f"gives up after {probe_budget(probe)} s",
            f"at most {LIVENESS_PATIENCE} s: a delay guessed large also delays the restart of a server that hangs at its start",
            "a startupProbe waits for the load and ends with it; initialDelaySeconds, and period or timeout × failureThreshold",
        )  # fmt: skip
    load = load_seconds(container)
    if not container.get("startupProbe") and answered_by(container, kind) == "model" and probe_budget(probe) < load * ROOM:
        yield (
            kind, "the liveness probe still kills a server that loads", f"gives up after {probe_budget(probe)} s, the load takes {load:g} s",
            f"a startupProbe that holds it back until the model is loaded, or at least {load * ROOM:.1f} s of patience",
            "kubectl explain deployment.spec.template.spec.containers.startupProbe",
        )  # fmt: skip
    for each in ("livenessProbe", "startupProbe"):
        if (grace := int((container.get(each) or {}).get("terminationGracePeriodSeconds") or 0)) > LIVENESS_PATIENCE:
            yield (
                f"{each}.terminationGracePeriodSeconds", "a hung server is given far too long to end", grace,
                f"at most {LIVENESS_PATIENCE} s: a server that hangs does not end by itself, and serves nobody until it is killed",
                f"remove terminationGracePeriodSeconds from the {each}",
            )  # fmt: skip


def _startup(container: Object) -> Iterator[_Problem]:
    kind, probe, load = "startupProbe", container.get("startupProbe"), load_seconds(container)
    if not probe:
        return
    by = answered_by(container, kind)
    if by != "model" and (by != "process" or answered_by(container, "livenessProbe") == "model"):
        yield (
            kind, "the startup probe does not ask the model" if by else "the startup probe asks nobody in this Pod", _described(container, kind),
            "/ready: a startup probe that is content too early hands over to a liveness probe that is not",
            "what do the two probes ask, one after the other, while the model loads?",
        )  # fmt: skip
    if not load * ROOM <= probe_budget(probe) <= STARTUP_PATIENCE:
        yield (
            kind, f"the startup probe's budget is too {'small' if probe_budget(probe) < load * ROOM else 'large'}",
            f"{probe_budget(probe)} s, the load takes {load:g} s",
            f"between {load * ROOM:.1f} and {STARTUP_PATIENCE} s: on a slow day the load takes longer, and a server that never comes up is to be noticed",
            "periodSeconds × failureThreshold",
        )  # fmt: skip


def seconds_to_ready(pod: Object) -> float:
    """Seconds from the container's start until the Pod was Ready."""
    started = pod["status"]["containerStatuses"][0].get("state", {}).get("running", {}).get("startedAt")
    ready = observe.condition(pod, "Ready").get("lastTransitionTime")
    if not started or not ready:
        raise wait("the container has just changed its state", see(pod, "containerStatuses", "not running"))
    return (datetime.fromisoformat(ready) - datetime.fromisoformat(started)).total_seconds()


def ready_with_its_model(pod: Object, container: Object) -> float:
    """The Pod was not Ready before its model was loaded. Returns the seconds until it was Ready."""
    load, took = load_seconds(container), seconds_to_ready(pod)
    # Timestamps are whole seconds: a load of 4 s may look like 3.
    if took < load - 1.5:
        raise fail(
            "the Pod was Ready before its model was loaded",
            see(pod, "Ready", f"after {took:g} s, the load takes {load:g} s"),
            expected="Ready when /ready says so",
            next="what does the readiness probe ask?",
        )
    return took
