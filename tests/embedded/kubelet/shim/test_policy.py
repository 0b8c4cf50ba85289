"""What a program in a Pod feels of NetworkPolicies: a forbidden call takes as long as the program waits, and is not refused."""

from __future__ import annotations

import errno
import socket
from typing import Any

import pytest

from clusters.embedded.kubeproxy import network_policies, tables
from tests.embedded.kubelet.shim.test_sockets import NODES, SERVER, service, slice_of
from tests.embedded.pods_without_kubelet import Lab

# Says how each address answers within a second.
CALL = """
    import socket, sys, time
    for each in sys.argv[1:]:
        host, _, port = each.rpartition(":")
        began = time.monotonic()
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
            print("connected")
        except OSError as error:
            print(type(error).__name__, 0.9 < time.monotonic() - began < 5)
"""
CLIENTS = """
    import asyncio, socket, sys, time, urllib.error, urllib.request
    import aiohttp, requests
    url = sys.argv[1]
    try:
        urllib.request.urlopen(url, timeout=0.5)
    except urllib.error.URLError as error:
        print("urllib", error.reason)
    try:
        requests.get(url, timeout=0.5)
    except requests.exceptions.ConnectTimeout:
        print("requests timed out")
    async def main():
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=0.5)) as session:
                await session.get(url)
        except asyncio.TimeoutError:
            print("aiohttp timed out")
        host, port = url[7:].rstrip("/").split(":")
        try:
            await asyncio.wait_for(asyncio.open_connection(host, int(port)), 0.5)
        except asyncio.TimeoutError:
            print("asyncio timed out")
        sock = socket.socket(); sock.setblocking(False)
        print(sock.connect_ex((host, int(port))))
    asyncio.run(main())
"""


def policy(selector: dict[str, str], **spec: Any) -> dict[str, Any]:
    return {"metadata": {"name": "p", "namespace": "default"}, "spec": {"podSelector": {"matchLabels": selector}, **spec}}


class Cluster:
    """A model that serves on 8080 behind a Service, a friend of its and a stranger."""

    def __init__(self, lab: Lab):
        self._lab = lab
        self.model, self.friend, self.stranger = (lab.pod(name) for name in ("model", "friend", "stranger"))
        lab.start(self.model, SERVER, "model", "8080")
        lab.wait_for(self.model, 8080)
        lab.network.publish(tables.build([service("model", "10.96.0.50")], [slice_of("model", self.model)], NODES))

    def apply(self, *policies: dict[str, Any]) -> None:
        pods = [
            {
                "metadata": {"name": name, "namespace": "default", "labels": {"app": name}},
                "spec": {"containers": [{"name": "main"}]},
                "status": {"phase": "Running", "podIP": ip, "hostIP": "172.18.0.3"},
            }
            for name, ip in (("model", self.model), ("friend", self.friend), ("stranger", self.stranger))
        ]
        namespaces = [{"metadata": {"name": name, "labels": {"kubernetes.io/metadata.name": name}}} for name in ("default", "kube-system")]
        self._lab.network.publish_policies(network_policies.isolation(policies, namespaces, pods))

    def call(self, source: str, *addresses: str) -> list[str]:
        return self._lab.run(source, CALL, *addresses).splitlines()


@pytest.fixture
def cluster(lab: Lab) -> Cluster:
    return Cluster(lab)


FRIENDS_ONLY = policy(
    {"app": "model"}, ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}], "ports": [{"port": 8080}]}]
)
SILENCE = "TimeoutError True"


def test_who_is_not_let_in_waits_until_its_own_timeout(cluster: Cluster) -> None:
    cluster.apply(FRIENDS_ONLY)
    addresses = ("10.96.0.50:80", f"{cluster.model}:8080", "model:80", "172.18.0.3:30080")
    assert cluster.call(cluster.friend, *addresses) == ["connected"] * 4
    assert cluster.call(cluster.stranger, *addresses) == [SILENCE] * 4
    # Where nobody listens there is a refusal for who may call, and silence for the others.
    assert cluster.call(cluster.friend, f"{cluster.model}:8081") == [SILENCE]
    assert cluster.call(cluster.stranger, f"{cluster.friend}:8080") == ["ConnectionRefusedError False"]


def test_a_pod_reaches_itself_whatever_is_forbidden(cluster: Cluster) -> None:
    cluster.apply(policy({"app": "model"}, policyTypes=["Ingress", "Egress"]))
    assert cluster.call(cluster.model, "127.0.0.1:8080", "localhost:8080", f"{cluster.model}:8080") == ["connected"] * 3


def test_every_client_feels_a_timeout(lab: Lab, cluster: Cluster) -> None:
    cluster.apply(FRIENDS_ONLY)
    said = lab.run(cluster.stranger, CLIENTS, f"http://{cluster.model}:8080/").splitlines()
    assert said == ["urllib timed out", "requests timed out", "aiohttp timed out", "asyncio timed out", str(errno.EINPROGRESS)]


def test_a_change_is_felt_by_a_program_that_runs(lab: Lab, cluster: Cluster) -> None:
    process = lab.start(
        cluster.stranger,
        f"""
        import socket
        kept = socket.create_connection(("{cluster.model}", 8080), timeout=5)
        print("connected")
        while True:
            try:
                socket.create_connection(("{cluster.model}", 8080), timeout=0.2).close()
            except TimeoutError:
                break
        kept.sendall(b"GET / HTTP/1.0\\r\\n\\r\\n")
        print(kept.recv(15).decode())
        while True:
            try:
                socket.create_connection(("{cluster.model}", 8080), timeout=0.2).close()
                break
            except TimeoutError:
                pass
        print("let in")
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "connected\n"
    cluster.apply(FRIENDS_ONLY)
    # What was open stays open.
    assert process.stdout.readline() == "HTTP/1.0 200 OK\n"
    cluster.apply()
    assert process.stdout.readline() == "let in\n"


def test_what_may_leave_is_judged_where_it_leaves(cluster: Cluster) -> None:
    dns = {"ports": [{"port": 53, "protocol": "UDP"}]}
    cluster.apply(policy({"app": "stranger"}, policyTypes=["Egress"], egress=[dns, {"to": [{"ipBlock": {"cidr": "198.51.100.0/24"}}]}]))
    assert cluster.call(cluster.stranger, f"{cluster.model}:8080", "model:80", "203.0.113.1:443") == [SILENCE] * 3
    assert cluster.call(cluster.friend, f"{cluster.model}:8080") == ["connected"]


def test_without_dns_a_name_is_not_found_for_now(lab: Lab, cluster: Cluster) -> None:
    """The resolver's own patience counts, not the program's timeout."""
    cluster.apply(policy({"app": "stranger"}, policyTypes=["Egress"], egress=[{"to": [{"podSelector": {}}]}]))
    look_up = """
        import socket, sys, time
        from _ai_lab import etc
        plain = etc.of_cluster
        def impatient(namespace):
            found = plain(namespace); found.timeout = 0.1
            return found
        etc.of_cluster = impatient
        for name in sys.argv[1:]:
            began = time.monotonic()
            try:
                socket.getaddrinfo(name, 80)
                print("found")
            except socket.gaierror as error:
                print(error, error.errno == socket.EAI_AGAIN, time.monotonic() - began, sep="|")
    """
    own = "pod-" + cluster.stranger.replace(".", "-")
    said = lab.run(cluster.stranger, look_up, "model", "model.default.svc.cluster.local.", "example.com", "localhost", own).splitlines()
    assert said[3:] == ["found", "found"]
    for line, patience in zip(said[:3], (0.4, 0.2, 0.4), strict=True):
        words, for_now, seconds = line.split("|")
        assert (words, for_now) == (f"[Errno {socket.EAI_AGAIN}] Temporary failure in name resolution", "True")
        assert float(seconds) >= patience * 0.99
    assert cluster.call(cluster.stranger, f"{cluster.model}:8080") == ["connected"]


def test_datagrams_are_lost_and_answers_are_not(lab: Lab, cluster: Cluster) -> None:
    lab.start(
        cluster.model,
        """
        import socket
        sock = socket.socket(type=socket.SOCK_DGRAM); sock.bind(("", 5353))
        while True:
            data, peer = sock.recvfrom(100); sock.sendto(data, peer)
        """,
    )
    ask = f"""
        import socket, time
        sock = socket.socket(type=socket.SOCK_DGRAM); sock.settimeout(0.5)
        for _ in range(int(__import__("sys").argv[1])):
            try:
                sock.sendto(b"x", ("{cluster.model}", 5353)); print(sock.recvfrom(10)[0].decode()); break
            except TimeoutError:
                print("lost")
            except ConnectionRefusedError:
                time.sleep(0.05)
    """
    lone = policy(
        {"app": "model"}, policyTypes=["Ingress", "Egress"], ingress=[{"from": [{"podSelector": {"matchLabels": {"app": "friend"}}}]}]
    )
    cluster.apply(lone)
    assert lab.run(cluster.friend, ask, "200") == "x\n"
    assert lab.run(cluster.stranger, ask, "2") == "lost\nlost\n"


def test_who_waits_gets_through_once_the_policy_allows_it(lab: Lab, cluster: Cluster) -> None:
    cluster.apply(FRIENDS_ONLY)
    process = lab.start(
        cluster.stranger,
        f"""
        import socket
        sock = socket.socket(); sock.settimeout(0.1)
        print(sock.connect_ex(("{cluster.model}", 8080)))
        for patience in (30, None):
            sock = socket.socket(); sock.settimeout(patience)
            sock.connect(("{cluster.model}", 8080))
            print("connected")
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == f"{errno.EWOULDBLOCK}\n"
    cluster.apply()
    assert [process.stdout.readline() for _ in range(2)] == ["connected\n"] * 2


async def test_the_node_and_port_forward_are_always_let_in(lab: Lab, cluster: Cluster) -> None:
    cluster.apply(policy({"app": "model"}, policyTypes=["Ingress", "Egress"]))
    for loopback in (False, True):
        _, writer = await lab.network.dial(cluster.model, 8080, loopback=loopback)
        writer.close()


def test_a_pod_on_the_nodes_network_is_the_node(cluster: Cluster) -> None:
    cluster.apply(policy({"app": "model"}))
    assert cluster.call("172.18.0.3", f"{cluster.model}:8080") == ["connected"]
    assert cluster.call("172.18.0.4", f"{cluster.model}:8080") == [SILENCE]
