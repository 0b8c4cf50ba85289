"""Validation of StatefulSets (apps/validation)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, field, metadata, pods, storage, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from clusters.embedded.apiserver.validation.workloads import amount_of, internal_strategy, mismatch, runs_forever, selector_field
from kubeobjects import Object
from kubeobjects.equality import same

_SPEC = Path("spec")
_STATEFUL_MUTABLE = (
    "replicas", "ordinals", "template", "updateStrategy", "revisionHistoryLimit", "persistentVolumeClaimRetentionPolicy",
    "minReadySeconds",
)  # fmt: skip
_STATEFUL_FORBIDDEN = (
    "updates to statefulset spec for fields other than 'replicas', 'ordinals', 'template', 'updateStrategy', 'revisionHistoryLimit', "
    "'persistentVolumeClaimRetentionPolicy' and 'minReadySeconds' are forbidden"
)


def stateful_set(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = _management(spec.get("podManagementPolicy", ""))
    found += _strategy(spec.get("updateStrategy") or {}, _SPEC.child("updateStrategy"))
    found += _retention(spec.get("persistentVolumeClaimRetentionPolicy"), _SPEC.child("persistentVolumeClaimRetentionPolicy"))
    claims = spec.get("volumeClaimTemplates") or []
    for index, claim in enumerate(claims):
        found += storage.claim_spec(claim.get("spec") or {}, _SPEC.child("volumeClaimTemplates")[index].child("spec"))
    found += values.nonnegative(spec.get("replicas"), _SPEC.child("replicas"))
    found += values.nonnegative(spec.get("minReadySeconds"), _SPEC.child("minReadySeconds"))
    found += values.nonnegative((spec.get("ordinals") or {}).get("start"), _SPEC.child("ordinals", "start"))
    if spec.get("serviceName"):
        found += values.all_of(_SPEC.child("serviceName"), spec["serviceName"], content.dns_label(spec["serviceName"]))
    found += selector_field(spec, "statefulset")
    template = spec.get("template") or {}
    if metadata.label_selector(spec.get("selector"), _SPEC.child("selector")):
        found.append(field.invalid(_SPEC.child("selector"), spec["selector"], ""))
    else:
        found += mismatch(spec, spec.get("selector")) + _template(template, claims)
    return found + runs_forever(template.get("spec") or {}, "StatefulSet")


def _management(policy: str) -> Errors:
    if not policy:
        return [field.required(_SPEC.child("podManagementPolicy"))]
    if policy in ("OrderedReady", "Parallel"):
        return []
    return [field.invalid(_SPEC.child("podManagementPolicy"), policy, "must be 'OrderedReady' or 'Parallel'")]


def _strategy(strategy: Object, path: Path) -> Errors:
    kind, rolling, where = strategy.get("type"), strategy.get("rollingUpdate"), path.child("rollingUpdate")
    internal = internal_strategy(strategy, "partition", "maxUnavailable")
    if not kind:
        return [field.required(path)]
    if kind == "OnDelete":
        why = "only allowed for updateStrategy 'RollingUpdate'"
        return [field.invalid(where, internal["RollingUpdate"], why)] if rolling is not None else []
    if kind != "RollingUpdate":
        return [field.invalid(path, internal, "must be 'RollingUpdate' or 'OnDelete'")]
    found = values.nonnegative((rolling or {}).get("partition"), where.child("partition"))
    unavailable, where = (rolling or {}).get("maxUnavailable"), where.child("maxUnavailable")
    if unavailable is not None:
        found += values.int_or_percent(unavailable, where)
        if not amount_of(unavailable):
            found.append(field.invalid(where, unavailable, "cannot be 0"))
        found += values.not_over_hundred(unavailable, where)
    return found


def _template(template: Object, claims: list[Object]) -> Errors:
    """The template with a volume for each claim template, so that mounts may refer to them.

    The original looks at the template without its hostname and subdomain, which Pods of a StatefulSet get from elsewhere, and at its
    labels and annotations twice.
    """
    pod = {name: value for name, value in (template.get("spec") or {}).items() if name not in ("hostname", "subdomain")}
    names = list(dict.fromkeys((each.get("metadata") or {}).get("name", "") for each in claims))
    added = [{"name": name, "persistentVolumeClaim": {"claimName": name}} for name in names]
    own = [each for each in pod.get("volumes") or [] if each.get("name", "") not in names]
    path, meta = _SPEC.child("template"), template.get("metadata") or {}
    found = pods.template({**template, "spec": {**pod, "volumes": [*added, *own]}}, path)
    found += metadata.labels(meta.get("labels"), path.child("labels"))
    return found + metadata.annotation_map(meta.get("annotations"), path.child("annotations"))


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
