"""Latency and queue of the model servers, as the cluster's monitoring has measured them: PromQL through the API server's proxy."""

from __future__ import annotations

import asyncio
import math
from typing import TYPE_CHECKING, Any

from kubeobjects import Object
from lab_checks.engine.metrics import NAMESPACE, PORT, SERVICE

if TYPE_CHECKING:
    from lab_checks.face.live.reading import Connection

__all__ = ["NAMESPACE", "SERVICE", "measure", "series"]

_MINUTES = 5
_STEP = 10  # seconds
_PATH = f"/api/v1/namespaces/{NAMESPACE}/services/{SERVICE}:{PORT}/proxy/api/v1/query_range"

# What is drawn: its name, its unit, its query (images/model_server says what the metrics mean).
QUERIES = (
    ("latency, 95 of 100 requests", "s", "histogram_quantile(0.95, sum by (le) (rate(model_request_duration_seconds_bucket[1m])))"),
    ("queue", "requests", "sum(model_queue_depth)"),
)


def series(answer: Object) -> list[tuple[float, float]]:
    """The points (seconds since the epoch, value) of the first series of a range query; what is no number is left out."""
    result = ((answer.get("data") or {}).get("result")) or []
    points = [(float(at), float(value)) for at, value in (result[0]["values"] if result else ())]
    return [(at, value) for at, value in points if math.isfinite(value)]


async def measure(connection: Connection, now: float) -> dict[str, Any]:
    """The last five minutes of each query; one without points is left out. Raises ApiUnreachable."""
    window = {"start": str(now - 60 * _MINUTES), "end": str(now), "step": str(_STEP)}
    answers = await asyncio.gather(*(connection.get(_PATH, query=query, **window) for _, _, query in QUERIES))
    found = {name: {"unit": unit, "points": series(answer)} for (name, unit, _), answer in zip(QUERIES, answers, strict=True)}
    return {name: each for name, each in found.items() if each["points"]}
