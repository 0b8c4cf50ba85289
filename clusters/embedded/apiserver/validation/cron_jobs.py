"""Validation of CronJobs (batch/validation)."""

from __future__ import annotations

import re

from clusters.embedded.apiserver.validation import batch, field, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_SPEC = Path("spec")
_CONCURRENCY = ("Allow", "Forbid", "Replace")
# A CronJob's name is followed by eleven characters of the time in the names of its Jobs.
_LONGEST_NAME = 52
_ZONE_PART = re.compile(r"[A-Za-z.\-_0-9+]{1,14}")


def cron_job(obj: Object) -> Errors:
    found: Errors = []
    name, spec = obj["metadata"].get("name", ""), obj.get("spec") or {}
    schedule = spec.get("schedule", "")
    if schedule:
        found += _schedule(schedule, _SPEC.child("schedule"))
    else:
        found.append(field.required(_SPEC.child("schedule")))
    found += values.nonnegative(spec.get("startingDeadlineSeconds"), _SPEC.child("startingDeadlineSeconds"))
    if spec.get("timeZone") is not None:
        found += _time_zone(spec["timeZone"], _SPEC.child("timeZone"))
    found += values.choice(spec.get("concurrencyPolicy"), _SPEC.child("concurrencyPolicy"), _CONCURRENCY)
    inner, path = (spec.get("jobTemplate") or {}).get("spec") or {}, _SPEC.child("jobTemplate", "spec")
    found += batch.job_spec(inner, path)
    if inner.get("selector") is not None:
        found.append(field.invalid(path.child("selector"), inner["selector"], "`selector` will be auto-generated"))
    if inner.get("manualSelector"):
        found.append(field.not_supported(path.child("manualSelector"), True, ("nil", "false")))
    for limit in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        found += values.nonnegative(spec.get(limit), _SPEC.child(limit))
    if len(name) > _LONGEST_NAME:
        found.append(field.invalid(Path("metadata", "name"), name, f"must be no more than {_LONGEST_NAME} characters"))
    return found


def _schedule(schedule: str, path: Path) -> Errors:
    from clusters.embedded.apiserver.validation.cron import problem

    why = problem(schedule)
    found = [field.invalid(path, schedule, why)] if why else []
    if "TZ" in schedule:
        found.append(field.invalid(path, schedule, "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"))
    return found


def _time_zone(zone: str, path: Path) -> Errors:
    if not zone:
        return [field.invalid(path, zone, "timeZone must be nil or non-empty string")]
    unknown = field.invalid(path, zone, f"unknown time zone {zone}")
    for part in zone.split("/"):
        if part in (".", "..") or part.startswith("-") or not _ZONE_PART.fullmatch(part):
            return [unknown]
    found: Errors = []
    if zone.lower() == "local":
        found.append(field.invalid(path, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones"))
    return found if zone == "Local" or _is_zone(zone) else [*found, unknown]


def _is_zone(zone: str) -> bool:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True
