"""docs/coverage.md names labs and exercises that there are, and leaves no exercise out; each requirement of AI conformance has its row."""

from __future__ import annotations

import re

import pytest

from lab_checks.engine import course
from tests.conftest import ROOT

TABLES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in (ROOT / "docs" / "coverage.md").read_text().splitlines()
    if line.startswith("|") and not line.startswith(("|---", "| statement", "| requirement"))
]
ROWS = [row for row in TABLES if len(row) == 2]
REQUIREMENTS = [row for row in TABLES if len(row) == 3]
# The names that the CNCF's Kubernetes AI Conformance gives its requirements in version 1.37; the first is part of Kubernetes' own conformance.
CONFORMANCE = {
    "accelerator_exposure", "driver_runtime_management", "gpu_sharing", "virtualized_accelerator", "ai_inference", "advanced_inference_ingress",
    "high_performance_networking", "disaggregated_inference", "gang_scheduling", "cluster_autoscaling", "pod_autoscaling", "accelerator_metrics",
    "ai_service_metrics", "secure_accelerator_access", "workload_sandboxing", "robust_controller",
}  # fmt: skip


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0][:60])
def test_every_statement_leads_to_an_exercise_or_a_lab(row: list[str]) -> None:
    statement, where = row
    assert statement
    for place in where.split(", "):
        course.load().find(place)


def test_every_exercise_is_there_for_a_statement() -> None:
    named = {place for _, where in ROWS for place in where.split(", ")}
    assert [each.key for each in course.load().exercises if each.key not in named] == []


def test_every_requirement_of_ai_conformance_has_a_row() -> None:
    assert {row[0].split("`")[1] for row in REQUIREMENTS} == CONFORMANCE


@pytest.mark.parametrize("row", REQUIREMENTS, ids=lambda row: row[0].split("`")[1])
def test_a_requirement_leads_to_an_exercise_or_has_a_reason(row: list[str]) -> None:
    places = re.findall(r"\b\d\d-[a-z-]+(?:/[a-z-]+)?", row[2])
    assert places or row[2].startswith("Not here: ")
    for place in places:
        course.load().find(place)


def test_the_guide_is_there_whole() -> None:
    assert len(ROWS) >= 45
