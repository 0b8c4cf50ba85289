"""The two APIs: a path and a query flow in, a list of values comes out.

custom.metrics.k8s.io/v1beta2 tells of Pods one by one, and of Services and Deployments the sum of their Pods; external.metrics.k8s.io/v1beta1
tells every series of a namespace. Types are those of k8s.io/metrics; refusals have the words of kubernetes-sigs/custom-metrics-apiserver.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import unquote

from metrics_adapter import selectors
from metrics_adapter.cluster import Cluster, ClusterError, Object
from metrics_adapter.scraping import Scraper
from metrics_adapter.selectors import BadSelector, Matcher
from metrics_adapter.series import Value

CUSTOM, EXTERNAL = ("custom.metrics.k8s.io", "v1beta2"), ("external.metrics.k8s.io", "v1beta1")
# What may be described beside Pods: resource → (kind, apiVersion, where it is read).
_OWNERS = {
    "services": ("Service", "v1", "/api/v1/namespaces/{}/services/{}"),
    "deployments.apps": ("Deployment", "apps/v1", "/apis/apps/v1/namespaces/{}/deployments/{}"),
}


class Refused(Exception):
    """An answer that is a Status."""

    def __init__(self, code: int, reason: str, message: str):
        super().__init__(message)
        self.code, self.reason = code, reason

    def status(self) -> Object:
        head = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
        return head | {"message": str(self), "reason": self.reason, "code": self.code}


@dataclass(frozen=True)
class Asked:
    """A request for values. For an external metric `resource` is the metric's name; `name` is `*` for all."""

    group: str
    version: str
    namespace: str
    resource: str
    name: str
    metric: str


def parse(path: str) -> Asked | None:
    """What a path asks for; None where it asks for no values."""
    parts = [unquote(each) for each in path.strip("/").split("/")]
    if parts[:3] == ["apis", *CUSTOM] and parts[3:4] == ["namespaces"] and len(parts) == 8:
        return Asked(*CUSTOM, parts[4], parts[5], parts[6], parts[7])
    if parts[:3] == ["apis", *CUSTOM] and parts[3:4] == ["namespaces"] and len(parts) == 7 and parts[5] == "metrics":
        return Asked(*CUSTOM, parts[4], "metrics", "", parts[6])
    if parts[:3] == ["apis", *EXTERNAL] and parts[3:4] == ["namespaces"] and len(parts) == 6:
        return Asked(*EXTERNAL, parts[4], parts[5], "", parts[5])
    return None


def discovery(path: str, known: set[str]) -> Object | None:
    """The answer to a path of discovery; None where it is none."""
    path = path.rstrip("/")
    for group, version in (CUSTOM, EXTERNAL):
        if path == f"/apis/{group}/{version}":
            listed = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": f"{group}/{version}"}
            return listed | {"resources": _rows(group, sorted(known))}
        told = {"groupVersion": f"{group}/{version}", "version": version}
        if path == f"/apis/{group}":
            return {"kind": "APIGroup", "apiVersion": "v1", "name": group, "versions": [told], "preferredVersion": told}
    if path == "/apis":
        groups = [discovery(f"/apis/{group}", known) for group, _ in (CUSTOM, EXTERNAL)]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    return None


def _rows(group: str, known: list[str]) -> list[Object]:
    if group == EXTERNAL[0]:
        return [
            {"name": each, "singularName": "", "namespaced": True, "kind": "ExternalMetricValueList", "verbs": ["get"]} for each in known
        ]
    names = [f"{resource}/{each}" for resource in ("deployments.apps", "pods", "services") for each in known]
    return [{"name": each, "singularName": "", "namespaced": True, "kind": "MetricValueList", "verbs": ["get"]} for each in names]


class Api:
    def __init__(self, cluster: Cluster, scraper: Scraper):
        self._cluster = cluster
        self._scraper = scraper

    def values(self, asked: Asked, query: dict[str, str]) -> Object:
        """A MetricValueList or an ExternalMetricValueList. Raises Refused."""
        try:
            chosen = selectors.parse(query.get("labelSelector", ""))
            of_series = selectors.parse(query.get("metricLabelSelector", ""))
        except BadSelector as error:
            raise Refused(400, "BadRequest", str(error)) from None
        try:
            if asked.group == EXTERNAL[0]:
                return self._external(asked, chosen)
            if asked.resource == "pods":
                return self._pods(asked, chosen, of_series)
            return self._owner(asked, of_series)
        except ClusterError as error:
            if error.code == 404:
                raise Refused(404, "NotFound", f'{asked.resource} "{asked.name}" not found') from None
            raise Refused(500, "InternalError", f"Internal error occurred: {error}") from None

    def _pods(self, asked: Asked, chosen: Matcher, of_series: Matcher) -> Object:
        items = []
        for pod, metrics in self._scraper.of(asked.namespace, chosen):
            name = pod["metadata"]["name"]
            values = [each for each in metrics.get(asked.metric) or [] if of_series(each.labels)]
            if values and asked.name in ("*", name):
                items.append(_item(_described("Pod", "v1", asked.namespace, name), asked.metric, values))
        if not items:
            of = "" if asked.name == "*" else f" {asked.name}"
            raise Refused(404, "NotFound", f"the server could not find the metric {asked.metric} for pods{of}")
        return _listed("MetricValueList", CUSTOM, items)

    def _owner(self, asked: Asked, of_series: Matcher) -> Object:
        """The sum over the Pods of a Service, a Deployment, or a whole namespace."""
        chosen: Matcher
        if asked.resource == "metrics":
            described = {"kind": "Namespace", "name": asked.namespace, "apiVersion": "v1"}
            chosen = selectors.parse("")
        elif asked.resource in _OWNERS:
            kind, api_version, path = _OWNERS[asked.resource]
            found = self._cluster.get(path.format(asked.namespace, asked.name))["spec"].get("selector")
            chosen = selectors.of({"matchLabels": found} if kind == "Service" else found)
            described = _described(kind, api_version, asked.namespace, asked.name)
            if not found:
                raise Refused(404, "NotFound", f"the server could not find the metric {asked.metric} for {asked.resource} {asked.name}")
        else:
            raise Refused(404, "NotFound", f"the server could not find the metric {asked.metric} for {asked.resource}")
        values = [
            each
            for _, metrics in self._scraper.of(asked.namespace, chosen)
            for each in metrics.get(asked.metric) or []
            if of_series(each.labels)
        ]
        if not values:
            of = f"{asked.resource} {asked.name}" if asked.name else "namespaces"
            raise Refused(404, "NotFound", f"the server could not find the metric {asked.metric} for {of}")
        return _listed("MetricValueList", CUSTOM, [_item(described, asked.metric, values)])

    def _external(self, asked: Asked, chosen: Matcher) -> Object:
        """Every series of the namespace, with its Pod as a label more. None is an empty list: an external metric need not be there."""
        items = []
        for pod, metrics in self._scraper.of(asked.namespace, selectors.parse("")):
            for each in metrics.get(asked.metric) or []:
                labels = each.labels | {"pod": pod["metadata"]["name"]}
                if chosen(labels):
                    item: Object = {"metricName": asked.metric, "metricLabels": labels, "timestamp": _now(), "value": _quantity(each.value)}
                    items.append(item | ({} if each.seconds is None else {"window": round(each.seconds)}))
        return _listed("ExternalMetricValueList", EXTERNAL, items)


def _described(kind: str, api_version: str, namespace: str, name: str) -> Object:
    return {"kind": kind, "namespace": namespace, "name": name, "apiVersion": api_version}


def _item(described: Object, metric: str, values: list[Value]) -> Object:
    windows = [each.seconds for each in values if each.seconds is not None]
    item: Object = {"describedObject": described, "metric": {"name": metric, "selector": None}, "timestamp": _now()}
    if windows:
        item["windowSeconds"] = round(max(windows))
    return item | {"value": _quantity(sum(each.value for each in values))}


def _listed(kind: str, of: tuple[str, str], items: list[Object]) -> Object:
    return {"kind": kind, "apiVersion": "/".join(of), "metadata": {}, "items": items}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _quantity(value: float) -> str:
    """A quantity in thousandths, or whole (k8s.io/apimachinery/pkg/api/resource)."""
    milli = round(value * 1000)
    return str(milli // 1000) if milli % 1000 == 0 else f"{milli}m"
