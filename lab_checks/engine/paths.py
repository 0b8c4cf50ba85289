"""Where the course's files are: beside this package, in the checkout that is installed in place."""

from __future__ import annotations

from pathlib import Path

import clusters


def root() -> Path:
    """The folder that holds labs/, solutions/, manifests/ and images/."""
    return Path(__file__).resolve().parents[2]


def learners_notebooks() -> Path:
    """Where the learner's copies of the notebooks are kept, unless told otherwise."""
    return clusters.state_folder() / "my-labs"


def manifests(lab: str, exercise: str) -> Path:
    """The broken start of an exercise."""
    return root() / "manifests" / lab / exercise
