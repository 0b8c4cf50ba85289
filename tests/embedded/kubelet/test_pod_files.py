"""/etc/hosts, /etc/hostname and /etc/resolv.conf of a Pod, as the kubelet writes them and as programs use them."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.kubelet import pod_files
from kubeobjects import Object

from .conftest import Node

NODES_OWN = "# of the node\nnameserver 192.0.2.53\nsearch corp.example\noptions edns0 timeout:2\n"


def pod(**spec: Any) -> Object:
    return {"metadata": {"name": "web-0", "namespace": "team"}, "spec": spec}


def last_lines(**spec: Any) -> list[str]:
    return pod_files.hosts(pod(**spec), "10.244.1.7", "ai-lab-worker").splitlines()[7:]


def test_hosts_has_the_pods_names() -> None:
    assert last_lines() == ["10.244.1.7\tweb-0"]
    assert last_lines(hostname="zero") == ["10.244.1.7\tzero"]
    assert last_lines(subdomain="nginx") == ["10.244.1.7\tweb-0.nginx.team.svc.cluster.local\tweb-0"]
    assert last_lines(subdomain="nginx", hostnameOverride="other.example") == ["10.244.1.7\tother.example"]
    aliases = [{"ip": "192.0.2.1", "hostnames": ["a", "b"]}, {"ip": "192.0.2.2", "hostnames": ["c"]}]
    assert last_lines(hostAliases=aliases)[1:] == ["", "# Entries added by HostAliases.", "192.0.2.1\ta\tb", "192.0.2.2\tc"]
    assert last_lines(hostNetwork=True) == ["10.244.1.7\tai-lab-worker"]


def test_the_host_name_may_be_the_whole_name() -> None:
    names = [pod_files.hostname(pod(subdomain="nginx", setHostnameAsFQDN=full), "worker") for full in (False, True)]
    assert names == ["web-0", "web-0.nginx.team.svc.cluster.local"]
    assert pod_files.hostname(pod(hostNetwork=True), "worker") == "worker"


@pytest.mark.parametrize(
    ("spec", "lines"),
    [
        ({}, ["search team.svc.cluster.local svc.cluster.local cluster.local", "nameserver 10.96.0.10", "options ndots:5"]),
        ({"dnsPolicy": "Default"}, ["search corp.example", "nameserver 192.0.2.53", "options edns0 timeout:2"]),
        ({"hostNetwork": True}, ["search corp.example", "nameserver 192.0.2.53", "options edns0 timeout:2"]),
        (
            {"hostNetwork": True, "dnsPolicy": "ClusterFirstWithHostNet"},
            ["search team.svc.cluster.local svc.cluster.local cluster.local", "nameserver 10.96.0.10", "options ndots:5"],
        ),
        ({"dnsPolicy": "None", "dnsConfig": {"nameservers": ["192.0.2.1", "192.0.2.2"]}}, ["nameserver 192.0.2.1", "nameserver 192.0.2.2"]),
        (
            {
                "dnsConfig": {
                    "nameservers": ["10.96.0.10", "192.0.2.1"],
                    "searches": ["models.example"],
                    "options": [{"name": "ndots", "value": "2"}, {"name": "edns0"}],
                }
            },
            [
                "search team.svc.cluster.local svc.cluster.local cluster.local models.example",
                "nameserver 10.96.0.10",
                "nameserver 192.0.2.1",
                "options ndots:2 edns0",
            ],
        ),
    ],
)
def test_resolv_conf_follows_policy_and_config(spec: Object, lines: list[str]) -> None:
    assert pod_files.resolv_conf(pod(**spec), NODES_OWN).splitlines() == lines


LOOK_UP = """
import socket, sys
print(socket.gethostname())
for name in sys.argv[1:]:
    try:
        print(name, socket.gethostbyname(name))
    except OSError as error:
        print(name, type(error).__name__)
"""


async def test_programs_resolve_names_by_the_pods_own_files(any_node: Node) -> None:
    any_node.network.publish({"names": {"model.default": ["10.96.0.50"], "api.team-b": ["10.96.0.51"]}})
    aliases = [{"ip": "192.0.2.7", "hostnames": ["registry.example", "registry"]}]
    search = {"searches": ["team-b.svc.cluster.local"], "options": [{"name": "ndots", "value": "2"}]}
    asked = ("registry.example", "registry", "model", "api", "zero", "zero.sub.default.svc.cluster.local", "nobody")
    await any_node.run(
        "named",
        "python3",
        "-c",
        LOOK_UP,
        *asked,
        hostname="zero",
        subdomain="sub",
        hostAliases=aliases,
        dnsConfig=search,
        restartPolicy="Never",
    )
    address = (await any_node.until_phase("named", "Succeeded"))["status"]["podIP"]
    assert (await any_node.logs("named")).splitlines() == [
        "zero",
        "registry.example 192.0.2.7",
        "registry 192.0.2.7",
        "model 10.96.0.50",
        "api 10.96.0.51",
        f"zero {address}",
        f"zero.sub.default.svc.cluster.local {address}",
        "nobody gaierror",
    ]


async def test_without_the_clusters_dns_its_names_are_unknown(any_node: Node) -> None:
    any_node.network.publish({"names": {"model.default": ["10.96.0.50"]}})
    config = {"nameservers": ["192.0.2.1"], "options": [{"name": "timeout", "value": "1"}, {"name": "attempts", "value": "1"}]}
    await any_node.run(
        "own", "python3", "-c", LOOK_UP, "model.default.svc.cluster.local", dnsPolicy="None", dnsConfig=config, restartPolicy="Never"
    )
    await any_node.until_phase("own", "Succeeded", 60)
    assert (await any_node.logs("own")).splitlines() == ["own", "model.default.svc.cluster.local gaierror"]
