"""The training itself: Pod 0 leads, the others work. Both go on where they were when a peer was lost and is met again."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

from training_job import checkpoint, model, peers
from training_job.checkpoint import Progress
from training_job.peers import Line, Lost, Say
from training_job.settings import Settings

Pause = Callable[[float], None]


class Leader:
    """Pod 0: it has the weights, asks each Pod for its gradient, and saves."""

    def __init__(self, settings: Settings, say: Say, pause: Pause = time.sleep):
        self._settings, self._say, self._pause = settings, say, pause
        self._examples = model.part(0, settings.size)
        self._everybody = peers.names(settings.job, settings.size, settings.service, settings.namespace)
        self.progress = Progress()
        self._begun = 0

    def resume(self) -> None:
        """Raises ValueError for a file that is no checkpoint."""
        path = self._settings.checkpoint
        found = checkpoint.load(path)
        if found is None:
            self._say(f"no checkpoint at {path}: starting at step 0")
            return
        self.progress = found
        self._begun = found.step
        self._say(f"resumed from step {found.step}, saved at {path}")

    def save(self) -> None:
        """Raises OSError."""
        self._settings.folder.mkdir(parents=True, exist_ok=True)
        checkpoint.save(self._settings.checkpoint, self.progress)

    def run(self, server: socket.socket) -> None:
        while self.progress.step < self._settings.steps:
            workers = peers.gather(server, self._everybody, self._say)
            try:
                self._together(workers)
            except Lost as problem:
                self.save()
                self._say(f"lost {problem} at step {self.progress.step}")
            finally:
                for each in workers:
                    each.close()
        self.save()
        self._say(f"done: {self.progress.step} steps, runs {self.progress.told}")

    def _together(self, workers: list[Line]) -> None:
        self._say(f"all {self._settings.size} Pods are here: training goes on after step {self.progress.step}")
        while self.progress.step < self._settings.steps:
            began = time.monotonic()
            for each in workers:
                each.send({"step": self.progress.step, "weights": self.progress.weights})
            mine, loss = model.gradient(self.progress.weights, self._examples)
            theirs = [each.receive()["gradient"] for each in workers]
            weights = model.moved(self.progress.weights, model.mean([mine, *theirs]), self._settings.rate)
            # One assignment: whoever is told to end in the middle of a step saves the step before it.
            self.progress = self.progress.after(weights, self._begun)
            self._say(f"step {self.progress.step} of {self._settings.steps}, loss {loss:.3f}, {self._settings.size} Pods")
            if self.progress.step % self._settings.every == 0:
                self.save()
            self._pause(max(0.0, self._settings.seconds - (time.monotonic() - began)))
        for each in workers:
            each.send({"step": self.progress.step, "done": True})


def work(settings: Settings, say: Say) -> None:
    """A Pod beside Pod 0: it answers weights with its gradient until Pod 0 says that all is done."""
    examples = model.part(settings.index, settings.size)
    everybody = peers.names(settings.job, settings.size, settings.service, settings.namespace)
    while True:
        line = peers.join(settings.index, everybody, settings.port, say)
        met = False
        try:
            while True:
                message = line.receive()
                if not met:
                    say(f"met {everybody[0]}: training goes on after step {message['step']}")
                    met = True
                if message.get("done"):
                    say(f"done: {message['step']} steps")
                    return
                found, _loss = model.gradient(message["weights"], examples)
                line.send({"step": message["step"], "gradient": found})
        except Lost as problem:
            if met:
                say(f"lost {problem}")
        finally:
            line.close()
