"""The job queue operator: which Jobs it starts, which ones it refuses, and its certificate. `tests/labs` runs it on a cluster."""

from __future__ import annotations

import ssl
from typing import Any

import pytest
from cryptography import x509
from job_queue_operator import certificate, decision
from job_queue_operator.decision import LABEL

Object = dict[str, Any]


def queue(gpus: int = 3, name: str = "training") -> Object:
    return {"metadata": {"name": name, "namespace": "ai-platform"}, "spec": {"gpus": gpus}}


def job(
    name: str, *, pods: int = 2, gpus: int = 1, suspended: bool = True, at: int = 0, of: str | None = "training", **status: Any
) -> Object:
    limits = {"nvidia.com/gpu": str(gpus)} if gpus else {}
    return {
        "metadata": {
            "name": name,
            "namespace": "ai-platform",
            "labels": {LABEL: of} if of else {},
            "creationTimestamp": f"2026-11-02T10:00:0{at}Z",
        },
        "spec": {
            "suspend": suspended,
            "parallelism": pods,
            "template": {"spec": {"containers": [{"name": "trainer", "resources": {"limits": limits}}]}},
        },
        "status": status,
    }


def ended(kind: str = "Complete") -> list[Object]:
    return [{"type": kind, "status": "True"}]


def started(found: decision.Decision) -> list[str]:
    return [each["metadata"]["name"] for each in found.start]


def test_with_enough_room_all_start() -> None:
    found = decision.decide(queue(4), [job("b", at=1), job("a")])
    assert started(found) == ["a", "b"]
    assert found.status == {"gpusInUse": 4, "admitted": ["a", "b"], "waiting": []}


def test_with_too_little_room_a_job_starts_with_none_of_its_pods() -> None:
    found = decision.decide(queue(3), [job("a"), job("b", at=1)])
    assert started(found) == ["a"]
    assert found.status == {"gpusInUse": 2, "admitted": ["a"], "waiting": ["b"]}


def test_no_younger_job_passes_one_that_waits() -> None:
    found = decision.decide(queue(3), [job("a", suspended=False), job("b", at=1), job("small", pods=1, at=2)])
    assert started(found) == []
    assert found.waiting == ("b", "small")


@pytest.mark.parametrize("kind", ["Complete", "Failed"])
def test_a_job_that_has_ended_gives_its_gpus_back(kind: str) -> None:
    found = decision.decide(queue(3), [job("a", suspended=False, conditions=ended(kind)), job("b", at=1)])
    assert started(found) == ["b"]
    assert found.admitted == ("b",)


@pytest.mark.parametrize("left", [{"active": 1}, {"terminating": 1}])
def test_the_pods_of_a_job_that_was_suspended_hold_their_gpus_until_they_are_gone(left: Object) -> None:
    found = decision.decide(queue(2), [job("a", **left), job("b", at=1)])
    assert started(found) == []
    assert found.gpus_in_use == 1


def test_jobs_of_another_queue_and_of_none_are_left_alone() -> None:
    found = decision.decide(queue(3), [job("other", of="research"), job("none", of=None)])
    assert found.status == {"gpusInUse": 0, "admitted": [], "waiting": []}


def test_an_init_container_counts_where_it_asks_for_more() -> None:
    found = job("a", gpus=1)
    found["spec"]["template"]["spec"]["initContainers"] = [{"resources": {"limits": {"nvidia.com/gpu": "2"}}}]
    assert decision.needs(found) == 4


@pytest.mark.parametrize(
    ("asked", "there", "says"),
    [
        (job("a"), queue(), ""),
        (job("a", of=None, suspended=False), None, ""),
        (job("a", suspended=False), queue(), "spec.suspend: true"),
        (job("a"), None, "no JobQueue training in namespace ai-platform"),
        (job("a", pods=4), queue(), "needs 4 GPUs with all its Pods, and queue training has 3"),
    ],
)
def test_what_can_never_be_right_is_refused_at_once(asked: Object, there: Object | None, says: str) -> None:
    found = decision.refusal(asked, there)
    assert says in found
    assert bool(found) is bool(says)


def test_the_certificate_is_for_the_name_by_which_the_api_server_calls() -> None:
    pair = certificate.make("job-queue-operator", "kube-system")
    chain, key = pair.written()
    ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(chain, key)
    ssl.create_default_context(cadata=pair.certificate.decode())
    names = x509.load_pem_x509_certificate(pair.certificate).extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert "job-queue-operator.kube-system.svc" in names.get_values_for_type(x509.DNSName)
