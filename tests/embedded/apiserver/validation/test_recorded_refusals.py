"""Refusals that a real server was seen to make, word for word."""

from __future__ import annotations

import pytest
import yaml

from clusters.embedded.errors import ApiError
from tests.embedded.apiserver.semantics import RECORDINGS, as_kubectl_shows, lab, recorded

SCENARIOS = RECORDINGS.parent / "scenarios"


def manifest(scenario: str, name: str) -> str:
    """What the scenario's step for the object called `name` hands to kubectl."""
    steps = yaml.safe_load((SCENARIOS / f"{scenario}.yaml").read_text())["steps"]
    texts = [step["stdin"] for step in steps if isinstance(step, dict) and "stdin" in step]
    return next(text for text in texts if yaml.safe_load(text)["metadata"]["name"] == name)


async def refusal(text: str) -> list[str]:
    with pytest.raises(ApiError) as refused:
        await lab().create(text)
    return as_kubectl_shows(refused.value)


@pytest.mark.parametrize("name", ["half", "uneven", "request-only", "upside-down"])
async def test_a_gpu_request_that_breaks_the_rules_is_refused_as_recorded(name: str) -> None:
    shown = await refusal(manifest("gpu-requests-invalid", name))

    lines = recorded("gpu-requests-invalid")
    start = next(index for index, line in enumerate(lines) if line.startswith(f'The Pod "{name}"'))
    assert shown == lines[start : start + len(shown)]


@pytest.mark.parametrize("name", ["mismatch", "Bad_Name", "port"])
async def test_a_workload_with_a_mistake_is_refused_as_recorded(name: str) -> None:
    shown = await refusal(manifest("apply-semantics", name))

    lines = recorded("apply-semantics")
    start = next(index for index, line in enumerate(lines) if f'"{name}" is invalid' in line)
    assert shown == lines[start : start + len(shown)]


async def test_the_selector_of_a_deployment_cannot_change() -> None:
    cluster = lab()
    stored = await cluster.create(manifest("apply-semantics", "api"))
    other = {"spec": {"selector": {"matchLabels": {"app": "other"}}, "template": {"metadata": {"labels": {"app": "other"}}}}}

    with pytest.raises(ApiError) as refused:
        cluster.update(stored, other)

    assert as_kubectl_shows(refused.value)[0] in recorded("apply-semantics")


async def test_a_node_port_outside_the_range_is_refused_as_recorded() -> None:
    shown = await refusal(manifest("services", "nodeport"))

    assert shown[0] in recorded("services")
