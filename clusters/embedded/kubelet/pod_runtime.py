"""The containers of one Pod: which one is to start, which has to wait, and how all of them end (pkg/kubelet/kuberuntime).

The Pod as the API has it flows in through `update`; processes and events flow out. The Pod's worker says when to look and when to stop.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from clusters.embedded.kubelet import restarts
from clusters.embedded.kubelet.backoff import duration
from clusters.embedded.kubelet.container_config import ConfigMaker
from clusters.embedded.kubelet.container_start import ContainerStarter
from clusters.embedded.kubelet.containers import PodContainer
from clusters.embedded.kubelet.node_services import NodeServices
from clusters.embedded.kubelet.status import ContainerView
from kubeobjects import Object

# A failed sync is tried again after 10 s and a little (backOffPeriod and its jitter); the first look after the sandbox is up comes sooner.
RESYNC_SECONDS = 11.0
_FIRST_RESYNC_SECONDS = 1.0
# CrashLoopBackOff is seen this long at least, though the next start is due: the kubelet shows it until its next relist.
_RELIST_SECONDS = 0.5


class PodRuntime:
    """Implements `container_start.RuntimeHelper`. `changed` is called whenever the Pod's next step may be another."""

    def __init__(self, services: NodeServices, pod: Object, addresses: dict[str, str], configs: ConfigMaker, changed: Callable[[], None]):
        self._services = services
        self._changed = changed
        self.pod = pod
        self.uid: str = pod["metadata"]["uid"]
        self.addresses = addresses
        self.containers: list[PodContainer] = []
        self._logs = services.folder.logs(pod)
        self._starter = ContainerStarter(services, self, configs)
        self._syncs = 0
        self._tries = 0
        self.update(pod)

    # What it is asked and told

    def update(self, pod: Object) -> None:
        """Takes over the Pod's new version, and its containers that are not known yet: all at first, ephemeral ones later."""
        self.pod = pod
        known = {container.name: container for container in self.containers}
        for kind, field in (("init", "initContainers"), ("container", "containers"), ("ephemeral", "ephemeralContainers")):
            for each in pod["spec"].get(field) or []:
                if each["name"] in known:
                    known[each["name"]].spec = each
                    continue
                folder = self._services.folder.pod(self.uid)
                self.containers.append(PodContainer(each, kind, folder, self._logs, self._changed))

    def resume(self) -> bool:
        """A Pod that ran before this kubelet did: counts go on where they were. Whether it is one."""
        old = self.pod.get("status") or {}
        known = {
            each["name"]: each
            for field in ("initContainerStatuses", "containerStatuses", "ephemeralContainerStatuses")
            for each in old.get(field) or []
        }
        for container in self.containers:
            container.resume(known.get(container.name), time.time())
        return any(each.get("containerID") for each in known.values())

    def container(self, name: str) -> PodContainer | None:
        return next((each for each in self.containers if each.name == name), None)

    def emit(self, type: str, reason: str, message: str, container: PodContainer | None = None) -> None:
        self._services.events.emit(self.pod, type, reason, message, container.field_path if container else "")

    def look_again(self) -> None:
        self._changed()

    @property
    def is_finished(self) -> bool:
        """Whether nothing runs any more and nothing will."""
        return restarts.is_finished(self.pod, self._views())

    def _views(self) -> list[ContainerView]:
        return [container.view() for container in self.containers]

    def shown(self) -> list[ContainerView]:
        """What the Pod's status says of the containers."""
        views = self._views()
        for view, container in zip(views, self.containers, strict=True):
            view.devices = self._services.devices.in_use(self.uid, container.name)
            if container.kind == "container":
                view.devices |= self._services.claims.in_use(self.pod, container.spec)
            # The kubelet shows how a container ended, or why it did not start, until it looks the next time; only then that it waits.
            if view.waiting and view.waiting[0] == "CrashLoopBackOff" and container.waits_since == self._syncs:
                view.waiting = container.waited_before
        return views

    # Starting

    def begin_sync(self) -> None:
        """A new look at everything: what was found out in the one before is shown from now on."""
        self._syncs += 1

    async def sync(self) -> float | None:
        """Starts what is due. The seconds after which to try again, where something could not be started."""
        self._look_for_pull_secrets()
        failed = False
        tried: set[str] = set()
        # What has been started may let the next one start, as a sidecar does.
        while due := [name for name in restarts.to_start(self.pod, self._views()) if name not in tried]:
            tried.add(due[0])
            container = self.container(due[0])
            if container is not None and not container.running and not await self._start(container):
                failed = True
        if not failed:
            return None
        self._tries += 1
        return _FIRST_RESYNC_SECONDS if self._tries == 1 else RESYNC_SECONDS

    def _look_for_pull_secrets(self) -> None:
        """Tells at each look which Secrets for pulling are missing, also where nothing has to be pulled (getPullSecretsForPod)."""
        namespace = self.pod["metadata"]["namespace"]
        named = [each["name"] for each in self.pod["spec"].get("imagePullSecrets") or [] if each.get("name")]
        missing = [name for name in named if self._services.secret(namespace, name) is None]
        if missing:
            told = f"Unable to retrieve some image pull secrets ({', '.join(missing)}); attempting to pull the image may not succeed."
            self.emit("Warning", "FailedToRetrieveImagePullSecret", told)

    async def _start(self, container: PodContainer) -> bool:
        """Starts the container unless it must wait; False where it is to be tried again."""
        if container.terminated is not None:
            key = f"{self.uid}/{container.name}"
            backoff = self._services.restarts
            if backoff.remaining(key, container.finished_at):
                self._back_off(container, backoff.seconds(key))
                return False
            backoff.next(key, container.finished_at)
            if container.waiting and container.waiting[0] == "CrashLoopBackOff":
                await asyncio.sleep(_RELIST_SECONDS)
        return await self._starter.start(self.pod, container)

    def _back_off(self, container: PodContainer, seconds: float) -> None:
        metadata = self.pod["metadata"]
        named = f"{metadata['name']}_{metadata['namespace']}({self.uid})"
        self.emit("Warning", "BackOff", f"Back-off restarting failed container {container.name} in pod {named}", container)
        if container.waiting is None or container.waiting[0] != "CrashLoopBackOff":
            container.waits_since = self._syncs
            container.waited_before = container.waiting
        container.waiting = ("CrashLoopBackOff", f"back-off {duration(seconds)} restarting failed container={container.name} pod={named}")
        self._tries = max(self._tries, 1)

    # Stopping

    def stop(self, container: PodContainer, grace: float, why: str) -> None:
        """Ends one container within `grace` seconds; `why` is the Killing event's message."""
        if not container.running or container.is_stopping:
            return
        self.emit("Normal", "Killing", why, container)
        container.stop(grace, self._starter.pre_stop(self.pod, container))

    async def stop_all(self, grace: float) -> None:
        """All at once, within `grace` seconds; sidecars after the containers that they serve, the last one first."""
        until = time.monotonic() + grace
        sidecars = [each for each in self.containers if each.kind == "init" and each.spec.get("restartPolicy") == "Always"]
        others = [each for each in self.containers if each not in sidecars]
        for container in others:
            self.stop(container, grace, f"Stopping container {container.name}")
        await asyncio.gather(*(container.ended() for container in others))
        for container in reversed(sidecars):
            self.stop(container, max(0.0, until - time.monotonic()) if grace else 0.0, f"Stopping container {container.name}")
            await container.ended()

    def shorten(self, grace: float) -> None:
        """What is being stopped has `grace` seconds from now at most."""
        for container in self.containers:
            if container.is_stopping:
                container.stop(grace, None)

    def kill(self) -> None:
        """Ends all processes at once."""
        for container in self.containers:
            container.kill()
