"""Lab 02-model-server: two pictures from the learner's own cluster: the client's seconds, and the server's memory against its limit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab_checks.engine import observe
from lab_checks.engine.observe import asked
from lab_checks.face import pictures
from lab_checks.judging import guards, said
from lab_checks.labs.model_server.written import API, MIB, PORT

if TYPE_CHECKING:
    from lab_checks.engine.api import Api

Span = tuple[str, float, float, str]


def client_spans(log: str) -> list[Span]:
    """Runs of seconds in which requests were answered, and in which some failed, from the load generator's lines."""
    found: list[Span] = []
    for _stamp, _outcomes, row in said.counted(log):
        name, colour = ("some failed", pictures.RED) if row.get("errors") else ("all answered", pictures.GREEN)
        at = float(row["at"])
        if found and found[-1][0] == name:
            found[-1] = (name, found[-1][1], at, colour)
        else:
            found.append((name, found[-1][2] if found else max(0.0, at - 1), at, colour))
    return found


def show_client(api: Api, namespace: str = "ai-platform", name: str = "on-call-tooling") -> None:
    """Draws the client's seconds: green where all requests were answered, red where some failed."""
    pods = [pod for pod in api.list("pods", namespace, labels=f"app={name}") if observe.is_ready(pod)]
    spans = client_spans(api.log(pods[0])) if pods else []
    if not spans:
        print(f"{name} has not counted anything yet: start the exercise first")
        return
    for what, since, until, _colour in spans:
        print(f"{what:<14}{since:5.0f} s to {until:.0f} s")
    pictures.show(pictures.timeline("What the on-call tooling saw", spans))


def show_memory(api: Api, namespace: str = "ai-platform") -> None:
    """Draws the peak of a server that did load against the limit that the Deployment has now."""
    deployment = api.get("deployments", API, namespace)
    pods = [pod for pod in api.list("pods", namespace, labels=f"app={API}") if observe.is_ready(pod)]
    text = api.through("pods", f"{pods[0]['metadata']['name']}:{PORT}", namespace, "metrics") if pods else None
    if deployment is None or not text or not guards.server_container(deployment):
        print("no server has loaded yet: start the exercise first")
        return
    peak = round(said.peak_mib(text))
    limit = round(float(asked(deployment["spec"]["template"]["spec"], "memory", "limits")) / MIB)
    print(f"peak {peak} MiB, limit {limit} MiB")
    pictures.show(pictures.bar("Memory of the model server", peak, limit, "MiB", value_name="peak"))
