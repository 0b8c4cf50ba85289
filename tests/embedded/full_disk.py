"""A disk that takes no more, without a disk of its own: files of this process cannot grow beyond a size for a while."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_space(beyond: int) -> Iterator[None]:
    """In the block a write takes what fits below `beyond` bytes of its file, and fails where nothing does, as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (beyond, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
