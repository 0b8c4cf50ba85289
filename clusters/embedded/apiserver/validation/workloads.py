"""Validation of the apps group: Deployment, ReplicaSet, DaemonSet, StatefulSet, and ReplicationController."""

from __future__ import annotations

from typing import Any

from clusters.embedded.apiserver.strategy.generation import same
from clusters.embedded.apiserver.validation import content, field, metadata, pods, storage, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object, selectors

_SPEC = Path("spec")
_ALWAYS = ("Always",)
_EMPTY_SELECTOR = "empty selector is invalid for {}"
_STATEFUL_MUTABLE = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)  # fmt: skip
_STATEFUL_FORBIDDEN = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
    "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def _selector(spec: Object, what: str) -> Errors:
    """Required, whole, and not empty; `what` is the kind in lower case as messages have it."""
    path, selector = _SPEC.child("selector"), spec.get("selector")
    if selector is None:
        return [field.required(path)]
    found = metadata.label_selector(selector, path)
    if not selector.get("matchLabels") and not selector.get("matchExpressions"):
        found.append(field.invalid(path, selector, _EMPTY_SELECTOR.format(what)))
    return found


def _template(spec: Object, *, restarts: tuple[str, ...] = _ALWAYS) -> Errors:
    """The template matches the selector, is valid, and restarts as this kind of workload needs it."""
    path, template = _SPEC.child("template"), spec.get("template") or {}
    labels = (template.get("metadata") or {}).get("labels") or {}
    found: Errors = []
    selector = spec.get("selector")
    if selector and (selector.get("matchLabels") or selector.get("matchExpressions")):
        try:
            matches = selectors.from_object(selector)(labels)
        except selectors.SelectorError:
            matches = True  # the selector's own check has said what is wrong
        if not matches:
            found.append(field.invalid(path.child("metadata", "labels"), labels, "`selector` does not match template `labels`"))
    found += pods.template(template, path)
    policy = (template.get("spec") or {}).get("restartPolicy")
    if policy not in restarts:
        found.append(field.not_supported(path.child("spec", "restartPolicy"), policy, restarts))
    if (template.get("spec") or {}).get("activeDeadlineSeconds") is not None:
        where = path.child("spec", "activeDeadlineSeconds")
        found.append(field.forbidden(where, "activeDeadlineSeconds in ReplicaSet is not Supported"))
    return found


def _rolling_deployment(rolling: Object, path: Path) -> Errors:
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    found = values.int_or_percent(unavailable, path.child("maxUnavailable"))
    found += values.int_or_percent(surge, path.child("maxSurge"))
    if _is_zero(unavailable) and _is_zero(surge):
        found.append(field.invalid(path.child("maxUnavailable"), unavailable, "may not be 0 when `maxSurge` is 0"))
    return found + values.not_over_hundred(unavailable, path.child("maxUnavailable"))


def _is_zero(value: Any) -> bool:
    return value in (0, None) or values.share(value) == 0


def _deployment_strategy(strategy: Object, path: Path) -> Errors:
    kind, rolling = strategy.get("type"), strategy.get("rollingUpdate")
    if kind == "Recreate":
        why = "may not be specified when strategy `type` is 'Recreate'"
        return [field.forbidden(path.child("rollingUpdate"), why)] if rolling is not None else []
    if kind == "RollingUpdate":
        if rolling is None:
            return [field.required(path.child("rollingUpdate"), "this should be defaulted and never be nil")]
        return _rolling_deployment(rolling, path.child("rollingUpdate"))
    return [field.not_supported(path.child("type"), kind, ("Recreate", "RollingUpdate"))]


def deployment(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = values.nonnegative(spec.get("replicas"), _SPEC.child("replicas"))
    found += _selector(spec, "deployment")
    found += _template(spec)
    found += _deployment_strategy(spec.get("strategy") or {}, _SPEC.child("strategy"))
    found += values.nonnegative(spec.get("minReadySeconds"), _SPEC.child("minReadySeconds"))
    found += values.nonnegative(spec.get("revisionHistoryLimit"), _SPEC.child("revisionHistoryLimit"))
    deadline = spec.get("progressDeadlineSeconds")
    if deadline is not None:
        found += values.nonnegative(deadline, _SPEC.child("progressDeadlineSeconds"))
        if deadline <= (spec.get("minReadySeconds") or 0):
            found.append(field.invalid(_SPEC.child("progressDeadlineSeconds"), deadline, "must be greater than minReadySeconds"))
    return found


def immutable_selector(new: Object, old: Object) -> Errors:
    """Deployment, ReplicaSet and DaemonSet keep the selector they were made with."""
    selector, before = new["spec"].get("selector"), old["spec"].get("selector")
    return [] if same(selector, before) else [field.invalid(_SPEC.child("selector"), selector, content.IMMUTABLE)]


def replica_set(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = values.nonnegative(spec.get("replicas"), _SPEC.child("replicas"))
    found += values.nonnegative(spec.get("minReadySeconds"), _SPEC.child("minReadySeconds"))
    return found + _selector(spec, "deployment") + _template(spec)


def replication_controller(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = values.nonnegative(spec.get("minReadySeconds"), _SPEC.child("minReadySeconds"))
    if not spec.get("selector"):
        found.append(field.required(_SPEC.child("selector")))
    found += values.nonnegative(spec.get("replicas"), _SPEC.child("replicas"))
    if spec.get("template") is None:
        return [*found, field.required(_SPEC.child("template"))]
    return found + _template({**spec, "selector": {"matchLabels": spec.get("selector") or {}}})


def daemon_set(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = _selector(spec, "daemonset")
    found += _template(spec)
    found += values.nonnegative(spec.get("minReadySeconds"), _SPEC.child("minReadySeconds"))
    found += _daemon_strategy(spec.get("updateStrategy") or {}, _SPEC.child("updateStrategy"))
    return found + values.nonnegative(spec.get("revisionHistoryLimit"), _SPEC.child("revisionHistoryLimit"))


def _daemon_strategy(strategy: Object, path: Path) -> Errors:
    kind = strategy.get("type")
    if kind == "OnDelete":
        return []
    if kind != "RollingUpdate":
        return [field.not_supported(path, strategy, ("RollingUpdate", "OnDelete"))]
    rolling, where = strategy.get("rollingUpdate") or {}, path.child("rollingUpdate")
    unavailable, surge = rolling.get("maxUnavailable"), rolling.get("maxSurge")
    found = values.int_or_percent(unavailable, where.child("maxUnavailable"))
    found += values.not_over_hundred(unavailable, where.child("maxUnavailable"))
    found += values.int_or_percent(surge, where.child("maxSurge"))
    found += values.not_over_hundred(surge, where.child("maxSurge"))
    if not _is_zero(unavailable) and not _is_zero(surge):
        found.append(field.invalid(where.child("maxSurge"), surge, "may not be set when maxUnavailable is non-zero"))
    elif _is_zero(unavailable) and _is_zero(surge):
        found.append(field.required(where.child("maxUnavailable"), "cannot be 0 when maxSurge is 0"))
    return found


def stateful_set(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found: Errors = []
    found += values.choice(spec.get("podManagementPolicy"), _SPEC.child("podManagementPolicy"), ("OrderedReady", "Parallel"))
    strategy, path = spec.get("updateStrategy") or {}, _SPEC.child("updateStrategy")
    kind = strategy.get("type")
    if kind == "OnDelete":
        if strategy.get("rollingUpdate") is not None:
            why = f"only allowed for updateStrategy '{'RollingUpdate'}'"
            found.append(field.invalid(path.child("rollingUpdate"), strategy["rollingUpdate"], why))
    elif kind == "RollingUpdate":
        rolling = strategy.get("rollingUpdate") or {}
        found += values.nonnegative(rolling.get("partition"), path.child("rollingUpdate", "partition"))
        if rolling.get("maxUnavailable") is not None:
            where = path.child("rollingUpdate", "maxUnavailable")
            found += values.int_or_percent(rolling["maxUnavailable"], where)
            if rolling["maxUnavailable"] in (0, "0%"):
                found.append(field.invalid(where, rolling["maxUnavailable"], "cannot be 0"))
            found += values.not_over_hundred(rolling["maxUnavailable"], where)
    else:
        found += values.choice(kind, path, ("RollingUpdate", "OnDelete")) or [field.required(path)]
    found += _retention(spec.get("persistentVolumeClaimRetentionPolicy"), _SPEC.child("persistentVolumeClaimRetentionPolicy"))
    found += values.nonnegative(spec.get("replicas"), _SPEC.child("replicas"))
    found += values.nonnegative(spec.get("minReadySeconds"), _SPEC.child("minReadySeconds"))
    found += values.nonnegative((spec.get("ordinals") or {}).get("start"), _SPEC.child("ordinals", "start"))
    if spec.get("serviceName"):
        found += values.all_of(_SPEC.child("serviceName"), spec["serviceName"], content.dns_subdomain(spec["serviceName"]))
    found += _selector(spec, "statefulset")
    # Claim templates become volumes of the Pods, so mounts may refer to them.
    claims = spec.get("volumeClaimTemplates") or []
    found += _template(_with_claims(spec, claims))
    for index, claim in enumerate(claims):
        found += storage.claim_spec(claim.get("spec") or {}, _SPEC.child("volumeClaimTemplates")[index].child("spec"))
    return found


def _with_claims(spec: Object, claims: list[Object]) -> Object:
    template = spec.get("template") or {}
    pod = template.get("spec") or {}
    names = [(each.get("metadata") or {}).get("name", "") for each in claims]
    added = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names if name]
    own = [each for each in pod.get("volumes") or [] if each.get("name") not in names]
    return {**spec, "template": {**template, "spec": {**pod, "volumes": [*own, *added]}}}


def _retention(policy: Object | None, path: Path) -> Errors:
    found: Errors = []
    for name in ("whenDeleted", "whenScaled"):
        if policy is not None and policy.get(name) not in ("Retain", "Delete"):
            found.append(field.not_supported(path.child(name), policy.get(name, ""), ("Retain", "Delete")))
    return found


def stateful_set_update(new: Object, old: Object) -> Errors:
    def fixed(spec: Object) -> Object:
        return {name: value for name, value in spec.items() if name not in _STATEFUL_MUTABLE}

    return [] if same(fixed(new["spec"]), fixed(old["spec"])) else [field.forbidden(_SPEC, _STATEFUL_FORBIDDEN)]
