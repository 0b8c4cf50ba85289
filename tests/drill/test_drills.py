"""Drills on a live cluster: each seed breaks in the promised way, its solution passes, and a restart of everything does not.

`ai-lab dev drill --seeds 1-200` proves as many as one likes; here are ten that differ, two of them with two faults.
"""

from __future__ import annotations

import pytest

from lab_checks.drill import proof
from lab_checks.drill.generator import Drill, generate
from lab_checks.engine.session import Session
from tests.labs.conftest import lab_session

__all__ = ["lab_session"]

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.xdist_group("drills")]

DRILLS = [generate(seed) for seed in (2, 9, 10, 13, 15, 18, 21, 25)] + [generate(seed, 2) for seed in (1, 4)]


def named(drill: Drill) -> str:
    return f"{drill.seed}-{'+'.join(each.fault.id for each in drill.laid)}"


@pytest.mark.parametrize("drill", DRILLS, ids=named)
def test_a_drill_is_solved_by_its_solution_and_by_no_restart_of_everything(drill: Drill, lab_session: Session) -> None:
    assert [str(each) for each in proof.prove(lab_session, drill) if each.problem] == []
