"""One run of a container's program, and who reads what it writes."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path

from clusters.embedded.images import Image
from clusters.embedded.kubelet.logs import LogWriter
from clusters.embedded.kubelet.output import OutputQueue
from clusters.embedded.kubelet.runtime import Container, Process


@dataclass
class Instance:
    """One run of a container's program."""

    id: str
    attempt: int
    image: Image
    log: LogWriter
    message_file: Path
    started: float
    container: Container | None = None
    execs: set[Process] = field(default_factory=set)
    attached: set[OutputQueue] = field(default_factory=set)
    stdin_once: bool = False
    # The mount namespace of a container that has one of its own.
    namespace: str = ""
    out_of_memory: bool = False
    exit_code: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    # Held here because the event loop keeps weak references only.
    watcher: asyncio.Task[None] | None = None

    @property
    def process(self) -> Process | None:
        return self.container.process if self.container else None

    def output(self, stream: int, data: bytes) -> None:
        """What the program wrote: into the log, and to those who are attached."""
        self.log.write(stream, data)
        for queue in list(self.attached):
            queue.put(stream, data)

    def attach(self) -> OutputQueue:
        """A queue of what comes from now on. The program waits for whoever is attached, as on a real container's pipe."""
        queue = OutputQueue(self._hold)
        self.attached.add(queue)
        if self.ended.is_set():
            queue.end()
        return queue

    def detach(self, queue: OutputQueue) -> None:
        self.attached.discard(queue)
        queue.drop()
        self._hold()

    def _hold(self) -> None:
        if self.process is not None and not self.ended.is_set():
            self.process.hold(any(queue.full for queue in self.attached))
