"""Lab 04-not-ready: the load against the patience of the probes, drawn from the learner's own Pod."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.face import pictures
from lab_checks.judging import guards
from lab_checks.labs.not_ready import causes

if TYPE_CHECKING:
    from lab_checks.engine.api import Api


def spans(container: Object, load: float, finished: bool) -> list[tuple[str, float, float, str]]:
    """Rows of (name, from, to, colour): the load, and how long each probe that can end the container waits."""
    found = [("load" if finished else "load (cut off)", 0.0, load, pictures.BLUE)]
    for kind, name in (("startupProbe", "startup"), ("livenessProbe", "liveness")):
        probe = container.get(kind)
        if not probe:
            continue
        harmless = kind == "livenessProbe" and (
            container.get("startupProbe") or guards.probe_question(container, kind) == ("/healthz", guards.probes.PORT)
        )
        if harmless:
            continue
        wait = float(guards.probe_budget(probe))
        found.append((f"{name} waits", 0.0, wait, pictures.GREEN if wait > load else pictures.RED))
    return found


def svg(container: Object, log: str) -> tuple[str, str]:
    """(picture, the same in a line of text)."""
    load = causes.measured(log) or causes.under_way(log)
    if not load:
        return "", "the log does not say yet how long the load takes: look again in a moment"
    rows = spans(container, load, causes.measured(log) is not None)
    words = "; ".join(f"{name} {until:g} s" for name, _since, until, _colour in rows)
    return pictures.timeline("The load, and who waits how long", rows), words


def show(api: Api, namespace: str = "ai-platform", name: str = "ai-log-summary-api") -> None:
    """Draws the load of the newest Pod against the probes of its container."""
    pod = observe.newest(api.list("pods", namespace, labels=f"app={name}"))
    if pod is None:
        print(f"there is no Pod of {name} yet: start an exercise first")
        return
    log = "".join(api.log(pod, "model-server", first_bytes=16 * 1024, previous=before) for before in (True, False))
    picture, words = svg(observe.container(pod["spec"], "model-server"), log)
    print(words)
    if picture:
        pictures.show(picture)
