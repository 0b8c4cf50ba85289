"""Defaults of what governs workloads and their traffic: autoscaling, policy, networking, discovery, RBAC."""

from __future__ import annotations

from collections.abc import Callable

from clusters.embedded.apiserver.defaulting.common import Object, default, default_empty, quantity_field, struct

_RBAC = "rbac.authorization.k8s.io"
_PERIOD = 15


def _scaling_rules(behavior: Object, name: str, defaults: Object) -> None:
    behavior[name] = {**defaults, **{field: value for field, value in (behavior.get(name) or {}).items() if value is not None}}


def _metric_quantities(metrics: list[Object]) -> None:
    for metric in metrics:
        for source in metric.values():
            target = source.get("target") if isinstance(source, dict) else None
            if target:
                quantity_field(target, "value")
                quantity_field(target, "averageValue")


def horizontal_pod_autoscaler(obj: Object) -> None:
    spec = struct(obj, "spec")
    struct(spec, "scaleTargetRef")
    default(spec, "minReplicas", 1)
    if not spec.get("metrics"):
        spec["metrics"] = [{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 80}}}]
    _metric_quantities(spec["metrics"])
    if spec.get("behavior") is not None:
        percent = {"type": "Percent", "value": 100, "periodSeconds": _PERIOD}
        pods = {"type": "Pods", "value": 4, "periodSeconds": _PERIOD}
        _scaling_rules(spec["behavior"], "scaleUp", {"stabilizationWindowSeconds": 0, "selectPolicy": "Max", "policies": [pods, percent]})
        _scaling_rules(spec["behavior"], "scaleDown", {"selectPolicy": "Max", "policies": [percent]})
    status = struct(obj, "status")
    default(status, "desiredReplicas", 0)
    status.setdefault("currentMetrics", None)


def horizontal_pod_autoscaler_v1(obj: Object) -> None:
    default(struct(obj, "spec"), "minReplicas", 1)
    status = struct(obj, "status")
    default(status, "currentReplicas", 0)
    default(status, "desiredReplicas", 0)


def pod_disruption_budget(obj: Object) -> None:
    struct(obj, "spec")
    status = struct(obj, "status")
    for name in ("disruptionsAllowed", "currentHealthy", "desiredHealthy", "expectedPods"):
        default(status, name, 0)


def ingress(obj: Object) -> None:
    struct(obj, "spec")
    struct(struct(obj, "status"), "loadBalancer")


def ingress_class(obj: Object) -> None:
    parameters = struct(obj, "spec").get("parameters")
    if parameters:
        default(parameters, "scope", "Cluster")


def network_policy(obj: Object) -> None:
    spec = struct(obj, "spec")
    struct(spec, "podSelector")
    if not spec.get("policyTypes"):
        spec["policyTypes"] = ["Ingress", "Egress"] if spec.get("egress") else ["Ingress"]
    for rule in [*(spec.get("ingress") or []), *(spec.get("egress") or [])]:
        for port in rule.get("ports") or []:
            default(port, "protocol", "TCP")


def endpoint_slice(obj: Object) -> None:
    for port in obj.get("ports") or []:
        default(port, "name", "")
        default(port, "protocol", "TCP")
    for endpoint in obj.get("endpoints") or []:
        struct(endpoint, "conditions")
    obj["endpoints"] = obj.get("endpoints") or None
    obj.setdefault("ports", None)


def role(obj: Object) -> None:
    obj.setdefault("rules", None)


def role_binding(obj: Object) -> None:
    default_empty(struct(obj, "roleRef"), "apiGroup", _RBAC)
    for subject in obj.get("subjects") or []:
        if subject.get("kind") in ("User", "Group"):
            default_empty(subject, "apiGroup", _RBAC)


DEFAULTS: dict[tuple[str, str], Callable[[Object], None]] = {
    ("autoscaling/v2", "HorizontalPodAutoscaler"): horizontal_pod_autoscaler,
    ("autoscaling/v1", "HorizontalPodAutoscaler"): horizontal_pod_autoscaler_v1,
    ("policy/v1", "PodDisruptionBudget"): pod_disruption_budget,
    ("networking.k8s.io/v1", "Ingress"): ingress,
    ("networking.k8s.io/v1", "IngressClass"): ingress_class,
    ("networking.k8s.io/v1", "NetworkPolicy"): network_policy,
    ("discovery.k8s.io/v1", "EndpointSlice"): endpoint_slice,
    (f"{_RBAC}/v1", "Role"): role,
    (f"{_RBAC}/v1", "ClusterRole"): role,
    (f"{_RBAC}/v1", "RoleBinding"): role_binding,
    (f"{_RBAC}/v1", "ClusterRoleBinding"): role_binding,
}
