"""Quotes as kubectl prints them in tables, descriptions, YAML and JSON; and words that nobody printed."""

from __future__ import annotations

from typing import Any

import pytest

from lab_checks.judging import quotes
from lab_checks.judging.quotes import Told

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
    assert quotes.plain(line) == quotes.plain(MESSAGE)


@pytest.mark.parametrize(
    ("line", "foreign"),
    [
        ("api-6b7-x   0/1     Pending   0          3m12s", []),
        ("pod/api-6b7-x   0/1     Pending", []),
        ("Node-Selectors:  nvidia.com/gpu.product=Tesla-T4", []),
        ("Tolerations:     nvidia.com/gpu op=Exists", []),
        ("api-6b7-x   leaks GPUs since Xid 79", ["leaks", "gpus", "since", "xid", "79"]),
        ("edited by mira", ["edited", "by", "mira"]),
    ],
)
def test_words_that_an_object_does_not_have_are_foreign(line: str, foreign: list[str]) -> None:
    assert quotes.foreign(line, Told.by(POD).words) == foreign


@pytest.mark.parametrize(
    ("line", "heading"),
    [
        ("NAME   READY   STATUS    RESTARTS   AGE", True),
        ("Events:", True),
        ("Allocatable:", True),
        ("nvidia.com/gpu: 0", False),
        ("Xid", False),
        ("endpoints: null", False),
        ("  Tolerations:     <none>", False),
        ("Endpoints:   <none>", False),
        ("  Ready             True", False),
        ("livenessProbe:", False),
        ("nvidia.com/gpu.count: 2", False),
    ],
)
def test_the_head_of_a_table_is_no_evidence(line: str, heading: bool) -> None:
    assert quotes.is_heading(line) is heading


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
        "kind: List",
        "Warning: v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
        '"items": [',
        '    "eventTime": null,',
        '  resourceVersion: ""',
        'lastHeartbeatTime: "2026-11-26T20:01:02Z"',
        "},",
    ],
)
def test_the_head_of_a_table_or_of_a_part_is_a_heading_in_kubectls_words_and_in_ones_own(line: str) -> None:
    assert quotes.is_heading(line)


def test_quotation_marks_headings_and_empty_forms_are_no_evidence() -> None:
    quoted = "> 3 node(s) had untolerated taint(s)\nNAME   GPU\n\npaste the line here\nReason: OOMKilled,"
    assert quotes.lines_of(quoted) == ["3 node(s) had untolerated taint(s)", "Reason: OOMKilled"]


def test_a_line_of_describe_is_made_of_the_words_of_its_object() -> None:
    known = Told.by({"spec": {"ipFamilyPolicy": "SingleStack"}, "status": {"startedAt": "2026-11-26T16:54:03Z", "exitCode": 137}}).words
    assert quotes.foreign("IP Family Policy:         SingleStack", known) == []
    assert quotes.foreign("Started:      Thu, 26 Nov 2026 16:54:03 +0000", known) == []
    assert quotes.foreign("137", known) == []
    assert quotes.foreign("exit code 137 is my lucky number", known) == ["is", "my", "lucky"]


HOLDER = Told.by(
    {
        "kind": "Event",
        "metadata": {"name": "api-6b7-x.1", "namespace": "ai-platform", "labels": {"node-role.kubernetes.io/control-plane": ""}},
        "involvedObject": {"kind": "Pod", "name": "api-6b7-x"},
        "type": "Warning",
        "reason": "FailedScheduling",
        "message": "0/4 nodes are available: 3 Insufficient nvidia.com/gpu. no new claims to deallocate, preemption is not helpful for scheduling.",
    }
)


@pytest.mark.parametrize(
    "line",
    [
        "3 Insufficient nvidia.com/gpu",
        "Warning  FailedScheduling  12s (x2 over 1m5s)  default-scheduler  0/4 nodes are available: 3 Insufficient nvidia.com/gpu. no new",
        "ai-platform  2m19s  Warning  FailedScheduling  pod/api-6b7-x  0/4 nodes are available: 3 Insufficient nvidia.com/gpu. no new claims to",
        "deallocate, preemption is not helpful for scheduling.",
        "scheduling.",
        '"reason": "FailedScheduling",',
        "api-6b7-x   control-plane",
    ],
)
def test_a_line_says_what_its_object_says_whole_or_cut_where_the_line_is_cut(line: str) -> None:
    assert HOLDER.says(line)


@pytest.mark.parametrize(
    "line",
    [
        "my guess is Insufficient nvidia.com/gpu",
        "Reason for Pending: Insufficient nvidia.com/gpu",
        "preemption is not Insufficient nvidia.com/gpu",
        "not Insufficient nvidia.com/gpu",
        "7 Insufficient nvidia.com/gpu",
        "0/9 nodes are available: 3 Insufficient nvidia.com/gpu",
        "0/4 nodes are available: Insufficient nvidia.com/gpu",
        "Insufficient nvidia.com/gpu, the nodes are too small",
    ],
)
def test_a_sentence_with_other_words_or_stitched_from_parts_is_nobodys(line: str) -> None:
    assert not HOLDER.says(line)


def test_the_last_part_of_a_generated_name_is_no_difference() -> None:
    refused = 'pods "api-5bfb94bb75-{}" is forbidden: exceeded quota: gpu-budget'
    assert quotes.plain(refused.format("5kzw4")) == quotes.plain(refused.format("85tp9"))
    assert quotes.plain(refused.format("5kzw4")) != quotes.plain(refused.format("5kzw4").replace("api", "web"))


def test_an_apostrophe_is_one_however_it_was_written() -> None:
    assert {quotes.unquoted(each) for each in ("didn't", "didn''t", "didn\u2019t")} == {"didn't"}


@pytest.mark.parametrize(
    "line",
    [
        "Restart Count:  7",
        "restartCount: 7",
        'resourceVersion: "14046"',
        "api-1   0/1     CrashLoopBackOff   2 (15s ago)   40s",
        "api-1   0/1     OOMKilled          2 (1m15s ago)   2m",
        "- lastProbeTime: null",
        "containerID: containerd://f829928b534a4e5f75762ab76342eed2875390a8d4c1ed0a9a86bf93e7eb86ba",
        'finishedAt: "2026-11-26T19:41:11Z"',
        "Finished:     Thu, 26 Nov 2026 16:54:03 +0000",
    ],
)
def test_what_a_restart_changes_makes_no_line_another(line: str) -> None:
    last = {"terminated": {"reason": "OOMKilled", "exitCode": 137, "finishedAt": "2026-11-26T20:00:00Z", "containerID": "containerd://0"}}
    status = {"restartCount": 8, "lastState": last}
    pod = {
        "metadata": {"name": "api-1", "resourceVersion": "9"},
        "status": {"conditions": [{"lastProbeTime": None}], "containerStatuses": [status]},
    }
    assert quotes.foreign(line, Told.by(pod).words) == []


def test_a_log_line_is_the_same_with_the_time_and_the_pod_before_it() -> None:
    line = "2026-11-26T20:16:18.161Z INFO model_server: listening port=8080"
    assert quotes.plain(f"2026-11-26T20:16:18.161975456Z {line}") == quotes.plain(line) == "info model_server: listening port=8080"
    assert quotes.plain(f"[pod/api-1/model-server] {line}") == quotes.plain(line)
    events = [f"Normal  NodeReady  {age}  kubelet  Node n1 status is now: NodeReady" for age in ("49s", "2m33s", "5d3h")]
    assert len({quotes.plain(each) for each in events}) == 1
    assert quotes.plain('"message": "ReplicaSet \\"api-1\\" has progressed."') == quotes.plain("ReplicaSet api-1 has progressed.")


def test_a_field_without_a_value_is_quoted_as_null() -> None:
    condition = {
        "lastProbeTime": None,
        "lastTransitionTime": "2026-11-26T21:08:50Z",
        "observedGeneration": 1,
        "status": "True",
        "type": "Ready",
    }
    line = '{"lastProbeTime":null,"lastTransitionTime":"2026-11-26T21:08:50Z","observedGeneration":1,"status":"True","type":"Ready"}'
    assert Told.by({"status": {"conditions": [condition]}}).says(line)


def test_a_part_of_a_uid_is_no_age() -> None:
    uid = "690c22b4-fd7f-411d-8444-35d05740641h"
    message = f"Back-off restarting failed container server in pod api-1_ai-platform({uid})"
    assert uid in quotes.plain(message)
    event: dict[str, Any] = {"type": "Warning", "reason": "BackOff", "message": message, "involvedObject": {"kind": "Pod", "name": "api-1"}}
    assert Told.by(event).says(f"6m57s       Warning   BackOff   pod/api-1   {message}")
