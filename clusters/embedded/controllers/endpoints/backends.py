"""Which Pods stand behind a Service, on which ports, and in which condition: objects in, `Backend`s out."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass

from clusters.embedded.client import Object
from clusters.embedded.controllers import pods
from clusters.embedded.controllers.context import Context, Controller
from kubeobjects import meta, selectors

HEADLESS_LABEL = "service.kubernetes.io/headless"
TRIGGER_TIME = "endpoints.kubernetes.io/last-change-trigger-time"

# (name, port, protocol, appProtocol); a port of None stands for a headless Service without ports.
Port = tuple[str, int, str, str]


@dataclass(frozen=True)
class Backend:
    """One Pod that a Service selects. `ports` are the Service's ports as this Pod serves them."""

    pod: Object
    ports: tuple[Port, ...]
    ready: bool
    serving: bool
    terminating: bool

    @property
    def address(self) -> str:
        return self.pod["status"]["podIP"]

    @property
    def target(self) -> Object:
        metadata = self.pod["metadata"]
        return {"kind": "Pod", "name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]}


def is_headless(service: Object) -> bool:
    return service["spec"].get("clusterIP") == "None"


def has_endpoints(service: Object) -> bool:
    """Whether endpoints are the controllers' to write: a Service with a selector that is no alias of a DNS name."""
    return bool(service["spec"].get("selector")) and service["spec"].get("type") != "ExternalName"


def find_port(pod: Object, port: Object) -> int | None:
    """The number of a Service's port in the Pod: targetPort may be a container port's name (podutil.FindPort)."""
    target = port.get("targetPort", port["port"])
    if isinstance(target, int):
        return target or port["port"]
    protocol = port.get("protocol") or "TCP"
    sidecars = [each for each in pod["spec"].get("initContainers") or [] if each.get("restartPolicy") == "Always"]
    for container in [*pod["spec"]["containers"], *sidecars]:
        for each in container.get("ports") or []:
            if each.get("name") == target and (each.get("protocol") or "TCP") == protocol:
                return each["containerPort"]
    return None


def _ports(service: Object, pod: Object) -> tuple[Port, ...]:
    found = []
    for each in service["spec"].get("ports") or []:
        number = find_port(pod, each)
        if number is not None:
            found.append((each.get("name") or "", number, each.get("protocol") or "TCP", each.get("appProtocol") or ""))
    return tuple(found)


def backends(service: Object, candidates: list[Object]) -> list[Backend]:
    """The Service's Pods with an address, in the order of their addresses; Pods that end are still listed, as terminating."""
    matches = selectors.from_map(service["spec"].get("selector"))
    publish = bool(service["spec"].get("publishNotReadyAddresses"))
    found = []
    for pod in candidates:
        if not matches(pod["metadata"].get("labels") or {}) or pods.is_terminal(pod) or not (pod.get("status") or {}).get("podIP"):
            continue
        serving, terminating = pods.is_ready(pod), meta.is_deleting(pod)
        found.append(Backend(pod, _ports(service, pod), publish or (serving and not terminating), serving, terminating))
    return sorted(found, key=lambda each: ipaddress.ip_address(each.address).packed)


def hostname(service: Object, pod: Object) -> str:
    """The Pod's own name under a headless Service, where the Pod asks for one."""
    wanted = pod["spec"].get("hostname") or ""
    return wanted if wanted and pod["spec"].get("subdomain") == service["metadata"]["name"] else ""


def labels_for(service: Object, managed_by: dict[str, str]) -> dict[str, str]:
    labels = {name: value for name, value in (service["metadata"].get("labels") or {}).items() if name != HEADLESS_LABEL}
    return labels | managed_by | ({HEADLESS_LABEL: ""} if is_headless(service) else {})


class ServiceBackendsController(Controller):
    """What both endpoint controllers watch: Services, and Pods whose labels, readiness or address change."""

    workers = 2

    def __init__(self, context: Context):
        super().__init__(context)
        self._services = self.watch("services")
        self._pods = self.informers("pods")
        self._pods.on_change(self._pod_changed)

    def _pod_changed(self, old: Object | None, new: Object | None) -> None:
        if old is not None and new is not None and _seen(old) == _seen(new):
            return
        namespace = (new or old or {})["metadata"]["namespace"]
        labels = [each["metadata"].get("labels") or {} for each in (old, new) if each is not None]
        for service in self._services.list(namespace):
            matches = selectors.from_map(service["spec"].get("selector"))
            if any(matches(each) for each in labels):
                self.enqueue(service)


def _seen(pod: Object) -> tuple[object, ...]:
    status = pod.get("status") or {}
    labels = pod["metadata"].get("labels")
    return status.get("podIP"), pods.phase(pod), pods.is_ready(pod), meta.is_deleting(pod), labels, pod["spec"].get("nodeName")
