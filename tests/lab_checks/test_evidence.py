"""Quotes as kubectl prints them in tables, descriptions, YAML and JSON; and words that nobody printed."""

from __future__ import annotations

from typing import Any

import pytest

from lab_checks.judging import evidence

MESSAGE = "0/4 nodes are available: 1 node(s) didn't match Pod's node affinity/selector, 3 Insufficient nvidia.com/gpu."
POD: dict[str, Any] = {
    "kind": "Pod",
    "metadata": {"name": "api-6b7-x", "namespace": "ai-platform", "managedFields": [{"manager": "mira"}]},
    "spec": {"nodeSelector": {"nvidia.com/gpu.product": "Tesla-T4"}, "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}]},
    "status": {"phase": "Pending", "conditions": [{"message": MESSAGE, "reason": "Unschedulable"}]},
}


@pytest.mark.parametrize(
    "line",
    [
        MESSAGE,
        f"  message: '{MESSAGE.replace(chr(39), chr(39) * 2)}'",
        f'"message": "{MESSAGE}",',
        f"  - message: {MESSAGE}",
        f"`{MESSAGE}`",
    ],
)
def test_a_message_is_the_same_in_every_format(line: str) -> None:
    assert evidence.plain(line) == evidence.plain(MESSAGE)


@pytest.mark.parametrize(
    ("line", "foreign"),
    [
        ("api-6b7-x   0/1     Pending   0          3m12s", []),
        ("pod/api-6b7-x   0/1     Pending", []),
        ("Node-Selectors:  nvidia.com/gpu.product=Tesla-T4", []),
        ("Tolerations:     nvidia.com/gpu op=Exists", []),
        (f"12s  Warning  FailedScheduling  pod/api-6b7-x  {MESSAGE}", ["failedscheduling"]),
        ("api-6b7-x   leaks GPUs since Xid 79", ["leaks", "gpus", "since", "xid", "79"]),
        ("edited by mira", ["edited", "by", "mira"]),
    ],
)
def test_words_that_an_object_does_not_have_are_foreign(line: str, foreign: list[str]) -> None:
    assert evidence.foreign(line, evidence.words(POD)) == foreign


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("NAME   READY   STATUS    RESTARTS   AGE", True),
        ("Events:", True),
        ("Allocatable:", True),
        ("nvidia.com/gpu: 0", False),
        ("Xid", False),
    ],
)
def test_the_head_of_a_table_is_no_evidence(line: str, heading: bool) -> None:
    assert evidence.is_heading(line) is heading
