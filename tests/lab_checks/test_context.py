"""What a check is told by the cluster's events: those since the exercise began, and none of the learner's own."""

from __future__ import annotations

from typing import Any

from kubeobjects import Object
from lab_checks.engine.audit import Deed
from tests.lab_checks.guards.world import NAMESPACE, Lists, context


def event(name: str, at: str, namespace: str = NAMESPACE, **more: Any) -> Object:
    return {"metadata": {"name": name, "namespace": namespace}, "reason": "Preempted", "lastTimestamp": at, **more}


def test_events_of_an_earlier_start_and_those_written_by_hand_are_left_out() -> None:
    world = Lists(
        events=[
            event("later", "2026-11-02T10:02:00Z"),
            event("before", "2026-11-02T09:59:59Z"),
            event("first", "2026-11-02T10:00:00Z"),
            event("by-hand", "2026-11-02T10:01:00Z"),
            event("other-reason", "2026-11-02T10:01:00Z", reason="Killing"),
            event("elsewhere", "2026-11-02T10:01:00Z", namespace="research"),
        ]
    )
    by_hand = Deed(1.0, "create", "events", NAMESPACE, "by-hand", "kubectl", 201, "me")
    ctx = context(world, deeds=(by_hand,))
    ctx.baseline["since"] = "2026-11-02T10:00:00.250000Z"
    assert [each["metadata"]["name"] for each in ctx.told("Preempted")] == ["first", "later"]
    assert [each["metadata"]["name"] for each in ctx.told("Preempted", "research")] == ["elsewhere"]
