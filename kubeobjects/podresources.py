"""What a whole Pod asks for: the effective requests and limits of its containers (k8s.io/component-helpers/resource).

A Pod's init containers run one after another before its containers start; sidecars (init containers with `restartPolicy: Always`)
start among them and keep running. So a Pod needs the larger of what runs at the end and of what runs at any step of its start,
and its overhead on top. Pod-level resources, where given, replace the sums.
"""

from __future__ import annotations

from decimal import Decimal

from kubeobjects import Object, quantity

# Resource name to quantity, as an object has it under `requests`: {"cpu": "100m", "nvidia.com/gpu": "1"}.
ResourceList = dict[str, str]


def _plus(one: ResourceList, other: ResourceList) -> ResourceList:
    total = dict(one)
    for name, amount in other.items():
        total[name] = quantity.add(total[name], amount) if name in total else str(amount)
    return total


def _larger(one: ResourceList, other: ResourceList) -> ResourceList:
    most = dict(one)
    for name, amount in other.items():
        if name not in most or quantity.parse(amount) > quantity.parse(most[name]):
            most[name] = str(amount)
    return most


def _effective(pod: Object, kind: str) -> ResourceList:
    spec = pod["spec"]
    running: ResourceList = {}
    for container in spec.get("containers") or []:
        running = _plus(running, (container.get("resources") or {}).get(kind) or {})
    sidecars: ResourceList = {}
    starting: ResourceList = {}
    for container in spec.get("initContainers") or []:
        own = (container.get("resources") or {}).get(kind) or {}
        if container.get("restartPolicy") == "Always":
            running = _plus(running, own)
            sidecars = _plus(sidecars, own)
            starting = _larger(starting, sidecars)
        else:
            starting = _larger(starting, _plus(own, sidecars))
    total = _larger(running, starting)
    for name, amount in ((spec.get("resources") or {}).get(kind) or {}).items():
        total[name] = str(amount)
    return total


def requests(pod: Object) -> ResourceList:
    """What the scheduler sets aside for `pod`, overhead included."""
    return _plus(_effective(pod, "requests"), pod["spec"].get("overhead") or {})


def limits(pod: Object) -> ResourceList:
    """What `pod` may use at most; overhead counts only where there is a limit to add it to."""
    total = _effective(pod, "limits")
    overhead = pod["spec"].get("overhead") or {}
    return _plus(total, {name: amount for name, amount in overhead.items() if name in total})


def asked(spec: Object, resource: str, kind: str = "requests") -> Decimal:
    """How much of one resource a Pod asks for, given its spec: cores, bytes or devices. `kind` is requests or limits.

    Unlike `requests`, this also reads a spec that no API server has completed yet: a limit alone is a request too.
    """
    if kind == "requests":
        return quantity.parse(_effective({"spec": _completed(spec)}, kind).get(resource, "0"))
    return quantity.parse(_effective({"spec": spec}, kind).get(resource, "0"))


def _completed(spec: Object) -> Object:
    """The spec with limits as requests where there are none, as the API server fills them in."""

    def complete(part: Object) -> Object:
        resources = part.get("resources") or {}
        return {**part, "resources": {**resources, "requests": {**(resources.get("limits") or {}), **(resources.get("requests") or {})}}}

    lists = {key: [complete(each) for each in spec.get(key) or []] for key in ("containers", "initContainers")}
    return complete({**spec, **lists})
