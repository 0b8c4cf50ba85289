"""Services and EndpointSlices in, the table that Pods route by out."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.kubeproxy import tables
from kubeobjects import Object


def service(**spec: Any) -> Object:
    ports = [{"name": "http", "port": 80, "protocol": "TCP"}]
    return {"metadata": {"name": "web", "namespace": "lab"}, "spec": {"clusterIP": "10.96.0.7", "ports": ports, **spec}}


def slice_(*endpoints: Object, ports: list[Object] | None = None, kind: str = "IPv4") -> Object:
    return {
        "metadata": {"name": "web-1", "namespace": "lab", "labels": {"kubernetes.io/service-name": "web"}},
        "addressType": kind,
        "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}] if ports is None else ports,
        "endpoints": list(endpoints),
    }


def endpoint(address: str, **conditions: bool) -> Object:
    return {"addresses": [address], "conditions": conditions}


@pytest.mark.parametrize(
    ("endpoints", "targets"),
    [
        ([endpoint("10.244.1.2", ready=True), endpoint("10.244.1.3", ready=False)], ["10.244.1.2:8080"]),
        ([endpoint("10.244.1.2")], ["10.244.1.2:8080"]),
        ([endpoint("10.244.1.2", ready=False, serving=True, terminating=True)], ["10.244.1.2:8080"]),
        (
            [endpoint("10.244.1.2", ready=False, serving=True, terminating=True), endpoint("10.244.1.3", ready=True)],
            ["10.244.1.3:8080"],
        ),
        ([endpoint("10.244.1.2", ready=False, serving=False, terminating=True)], []),
        ([], []),
    ],
    ids=["only ready ones", "unknown counts as ready", "leaving and the last", "leaving and not the last", "not serving", "none"],
)
def test_which_endpoints_get_connections(endpoints: list[Object], targets: list[str]) -> None:
    table = tables.build([service()], [slice_(*endpoints)], [])
    assert table["services"] == {"10.96.0.7": {"tcp-80": {"to": targets}}}
    assert table["names"] == {"web.lab": ["10.96.0.7"]}


def test_ports_are_matched_by_name_and_protocol() -> None:
    ports = [
        {"name": "http", "port": 80, "nodePort": 30080},
        {"name": "dns", "port": 53, "protocol": "UDP"},
        {"name": "gone", "port": 81},
    ]
    found = slice_(
        endpoint("10.244.1.2", ready=True),
        ports=[{"name": "dns", "port": 5353, "protocol": "UDP"}, {"name": "http", "port": 8000, "protocol": "TCP"}],
    )
    table = tables.build([service(ports=ports, externalIPs=["192.0.2.9"], sessionAffinity="ClientIP")], [found], [])
    rules = table["services"]["10.96.0.7"]
    assert rules["tcp-80"] == {"to": ["10.244.1.2:8000"], "sticky": True}
    assert rules["udp-53"]["to"] == ["10.244.1.2:5353"]
    assert rules["tcp-81"]["to"] == []
    assert table["nodePorts"] == {"tcp-30080": rules["tcp-80"]}
    assert table["services"]["192.0.2.9"] == rules


def test_headless_services_are_names_only() -> None:
    named = {**endpoint("10.244.1.2", ready=True), "hostname": "web-0"}
    table = tables.build([service(clusterIP="None")], [slice_(named, endpoint("10.244.1.3", ready=False))], [])
    assert table["services"] == {}
    assert table["names"] == {"web.lab": ["10.244.1.2"], "web-0.web.lab": ["10.244.1.2"]}


def test_ipv6_slices_are_left_out() -> None:
    assert tables.build([service()], [slice_(endpoint("fd00::1", ready=True), kind="IPv6")], [])["services"]["10.96.0.7"]["tcp-80"] == {
        "to": []
    }
