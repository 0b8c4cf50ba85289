"""Where the course's files are: in a checkout, or inside the installed package."""

from __future__ import annotations

from pathlib import Path

_PACKAGE = Path(__file__).resolve().parent


def root() -> Path:
    """The folder that holds labs/, solutions/, manifests/ and images/."""
    checkout = _PACKAGE.parent
    return checkout if (checkout / "manifests").is_dir() else _PACKAGE / "course"


def manifests(lab: str, exercise: str) -> Path:
    """The broken start of an exercise."""
    return root() / "manifests" / lab / exercise
