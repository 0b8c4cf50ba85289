"""Where the files are that are no Python package: manifests/ and images/, and with them labs/ and solutions/.

In a checkout they stand beside the packages. A wheel carries them in a folder of their own beside the packages (`hatch_build.py` packs it), so
that an installed course takes no common name in site-packages. Nothing is ever written there: site-packages may be read-only.
"""

from __future__ import annotations

from pathlib import Path

PACKED = "ai_lab_course"

_BESIDE = Path(__file__).resolve().parents[1]


def root() -> Path:
    """The folder that holds labs/, solutions/, manifests/ and images/."""
    packed = _BESIDE / PACKED
    return packed if packed.is_dir() else _BESIDE


def is_checkout() -> bool:
    """Whether the files are those of a checkout, with its tests and sources of notebooks; False where a wheel was installed."""
    return root() == _BESIDE
