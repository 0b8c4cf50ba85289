"""Validation of Jobs and CronJobs."""

from __future__ import annotations

from clusters.embedded.apiserver.strategy.generation import same
from clusters.embedded.apiserver.validation import content, field, metadata, pods, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object, selectors

_SPEC = Path("spec")
_RESTARTS = ("OnFailure", "Never")
_MODES = ("NonIndexed", "Indexed")
_CONCURRENCY = ("Allow", "Forbid", "Replace")
# A CronJob's name is followed by eleven characters of the time in the names of its Jobs.
_CRON_JOB_NAME = 52
_MAX_INDEXED_PARALLELISM = 100_000
_COUNTS = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex",
    "maxFailedIndexes",
)  # fmt: skip
_POD_TEMPLATE_MUTABLE = ("nodeSelector", "affinity", "tolerations", "schedulingGates")
_OWN_LABELS = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name")


def _job_spec(spec: Object, path: Path) -> Errors:
    found: Errors = []
    for name in _COUNTS:
        found += values.nonnegative(spec.get(name), path.child(name))
    mode = spec.get("completionMode")
    if mode is not None:
        if mode not in _MODES:
            found.append(field.not_supported(path.child("completionMode"), mode, _MODES))
        if mode == "Indexed":
            if spec.get("completions") is None:
                why = f"when completion mode is {mode}"
                found.append(field.required(path.child("completions"), why))
            elif (spec.get("parallelism") or 0) > _MAX_INDEXED_PARALLELISM:
                why = f"must be less than or equal to {_MAX_INDEXED_PARALLELISM} when completion mode is {mode}"
                found.append(field.invalid(path.child("parallelism"), spec["parallelism"], why))
    found += _failure_policy(spec, path)
    if spec.get("backoffLimitPerIndex") is not None and mode != "Indexed":
        why = "requires indexed completion mode"
        found.append(field.invalid(path.child("backoffLimitPerIndex"), spec["backoffLimitPerIndex"], why))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        found.append(field.required(path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
    template = spec.get("template") or {}
    found += pods.template(template, path.child("template"))
    policy = (template.get("spec") or {}).get("restartPolicy")
    where = path.child("template", "spec", "restartPolicy")
    # Always is what defaulting writes for an omitted policy: a Job must say which of the two it means.
    if policy in ("", None, "Always"):
        found.append(field.required(where, 'valid values: "OnFailure", "Never"'))
    elif policy not in _RESTARTS:
        found.append(field.not_supported(where, policy, _RESTARTS))
    elif spec.get("podFailurePolicy") and policy != "Never":
        why = 'only "Never" is supported when podFailurePolicy is specified'
        found.append(field.invalid(where, policy, why))
    return found


def _failure_policy(spec: Object, path: Path) -> Errors:
    policy = spec.get("podFailurePolicy")
    if policy is None:
        return []
    found: Errors = []
    actions = ("FailIndex", "FailJob", "Ignore", "Count")
    for index, rule in enumerate(policy.get("rules") or []):
        where = path.child("podFailurePolicy", "rules")[index]
        action = rule.get("action", "")
        if not action:
            found.append(field.required(where.child("action"), f"valid values: {', '.join(map(field.quote, sorted(actions)))}"))
        elif action not in actions:
            found.append(field.not_supported(where.child("action"), action, sorted(actions)))
        codes, conditions = rule.get("onExitCodes"), rule.get("onPodConditions")
        if codes is not None and conditions:
            found.append(field.invalid(where, rule, "specifying both OnExitCodes and OnPodConditions is not supported"))
        if codes is None and not conditions:
            found.append(field.invalid(where, rule, "specifying one of OnExitCodes and OnPodConditions is required"))
        if codes is not None:
            here = where.child("onExitCodes")
            if codes.get("operator") not in ("In", "NotIn"):
                found.append(field.not_supported(here.child("operator"), codes.get("operator", ""), ("In", "NotIn")))
            if not codes.get("values"):
                found.append(field.invalid(here.child("values"), codes.get("values"), "at least one value is required"))
            for position, code in enumerate(codes.get("values") or []):
                if code == 0 and codes.get("operator") == "In":
                    found.append(field.invalid(here.child("values")[position], code, "must not be 0 for the In operator"))
    return found


def job(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found: Errors = []
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > 0:
        # Pods of an indexed Job are called <job>-<index>, and that is their hostname.
        hostname = f"{obj['metadata'].get('name', '')}-{spec['completions'] - 1}"
        for why in content.dns_label(hostname):
            detail = f"will not able to create pod with invalid DNS label: {hostname}: {why}"
            found.append(field.invalid(Path("metadata", "name"), obj["metadata"].get("name"), detail))
    found += _generated_selector(obj)
    found += metadata.label_selector(spec.get("selector"), _SPEC.child("selector"))
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    if spec.get("selector") is None:
        found.append(field.required(_SPEC.child("selector")))
    elif not _matches(spec["selector"], labels):
        where = _SPEC.child("template", "metadata", "labels")
        found.append(field.invalid(where, labels, "`selector` does not match template `labels`"))
    return found + _job_spec(spec, _SPEC)


def _matches(selector: Object, labels: dict[str, str]) -> bool:
    try:
        return selectors.from_object(selector)(labels)
    except selectors.SelectorError:
        return True


def _generated_selector(obj: Object) -> Errors:
    """A selector of the Job's own must be announced with `manualSelector`."""
    spec, meta = obj.get("spec") or {}, obj["metadata"]
    if spec.get("manualSelector"):
        return []
    found: Errors = []
    labels = ((spec.get("template") or {}).get("metadata") or {}).get("labels") or {}
    wanted = {name: meta.get("uid" if "uid" in name else "name") for name in _OWN_LABELS}
    for name in sorted(wanted):
        where = _SPEC.child("template", "metadata", "labels").key(name)
        if labels.get(name) != wanted[name]:
            found.append(field.invalid(where, labels, f"must be '{wanted[name]}'"))
    expected = {"matchLabels": {"batch.kubernetes.io/controller-uid": meta.get("uid")}}
    if spec.get("selector") not in (expected, {"matchLabels": {"controller-uid": meta.get("uid")}}):
        found.append(field.invalid(_SPEC.child("selector"), spec.get("selector"), "`selector` not auto-generated"))
    return found


def job_update(new: Object, old: Object) -> Errors:
    spec, before = new["spec"], old["spec"]
    found: Errors = []
    indexed = spec.get("completionMode") == "Indexed"
    if not same(spec.get("completions"), before.get("completions")):
        where, value = _SPEC.child("completions"), spec.get("completions")
        if not indexed:
            found.append(field.invalid(where, value, content.IMMUTABLE))
        elif spec.get("completions") != spec.get("parallelism"):
            found.append(field.invalid(where, value, f"can only be modified in tandem with {_SPEC.child('parallelism')}"))
    if not same(spec.get("selector"), before.get("selector")):
        found.append(field.invalid(_SPEC.child("selector"), spec.get("selector"), content.IMMUTABLE))
    if not same(_fixed_template(spec, before), before.get("template")):
        found.append(field.invalid(_SPEC.child("template"), spec.get("template"), content.IMMUTABLE))
    for name in ("completionMode", "podFailurePolicy", "backoffLimitPerIndex", "managedBy", "successPolicy"):
        if not same(spec.get(name), before.get(name)):
            found.append(field.invalid(_SPEC.child(name), spec.get(name), content.IMMUTABLE))
    return found


def _fixed_template(spec: Object, before: Object) -> Object:
    """The new template with what a suspended Job may still change put back to what it was."""
    template = dict(spec.get("template") or {})
    if not (before.get("suspend") and not before.get("startTime")):
        return template
    old = before.get("template") or {}
    pod = dict(template.get("spec") or {})
    for name in _POD_TEMPLATE_MUTABLE:
        pod.pop(name, None)
        if name in (old.get("spec") or {}):
            pod[name] = old["spec"][name]
    kept = {**(template.get("metadata") or {}), **{k: v for k, v in (old.get("metadata") or {}).items() if k in ("labels", "annotations")}}
    return {**template, "metadata": kept, "spec": pod}


def cron_job(obj: Object) -> Errors:
    found: Errors = []
    name, spec = obj["metadata"].get("name", ""), obj.get("spec") or {}
    schedule = spec.get("schedule", "")
    where = _SPEC.child("schedule")
    if not schedule:
        found.append(field.required(where))
    else:
        found += _schedule(schedule, spec.get("timeZone"), where)
    deadline = spec.get("startingDeadlineSeconds")
    found += values.nonnegative(deadline, _SPEC.child("startingDeadlineSeconds"))
    zone = spec.get("timeZone")
    if zone is not None:
        found += _time_zone(zone, _SPEC.child("timeZone"))
    policy = spec.get("concurrencyPolicy")
    found += values.choice(policy, _SPEC.child("concurrencyPolicy"), _CONCURRENCY)
    inner = spec.get("jobTemplate") or {}
    path = _SPEC.child("jobTemplate")
    found += metadata.labels((inner.get("metadata") or {}).get("labels"), path.child("metadata", "labels"))
    found += _job_spec(inner.get("spec") or {}, path.child("spec"))
    if (inner.get("spec") or {}).get("manualSelector"):
        found.append(field.not_supported(path.child("spec", "manualSelector"), True, ("nil", "false")))
    for limit in ("successfulJobsHistoryLimit", "failedJobsHistoryLimit"):
        found += values.nonnegative(spec.get(limit), _SPEC.child(limit))
    if len(name) > _CRON_JOB_NAME:
        found.append(field.invalid(Path("metadata", "name"), name, "must be no more than 52 characters"))
    return found


def _schedule(schedule: str, zone: str | None, path: Path) -> Errors:
    if "TZ" in schedule:
        why = (
            "cannot use TZ or CRON_TZ in schedule, use timeZone field instead"
            if zone
            else ("cannot use TZ or CRON_TZ in schedule, use timeZone instead")
        )
        return [field.invalid(path, schedule, why)]
    from clusters.embedded.apiserver.validation.cron import problem

    why_not = problem(schedule)
    return [field.invalid(path, schedule, why_not)] if why_not else []


def _time_zone(zone: str, path: Path) -> Errors:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    if not zone:
        return [field.invalid(path, zone, "timeZone must be nil or non-empty string")]
    if zone.lower() == "local":
        return [field.invalid(path, zone, "timeZone must be an explicit time zone as defined in https://www.iana.org/time-zones")]
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError):
        return [field.invalid(path, zone, f"unknown time zone {zone}")]
    return []
