"""Tables: objects flow in, the `meta.k8s.io/v1` Table that `kubectl get` prints comes out.

Columns are data (`columns.json`: name, type, format, priority, by resource); the cells of a kind are one function. A resource without
columns of its own gets its name and the time of its creation.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any

from clusters.embedded.apiserver.tables import cluster, network, pods, workloads
from clusters.embedded.apiserver.tables.text import age
from clusters.embedded.resources import Resource
from kubeobjects import Object

Column = tuple[str, str, str, int]

_SCALE_COLUMNS: tuple[Column, ...] = (
    ("Name", "string", "name", 0),
    ("Desired", "integer", "", 0),
    ("Available", "integer", "", 0),
    ("Age", "string", "", 0),
)
# The documentation of ObjectMeta.name, which custom resources' Tables carry.
_NAME_DESCRIPTION = (
    "Name must be unique within a namespace. Is required when creating resources, although some resources may allow a client to request "
    "the generation of an appropriate name automatically. Name is primarily intended for creation idempotence and configuration definition. "
    "Cannot be updated. More info: https://kubernetes.io/docs/concepts/overview/working-with-objects/names#names"
)
_DEFAULT_COLUMNS: tuple[Column, ...] = (("Name", "string", "name", 0), ("Created At", "date", "", 0))

_ADMISSION, _NETWORKING, _STORAGE, _FLOW = (
    "admissionregistration.k8s.io",
    "networking.k8s.io",
    "storage.k8s.io",
    "flowcontrol.apiserver.k8s.io",
)
_RBAC, _DYNAMIC = "rbac.authorization.k8s.io", "resource.k8s.io"

_CELLS: dict[str, Callable[[Object, datetime], list[Any]]] = {
    "pods": pods.cells,
    "podtemplates": workloads.pod_template,
    "replicationcontrollers": workloads.replica_set,
    "deployments.apps": workloads.deployment,
    "replicasets.apps": workloads.replica_set,
    "daemonsets.apps": workloads.daemon_set,
    "statefulsets.apps": workloads.stateful_set,
    "controllerrevisions.apps": workloads.controller_revision,
    "jobs.batch": workloads.job,
    "cronjobs.batch": workloads.cron_job,
    "nodes": cluster.node,
    "namespaces": cluster.namespace,
    "events": cluster.event,
    "events.events.k8s.io": cluster.event,
    "configmaps": cluster.config_map,
    "secrets": cluster.secret,
    "serviceaccounts": cluster.name_and_age,
    "componentstatuses": cluster.component_status,
    "persistentvolumeclaims": cluster.persistent_volume_claim,
    "persistentvolumes": cluster.persistent_volume,
    "resourcequotas": cluster.resource_quota,
    "priorityclasses.scheduling.k8s.io": cluster.priority_class,
    "leases.coordination.k8s.io": cluster.lease,
    "runtimeclasses.node.k8s.io": cluster.runtime_class,
    f"storageclasses.{_STORAGE}": cluster.storage_class,
    f"csinodes.{_STORAGE}": cluster.csi_node,
    f"csidrivers.{_STORAGE}": cluster.csi_driver,
    f"csistoragecapacities.{_STORAGE}": cluster.csi_storage_capacity,
    f"volumeattachments.{_STORAGE}": cluster.volume_attachment,
    f"volumeattributesclasses.{_STORAGE}": cluster.volume_attributes_class,
    f"resourceclaims.{_DYNAMIC}": cluster.resource_claim,
    f"resourceclaimtemplates.{_DYNAMIC}": cluster.name_and_age,
    f"deviceclasses.{_DYNAMIC}": cluster.name_and_age,
    f"resourceslices.{_DYNAMIC}": cluster.resource_slice,
    "services": network.service,
    "endpoints": network.endpoints,
    "endpointslices.discovery.k8s.io": network.endpoint_slice,
    f"ingresses.{_NETWORKING}": network.ingress,
    f"ingressclasses.{_NETWORKING}": network.ingress_class,
    f"networkpolicies.{_NETWORKING}": network.network_policy,
    f"servicecidrs.{_NETWORKING}": network.service_cidr,
    f"ipaddresses.{_NETWORKING}": network.ip_address,
    f"rolebindings.{_RBAC}": network.role_binding,
    f"clusterrolebindings.{_RBAC}": network.role_binding,
    "poddisruptionbudgets.policy": network.pod_disruption_budget,
    "horizontalpodautoscalers.autoscaling": network.horizontal_pod_autoscaler,
    f"mutatingwebhookconfigurations.{_ADMISSION}": network.webhook_configuration,
    f"validatingwebhookconfigurations.{_ADMISSION}": network.webhook_configuration,
    f"validatingadmissionpolicies.{_ADMISSION}": network.validating_admission_policy,
    f"validatingadmissionpolicybindings.{_ADMISSION}": network.validating_admission_policy_binding,
    "apiservices.apiregistration.k8s.io": network.api_service,
    "certificatesigningrequests.certificates.k8s.io": network.certificate_signing_request,
    f"flowschemas.{_FLOW}": network.flow_schema,
    f"prioritylevelconfigurations.{_FLOW}": network.priority_level_configuration,
}


@cache
def columns() -> dict[str, tuple[Column, ...]]:
    """Columns by resource name (`deployments.apps`)."""
    rows = json.loads(Path(__file__).with_name("columns.json").read_text())
    return {name: tuple((each[0], each[1], each[2], each[3]) for each in defined) for name, defined in rows.items()}


def _default_cells(obj: Object, now: datetime) -> list[Any]:
    return [obj["metadata"]["name"], obj["metadata"].get("creationTimestamp")]


def _represented(obj: Object, include_object: str) -> Object | None:
    if include_object == "None":
        return None
    if include_object == "Object":
        return obj
    return {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": obj["metadata"]}


def _definitions(columns: Iterable[Column]) -> list[Object]:
    return [{"name": name, "type": kind, "format": form, "description": "", "priority": priority} for name, kind, form, priority in columns]


def table(resource: Resource, objects: Iterable[Object], include_object: str = "Metadata", resource_version: str = "") -> Object:
    """A Table of `objects`, all of `resource`; `include_object` (Metadata, Object or None) says what each row carries."""
    now = datetime.now(UTC)
    objects = list(objects)
    if objects and objects[0].get("kind") == "Scale":
        return _scale_table(objects[0], include_object, now, resource_version)
    known = columns().get(resource.name)
    cells = _CELLS[resource.name] if known else _default_cells
    if resource.custom is not None:
        cells = resource.custom.cells
    rows: list[Object] = []
    for obj in objects:
        row: Object = {"cells": cells(obj, now)}
        if resource.name == "pods" and (conditions := pods.conditions(obj)):
            row["conditions"] = conditions
        row["object"] = _represented(obj, include_object)
        rows.append(row)
    if resource.custom is not None:
        described = (("Name", "string", "name", _NAME_DESCRIPTION, 0), *resource.custom.columns)
        definitions = [
            {"name": name, "type": kind, "format": form, "description": text, "priority": priority}
            for name, kind, form, text, priority in described
        ]
    else:
        definitions = _definitions(known or _DEFAULT_COLUMNS)
    return _table(definitions, rows, resource_version)


def _scale_table(scale: Object, include_object: str, now: datetime, resource_version: str) -> Object:
    """What `kubectl get --subresource=scale` prints, whatever is scaled."""
    replicas = [(scale.get(part) or {}).get("replicas", 0) for part in ("spec", "status")]
    cells = [scale["metadata"]["name"], *replicas, age(scale, now)]
    row = {"cells": cells, "object": _represented(scale, include_object)}
    return _table(_definitions(_SCALE_COLUMNS), [row], resource_version)


def _table(definitions: list[Object], rows: list[Object], resource_version: str) -> Object:
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {"resourceVersion": resource_version},
        "columnDefinitions": definitions,
        "rows": rows,
    }
