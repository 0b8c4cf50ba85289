"""What only the server may set: status, generation, addresses, node ports, selectors of Jobs."""

from __future__ import annotations

import ipaddress

import pytest

from clusters.embedded.apiserver.strategy import node_ports
from clusters.embedded.errors import ApiError
from tests.embedded.apiserver.semantics import Object, container, lab, pod

TEMPLATE = {"metadata": {"labels": {"app": "a"}}, "spec": {"containers": [{"name": "main", "image": "x:1"}]}}


def deployment() -> Object:
    spec = {"selector": {"matchLabels": {"app": "a"}}, "template": TEMPLATE}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": spec, "status": {"replicas": 9}}


def service(name: str, **spec: object) -> Object:
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": {"ports": [{"port": 80}], **spec}}


async def test_status_in_a_new_object_is_ignored() -> None:
    made = await lab().create(deployment())

    assert made["status"] == {}


async def test_generation_counts_changes_of_the_spec() -> None:
    cluster = lab()
    made = await cluster.create(deployment())
    labelled = cluster.update(made, {"metadata": {"labels": {"team": "ml"}}})
    scaled = cluster.update(labelled, {"spec": {"replicas": 3}})
    reported = cluster.update(scaled, {"status": {"replicas": 3}, "spec": {"replicas": 7}}, "status")

    assert [each["metadata"]["generation"] for each in (made, labelled, scaled, reported)] == [1, 1, 2, 2]
    assert (reported["status"], reported["spec"]["replicas"]) == ({"replicas": 3}, 3)


async def test_an_update_of_the_object_keeps_the_stored_status() -> None:
    cluster = lab()
    made = await cluster.create(pod())
    running = cluster.update(made, {"status": {"phase": "Running"}}, "status")

    claimed = cluster.update(running, {"status": {"phase": "Failed"}, "metadata": {"labels": {"a": "b"}}})

    assert claimed["status"] == {"phase": "Running", "qosClass": "BestEffort"}


async def test_binding_a_pod_to_a_node_is_no_change_of_its_spec() -> None:
    cluster = lab()
    made = await cluster.create(pod())
    scheduled = {"type": "PodScheduled", "status": "True"}

    bound = cluster.update(made, {"spec": {"nodeName": "ai-lab-worker"}, "status": {"conditions": [scheduled]}}, "binding")

    assert (bound["spec"]["nodeName"], bound["metadata"]["generation"]) == ("ai-lab-worker", 1)
    assert bound["status"]["conditions"] == [scheduled]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "BestEffort"),
        ({"limits": {"cpu": "1", "memory": "1Gi"}}, "Guaranteed"),
        ({"limits": {"memory": "1Gi"}}, "Burstable"),
        ({"limits": {"nvidia.com/gpu": "1"}}, "BestEffort"),
    ],
)
async def test_the_qos_class_follows_from_requests_and_limits(resources: Object, expected: str) -> None:
    made = await lab().create(container(resources=resources))

    assert made["status"]["qosClass"] == expected


async def test_services_get_addresses_of_their_own() -> None:
    cluster = lab()
    made = [await cluster.create(service(f"s{number}")) for number in range(20)]

    addresses = {each["spec"]["clusterIP"] for each in made}
    assert len(addresses) == 20
    assert all(ipaddress.ip_address(each) in ipaddress.ip_network("10.96.0.0/16") for each in addresses)
    assert not addresses & {"10.96.0.1", "10.96.0.10"}
    assert made[0]["spec"]["clusterIPs"] == [made[0]["spec"]["clusterIP"]]
    assert (made[0]["spec"]["ipFamilies"], made[0]["spec"]["ipFamilyPolicy"]) == (["IPv4"], "SingleStack")


async def test_an_address_can_be_asked_for_once() -> None:
    cluster = lab()
    await cluster.create(service("dns", clusterIP="10.96.0.10"))

    with pytest.raises(ApiError, match=r"failed to allocate IP 10\.96\.0\.10: provided IP is already allocated"):
        await cluster.create(service("other", clusterIP="10.96.0.10"))
    with pytest.raises(ApiError, match=r"The range of valid IPs is 10\.96\.0\.0/16"):
        await cluster.create(service("far", clusterIP="10.0.0.1"))


async def test_a_headless_service_has_no_address() -> None:
    made = await lab().create(service("peers", clusterIP="None", selector={"app": "a"}))

    assert made["spec"]["clusterIPs"] == ["None"]


async def test_a_node_port_is_given_kept_and_taken_back() -> None:
    cluster = lab()
    made = await cluster.create(service("web", type="NodePort"))
    port = made["spec"]["ports"][0]["nodePort"]
    kept = cluster.update(made, {"spec": {"ports": [{"port": 80}], "selector": {"app": "b"}}})
    closed = cluster.update(kept, {"spec": {"type": "ClusterIP"}})

    assert 30000 <= port <= 32767
    assert kept["spec"]["ports"][0]["nodePort"] == port
    assert "nodePort" not in closed["spec"]["ports"][0]
    assert closed["spec"]["clusterIP"] == made["spec"]["clusterIP"]


async def test_a_node_port_that_is_taken_is_refused() -> None:
    cluster = lab()
    ports = [{"port": 80, "nodePort": 31888}]
    await cluster.create(service("one", type="NodePort", ports=ports))

    with pytest.raises(ApiError) as refused:
        await cluster.create(service("two", type="NodePort", ports=ports))

    cause = refused.value.details["causes"][0]
    assert f"{cause['field']}: {cause['message']}" == "spec.ports[0].nodePort: Invalid value: 31888: provided port is already allocated"


async def test_a_job_gets_a_selector_on_its_own_uid() -> None:
    template = {"spec": {"restartPolicy": "Never", "containers": [{"name": "main", "image": "x:1"}]}}
    made = await lab().create({"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "score"}, "spec": {"template": template}})

    uid = made["metadata"]["uid"]
    labels = {
        "batch.kubernetes.io/controller-uid": uid,
        "batch.kubernetes.io/job-name": "score",
        "controller-uid": uid,
        "job-name": "score",
    }
    assert made["spec"]["selector"] == {"matchLabels": {"batch.kubernetes.io/controller-uid": uid}}
    assert made["spec"]["template"]["metadata"]["labels"] == labels
    assert made["metadata"]["labels"] == labels


async def test_a_namespace_is_active_and_waits_for_its_content_to_go() -> None:
    made = await lab().create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "team"}})

    assert (made["spec"], made["status"]) == ({"finalizers": ["kubernetes"]}, {"phase": "Active"})
    assert made["metadata"]["labels"] == {"kubernetes.io/metadata.name": "team"}


def test_a_trial_promises_no_node_port() -> None:
    ports = node_ports.Ports([service("other", ports=[{"nodePort": 31000}])], trial=True)

    assert [ports.refuses(40), ports.refuses(31000), ports.next()] == ["", "provided port is already allocated", 41]
    assert node_ports.Ports([], trial=True).next() == 32769
