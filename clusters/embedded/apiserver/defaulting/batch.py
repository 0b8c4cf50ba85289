"""Defaults of the batch group: Job and CronJob."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.defaulting import pod as pods
from clusters.embedded.apiserver.defaulting.common import Object, default, default_empty, struct

_BACKOFF_LIMIT = 6
# math.MaxInt32: a Job that counts failures by index sets no limit of its own to their sum.
_NO_LIMIT = 2147483647


def _template(spec: Object) -> None:
    pods.template(spec)
    for rule in (spec.get("podFailurePolicy") or {}).get("rules") or []:
        for pattern in rule.get("onPodConditions") or []:
            default_empty(pattern, "status", "True")


def job(obj: Object) -> None:
    spec = struct(obj, "spec")
    if spec.get("completions") is None and spec.get("parallelism") is None:
        spec["completions"] = 1
    default(spec, "parallelism", 1)
    default(spec, "backoffLimit", _BACKOFF_LIMIT if spec.get("backoffLimitPerIndex") is None else _NO_LIMIT)
    default(spec, "completionMode", "NonIndexed")
    default(spec, "suspend", False)
    default(spec, "manualSelector", False)
    if spec.get("podFailurePolicy") is not None:
        spec["podFailurePolicy"].setdefault("rules", None)
    default(spec, "podReplacementPolicy", "Failed" if spec.get("podFailurePolicy") is not None else "TerminatingOrFailed")
    _template(spec)
    labels = spec["template"]["metadata"].get("labels")
    if labels:
        default_empty(struct(obj, "metadata"), "labels", dict(labels))
    struct(obj, "status")


def cron_job(obj: Object) -> None:
    spec = struct(obj, "spec")
    default_empty(spec, "concurrencyPolicy", "Allow")
    default(spec, "suspend", False)
    default(spec, "successfulJobsHistoryLimit", 3)
    default(spec, "failedJobsHistoryLimit", 1)
    template = struct(spec, "jobTemplate")
    struct(template, "metadata")
    _template(struct(template, "spec"))
    struct(obj, "status")


DEFAULTS: dict[tuple[str, str], Callable[[Object], None]] = {
    ("batch/v1", "Job"): job,
    ("batch/v1", "CronJob"): cron_job,
}
