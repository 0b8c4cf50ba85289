"""The report and the post-mortem: made of the audit log and of what clients got, and giving nothing away."""

from __future__ import annotations

import json
import time

from lab_checks.drill import record
from lab_checks.drill.generator import generate
from lab_checks.engine.audit import Deed, Deeds

BEGAN = time.time() - 600


def deed(verb: str, resource: str, seconds: float, name: str = "", body: dict[str, object] | None = None, code: int = 200) -> Deed:
    return Deed(BEGAN + seconds, verb, resource, "team-x", name, "kubectl", code, "learner", body)


DEEDS = Deeds(
    True,
    (
        deed("list", "events", 5),
        deed("list", "events", 9),
        deed("get", "pods", 12, "api-1"),
        deed("create", "selfsubjectaccessreviews", 13),
        deed("get", "pods", 14, "gone", code=404),
        deed("patch", "deployments", 20, "api", {"spec": {"password": "hunter2-hunter2"}, "replicas": 1}),
    ),
)


def test_the_timeline_tells_reads_that_follow_each_other_once() -> None:
    rows = record.timeline(DEEDS)
    assert [(each["kind"], each["what"], each["times"]) for each in rows] == [
        ("read", "read events in team-x", 2),
        ("read", "read pods api-1 in team-x", 1),
        ("change", "patch deployments api in team-x", 1),
    ]


def test_secrets_in_what_was_sent_are_masked() -> None:
    sent = record.timeline(DEEDS)[-1]["sent"]
    assert "hunter2" not in sent
    assert "replicas" in sent


def report(passed: bool) -> record.Report:
    drill = generate(7)
    return {
        "generator": 1, "seed": 7, "faults": 1, "again": drill.command, "began": BEGAN, "written": BEGAN + 60, "restored_at": BEGAN + 50 if passed else None,
        "services": [{"name": each.name, "namespace": each.namespace, "gpu": each.product} for each in drill.services],
        "score": {"total": 85.0, "of": 100, "passed": passed, "restored": passed, "lines": [{"name": "cause", "points": 25.0, "of": 25, "why": "it is"}]},
        "impact": {drill.services[0].name: {"answered": 10, "failed": 3, "first_error": BEGAN, "last_error": BEGAN + 50}},
        "diagnoses": {drill.services[0].name: {"cause": "bad-release", "evidence": "first | line\nsecond line"}},
        "causes": {}, "update": "All is well.\nThank you.", "timeline": record.timeline(DEEDS),
    }  # fmt: skip


def test_the_report_names_the_command_that_replays_it() -> None:
    text = record.report_text(report(True))
    assert "again: ai-lab drill start --seed 7" in text
    assert "passed, 85 of 100 points" in text
    assert "+0.3 min  change" in text
    assert "read events in team-x (2 times)" in text
    assert json.loads(json.dumps(report(True))) == report(True)


def test_the_post_mortem_is_filled_from_the_log_and_leaves_the_rest_open() -> None:
    text = record.post_mortem(report(True))
    assert "| change | patch deployments api in team-x |" in text
    assert "bad-release" in text
    assert "> All is well." in text
    assert "3 failed" in text
    assert "*a check that refuses this change before it is applied*" in text


def test_a_drill_that_is_not_restored_says_so() -> None:
    assert "not restored" in record.report_text(report(False))
    assert "| restored | not yet |" in record.post_mortem(report(False))
