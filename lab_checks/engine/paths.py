"""Where the course's files are, and the learner's."""

from __future__ import annotations

from pathlib import Path

import clusters
from clusters import files


def root() -> Path:
    """The folder that holds labs/, solutions/, manifests/ and images/."""
    return files.root()


def learners_notebooks() -> Path:
    """Where the learner's copies of the notebooks are kept, unless told otherwise."""
    return clusters.state_folder() / "my-labs"


def manifests(lab: str, exercise: str) -> Path:
    """The broken start of an exercise."""
    return root() / "manifests" / lab / exercise
