"""Between HTTP and the model: requests wait for their turn, take the memory they need, and count. One engine a process."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

from model_server import access, gpu, measures, memory, summary
from model_server.loading import Model
from model_server.settings import Settings
from model_server.summary import Labelled

log = logging.getLogger("model_server.engine")


class NotReady(Exception):
    """The model cannot answer now; the text says why."""


class Overloaded(Exception):
    """More requests wait than MAX_QUEUE allows."""


class InferenceError(Exception):
    """The model failed on this request."""


def _work(seconds: float) -> None:
    """Takes that much time of a CPU core, on a fast machine as on a slow one."""
    until = time.thread_time() + seconds
    while time.thread_time() < until:
        pass


class Engine:
    """`model` is None until it is loaded; `reason` says why /ready says no."""

    def __init__(self, settings: Settings):
        self.settings = settings
        self.model: Model | None = None
        self.reason = "model is loading"
        self.draining = False
        self.access = access.Tokens(settings.api_tokens_file, settings.api_tokens)
        # Set while no request waits or runs.
        self.at_rest = asyncio.Event()
        self.at_rest.set()
        self._turn = asyncio.Semaphore(settings.max_concurrency)
        self._waiting = 0
        self._running = 0
        self._failures = 0.0
        self._busy = 0.0
        measures.QUEUE.set_function(lambda: self._waiting)
        measures.IN_FLIGHT.set_function(lambda: self._running)
        measures.READY.set_function(lambda: 0 if self.not_ready() else 1)

    def loaded(self, model: Model) -> None:
        self.model = model
        measures.LOAD_SECONDS.set(model.seconds)
        measures.INFO.labels(model.classifier.weights.version, model.device).set(1)
        measures.WEIGHTS.labels(model.classifier.weights.sha256).set(1)

    def not_ready(self) -> str:
        """Why traffic should stay away; empty where it may come."""
        if self.draining:
            return "shutting down"
        if self.model is None:
            return self.reason
        if self.model.gpu:
            try:
                self.model.gpu.check()
            except gpu.CudaError as error:
                return str(error)
        return ""

    @contextlib.asynccontextmanager
    async def turn(self) -> AsyncIterator[Model]:
        """A place at the model, with the memory that a request takes. Raises NotReady, Overloaded and InferenceError."""
        model = self.model
        if model is None:
            raise NotReady(self.reason)
        if self._waiting >= self.settings.max_queue:
            raise Overloaded(f"{self._waiting} requests are waiting already (MAX_QUEUE={self.settings.max_queue})")
        self._count(waiting=1)
        try:
            await self._turn.acquire()
        finally:
            self._count(waiting=-1)
        began = time.monotonic()
        self._count(running=1)
        held = None
        on_gpu = 0
        try:
            if self.settings.memory_per_request_mib:
                held = memory.take(self.settings.memory_per_request_mib)
            if model.gpu:
                try:
                    model.gpu.check()
                    model.gpu.allocate(self.settings.gpu_memory_per_request_mib)
                    on_gpu = self.settings.gpu_memory_per_request_mib
                except gpu.CudaError as error:
                    raise InferenceError(str(error)) from error
            self._fail_as_told()
            yield model
        finally:
            if model.gpu and on_gpu:
                model.gpu.free(on_gpu)
            del held
            self._busy += time.monotonic() - began
            self._count(running=-1)
            self._turn.release()

    def _count(self, waiting: int = 0, running: int = 0) -> None:
        self._waiting += waiting
        self._running += running
        if self._waiting or self._running:
            self.at_rest.clear()
        else:
            self.at_rest.set()

    def _fail_as_told(self) -> None:
        """ERROR_RATE 0.2 fails every fifth request: evenly, so that a few requests show it as well as many."""
        self._failures += self.settings.error_rate
        if self._failures >= 1:
            self._failures -= 1
            raise InferenceError("inference failed: tensor shapes do not match (expected [1, 512], got [1, 511])")

    async def classify(self, model: Model, lines: list[str]) -> list[Labelled]:
        """The model's work on these lines; it gives way to other requests now and then."""
        await asyncio.sleep(self.settings.inference_ms / 1000)
        _work(self.settings.cpu_ms / 1000)
        found = []
        for number, line in enumerate(lines):
            found.append(Labelled(line, *model.classifier.classify(line)))
            if number % 64 == 63:
                await asyncio.sleep(0)
        for kind, count in summary.counts(found).items():
            measures.LINES.labels(kind).inc(count)
        return found

    async def tokens(self, text: str) -> AsyncIterator[str]:
        """A summary piece by piece, at the model's pace."""
        for token in summary.tokens(text):
            await asyncio.sleep(self.settings.token_ms / 1000)
            measures.TOKENS.inc()
            yield token

    async def report_usage(self) -> None:
        """Twice a second: tells the GPU's node how busy the model is, and looks whether the tokens changed. For as long as the server runs."""
        before, busy = time.monotonic(), self._busy
        while True:
            await asyncio.sleep(0.5)
            self.access.refresh()
            now = time.monotonic()
            card = self.model.gpu if self.model else None
            if card:
                # Requests that are still running count from their start only when they end; until then each counts as fully busy.
                share = (self._busy - busy) / (now - before)
                card.report(max(share, 1.0 if self._running else 0.0))
                measures.GPU_MEMORY.set(card.memory_used)
            before, busy = now, self._busy
