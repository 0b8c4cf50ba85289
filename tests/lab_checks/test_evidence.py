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


@pytest.mark.parametrize(
    "line",
    [
        "NAME                 GPU",
        "NAME   STATUS   ROLES   AGE   VERSION   GPU.PRODUCT",
        "LAST SEEN   TYPE   REASON   OBJECT   MESSAGE",
        "Events:",
        "Last State:",
        "System Info:",
        "(Total limits may be over 100 percent, i.e., overcommitted.)",
    ],
)
def test_the_head_of_a_table_or_of_a_part_is_a_heading_in_kubectls_words_and_in_ones_own(line: str) -> None:
    assert evidence.is_heading(line)


def test_quotation_marks_headings_and_empty_forms_are_no_evidence() -> None:
    quoted = "> 3 node(s) had untolerated taint(s)\nNAME   GPU\n\npaste the line here\nReason: OOMKilled,"
    assert evidence.lines_of(quoted) == ["3 node(s) had untolerated taint(s)", "Reason: OOMKilled"]


def test_a_line_of_describe_is_made_of_the_words_of_its_object() -> None:
    known = evidence.words({"spec": {"ipFamilyPolicy": "SingleStack"}, "status": {"startedAt": "2026-11-26T16:54:03Z", "exitCode": 137}})
    assert evidence.foreign("IP Family Policy:         SingleStack", known) == []
    assert evidence.foreign("Started:      Thu, 26 Nov 2026 16:54:03 +0000", known) == []
    assert evidence.foreign("137", known) == []
    assert evidence.foreign("exit code 137 is my lucky number", known) == ["is", "my", "lucky"]
