"""Validation of Jobs (batch/validation)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, failure_policy, field, internal_types, metadata, pods, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object
from kubeobjects.equality import same

_SPEC = Path("spec")
_RESTARTS = ("OnFailure", "Never")
_MODES = ("NonIndexed", "Indexed")
_MAX_INDEXED_PARALLELISM = 100_000
_COUNTS = (
    "parallelism", "completions", "activeDeadlineSeconds", "backoffLimit", "ttlSecondsAfterFinished", "backoffLimitPerIndex",
    "maxFailedIndexes",
)  # fmt: skip
_POD_TEMPLATE_MUTABLE = ("nodeSelector", "affinity", "tolerations", "schedulingGates")
_OWN_LABELS = ("batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name", "controller-uid", "job-name")


def job_spec(spec: Object, path: Path) -> Errors:
    found: Errors = []
    for name in _COUNTS:
        found += values.nonnegative(spec.get(name), path.child(name))
    if spec.get("maxFailedIndexes") is not None and spec.get("backoffLimitPerIndex") is None:
        found.append(field.required(path.child("backoffLimitPerIndex"), "when maxFailedIndexes is specified"))
    found += _completion_mode(spec, path)
    template = spec.get("template") or {}
    pod = template.get("spec") or {}
    if spec.get("podFailurePolicy") is not None:
        found += failure_policy.check(spec["podFailurePolicy"], spec, path.child("podFailurePolicy"))
    found += _replacement_policy(spec, path.child("podReplacementPolicy"))
    found += pods.template(template, path.child("template"))
    policy, where = pod.get("restartPolicy"), path.child("template", "spec", "restartPolicy")
    # Always is what defaulting writes for an omitted policy: a Job must say which of the two it means.
    if policy in ("", None, "Always"):
        found.append(field.required(where, 'valid values: "OnFailure", "Never"'))
    elif policy not in _RESTARTS:
        found.append(field.not_supported(where, policy, _RESTARTS))
    elif spec.get("podFailurePolicy") is not None and policy != "Never":
        found.append(field.invalid(where, policy, 'only "Never" is supported when podFailurePolicy is specified'))
    return found


def _completion_mode(spec: Object, path: Path) -> Errors:
    mode = spec.get("completionMode")
    found: Errors = []
    if mode is not None and mode not in _MODES:
        found.append(field.not_supported(path.child("completionMode"), mode, _MODES))
    if mode == "Indexed":
        if spec.get("completions") is None:
            found.append(field.required(path.child("completions"), f"when completion mode is {mode}"))
        if (spec.get("parallelism") or 0) > _MAX_INDEXED_PARALLELISM:
            why = f"must be less than or equal to {_MAX_INDEXED_PARALLELISM} when completion mode is {mode}"
            found.append(field.invalid(path.child("parallelism"), spec["parallelism"], why))
    elif mode in (None, "NonIndexed"):
        for name in ("backoffLimitPerIndex", "maxFailedIndexes"):
            if spec.get(name) is not None:
                found.append(field.invalid(path.child(name), spec[name], "requires indexed completion mode"))
    return found


def _replacement_policy(spec: Object, path: Path) -> Errors:
    policy = spec.get("podReplacementPolicy")
    known = ("Failed",) if spec.get("podFailurePolicy") is not None else ("Failed", "TerminatingOrFailed")
    return [field.not_supported(path, policy, known)] if policy is not None and policy not in known else []


def job(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = _generated_selector(obj) + job_spec(spec, _SPEC)
    selector, labels = spec.get("selector"), metadata.template_labels(spec)
    wrong = metadata.label_selector(selector, _SPEC.child("selector"))
    found += wrong if selector is not None else [field.required(_SPEC.child("selector"))]
    if not wrong and not metadata.selects(selector, labels):
        where = _SPEC.child("template", "metadata", "labels")
        found.append(field.invalid(where, labels or None, "`selector` does not match template `labels`"))
    if spec.get("completionMode") == "Indexed" and (spec.get("completions") or 0) > 0:
        # Pods of an indexed Job are called <job>-<index>, and that is their hostname.
        name = obj["metadata"].get("name", "")
        hostname = f"{name}-{spec['completions'] - 1}"
        if content.dns_label(hostname):
            detail = f"will not able to create pod with invalid DNS label: {hostname}"
            found.append(field.invalid(Path("metadata", "name"), name, detail))
    return found


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
        found.append(internal_types.invalid(_SPEC.child("template"), "core.PodTemplateSpec", spec.get("template") or {}, content.IMMUTABLE))
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
