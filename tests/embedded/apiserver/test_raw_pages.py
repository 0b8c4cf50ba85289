"""What is read with `kubectl get --raw`, curl and a browser: indented JSON, metrics, the table of a scale."""

from __future__ import annotations

import pytest

from clusters.embedded.apiserver.prometheus import Family, render

from .conftest import Http

TABLE = "application/json;as=Table;v=v1;g=meta.k8s.io"
DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments"


async def raw(http: Http, path: str, **headers: str) -> str:
    async with http.session.get(http.url + path, headers=headers) as response:
        return (await response.read()).decode()


@pytest.mark.parametrize("path", ["/api/v1/namespaces/kube-system", "/api/v1/namespaces/nobody", "/api/v1"])
async def test_curl_and_browsers_get_json_to_read(http: Http, path: str) -> None:
    for agent in ("curl/8.5.0", "Wget/1.21", "Mozilla/5.0 (X11)"):
        assert (await raw(http, path, **{"User-Agent": agent})).startswith('{\n  "')
    assert "\n " not in await raw(http, path, **{"User-Agent": "kubectl/v1.36.2"})
    assert "\n " not in await raw(http, path + "?pretty=false", **{"User-Agent": "curl/8.5.0"})


async def test_the_version_is_indented_for_everybody(http: Http) -> None:
    assert (await raw(http, "/version")).splitlines()[:2] == ["{", '  "major": "1",']


async def test_who_may_not_see_a_path_is_told_so_with_empty_details(anonymous: Http) -> None:
    refused = await anonymous("GET", "/api")
    assert refused.body == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": 'forbidden: User "system:anonymous" cannot get path "/api"',
        "reason": "Forbidden",
        "details": {},
        "code": 403,
    }


async def test_a_scale_has_columns_of_its_own(http: Http) -> None:
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}}
    body = {"metadata": {"name": "x"}, "spec": {"replicas": 3, "selector": {"matchLabels": {"a": "b"}}, "template": template}}
    await http("POST", DEPLOYMENTS, body)
    table = (await http("GET", f"{DEPLOYMENTS}/x/scale", Accept=TABLE)).body
    assert [each["name"] for each in table["columnDefinitions"]] == ["Name", "Desired", "Available", "Age"]
    assert table["rows"][0]["cells"][:3] == ["x", 3, 0]


async def test_the_server_has_metrics(http: Http, anonymous: Http) -> None:
    lines = (await http("GET", "/metrics")).body.splitlines()
    assert lines[:2] == [
        "# HELP aggregator_discovery_aggregation_count_total [ALPHA] Counter of number of times discovery was aggregated",
        "# TYPE aggregator_discovery_aggregation_count_total counter",
    ]
    assert 'apiserver_resource_objects{group="",resource="namespaces"} 4' in lines
    assert any(line.startswith("process_resident_memory_bytes ") for line in lines)
    assert (await anonymous("GET", "/metrics")).status == 403


def test_metrics_are_written_as_go_writes_them() -> None:
    values = (0.0, 1.0, 0.362108476, 1795700875.0, 12345678.5, 1e6, 999999.0, 2.5e21)
    family = Family(
        "m", "gauge", "About.", tuple(({"a": 'q"\n\\'}, value) for value in values[:1]) + tuple(({}, value) for value in values[1:])
    )
    assert render([family, Family("empty", "gauge", "", ())]).decode().splitlines() == [
        "# HELP m About.",
        "# TYPE m gauge",
        r'm{a="q\"\n\\"} 0',
        *[f"m {text}" for text in ("1", "0.362108476", "1.795700875e+09", "1.23456785e+07", "1e+06", "999999", "2.5e+21")],
    ]
