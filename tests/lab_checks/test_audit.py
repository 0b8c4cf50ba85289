"""What the audit log tells of the learner, and what it must leave out."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from lab_checks.engine import audit, identity

KUBECTL = "kubectl/v1.37.1 (linux/amd64) kubernetes/abc"


def event(
    verb: str, resource: str, at: float, *, user: str = "kubernetes-admin", agent: str = KUBECTL, code: int = 200, uri: str = ""
) -> dict[str, Any]:
    stamp = datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    return {
        "kind": "Event", "apiVersion": "audit.k8s.io/v1", "stage": "ResponseComplete", "verb": verb, "requestURI": uri or f"/api/v1/{resource}",
        "user": {"username": user}, "userAgent": agent, "objectRef": {"resource": resource, "namespace": "ai-platform", "name": "x"},
        "responseStatus": {"code": code}, "requestReceivedTimestamp": stamp,
    }  # fmt: skip


def test_a_look_before_the_first_change_is_seen_as_one() -> None:
    deeds = audit.read([event("list", "events", 11), event("patch", "deployments", 12)], since=10)
    assert deeds.looked_before_changing("events")
    assert not deeds.looked_before_changing("nodes")


def test_a_look_after_the_change_comes_too_late() -> None:
    deeds = audit.read([event("patch", "deployments", 11), event("list", "events", 12)], since=10)
    assert not deeds.looked_before_changing("events")
    assert deeds.looked_at("events")


def test_components_and_the_course_itself_are_no_learners() -> None:
    deeds = audit.read(
        [
            event("patch", "pods", 11, user="system:kube-scheduler"),
            event("list", "events", 11, user=identity.USER),
            event("patch", "deployments", 11, user="system:serviceaccount:kube-system:deployment-controller"),
        ],
        since=10,
    )
    assert deeds.deeds == ()
    assert deeds.known


@pytest.mark.parametrize(
    "change",
    [
        {"agent": "OpenAPI-Generator/37.0.2/python"},
        {"agent": "ai-lab"},
        {"uri": "/apis/apps/v1/deployments/x?fieldManager=ai-lab&force=true"},
        {"user": "system:serviceaccount:ai-platform:god"},
    ],
)
def test_a_learner_is_told_by_who_was_connected_and_not_by_what_the_client_calls_itself(change: dict[str, str]) -> None:
    deeds = audit.read([event("patch", "deployments", 11, **change)], since=10)
    assert len(deeds.changes("deployments")) == 1


@pytest.mark.parametrize(
    ("verb", "part", "body", "counts"),
    [
        ("delete", "", {"kind": "DeleteOptions", "dryRun": ["All"]}, False),
        ("delete", "", {"kind": "DeleteOptions"}, True),
        ("create", "eviction", {"kind": "Eviction", "deleteOptions": {"dryRun": ["All"]}}, False),
        ("create", "eviction", {"kind": "Eviction"}, True),
        # A field of a learner's own patch hides nothing.
        ("patch", "", {"dryRun": ["All"], "deleteOptions": {"dryRun": ["All"]}}, True),
    ],
)
def test_a_dry_run_that_only_the_body_tells_of_is_one_for_deletions_and_evictions(
    verb: str, part: str, body: dict[str, Any], counts: bool
) -> None:
    asked = event(verb, "pods", 11)
    asked["objectRef"]["subresource"] = part
    asked["requestObject"] = body
    assert bool(audit.read([asked], since=10).changes()) is counts


def test_a_dry_run_changes_nothing() -> None:
    assert audit.read([event("patch", "deployments", 11, uri="/apis/apps/v1/deployments/x?dryRun=All")], since=10).deeds == ()


def test_what_was_refused_changed_nothing_and_what_was_earlier_does_not_count() -> None:
    deeds = audit.read([event("delete", "pods", 11, code=403), event("delete", "pods", 5)], since=10)
    assert deeds.deleted("pods") == []


def test_without_a_log_nobody_is_blamed() -> None:
    deeds = audit.read([], since=10)
    assert not deeds.known
    assert deeds.looked_before_changing("events")


def test_a_review_is_answered_and_stores_nothing() -> None:
    asked = event("create", "selfsubjectrulesreviews", 11)
    asked["objectRef"]["apiGroup"] = "authorization.k8s.io"
    bound = event("create", "rolebindings", 11)
    bound["objectRef"]["apiGroup"] = "rbac.authorization.k8s.io"
    assert [each.resource for each in audit.read([asked, bound], since=10).changes()] == ["rolebindings"]
