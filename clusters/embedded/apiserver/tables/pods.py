"""The row of a Pod: what its containers' states add up to (pkg/printers/internalversion printPod)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from clusters.embedded.apiserver.tables import durations
from kubeobjects import Object, meta

_NODE_LOST = "NodeLost"
_ENDED = {
    "Succeeded": {"type": "Completed", "status": "True", "reason": "Succeeded", "message": "The pod has completed successfully."},
    "Failed": {"type": "Completed", "status": "True", "reason": "Failed", "message": "The pod failed."},
}


class _Restarts:
    """Restarts of some containers, with the time at which the last of them ended before."""

    def __init__(self) -> None:
        self.count = 0
        self.last = ""

    def add(self, status: Object) -> None:
        self.count += status.get("restartCount") or 0
        ended = ((status.get("lastState") or {}).get("terminated") or {}).get("finishedAt") or ""
        self.last = max(self.last, ended)

    def text(self, now: datetime) -> str:
        if self.count and self.last:
            return f"{self.count} ({durations.since(self.last, now)} ago)"
        return str(self.count)


def _end(terminated: Object) -> str:
    if terminated.get("reason"):
        return str(terminated["reason"])
    return f"Signal:{terminated['signal']}" if terminated.get("signal") else f"ExitCode:{terminated.get('exitCode', 0)}"


def conditions(pod: Object) -> list[Object]:
    """Row conditions: a Pod that has ended is marked, so that clients can leave it out."""
    ended = _ENDED.get((pod.get("status") or {}).get("phase", ""))
    return [ended] if ended else []


class _Summary:
    """READY, STATUS and RESTARTS of one Pod."""

    def __init__(self, pod: Object):
        self._pod = pod
        self._spec, self._status = pod.get("spec") or {}, pod.get("status") or {}
        self._sidecars = {each["name"] for each in self._spec.get("initContainers") or [] if each.get("restartPolicy") == "Always"}
        self.total = len(self._spec.get("containers") or []) + len(self._sidecars)
        self.ready = 0
        self.restarts = _Restarts()
        self.reason = self._phase()
        initializing = self._init_containers()
        if not initializing or meta.is_true(pod, "Initialized"):
            self._containers()
        self._deletion()

    def _phase(self) -> str:
        scheduled = meta.condition(self._pod, "PodScheduled")
        if scheduled and scheduled.get("reason") == "SchedulingGated":
            return "SchedulingGated"
        return self._status.get("reason") or self._status.get("phase") or ""

    def _init_containers(self) -> bool:
        """Counts init containers up to the first that is not done; True where there is one."""
        total = len(self._spec.get("initContainers") or [])
        self._sidecar_restarts = _Restarts()
        for index, status in enumerate(self._status.get("initContainerStatuses") or []):
            self.restarts.add(status)
            is_sidecar = status.get("name") in self._sidecars
            if is_sidecar:
                self._sidecar_restarts.add(status)
            state = status.get("state") or {}
            terminated, waiting = state.get("terminated"), state.get("waiting") or {}
            if terminated is not None and not terminated.get("exitCode"):
                continue
            if is_sidecar and status.get("started"):
                self.ready += bool(status.get("ready"))
                continue
            if terminated is not None:
                self.reason = f"Init:{_end(terminated)}"
            elif waiting.get("reason") and waiting["reason"] != "PodInitializing":
                self.reason = f"Init:{waiting['reason']}"
            else:
                self.reason = f"Init:{index}/{total}"
            return True
        return False

    def _containers(self) -> None:
        self.restarts = self._sidecar_restarts
        running = False
        for status in reversed(self._status.get("containerStatuses") or []):
            self.restarts.add(status)
            state = status.get("state") or {}
            if (state.get("waiting") or {}).get("reason"):
                self.reason = state["waiting"]["reason"]
            elif state.get("terminated") is not None:
                self.reason = _end(state["terminated"])
            elif status.get("ready") and state.get("running") is not None:
                running = True
                self.ready += 1
        if self.reason == "Completed" and running:
            # One container has done its work, another goes on.
            self.reason = "Running" if meta.is_true(self._pod, "Ready") else "NotReady"

    def _deletion(self) -> None:
        if not meta.is_deleting(self._pod):
            return
        if self._status.get("reason") == _NODE_LOST:
            self.reason = "Unknown"
        elif self._status.get("phase") not in _ENDED:
            self.reason = "Terminating"


def cells(pod: Object, now: datetime) -> list[Any]:
    summary = _Summary(pod)
    spec, status = pod.get("spec") or {}, pod.get("status") or {}
    addresses = status.get("podIPs") or []
    gates = [gate.get("conditionType") for gate in spec.get("readinessGates") or []]
    passed = sum(meta.is_true(pod, gate) for gate in gates)
    return [
        pod["metadata"]["name"],
        f"{summary.ready}/{summary.total}",
        summary.reason,
        summary.restarts.text(now),
        durations.since(pod["metadata"].get("creationTimestamp"), now),
        (addresses[0].get("ip") if addresses else status.get("podIP")) or "<none>",
        spec.get("nodeName") or "<none>",
        status.get("nominatedNodeName") or "<none>",
        f"{passed}/{len(gates)}" if gates else "<none>",
    ]
