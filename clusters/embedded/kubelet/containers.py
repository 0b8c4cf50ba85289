"""One container of one Pod, through all its instances: started, watched, stopped, started again.

`PodContainer` owns the process; the Pod's worker decides when it starts and what its ending means. `PodContainer.view()` is what status
is made of.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import psutil

from clusters.embedded.images import Image
from clusters.embedded.kubelet import beneath, orphans, termination_message
from clusters.embedded.kubelet.instance import Instance
from clusters.embedded.kubelet.logs import LogWriter
from clusters.embedded.kubelet.memory import Counted, MemoryManager, Watched
from clusters.embedded.kubelet.runtime import ContainerConfig, Launcher, StartError
from clusters.embedded.kubelet.status import ContainerView
from clusters.embedded.kubelet.stopping import PreStop, Stopping
from kubeobjects import Object, meta, quantity

_NOT_STARTED = "1970-01-01T00:00:00Z"
_TASK_FAILED = "failed to create containerd task: failed to create shim task: OCI runtime create failed: runc create failed: "
_INIT_FAILED = "unable to start container process: error during container init: "
_INIT_KILLED = "unable to start container process: container init was OOM-killed (memory limit too low?)"


class PodContainer:
    """`changed` is called whenever the container's state is another: the worker looks at all of them then."""

    def __init__(self, spec: Object, kind: str, pod_folder: Path, log_folder: Path, changed: Callable[[], None]):
        self.spec = spec
        self.kind = kind
        self._pod_folder = pod_folder
        self._log_folder = log_folder
        self._changed = changed
        self.instance: Instance | None = None
        self.terminated: Object | None = None
        self.last: Object | None = None
        self.waiting: tuple[str, str] | None = None
        self.restart_count = 0
        self.next_attempt = 0
        self.finished_at = 0.0
        self.startup_passed = False
        self.readiness_passed = False
        self.hook_done = False
        self.user: Object | None = None
        # The look at which the worker found that it must wait before the next start.
        self.waits_since = 0
        self.waited_before: tuple[str, str] | None = None
        self._stopping: Stopping | None = None

    @property
    def name(self) -> str:
        return self.spec["name"]

    @property
    def field_path(self) -> str:
        """How events name it: `spec.containers{main}`."""
        field_name = {"init": "initContainers", "container": "containers", "ephemeral": "ephemeralContainers"}[self.kind]
        return f"spec.{field_name}{{{self.name}}}"

    @property
    def running(self) -> bool:
        return self.instance is not None and self.instance.container is not None and self.terminated is None

    @property
    def is_stopping(self) -> bool:
        return self._stopping is not None and not self._stopping.done

    @property
    def started(self) -> bool:
        return self.running and self.hook_done and (not self.spec.get("startupProbe") or self.startup_passed)

    @property
    def ready(self) -> bool:
        if self.kind == "init" and self.spec.get("restartPolicy") != "Always":
            return self.terminated is not None and self.terminated["exitCode"] == 0
        return self.started and (not self.spec.get("readinessProbe") or self.readiness_passed)

    def view(self) -> ContainerView:
        instance = self.instance
        return ContainerView(
            spec=self.spec,
            kind=self.kind,
            running=_moment(instance.started) if instance and self.running else None,
            terminated=self.terminated,
            waiting=self.waiting,
            last=self.last,
            restart_count=self.restart_count,
            ready=self.ready,
            started=self.started,
            container_id=f"containerd://{instance.id}" if instance else "",
            image=instance.image.name if instance else "",
            image_id=instance.image.id if instance else "",
            user=self.user,
        )

    def resume(self, old: Object | None, now: float) -> None:
        """Takes over what the API says of a container of an earlier kubelet: it ended when the node went down."""
        if not old or not old.get("containerID"):
            return
        self.restart_count = old.get("restartCount", 0)
        self.next_attempt = self.restart_count + 1
        state = old.get("state") or {}
        ended = state.get("terminated") or (old.get("lastState") or {}).get("terminated")
        if running := state.get("running"):
            ended = {
                "exitCode": 255,
                "reason": "Unknown",
                "startedAt": running.get("startedAt"),
                "finishedAt": _moment(now),
                "containerID": old["containerID"],
            }
        self.last = ended

    # Starting

    def start(
        self,
        launcher: Launcher,
        image: Image,
        config: Callable[[str, Path], ContainerConfig],
        memory: MemoryManager,
        counted: Counted,
    ) -> None:
        """Runs the program anew. `config` gets the new id and the file for the last words.

        Raises StartError, or OSError where a file of the container cannot be made: it is then as it was before.
        """
        before = (self.instance, self.terminated, self.last, self.restart_count, self.next_attempt)
        try:
            self._start_instance(launcher, image, config, memory, counted)
        except OSError:
            self.instance, self.terminated, self.last, self.restart_count, self.next_attempt = before
            raise

    def _start_instance(
        self,
        launcher: Launcher,
        image: Image,
        config: Callable[[str, Path], ContainerConfig],
        memory: MemoryManager,
        counted: Counted,
    ) -> None:
        self._retire()
        container_id = secrets.token_hex(32)
        attempt = self.next_attempt
        self.restart_count = attempt
        self.next_attempt = attempt + 1
        message_file = self._pod_folder / "containers" / self.name / container_id[:8]
        beneath.make_folder(Path("/"), message_file.parent, 0o700)
        os.close(beneath.open_exact(message_file, os.O_WRONLY | os.O_CREAT, 0o666))
        writer = LogWriter(self._log_folder / self.name / f"{attempt}.log")
        instance = Instance(container_id, attempt, image, writer, message_file, time.time(), stdin_once=bool(self.spec.get("stdinOnce")))
        self.instance = instance
        self.terminated = self.waiting = None
        self.startup_passed = self.readiness_passed = self.hook_done = False
        self._stopping = None
        text = ((self.spec.get("resources") or {}).get("limits") or {}).get("memory")
        limit = quantity.whole(text) if text else None
        least = min((each for each in (limit, counted.pod_limit) if each is not None), default=None)
        if least is not None and counted.files() >= least:
            # What an earlier instance has left in memory takes all there is.
            self._fail_start(instance, _INIT_KILLED)
            raise StartError(_TASK_FAILED + _INIT_KILLED)
        made = config(container_id, message_file)
        try:
            instance.container = launcher.start(made, instance.output)
        except OSError:
            shutil.rmtree(made.folder, ignore_errors=True)
            raise
        except StartError as error:
            self._fail_start(instance, _INIT_FAILED + str(error))
            raise StartError(self.terminated["message"] if self.terminated else str(error)) from None
        self._remember_process(instance)
        instance.namespace = orphans.namespace(instance.process.pid) if instance.process else ""
        memory.watch(
            container_id,
            Watched(
                pids=lambda: [
                    *(process.pid for process in (instance.process, *instance.execs) if process is not None),
                    *orphans.of(instance.id, instance.namespace),
                ],
                limit=limit,
                out_of_memory=lambda: self._out_of_memory(instance),
                counted=counted,
            ),
        )
        instance.watcher = asyncio.get_running_loop().create_task(self._watch(instance, memory), name=f"container {self.name}")

    def _retire(self) -> None:
        """The instance before becomes the previous one; the one before that is forgotten, with its log."""
        if self.instance is None:
            return
        self.last = self.terminated
        old = self._log_folder / self.name / f"{self.instance.attempt - 1}.log"
        for path in (old, old.with_name(old.name + ".1")):
            path.unlink(missing_ok=True)
        if self.instance.container:
            self.instance.container.remove()
        self.instance.message_file.unlink(missing_ok=True)

    def _fail_start(self, instance: Instance, why: str) -> None:
        self.finished_at = time.time()
        instance.log.close()
        instance.ended.set()
        self.terminated = {
            "exitCode": 128,
            "reason": "StartError",
            "message": _TASK_FAILED + why,
            "startedAt": _NOT_STARTED,
            "finishedAt": _moment(self.finished_at),
            "containerID": f"containerd://{instance.id}",
        }

    def _remember_process(self, instance: Instance) -> None:
        """Writes down which process this is, so that a later kubelet finds what a killed one left behind."""
        if instance.process is None:
            return
        with contextlib.suppress(psutil.Error, OSError):
            born = psutil.Process(instance.process.pid).create_time()
            (self._pod_folder / "containers" / self.name / "pid").write_text(f"{instance.process.pid} {born}")

    # Ending

    def _out_of_memory(self, instance: Instance) -> None:
        instance.out_of_memory = True
        for process in (instance.process, *instance.execs):
            if process is not None:
                process.kill()
        orphans.kill(instance.id, instance.namespace)

    async def _watch(self, instance: Instance, memory: MemoryManager) -> None:
        assert instance.process is not None
        code = await instance.process.wait()
        instance.exit_code = code
        memory.forget(instance.id)
        for each in list(instance.execs):
            each.kill()
        await orphans.end(instance.id, instance.namespace)
        instance.log.close()
        self.finished_at = time.time()
        reason = "OOMKilled" if instance.out_of_memory else "Completed" if code == 0 else "Error"
        ended: Object = {"exitCode": code, "reason": reason}
        if message := termination_message.read(self.spec, instance.message_file, instance.log.path, code):
            ended["message"] = message
        ended |= {
            "startedAt": _moment(instance.started),
            "finishedAt": _moment(self.finished_at),
            "containerID": f"containerd://{instance.id}",
        }
        self.terminated = ended
        with contextlib.suppress(OSError):
            (self._pod_folder / "containers" / self.name / "pid").unlink()
        instance.ended.set()
        for queue in instance.attached:
            queue.end()
        self._changed()

    def stop(self, grace: float, pre_stop: PreStop | None) -> None:
        """Ends the container in `grace` seconds at most: the preStop hook, SIGTERM, SIGKILL. A shorter grace later on counts."""
        if not self.running or self.instance is None:
            return
        if self._stopping is not None and not self._stopping.done:
            self._stopping.shorten(grace)
        else:
            self._stopping = Stopping(self.instance, grace, pre_stop)

    async def ended(self) -> None:
        """Returns when nothing runs."""
        if self.running and self.instance is not None:
            await self.instance.ended.wait()

    def kill(self) -> None:
        """Ends everything at once: the node goes down."""
        if self.instance is not None and self.instance.process is not None:
            for process in (self.instance.process, *self.instance.execs):
                process.kill()
            orphans.kill(self.instance.id, self.instance.namespace)

    def log_path(self, previous: bool) -> Path | None:
        """The log of the instance that runs or ran last, or of the one before; None where there is none."""
        attempt = (self.instance.attempt if self.instance else self.next_attempt) - (1 if previous else 0)
        path = self._log_folder / self.name / f"{attempt}.log"
        return path if path.exists() or (not previous and self.instance) else None


def _moment(seconds: float) -> str:
    return meta.format_time(datetime.fromtimestamp(seconds, UTC))
