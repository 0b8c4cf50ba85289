"""Rows of Services and what stands behind and before them, of access rules, and of API extensions."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from clusters.embedded.apiserver.tables import durations
from clusters.embedded.apiserver.tables.text import age, clipped, label_map, label_selector
from kubeobjects import Object, meta

Cells = list[Any]

_HPA_SHOWN = 2


def _load_balancer(status: Object) -> str:
    ingress = (status.get("loadBalancer") or {}).get("ingress") or []
    return ",".join(sorted({each.get("ip") or each.get("hostname") or "" for each in ingress} - {""}))


def _external_ip(spec: Object, status: Object) -> str:
    kind, given = spec.get("type", ""), spec.get("externalIPs") or []
    if kind in ("ClusterIP", "NodePort"):
        return ",".join(given) or "<none>"
    if kind == "LoadBalancer":
        addresses = _load_balancer(status)
        return ",".join([*([addresses] if addresses else []), *given]) or "<pending>"
    return spec.get("externalName", "") if kind == "ExternalName" else "<unknown>"


def _service_port(port: Object) -> str:
    number = f"{port.get('port')}:{port['nodePort']}" if port.get("nodePort") else str(port.get("port"))
    return f"{number}/{port.get('protocol', '')}"


def service(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    return [
        obj["metadata"]["name"],
        spec.get("type", ""),
        spec.get("clusterIP") or "<none>",
        _external_ip(spec, obj.get("status") or {}),
        ",".join(map(_service_port, spec.get("ports") or [])) or "<none>",
        age(obj, now),
        label_map(spec.get("selector")),
    ]


def endpoints(obj: Object, now: datetime) -> Cells:
    found: list[str] = []
    for subset in obj.get("subsets") or []:
        addresses = [each.get("ip", "") for each in subset.get("addresses") or []]
        if not subset.get("ports"):
            found += addresses
        for port in subset.get("ports") or []:
            found += [f"{address}:{port.get('port')}" for address in addresses]
    # formatEndpoints: nothing selected is `<none>`; Pods that are selected and not ready leave the column blank.
    return [obj["metadata"]["name"], clipped(found) if obj.get("subsets") else "<none>", age(obj, now)]


def endpoint_slice(obj: Object, now: datetime) -> Cells:
    ports = [str(each.get("port") or each.get("name") or "*") for each in obj.get("ports") or []]
    addresses = [address for each in obj.get("endpoints") or [] for address in each.get("addresses") or []]
    shown = (clipped(ports) or "<unset>", clipped(addresses) or "<unset>")
    return [obj["metadata"]["name"], obj.get("addressType", ""), *shown, age(obj, now)]


def ingress(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    rules = spec.get("rules") or []
    hosts = [rule["host"] for rule in rules if rule.get("host")]
    return [
        obj["metadata"]["name"],
        spec.get("ingressClassName") or "<none>",
        clipped(hosts, len(rules) if len(hosts) > 3 else None) or "*",
        _load_balancer(obj.get("status") or {}),
        "80, 443" if spec.get("tls") else "80",
        age(obj, now),
    ]


def ingress_class(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    parameters = spec.get("parameters")
    shown = "<none>"
    if parameters:
        group = f".{parameters['apiGroup']}" if parameters.get("apiGroup") else ""
        shown = f"{parameters.get('kind', '')}{group}/{parameters.get('name', '')}"
    return [obj["metadata"]["name"], spec.get("controller", ""), shown, age(obj, now)]


def network_policy(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"]["name"], label_selector((obj.get("spec") or {}).get("podSelector")), age(obj, now)]


def service_cidr(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"]["name"], ",".join((obj.get("spec") or {}).get("cidrs") or []), age(obj, now)]


def ip_address(obj: Object, now: datetime) -> Cells:
    parent = (obj.get("spec") or {}).get("parentRef") or {}
    parts = [parent.get("resource", ""), parent.get("namespace", ""), parent.get("name", "")]
    return [obj["metadata"]["name"], "/".join(part for part in parts if part)]


def role_binding(obj: Object, now: datetime) -> Cells:
    reference = obj.get("roleRef") or {}
    subjects: dict[str, list[str]] = {"User": [], "Group": [], "ServiceAccount": []}
    for subject in obj.get("subjects") or []:
        name = subject.get("name", "")
        shown = f"{subject.get('namespace', '')}/{name}" if subject.get("kind") == "ServiceAccount" else name
        subjects.setdefault(subject.get("kind", ""), []).append(shown)
    listed = [", ".join(subjects[kind]) for kind in ("User", "Group", "ServiceAccount")]
    return [obj["metadata"]["name"], f"{reference.get('kind', '')}/{reference.get('name', '')}", age(obj, now), *listed]


def pod_disruption_budget(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    bounds = ["N/A" if spec.get(name) is None else str(spec[name]) for name in ("minAvailable", "maxUnavailable")]
    return [obj["metadata"]["name"], *bounds, (obj.get("status") or {}).get("disruptionsAllowed", 0), age(obj, now)]


def _metric(spec: Object, status: Object) -> str:
    kind = spec.get("type", "")
    field = kind[:1].lower() + kind[1:]
    source, current = spec.get(field) or {}, (status.get(field) or {}).get("current") or {}
    target = source.get("target") or {}
    unknown = "<unknown>"
    if kind in ("Resource", "ContainerResource"):
        if target.get("averageValue") is not None:
            values = f"{current.get('averageValue') or unknown}/{target['averageValue']}"
        else:
            have, want = current.get("averageUtilization"), target.get("averageUtilization")
            values = f"{unknown if have is None else f'{have}%'}/{'<auto>' if want is None else f'{want}%'}"
        return f"{source.get('name', '')}: {values}"
    if kind == "Pods":
        return f"{current.get('averageValue') or unknown}/{target.get('averageValue')}"
    if kind in ("Object", "External"):
        if target.get("averageValue") is not None:
            return f"{current.get('averageValue') or unknown}/{target['averageValue']} (avg)"
        return f"{current.get('value') or unknown}/{target.get('value')}"
    return "<unknown type>"


def _metrics(spec: Object, status: Object) -> str:
    wanted, measured = spec.get("metrics") or [], status.get("currentMetrics") or []
    if spec.get("targetCPUUtilizationPercentage") is not None:
        have = status.get("currentCPUUtilizationPercentage")
        return f"cpu: {'<unknown>' if have is None else f'{have}%'}/{spec['targetCPUUtilizationPercentage']}%"
    if not wanted:
        return "<none>"
    shown = [_metric(each, measured[index] if index < len(measured) else {}) for index, each in enumerate(wanted)]
    text = ", ".join(shown[:_HPA_SHOWN])
    return f"{text} + {len(shown) - _HPA_SHOWN} more..." if len(shown) > _HPA_SHOWN else text


def horizontal_pod_autoscaler(obj: Object, now: datetime) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    target = spec.get("scaleTargetRef") or {}
    return [
        obj["metadata"]["name"],
        f"{target.get('kind', '')}/{target.get('name', '')}",
        _metrics(spec, status),
        "<unset>" if spec.get("minReplicas") is None else str(spec["minReplicas"]),
        spec.get("maxReplicas", 0),
        status.get("currentReplicas", 0),
        age(obj, now),
    ]


def webhook_configuration(obj: Object, now: datetime) -> Cells:
    return [obj["metadata"]["name"], len(obj.get("webhooks") or []), age(obj, now)]


def validating_admission_policy(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    kind = spec.get("paramKind")
    shown = f"{kind.get('apiVersion', '')}/{kind.get('kind', '')}" if kind else "<unset>"
    return [obj["metadata"]["name"], len(spec.get("validations") or []), shown, age(obj, now)]


def validating_admission_policy_binding(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    reference = spec.get("paramRef")
    shown = "<unset>"
    if reference:
        name = reference.get("name") or "*"
        shown = f"{reference['namespace']}/{name}" if reference.get("namespace") else name
    return [obj["metadata"]["name"], spec.get("policyName", ""), shown, age(obj, now)]


def api_service(obj: Object, now: datetime) -> Cells:
    service_reference = (obj.get("spec") or {}).get("service")
    where = f"{service_reference.get('namespace')}/{service_reference.get('name')}" if service_reference else "Local"
    available = meta.condition(obj, "Available") or {}
    shown = available.get("status", "Unknown")
    if shown != "True" and available.get("reason"):
        shown = f"{shown} ({available['reason']})"
    return [obj["metadata"]["name"], where, shown, age(obj, now)]


def certificate_signing_request(obj: Object, now: datetime) -> Cells:
    spec, status = obj.get("spec") or {}, obj.get("status") or {}
    kinds = {each.get("type") for each in status.get("conditions") or []}
    shown = "Denied" if "Denied" in kinds else "Approved" if "Approved" in kinds else "Pending"
    if "Failed" in kinds:
        shown += ",Failed"
    if status.get("certificate"):
        shown += ",Issued"
    seconds = spec.get("expirationSeconds")
    asked = durations.human(seconds) if seconds is not None else "<none>"
    return [obj["metadata"]["name"], age(obj, now), spec.get("signerName", ""), spec.get("username", ""), asked, shown]


def flow_schema(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    missing = meta.condition(obj, "Dangling")
    return [
        obj["metadata"]["name"],
        (spec.get("priorityLevelConfiguration") or {}).get("name") or "<none>",
        spec.get("matchingPrecedence", 0),
        (spec.get("distinguisherMethod") or {}).get("type") or "<none>",
        age(obj, now),
        missing.get("status", "?") if missing else "?",
    ]


def priority_level_configuration(obj: Object, now: datetime) -> Cells:
    spec = obj.get("spec") or {}
    limited = spec.get("limited") or spec.get("exempt") or {}
    queuing = (limited.get("limitResponse") or {}).get("queuing") or {}
    shown = [queuing.get(name, "<none>") for name in ("queues", "handSize", "queueLengthLimit")]
    shares = limited.get("nominalConcurrencyShares", "<none>")
    return [obj["metadata"]["name"], spec.get("type", ""), shares, *shown, age(obj, now)]
