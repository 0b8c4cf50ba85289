"""Autoscalers in their older form."""

from __future__ import annotations

from typing import Any

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer

from .conftest import Http

V1 = "/apis/autoscaling/v1/namespaces/default/horizontalpodautoscalers"
V2 = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}


async def test_a_cpu_target_is_the_same_in_both_forms(http: Http) -> None:
    body: dict[str, Any] = {
        "metadata": {"name": "web"},
        "spec": {"scaleTargetRef": TARGET, "minReplicas": 1, "maxReplicas": 3, "targetCPUUtilizationPercentage": 70},
    }
    created = await http("POST", V1, body)
    assert (created.status, created.body["apiVersion"]) == (201, "autoscaling/v1")
    newer = (await http("GET", f"{V2}/web")).body
    assert newer["spec"]["metrics"] == [
        {"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}}}
    ]
    older = (await http("GET", f"{V1}/web")).body
    assert older["spec"]["targetCPUUtilizationPercentage"] == 70
    assert "metrics" not in older["spec"]


async def test_what_the_older_form_cannot_say_survives_it(http: Http) -> None:
    memory = {"type": "Resource", "resource": {"name": "memory", "target": {"type": "Utilization", "averageUtilization": 50}}}
    spec = {"scaleTargetRef": TARGET, "minReplicas": 1, "maxReplicas": 3, "metrics": [memory]}
    await http("POST", V2, {"metadata": {"name": "web"}, "spec": spec})
    older = (await http("GET", f"{V1}/web")).body
    older["spec"]["maxReplicas"] = 5
    assert (await http("PUT", f"{V1}/web", older)).status == 200
    newer = (await http("GET", f"{V2}/web")).body
    assert (newer["spec"]["maxReplicas"], newer["spec"]["metrics"]) == (5, [memory])


async def test_both_forms_are_one_stored_object(server: ApiServer, client: LocalClient, http: Http) -> None:
    await http("POST", V1, {"metadata": {"name": "web"}, "spec": {"scaleTargetRef": TARGET, "maxReplicas": 3}})
    listed = await client.list("horizontalpodautoscalers.autoscaling")
    assert [each["apiVersion"] for each in listed.items] == ["autoscaling/v2"]
    table = await http("GET", V1, Accept="application/json;as=Table;v=v1;g=meta.k8s.io,application/json")
    assert table.body["rows"][0]["cells"][0] == "web"
