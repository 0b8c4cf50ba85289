"""Which nodes a Pod's nodeSelector, node affinity terms and tolerations admit (k8s.io/component-helpers/scheduling/corev1).

Used by the scheduler's plugins, by the DaemonSet controller and for a volume's node affinity.
"""

from __future__ import annotations

from kubeobjects import Object, selectors


def _integer(text: str | None) -> int | None:
    try:
        return int(text) if text is not None else None
    except ValueError:
        return None


def _requirement_holds(value: str | None, operator: str, values: list[str]) -> bool:
    match operator:
        case "In":
            return value is not None and value in values
        case "NotIn":
            return value is None or value not in values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
        case "Gt" | "Lt":
            have, bound = _integer(value), _integer(values[0]) if values else None
            if have is None or bound is None:
                return False
            return have > bound if operator == "Gt" else have < bound
    return False


def term_matches(term: Object, node: Object) -> bool:
    """One nodeSelectorTerm: all of its expressions and fields hold; an empty term matches no node."""
    expressions, fields = term.get("matchExpressions") or [], term.get("matchFields") or []
    if not expressions and not fields:
        return False
    labels = node["metadata"].get("labels") or {}
    return all(_requirement_holds(labels.get(each["key"]), each["operator"], each.get("values") or []) for each in expressions) and all(
        each["key"] == "metadata.name" and _requirement_holds(node["metadata"]["name"], each["operator"], each.get("values") or [])
        for each in fields
    )


def selector_matches(node_selector: Object | None, node: Object) -> bool:
    """A `NodeSelector`: any of its terms. None places no limit."""
    if node_selector is None:
        return True
    return any(term_matches(term, node) for term in node_selector.get("nodeSelectorTerms") or [])


def required_affinity(spec: Object) -> Object | None:
    affinity = (spec.get("affinity") or {}).get("nodeAffinity") or {}
    return affinity.get("requiredDuringSchedulingIgnoredDuringExecution")


def pod_matches_node(spec: Object, node: Object) -> bool:
    """Whether the Pod's nodeSelector and required node affinity admit the node."""
    wanted = spec.get("nodeSelector")
    if wanted and not selectors.from_map(wanted)(node["metadata"].get("labels") or {}):
        return False
    return selector_matches(required_affinity(spec), node)


def tolerates(tolerations: list[Object], taint: Object) -> bool:
    """Whether any toleration covers the taint (v1.Toleration.ToleratesTaint)."""
    return any(_covers(each, taint) for each in tolerations)


def _covers(toleration: Object, taint: Object) -> bool:
    if toleration.get("effect") and toleration["effect"] != taint.get("effect"):
        return False
    if toleration.get("key") and toleration["key"] != taint["key"]:
        return False
    operator = toleration.get("operator") or "Equal"
    value, have = toleration.get("value") or "", taint.get("value") or ""
    if operator == "Equal":
        return bool(toleration.get("key")) and value == have
    if operator in ("Gt", "Lt"):
        bound, number = _integer(value), _integer(have)
        if bound is None or number is None:
            return False
        return number > bound if operator == "Gt" else number < bound
    return operator == "Exists"


def untolerated(taints: list[Object], tolerations: list[Object], effects: tuple[str, ...]) -> Object | None:
    """The first taint with one of `effects` that no toleration covers."""
    return next((taint for taint in taints if taint.get("effect") in effects and not tolerates(tolerations, taint)), None)
