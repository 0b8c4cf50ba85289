"""A checkpoint: how far the training is, its weights, and which steps each run trained. A file of JSON in a folder that may outlive the Pod."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from training_job import model
from training_job.model import Weights


@dataclass(frozen=True)
class Progress:
    """`runs` are (first step, last step) of each run that trained, the present one last."""

    step: int = 0
    weights: Weights = field(default_factory=model.start)
    runs: tuple[tuple[int, int], ...] = ()

    def after(self, weights: Weights, begun: int) -> Progress:
        """One step further, in a run that began after step `begun`."""
        step = self.step + 1
        earlier = self.runs[:-1] if self.runs and self.runs[-1][0] == begun + 1 else self.runs
        return Progress(step, weights, (*earlier, (begun + 1, step)))

    @property
    def told(self) -> str:
        """The runs as the log tells them: `1-17, 18-40`."""
        return ", ".join(f"{first}-{last}" for first, last in self.runs)


def load(path: Path) -> Progress | None:
    """What was saved; None where nothing was. Raises ValueError for a file that is no checkpoint."""
    try:
        said = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    try:
        return Progress(int(said["step"]), [float(each) for each in said["weights"]], tuple((int(a), int(b)) for a, b in said["runs"]))
    except (KeyError, TypeError) as problem:
        raise ValueError(f"{path} is no checkpoint: {problem!r}") from None


def save(path: Path, progress: Progress) -> None:
    """All of it or nothing: a reader sees the earlier checkpoint until the new one is whole. Raises OSError."""
    beside = path.with_name(f"{path.name}.new")
    with beside.open("w") as file:
        json.dump({"step": progress.step, "weights": progress.weights, "runs": progress.runs}, file)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
