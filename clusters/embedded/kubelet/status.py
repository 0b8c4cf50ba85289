"""The status of a Pod from the states of its containers: pure functions from facts to `PodStatus`.

`ContainerView` says what is known of one container; `phase`, `conditions` and `pod_status` follow the kubelet's getPhase,
pkg/kubelet/status/generate.go and convertStatusToAPIStatus.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kubeobjects import Object, meta, podresources

# What the claim controller and the scheduler write into a Pod's status.
CLAIM_FIELDS = ("resourceClaimStatuses", "extendedResourceClaimStatus")


@dataclass
class ContainerView:
    """One container as the kubelet sees it. At most one of running, terminated and waiting is the state; with none it was never started.

    running: RFC 3339 start; terminated and last: `ContainerStateTerminated`; waiting: (reason, message).
    """

    spec: Object
    kind: str = "container"
    running: str | None = None
    terminated: Object | None = None
    waiting: tuple[str, str] | None = None
    last: Object | None = None
    restart_count: int = 0
    ready: bool = False
    started: bool | None = None
    container_id: str = ""
    image: str = ""
    image_id: str = ""
    user: Object | None = None
    devices: dict[str, list[Object]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.spec["name"]

    @property
    def is_sidecar(self) -> bool:
        return self.kind == "init" and self.spec.get("restartPolicy") == "Always"

    @property
    def is_done(self) -> bool:
        """An init container that has done its work."""
        if self.is_sidecar:
            return bool(self.started)
        return self.terminated is not None and self.terminated["exitCode"] == 0 and self.waiting is None


def _state(view: ContainerView, default_reason: str) -> Object:
    if view.waiting is not None:
        reason, message = view.waiting
        return {"waiting": {"message": message, "reason": reason} if message else {"reason": reason}}
    if view.running is not None:
        return {"running": {"startedAt": view.running}}
    if view.terminated is not None:
        return {"terminated": dict(view.terminated)}
    return {"waiting": {"reason": default_reason}}


def container_status(view: ContainerView, default_reason: str) -> Object:
    """`ContainerStatus`; `default_reason` is for one that was never started: ContainerCreating or PodInitializing."""
    state = _state(view, default_reason)
    last = view.last
    if view.waiting is not None and view.terminated is not None:
        last = view.terminated
    status: Object = {
        "name": view.name,
        "state": state,
        "lastState": {"terminated": dict(last)} if last else {},
        "ready": view.ready,
        "restartCount": view.restart_count,
        "image": view.image or view.spec["image"],
        "imageID": view.image_id,
    }
    if view.container_id:
        status["containerID"] = view.container_id
    started = view.started if view.running is not None else False
    if started is not None:
        status["started"] = started
    resources = view.spec.get("resources") or {}
    if view.container_id and view.kind != "ephemeral":
        status["resources"] = {kind: dict(resources[kind]) for kind in ("limits", "requests") if resources.get(kind)}
        if resources.get("requests"):
            status["allocatedResources"] = dict(resources["requests"])
    if view.user and view.container_id:
        status["user"] = view.user
    if view.devices:
        status["allocatedResourcesStatus"] = [{"name": name, "resources": devices} for name, devices in sorted(view.devices.items())]
    mounts = [_mount_status(mount) for mount in view.spec.get("volumeMounts") or []]
    if mounts:
        status["volumeMounts"] = mounts
    return status


def _mount_status(mount: Object) -> Object:
    shown: Object = {"mountPath": mount["mountPath"], "name": mount["name"]}
    if mount.get("readOnly"):
        shown |= {"readOnly": True, "recursiveReadOnly": "Disabled"}
    return shown


def phase(restart_policy: str, init: Sequence[ContainerView], containers: Sequence[ContainerView], *, terminal: bool = False) -> str:
    """Pending, Running, Succeeded or Failed; `terminal` says that the Pod has been stopped and nothing is started again."""
    if terminal:
        done = all(view.terminated is not None and view.terminated["exitCode"] == 0 for view in containers)
        return "Succeeded" if done else "Failed"
    pending_init = failed_init = 0
    for view in init:
        if view.is_sidecar:
            if not view.started and view.running is None and view.last is None and view.terminated is None:
                pending_init += 1
        elif view.is_done:
            continue
        elif view.terminated is not None and view.waiting is None and view.terminated["exitCode"] != 0 and restart_policy == "Never":
            failed_init += 1
        else:
            pending_init += 1
    if failed_init:
        return "Failed"
    running = waiting = stopped = succeeded = 0
    for view in containers:
        if view.waiting is None and view.running is not None:
            running += 1
        elif view.terminated is not None and view.waiting is None:
            stopped += 1
            succeeded += view.terminated["exitCode"] == 0
        elif view.last is not None or view.terminated is not None:
            stopped += 1
        else:
            waiting += 1
    if pending_init or waiting:
        return "Pending"
    if running:
        return "Running"
    if restart_policy == "Always":
        return "Running"
    if stopped == succeeded:
        return "Succeeded"
    return "Failed" if restart_policy == "Never" else "Running"


def _ready_condition(kind: str, pod_phase: str, views: Sequence[ContainerView]) -> Object:
    if pod_phase == "Failed":
        return {"type": kind, "status": "False", "reason": "PodFailed"}
    if pod_phase == "Succeeded":
        return {"type": kind, "status": "False", "reason": "PodCompleted"}
    unready = [view.name for view in views if not view.ready]
    if unready:
        return {
            "type": kind,
            "status": "False",
            "reason": "ContainersNotReady",
            "message": f"containers with unready status: [{' '.join(unready)}]",
        }
    return {"type": kind, "status": "True"}


def _gates_condition(pod: Object, containers_ready: Object) -> Object:
    """Ready, where the Pod has readiness gates of its own."""
    if containers_ready["status"] != "True":
        return containers_ready | {"type": "Ready"}
    messages = []
    for gate in pod["spec"].get("readinessGates") or []:
        found = meta.condition(pod, gate["conditionType"])
        if found is None:
            messages.append(f'corresponding condition of pod readiness gate "{gate["conditionType"]}" does not exist.')
        elif found["status"] != "True":
            messages.append(f'the status of pod readiness gate "{gate["conditionType"]}" is not "True", but {found["status"]}')
    if messages:
        return {"type": "Ready", "status": "False", "reason": "ReadinessGatesNotReady", "message": ", ".join(messages)}
    return {"type": "Ready", "status": "True"}


def _initialized(pod_phase: str, init: Sequence[ContainerView], containers: Sequence[ContainerView]) -> Object:
    if pod_phase == "Succeeded":
        return {"type": "Initialized", "status": "True", "reason": "PodCompleted"}
    started = any(view.running is not None or view.terminated is not None or view.last is not None for view in containers)
    incomplete = [] if started else [view.name for view in init if not view.is_done]
    if incomplete:
        return {
            "type": "Initialized",
            "status": "False",
            "reason": "ContainersNotInitialized",
            "message": f"containers with incomplete status: [{' '.join(incomplete)}]",
        }
    return {"type": "Initialized", "status": "True"}


def conditions(
    pod: Object, pod_phase: str, init: Sequence[ContainerView], containers: Sequence[ContainerView], *, sandbox: bool, now: str
) -> list[Object]:
    """The conditions that the kubelet owns, in its order, then those of others; times change only with the status."""
    views = [*(view for view in init if view.is_sidecar), *containers]
    containers_ready = _ready_condition("ContainersReady", pod_phase, views)
    fresh = [
        {"type": "PodReadyToStartContainers", "status": "True" if sandbox else "False"},
        _initialized(pod_phase, init, containers),
        _gates_condition(pod, containers_ready),
        containers_ready,
        {"type": "PodScheduled", "status": "True"},
    ]
    generation = pod["metadata"].get("generation")
    old = {each["type"]: each for each in (pod.get("status") or {}).get("conditions") or []}
    found: list[Object] = []
    for each in fresh:
        before = old.pop(each["type"], None)
        same = before is not None and before["status"] == each["status"]
        each |= {"lastProbeTime": None, "lastTransitionTime": before["lastTransitionTime"] if same and before else now}
        if generation is not None:
            each["observedGeneration"] = generation
        found.append(each)
    return found + list(old.values())


def pod_status(
    pod: Object,
    views: Sequence[ContainerView],
    *,
    sandbox: bool,
    host_ip: str,
    pod_ip: str,
    now: str,
    start_time: str,
    failure: tuple[str, str] | None = None,
    terminal: bool = False,
    may_end: bool = True,
) -> Object:
    """The whole `PodStatus`. `failure` (reason, message) is why the kubelet ended the Pod; `terminal` is as in `phase`.

    Without `may_end`, containers may still run (sidecars): the phase is Running until they have ended.
    """
    by_kind = {kind: [view for view in views if view.kind == kind] for kind in ("init", "container", "ephemeral")}
    init, containers = by_kind["init"], by_kind["container"]
    policy = pod["spec"].get("restartPolicy") or "Always"
    pod_phase = "Failed" if failure else phase(policy, init, containers, terminal=terminal)
    old = pod.get("status") or {}
    status: Object = {name: old[name] for name in ("qosClass", "nominatedNodeName", *CLAIM_FIELDS) if name in old}
    status["phase"] = "Running" if pod_phase in ("Succeeded", "Failed") and not may_end else pod_phase
    status["conditions"] = conditions(pod, pod_phase, init, containers, sandbox=sandbox, now=now)
    if failure:
        status["reason"], status["message"] = failure
    status["hostIP"] = host_ip
    status["hostIPs"] = [{"ip": host_ip}]
    if pod_ip:
        status["podIP"] = pod_ip
        status["podIPs"] = [{"ip": pod_ip}]
    status["startTime"] = start_time
    if pod["metadata"].get("generation") is not None:
        status["observedGeneration"] = pod["metadata"]["generation"]
    default = "PodInitializing" if init else "ContainerCreating"
    if init:
        status["initContainerStatuses"] = [container_status(view, "PodInitializing") for view in init]
    status["containerStatuses"] = [container_status(view, default) for view in containers]
    if by_kind["ephemeral"]:
        status["ephemeralContainerStatuses"] = [container_status(view, "ContainerCreating") for view in by_kind["ephemeral"]]
    if any(view.container_id for view in containers):
        status["resources"] = _pod_resources(pod)
        requests = podresources.requests({"spec": pod["spec"] | {"overhead": None}})
        if requests:
            status["allocatedResources"] = requests
    return status


def _pod_resources(pod: Object) -> Object:
    """cpu and memory only: what the Pod's own cgroup has."""
    found: Object = {}
    for kind, amounts in (("limits", podresources.limits(pod)), ("requests", podresources.requests(pod))):
        own = {name: amount for name, amount in amounts.items() if name in ("cpu", "memory")}
        if own:
            found[kind] = own
    return found


def rejected(reason: str, message: str, *, now: str, generation: int | None) -> Object:
    """The status of a Pod that the node did not admit."""
    status: Object = {"phase": "Failed", "reason": reason, "message": f"Pod was rejected: {message}", "startTime": now}
    if generation is not None:
        status["observedGeneration"] = generation
    return status
