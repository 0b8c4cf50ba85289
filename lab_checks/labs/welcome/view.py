"""Lab 00-welcome: the web app and the model side by side, drawn from the learner's own cluster: how they started, and the five rows."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.engine.api import Api
from lab_checks.engine.context import NAMESPACE
from lab_checks.engine.observe import GPU, asked
from lab_checks.face import pictures
from lab_checks.judging import said
from lab_checks.labs.welcome.compare import API, WEB

_HEADER = ("", "web app", "model")


def _newest(pods: list[Object], app: str) -> Object | None:
    """The newest Ready Pod of an app."""
    return observe.newest(each for each in pods if (each["metadata"].get("labels") or {}).get("app") == app and observe.is_ready(each))


def started(pod: Object) -> tuple[float, float]:
    """When its container started and when it was Ready, in seconds since the epoch."""
    since = pod["status"]["containerStatuses"][0]["state"]["running"]["startedAt"]
    return observe.moment(since), observe.moment(observe.condition(pod, "Ready")["lastTransitionTime"])


def _resident(api: Api, app: str) -> str:
    found = said.resident_mib(api.through("services", f"{app}:http", NAMESPACE, "metrics") or "")
    return f"{found:.0f} MiB" if found else "?"


def show(api: Api) -> None:
    """Shows both starts on one line of time, and the rows of the comparison that have a number."""
    pods = api.list("pods", NAMESPACE)
    web, model = _newest(pods, WEB), _newest(pods, API)
    if web is None or model is None:
        print('nothing to draw yet: lab.start("two-workloads") creates both, and the model takes some seconds to load')
        return
    spans = []
    for name, pod, colour in (("web app", web, pictures.GREEN), ("model", model, pictures.ORANGE)):
        since, ready = started(pod)
        spans.append((name, 0.0, ready - since, colour))
    print(f"from start to Ready: {', '.join(f'{name} {until:.0f} s' for name, _, until, _ in spans)}")
    total = sum(int(each["status"].get("allocatable", {}).get(GPU, "0")) for each in api.list("nodes"))
    rows = [
        ("compute: GPUs held", *(int(asked(each["spec"], GPU)) for each in (web, model))),
        ("startup: seconds to Ready", *(f"{span[2]:.0f}" for span in spans)),
        ("memory in use", _resident(api, WEB), _resident(api, API)),
        ("cost: share of all GPUs", *(f"{int(asked(each['spec'], GPU))} of {total}" for each in (web, model))),
    ]
    pictures.show(
        pictures.timeline("From the container's start to Ready", spans), pictures.table("The numbers of your cluster", _HEADER, rows)
    )
