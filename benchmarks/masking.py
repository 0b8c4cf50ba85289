"""What it takes to mask a long text before it goes to an assistant."""

from __future__ import annotations

import time

_LINE = (
    "2026-11-26T10:00:00.{number:06d}Z INFO model_server: POST /v1/classify 200 took=41ms tokens_per_second=41 client=10.244.{high}.{low} "
    "pod=ai-log-summary-api-7c9d8b6f5-x2x9z password=zebra-{number}\n"
)


def log(size: int) -> str:
    """A log of about so many bytes, with an address and a secret of its own in each line."""
    lines = size // len(_LINE.format(number=0, high=0, low=0)) + 1
    return "".join(_LINE.format(number=number, high=number // 256 % 256, low=number % 256) for number in range(lines))


def measure(size: int, runs: int) -> list[float]:
    """Milliseconds of `runs` maskings of a log of `size` bytes."""
    from lab_checks.redact import redact

    text = log(size)
    redact(text[:1000])
    found = []
    for _ in range(runs):
        began = time.perf_counter()
        redact(text)
        found.append((time.perf_counter() - began) * 1000)
    return found
