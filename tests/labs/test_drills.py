"""Drills on a live cluster: each seed breaks in the promised way, its solution passes, and a restart of everything does not.

`ai-lab dev drill --seeds 1-200` proves as many as one likes; here are ten drills with sixteen faults, six of them with two at once.
"""

from __future__ import annotations

import contextlib
import json
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from lab_checks.drill import assistant, evaluation, proof
from lab_checks.drill.generator import Drill, generate
from lab_checks.engine.api import CommandFailed, shell
from lab_checks.engine.session import Session
from tests.interview.fake_endpoint import fake, says

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600)]

DRILLS = [generate(seed) for seed in (3, 5, 6, 9)] + [generate(seed, 2) for seed in (1, 2, 4, 6, 7, 12)]


def named(drill: Drill) -> str:
    return f"{drill.seed}-{'+'.join(each.fault.id for each in drill.laid)}"


def test_the_drills_differ() -> None:
    assert len({laid.fault.id for drill in DRILLS for laid in drill.laid}) == 16


@pytest.mark.parametrize("drill", DRILLS, ids=named)
def test_a_drill_is_solved_by_its_solution_and_by_no_restart_of_everything(drill: Drill, lab_session: Session) -> None:
    assert [str(each) for each in proof.prove(lab_session, drill, ["both"]) if each.problem] == []


def allowed(question: str, kubeconfig: Path) -> bool:
    with contextlib.suppress(CommandFailed):
        return shell(f"kubectl auth can-i {question}", kubeconfig).strip() == "yes"
    return False


def test_an_assistant_sees_the_evidence_under_an_account_that_can_only_read(lab_session: Session) -> None:
    drill = generate(25)
    laid = drill.laid[0]
    assert laid.fault.id == "no-such-label"

    def reply(handler: BaseHTTPRequestHandler, body: dict[str, Any]) -> None:
        shown = body["messages"][0]["content"]
        lines = [line for line in shown.splitlines() if laid.service.name in line and "didn't match Pod's node affinity/selector" in line]
        command = f"kubectl -n {laid.service.namespace} delete deployment {laid.service.name}"
        said = {"service": laid.service.name, "cause": laid.fault.id, "evidence": lines[-1:], "commands": [command]}
        says(json.dumps(said))(handler, body)

    with evaluation.account(lab_session.api) as kubeconfig:
        assert allowed("list pods -A", kubeconfig)
        assert allowed("get pods --subresource=log -A", kubeconfig)
        assert [
            each
            for each in ("delete pods -A", "patch deployments -A", "get secrets -A", "create pods --subresource=exec -A")
            if allowed(each, kubeconfig)
        ] == []
    with fake(reply) as running:
        session = evaluation.ask(lab_session, running.endpoint, [25], lambda line: None)
    model, found = assistant.replayed(json.dumps(session))
    assert model == "fake"
    assert (found[0].cause, found[0].evidence) == (True, True), session["drills"][0]["reply"]
    # What it proposed was not run, and counts.
    assert found[0].damage == (f"delete deployments/{laid.service.name} in {laid.service.namespace}",)
