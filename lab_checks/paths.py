"""Where the course's files are: beside this package, in the checkout that is installed in place."""

from __future__ import annotations

from pathlib import Path


def root() -> Path:
    """The folder that holds labs/, solutions/, manifests/ and images/."""
    return Path(__file__).resolve().parent.parent


def manifests(lab: str, exercise: str) -> Path:
    """The broken start of an exercise."""
    return root() / "manifests" / lab / exercise
