"""Who may talk to whom: policies, namespaces and Pods go in, and what comes out is asked as the shim asks it."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.kubelet.shim._ai_lab.policy import DNS_PEER, let_through
from clusters.embedded.kubeproxy.network_policies import isolation
from kubeobjects import Object


def pod(
    name: str, ip: str, labels: dict[str, str], *, namespace: str = "default", ports: list[Object] | None = None, **spec: Any
) -> Object:
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "main", "ports": ports or []}], **spec},
        "status": {"phase": "Running", "podIP": ip, "hostIP": "172.18.0.3"},
    }


MODEL, FRIEND, STRANGER, OTHER = "10.244.1.2", "10.244.1.3", "10.244.1.4", "10.244.2.2"
PODS = [
    pod(
        "model",
        MODEL,
        {"app": "model"},
        ports=[{"name": "http", "containerPort": 8080}, {"name": "dns", "containerPort": 53, "protocol": "UDP"}],
    ),
    pod("friend", FRIEND, {"role": "tooling"}, ports=[{"name": "http", "containerPort": 9090}]),
    pod("stranger", STRANGER, {}),
    pod("other", OTHER, {"role": "tooling"}, namespace="team-b"),
]
NAMESPACES = [
    {"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name, **labels}}}
    for name, labels in (("default", {}), ("kube-system", {}), ("team-b", {"team": "b"}))
]
ALL = {"model": MODEL, "friend": FRIEND, "stranger": STRANGER, "other": OTHER}


def policy(name: str = "p", selector: Object | None = None, namespace: str = "default", **spec: Any) -> Object:
    chosen = {"matchLabels": {"app": "model"}} if selector is None else selector
    return {"metadata": {"name": name, "namespace": namespace}, "spec": {"podSelector": chosen, **spec}}


class Verdicts:
    def __init__(self, *policies: Object, pods: list[Object] | None = None):
        self.compiled = isolation(policies, NAMESPACES, PODS if pods is None else pods)

    def allowed(self, source: str, target: str, port: int = 8080, protocol: str = "tcp") -> bool:
        outgoing = let_through(self.compiled.get(source, {}).get("egress"), target, port, protocol)
        return outgoing and let_through(self.compiled.get(target, {}).get("ingress"), source, port, protocol)

    def callers(self, port: int = 8080, protocol: str = "tcp") -> set[str]:
        """Who may call the model."""
        return {name for name, ip in ALL.items() if ip != MODEL and self.allowed(ip, MODEL, port, protocol)}

    def called(self, port: int = 8080, protocol: str = "tcp") -> set[str]:
        """Whom the model may call."""
        return {name for name, ip in ALL.items() if ip != MODEL and self.allowed(MODEL, ip, port, protocol)}

    def dns(self, ip: str = MODEL) -> bool:
        return let_through(self.compiled.get(ip, {}).get("egress"), DNS_PEER, 53, "udp")


EVERYBODY = {"friend", "stranger", "other"}


def test_a_pod_that_no_policy_selects_is_open() -> None:
    verdicts = Verdicts(policy(selector={"matchLabels": {"app": "another"}}), policy(namespace="team-b"))
    assert verdicts.compiled == {}
    assert (verdicts.callers(), verdicts.called()) == (EVERYBODY, EVERYBODY)


def test_without_types_a_policy_is_for_ingress_and_for_egress_where_it_has_rules() -> None:
    assert (Verdicts(policy()).callers(), Verdicts(policy()).called()) == (set(), EVERYBODY)
    both = Verdicts(policy(egress=[{}]))
    assert (both.callers(), both.called()) == (set(), EVERYBODY)
    only = Verdicts(policy(policyTypes=["Egress"]))
    assert (only.callers(), only.called()) == (EVERYBODY, set())


def test_an_empty_rule_is_for_everybody_and_no_rule_for_nobody() -> None:
    assert Verdicts(policy(ingress=[{}])).callers() == EVERYBODY
    assert Verdicts(policy(ingress=[])).callers() == set()
    assert Verdicts(policy(ingress=[{"from": [], "ports": []}])).callers(1) == EVERYBODY


@pytest.mark.parametrize(
    ("peer", "callers"),
    [
        ({"podSelector": {"matchLabels": {"role": "tooling"}}}, {"friend"}),
        ({"podSelector": {}}, {"friend", "stranger"}),
        ({"podSelector": {"matchExpressions": [{"key": "role", "operator": "DoesNotExist"}]}}, {"stranger"}),
        ({"namespaceSelector": {"matchLabels": {"team": "b"}}}, {"other"}),
        ({"namespaceSelector": {}}, EVERYBODY),
        ({"namespaceSelector": {}, "podSelector": {"matchLabels": {"role": "tooling"}}}, {"friend", "other"}),
        ({"namespaceSelector": {"matchLabels": {"team": "c"}}}, set()),
        ({"ipBlock": {"cidr": "10.244.1.0/24"}}, {"friend", "stranger"}),
        ({"ipBlock": {"cidr": "10.244.0.0/16", "except": ["10.244.1.3/32", "10.244.2.0/24"]}}, {"stranger"}),
        ({"ipBlock": {"cidr": "2001:db8::/64"}}, set()),
    ],
)
def test_peers(peer: Object, callers: set[str]) -> None:
    assert Verdicts(policy(ingress=[{"from": [peer]}])).callers() == callers
    # The other direction reads the same peers.
    assert Verdicts(policy(policyTypes=["Egress"], egress=[{"to": [peer]}])).called() == callers


def test_two_peers_are_either_and_one_with_two_selectors_is_both() -> None:
    team, tooling = {"namespaceSelector": {"matchLabels": {"team": "b"}}}, {"podSelector": {"matchLabels": {"role": "tooling"}}}
    assert Verdicts(policy(ingress=[{"from": [team, tooling]}])).callers() == {"friend", "other"}
    assert Verdicts(policy(ingress=[{"from": [team | tooling]}])).callers() == {"other"}


@pytest.mark.parametrize(
    ("ports", "opened", "closed"),
    [
        ([{"port": 8080}], [(8080, "tcp")], [(8081, "tcp"), (8080, "udp")]),
        ([{"protocol": "UDP"}], [(1, "udp"), (65535, "udp")], [(1, "tcp")]),
        ([{"port": 8000, "endPort": 8080}], [(8000, "tcp"), (8080, "tcp")], [(7999, "tcp"), (8081, "tcp")]),
        ([{"port": "http"}], [(8080, "tcp")], [(80, "tcp"), (9090, "tcp")]),
        ([{"port": "dns", "protocol": "UDP"}], [(53, "udp")], [(53, "tcp")]),
        # The name of a port of another protocol, or of nobody's, is no port at all.
        ([{"port": "dns"}], [], [(53, "tcp"), (53, "udp")]),
        ([{"port": "grpc"}, {"port": 1}], [(1, "tcp")], [(8080, "tcp")]),
    ],
)
def test_ports_are_those_of_the_receiver(ports: list[Object], opened: list[tuple[int, str]], closed: list[tuple[int, str]]) -> None:
    verdicts = Verdicts(policy(ingress=[{"ports": ports}]))
    assert [each for each in opened if not verdicts.callers(*each)] == []
    assert [each for each in closed if verdicts.callers(*each)] == []


def test_a_named_port_of_egress_is_each_receivers_own() -> None:
    verdicts = Verdicts(policy(policyTypes=["Egress"], egress=[{"to": [{"podSelector": {}}], "ports": [{"port": "http"}, {"port": 7}]}]))
    assert (verdicts.called(9090), verdicts.called(8080), verdicts.called(7)) == ({"friend"}, set(), {"friend", "stranger"})


def test_policies_add_up() -> None:
    verdicts = Verdicts(
        policy("a", ingress=[{"from": [{"podSelector": {"matchLabels": {"role": "tooling"}}}]}]),
        policy("b", ingress=[{"from": [{"namespaceSelector": {"matchLabels": {"team": "b"}}}], "ports": [{"port": 9}]}]),
        policy("deny", {}, ingress=[]),
    )
    assert (verdicts.callers(8080), verdicts.callers(9)) == ({"friend"}, {"friend", "other"})


def test_both_sides_must_allow() -> None:
    opened = policy("in", ingress=[{"from": [{"podSelector": {}}]}])
    shut = policy("out", {"matchLabels": {"role": "tooling"}}, policyTypes=["Egress"], egress=[{"ports": [{"port": 53}]}])
    assert Verdicts(opened, shut).callers() == {"stranger"}
    assert Verdicts(opened, shut).callers(53) == {"friend", "stranger"}


def test_addresses_outside_are_judged_by_blocks_alone() -> None:
    rules = [{"to": [{"ipBlock": {"cidr": "203.0.113.0/24", "except": ["203.0.113.128/25"]}}, {"namespaceSelector": {}}]}]
    verdicts = Verdicts(policy(policyTypes=["Egress"], egress=rules))
    asked = ("203.0.113.7", "203.0.113.200", "198.51.100.1", "2001:db8::1")
    assert [verdicts.allowed(MODEL, each, 443) for each in asked] == [True, False, False, False]


@pytest.mark.parametrize(
    ("egress", "reached"),
    [
        ([], False),
        ([{}], True),
        ([{"to": [{"podSelector": {}}]}], False),
        ([{"ports": [{"port": 53, "protocol": "UDP"}]}], True),
        ([{"ports": [{"port": 53}]}], False),
        ([{"to": [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "kube-system"}}}]}], True),
        (
            [
                {
                    "to": [{"namespaceSelector": {}, "podSelector": {"matchLabels": {"k8s-app": "kube-dns"}}}],
                    "ports": [{"port": "dns", "protocol": "UDP"}],
                }
            ],
            True,
        ),
        # The address of the Service is gone by the time that a policy looks.
        ([{"to": [{"ipBlock": {"cidr": "10.96.0.10/32"}}]}], False),
        ([{"to": [{"ipBlock": {"cidr": "10.244.0.0/16"}}]}], True),
    ],
)
def test_lookups_are_traffic_to_the_dns_servers(egress: list[Object], reached: bool) -> None:
    assert Verdicts(policy(policyTypes=["Egress"], egress=egress)).dns() is reached


def test_only_pods_with_an_address_of_their_own_are_isolated_or_meant() -> None:
    ended, waiting = pod("ended", "10.244.1.9", {"app": "model"}), pod("waiting", "", {"app": "model"})
    ended["status"]["phase"] = "Succeeded"
    pods = [ended, waiting, pod("host", "172.18.0.3", {"app": "model"}, hostNetwork=True), PODS[0]]
    compiled = Verdicts(policy(ingress=[{"from": [{"podSelector": {}}]}]), pods=pods).compiled
    assert compiled == {MODEL: {"node": "172.18.0.3", "ingress": [{"peers": {"pods": [MODEL], "blocks": []}, "ports": None}]}}
