"""Lab 05-oom: pictures from the learner's own cluster: memory on its way to the limit, and a peak between request and limit."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from kubeobjects import Object
from lab_checks.engine import observe
from lab_checks.face import pictures
from lab_checks.labs.oom import sizes as oom_sizes

if TYPE_CHECKING:
    from lab_checks.engine.api import Api


_NAMESPACE, _API, _SERVER = "ai-platform", "ai-log-summary-api", "model-server"
_LOADING = re.compile(r"loading \d+% .*resident_mib=(\d+) seconds=([0-9.]+)")


def points(log: str) -> list[tuple[float, float]]:
    """(second, MiB in use) of each step of the load that a server's log tells of."""
    return [(float(second), float(size)) for size, second in _LOADING.findall(log)]


def _pod(api: Api) -> Object | None:
    return observe.newest(api.list("pods", _NAMESPACE, labels=f"app={_API}"))


def show_kill(api: Api) -> None:
    """Draws the memory of the run that was killed, step by step, against the limit that it ran into."""
    pod = _pod(api)
    ended = [each for each in observe.endings(pod) if each.container == _SERVER] if pod else []
    way = points(api.log(pod, _SERVER, previous=True)) if pod and ended else []
    if pod is None or not way:
        print("no server was killed while it loaded: start the exercise killed-at-load first")
        return
    limit = round(oom_sizes.size(pod["spec"], _SERVER, "limits"))
    print(f"the last that it told of itself: {way[-1][1]:.0f} MiB after {way[-1][0]:.1f} s; limit {limit} MiB; {ended[0].reason}")
    pictures.show(pictures.curve("Memory of the model server while it loads", way, limit, "MiB", end=ended[0].reason))


def show_peak(api: Api) -> None:
    """Draws the peak of the server that runs now against its limit."""
    pod = _pod(api)
    page = api.through("pods", f"{pod['metadata']['name']}:8080", _NAMESPACE, "metrics") if pod and observe.is_ready(pod) else None
    taken = oom_sizes.read(page or "")
    if pod is None or taken is None:
        print("no server is Ready: start an exercise, and mend it")
        return
    limit, request = (round(oom_sizes.size(pod["spec"], _SERVER, kind)) for kind in ("limits", "requests"))
    print(
        f"peak {taken.peak:.0f} MiB, request {request} MiB, limit {limit or 'none'}{' MiB' if limit else ''}, {taken.served:.0f} requests answered"
    )
    if limit:
        pictures.show(pictures.bar("Memory of the model server", round(taken.peak), limit, "MiB", value_name="peak"))
