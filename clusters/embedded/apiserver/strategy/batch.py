"""The Job strategy: the selector that the server writes (batch/job strategy.go, generateSelector)."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.strategy.context import Context
from kubeobjects import Object

_PREFIX = "batch.kubernetes.io/"


def create_job(obj: Object, _: Context) -> None:
    """Gives a Job without `manualSelector` the selector on its own uid, and its template the labels for it.

    Labels that say something else already stay: validation refuses them.
    """
    spec, metadata = obj["spec"], obj["metadata"]
    if spec.get("manualSelector"):
        return
    own = {
        f"{_PREFIX}controller-uid": metadata["uid"],
        f"{_PREFIX}job-name": metadata["name"],
        "controller-uid": metadata["uid"],
        "job-name": metadata["name"],
    }
    template = spec["template"].setdefault("metadata", {})
    template["labels"] = {**own, **(template.get("labels") or {})}
    if not spec.get("selector"):
        spec["selector"] = {"matchLabels": {f"{_PREFIX}controller-uid": metadata["uid"]}}
    # A Job without labels has its template's: defaulting would say so again at the next read.
    if not metadata.get("labels"):
        metadata["labels"] = dict(template["labels"])


CREATE: dict[tuple[str, str], Callable[[Object, Context], None]] = {("batch/v1", "Job"): create_job}
