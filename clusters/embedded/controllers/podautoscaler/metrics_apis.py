"""Metrics that other API servers have: custom ones of Pods and objects, and external ones (podautoscaler/metrics/client.go).

A metric's name and what it is asked of flow in; values in milli-units come out. What keeps them from coming is told in the words of the
clients of k8s.io/metrics.
"""

from __future__ import annotations

from urllib.parse import quote

from clusters.embedded.client import Client, Object
from clusters.embedded.controllers.podautoscaler.calculator import MetricError
from clusters.embedded.errors import ApiError
from clusters.embedded.resources import by_kind
from kubeobjects import quantity, selectors

_CUSTOM, _EXTERNAL = "custom.metrics.k8s.io", "external.metrics.k8s.io"
# The versions of the custom metrics API that the client knows.
_VERSIONS = ("v1beta2", "v1beta1")
_ACCOUNT = "kube-system/horizontal-pod-autoscaler"
# Answers that carry no Status; the client says of what it asked.
_GENERIC = ("the server could not find the requested resource", "the server is currently unable to handle the request")


async def of_pods(client: Client, namespace: str, matching: str, metric: Object) -> dict[str, int]:
    """The metric of each Pod whose labels match, by its name. Raises MetricError."""
    items = await _custom(client, namespace, "pods", "*", metric, {"labelSelector": matching})
    if not items:
        raise MetricError("no metrics returned from custom metrics API")
    return {each["describedObject"]["name"]: quantity.milli(each["value"]) for each in items}


async def of_object(client: Client, namespace: str, described: Object, metric: Object) -> int:
    """The metric of one object in the namespace, or of the namespace itself. Raises MetricError."""
    kind, group = described["kind"], described.get("apiVersion", "").rpartition("/")[0]
    if (kind, group) == ("Namespace", ""):
        items = await _custom(client, namespace, "metrics", "", metric, {})
    else:
        items = await _custom(client, namespace, _resource(kind, group), described["name"], metric, {})
    if len(items) != 1:
        why = f"the custom metrics API server returned {len(items)} results when we asked for exactly one"
        raise MetricError(f"unable to fetch metrics from custom metrics API: {why}")
    return quantity.milli(items[0]["value"])


async def external(client: Client, namespace: str, metric: Object) -> list[int]:
    """All values of an external metric whose labels match. Raises MetricError."""
    name, matching = metric["name"], selectors.text_of(metric.get("selector"))
    path = f"/apis/{_EXTERNAL}/v1beta1/namespaces/{namespace}/{quote(name, safe='')}"
    try:
        found = await client.get_raw(path, {"labelSelector": matching} if matching else {}, account=_ACCOUNT)
    except ApiError as error:
        raise MetricError(f"unable to fetch metrics from external metrics API: {_said(error, f'{name}.{_EXTERNAL}')}") from None
    items = found.get("items") or []
    if not items:
        raise MetricError("no metrics returned from external metrics API")
    return [quantity.milli(each["value"]) for each in items]


async def _custom(client: Client, namespace: str, resource: str, name: str, metric: Object, query: dict[str, str]) -> list[Object]:
    matching = selectors.text_of(metric.get("selector"))
    parts = [resource, name, metric["name"]] if name else [resource, metric["name"]]
    try:
        path = f"/apis/{_CUSTOM}/{await _version(client)}/namespaces/{namespace}/" + "/".join(quote(each, safe="*") for each in parts)
        asked = {key: value for key, value in (query | {"metricLabelSelector": matching}).items() if value}
        found = await client.get_raw(path, asked, account=_ACCOUNT)
    except ApiError as error:
        shown = f"{resource}.{_CUSTOM} {name or metric['name']}"
        raise MetricError(f"unable to fetch metrics from custom metrics API: {_said(error, shown)}") from None
    items: list[Object] = found.get("items") or []
    return items


async def _version(client: Client) -> str:
    try:
        group = await client.get_raw(f"/apis/{_CUSTOM}")
    except ApiError as error:
        raise ApiError(error.code, error.reason, f"no custom metrics API ({_CUSTOM}) registered") from None
    offered = [group["preferredVersion"]["version"], *(each["version"] for each in group["versions"])]
    for version in offered:
        if version in _VERSIONS:
            return str(version)
    raise ApiError(404, "NotFound", "no known available metric versions found")


def _resource(kind: str, group: str) -> str:
    for (api_version, known), resource in by_kind().items():
        if known == kind and api_version.rpartition("/")[0] == group:
            return resource.name
    shown = f"{kind}.{group}" if group else kind
    why = f'unable to map kind {shown} to resource: no matches for kind "{kind}" in group "{group}"'
    raise MetricError(f"unable to fetch metrics from custom metrics API: {why}")


def _said(error: ApiError, asked: str) -> str:
    return f"{error.message} (get {asked})" if error.message in _GENERIC else error.message


def go_selector(selector: Object | None) -> str:
    """A label selector as Go prints it (LabelSelector.String)."""
    if selector is None:
        return "nil"
    labels = "".join(f"{key}: {value}," for key, value in sorted((selector.get("matchLabels") or {}).items()))
    rules = "".join(
        f"LabelSelectorRequirement{{Key:{each['key']},Operator:{each['operator']},Values:[{' '.join(each.get('values') or [])}],}},"
        for each in selector.get("matchExpressions") or []
    )
    return f"&LabelSelector{{MatchLabels:map[string]string{{{labels}}},MatchExpressions:[]LabelSelectorRequirement{{{rules}}},}}"
