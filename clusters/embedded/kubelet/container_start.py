"""Starting one container: image, configuration, process, postStart hook, probes; each step that fails has its event and its waiting reason.

Words follow pkg/kubelet/kuberuntime.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from clusters.embedded.errors import told
from clusters.embedded.kubelet import hooks, restarts
from clusters.embedded.kubelet.container_config import ConfigMaker, argv, user
from clusters.embedded.kubelet.containers import PodContainer
from clusters.embedded.kubelet.device_state import AllocationError
from clusters.embedded.kubelet.environment import ConfigError
from clusters.embedded.kubelet.image_manager import ImageError
from clusters.embedded.kubelet.instance import Instance
from clusters.embedded.kubelet.node_services import NodeServices
from clusters.embedded.kubelet.probes import UNKNOWN, Callbacks, ContainerProbes, Target
from clusters.embedded.kubelet.runtime import ContainerConfig, Process, StartError
from kubeobjects import Object


class RuntimeHelper(Protocol):
    """What the starter asks of the Pod whose containers it starts (kubecontainer.RuntimeHelper); `pod_runtime` implements it."""

    pod: Object
    uid: str
    # `hostIP`, and `podIP` once the sandbox is up.
    addresses: dict[str, str]

    def container(self, name: str) -> PodContainer | None: ...

    def emit(self, type: str, reason: str, message: str, container: PodContainer | None = None) -> None:
        """An event of the Pod, or of one of its containers."""
        ...

    def stop(self, container: PodContainer, grace: float, why: str) -> None:
        """Ends one container within `grace` seconds; `why` is the Killing event's message."""
        ...

    def look_again(self) -> None:
        """Something of a container has changed: the Pod's status and its next step are to be found anew."""
        ...


async def run_in(container: PodContainer, command: list[str]) -> tuple[int, str]:
    """Runs a command to its end in a running container: (exit code, what it wrote). Cancelled, it ends the command. Raises StartError."""
    instance = container.instance
    if instance is None or instance.container is None or not container.running:
        raise StartError("container is not running")
    written: list[bytes] = []
    process: Process = instance.container.exec(command, lambda stream, data: written.append(data))
    instance.execs.add(process)
    try:
        code = await process.wait()
    finally:
        process.kill()
        instance.execs.discard(process)
    return code, b"".join(written).decode(errors="replace")


class ContainerStarter:
    """Starts the containers of one Pod."""

    def __init__(self, services: NodeServices, helper: RuntimeHelper, configs: ConfigMaker):
        self._services = services
        self._helper = helper
        self._configs = configs
        self._probes: dict[str, asyncio.Task[None]] = {}

    async def start(self, pod: Object, container: PodContainer) -> bool:
        """Tries once. Where it fails, the container waits with a reason, and False says that it is to be tried again."""
        helper = self._helper

        def emit(type: str, reason: str, message: str) -> None:
            helper.emit(type, reason, message, container)

        try:
            self._bring_image_volumes(pod)
            image = self._services.images.ensure(pod, container.spec, emit)
            env = self._configs.environment(pod, container.spec)
            container.user = user(pod, container.spec, image)
            argv(container.spec, image, env)
            volumes = self._configs.mounts(container.spec, env)
            target = self._target_process(container.spec)
            await self._services.devices.pre_start(helper.uid, container.name)
            claimed = self._services.claims.options(pod, container.spec)
        except ImageError as error:
            emit("Warning", "Failed", f"Error: {error.reason}")
            container.waiting = (error.reason, error.message)
            return False
        except ConfigError as error:
            emit("Warning", "Failed", f"Error: {error}")
            container.waiting = ("CreateContainerConfigError", str(error))
            return False
        except AllocationError as error:
            emit("Warning", "Failed", f"Error: {error}")
            container.waiting = ("CreateContainerError", str(error))
            return False

        def config(container_id: str, message_file: Path) -> ContainerConfig:
            made = self._configs.make(pod, container.spec, image, env, volumes, claimed, container_id, message_file)
            return replace(made, target=target)

        try:
            container.start(self._services.launcher, image, config, self._services.memory, self._configs.counted(pod, container.spec))
        except StartError as error:
            emit("Normal", "Created", "Container created")
            emit("Warning", "Failed", f"Error: {error}")
            if restarts.should_restart(pod, container.view()):
                container.waiting = ("RunContainerError", str(error))
            helper.look_again()
            return True
        except OSError as error:
            why = f"failed to create containerd container: {told(error)}"
            emit("Warning", "Failed", f"Error: {why}")
            container.waiting = ("CreateContainerError", why)
            return False
        emit("Normal", "Created", "Container created")
        emit("Normal", "Started", "Container started")
        return await self._after_start(pod, container)

    def _bring_image_volumes(self, pod: Object) -> None:
        """Images that are mounted as volumes are pulled like those of containers, and told of as the Pod's. Raises ImageError."""
        for volume in pod["spec"].get("volumes") or []:
            if source := volume.get("image"):
                asked = {"image": source["reference"], "imagePullPolicy": source.get("pullPolicy")}
                self._configs.fill(volume["name"], self._services.images.ensure(pod, asked, self._helper.emit))

    def _target_process(self, spec: Object) -> int | None:
        """The first process of an ephemeral container's target. Raises ConfigError (startSpec.getTargetID)."""
        name = spec.get("targetContainerName")
        if not name:
            return None
        target = self._helper.container(name)
        if target is None or target.instance is None:
            raise ConfigError(f"unable to find target container {name}")
        if not target.running or target.instance.process is None:
            raise ConfigError(f"container {name} is not running")
        return target.instance.process.pid

    async def _after_start(self, pod: Object, container: PodContainer) -> bool:
        instance = container.instance
        assert instance is not None
        handler = (container.spec.get("lifecycle") or {}).get("postStart")
        if handler:
            try:
                await self._until_ended(hooks.run(handler, self._target(container)), instance)
            except hooks.HookFailed as failure:
                self._helper.emit("Warning", "FailedPostStartHook", f"PostStartHook failed: {failure}", container)
                self._helper.stop(container, _grace(pod, None), f"FailedPostStartHook: {failure}")
                return True
        container.hook_done = True
        if any(container.spec.get(probe) for probe in ("startupProbe", "livenessProbe", "readinessProbe")):
            self._start_probes(container, instance)
        return True

    async def _until_ended(self, doing: Awaitable[None], instance: Instance) -> None:
        """Waits for a hook, but not longer than the container runs."""
        hook, ended = asyncio.ensure_future(doing), asyncio.ensure_future(instance.ended.wait())
        try:
            await asyncio.wait([hook, ended], return_when=asyncio.FIRST_COMPLETED)
            if hook.done():
                hook.result()
        finally:
            hook.cancel()
            ended.cancel()

    def _target(self, container: PodContainer) -> Target:
        return Target(
            container=container.spec,
            ip=self._helper.addresses.get("podIP", ""),
            network=self._services.network,
            exec=lambda command: run_in(container, command),
        )

    def pre_stop(self, pod: Object, container: PodContainer) -> Callable[[], Awaitable[None]] | None:
        """What to do before SIGTERM, or None."""
        handler = (container.spec.get("lifecycle") or {}).get("preStop")
        if not handler:
            return None

        async def run() -> None:
            try:
                await hooks.run(handler, self._target(container))
            except hooks.HookFailed as failure:
                self._helper.emit("Warning", "FailedPreStopHook", f"PreStopHook failed: {failure}", container)

        return run

    # Probes

    def _start_probes(self, container: PodContainer, instance: Instance) -> None:
        helper = self._helper

        def alive() -> bool:
            return container.instance is instance and container.running and not container.is_stopping

        def event(kind: str, result: str, text: str) -> None:
            if not alive():
                return
            words = "probe errored and resulted in unknown state" if result == UNKNOWN else "probe failed"
            helper.emit("Warning", "Unhealthy", f"{kind} {words}: {text}", container)

        def startup(passed: bool) -> None:
            if not alive():
                return
            if passed:
                container.startup_passed = True
                helper.look_again()
            else:
                self._restart(container, "startup", container.spec["startupProbe"])

        def readiness(passed: bool) -> None:
            if alive() and container.readiness_passed != passed:
                container.readiness_passed = passed
                helper.look_again()

        def liveness() -> None:
            if alive():
                self._restart(container, "liveness", container.spec["livenessProbe"])

        probes = ContainerProbes(self._target(container), instance.started, Callbacks(event, startup, readiness, liveness))
        self._probes[container.name] = asyncio.create_task(self._probe(probes, instance), name=f"probes {container.name}")

    async def _probe(self, probes: ContainerProbes, instance: Instance) -> None:
        await self._until_ended(probes.run(), instance)

    def _restart(self, container: PodContainer, kind: str, probe: Object) -> None:
        grace = _grace(self._helper.pod, probe)
        self._helper.stop(container, grace, f"Container {container.name} failed {kind} probe, will be restarted")


def _grace(pod: Object, probe: Object | None) -> float:
    """Seconds that a container gets to end: the probe's own, or the Pod's."""
    own = (probe or {}).get("terminationGracePeriodSeconds")
    grace = own if own is not None else pod["spec"].get("terminationGracePeriodSeconds")
    return float(grace if grace is not None else 30)
