"""Drills on a live cluster: each seed breaks in the promised way, its solution passes, and a restart of everything does not.

`ai-lab dev drill --seeds 1-200` proves as many as one likes; here are ten drills with sixteen faults, six of them with two at once.
"""

from __future__ import annotations

import pytest

from lab_checks.drill import proof
from lab_checks.drill.generator import Drill, generate
from lab_checks.engine.session import Session
from tests.labs.conftest import lab_session

__all__ = ["lab_session"]

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(600), pytest.mark.xdist_group("drills")]

DRILLS = [generate(seed) for seed in (3, 5, 6, 9)] + [generate(seed, 2) for seed in (1, 2, 4, 6, 7, 12)]


def named(drill: Drill) -> str:
    return f"{drill.seed}-{'+'.join(each.fault.id for each in drill.laid)}"


def test_the_drills_differ() -> None:
    assert len({laid.fault.id for drill in DRILLS for laid in drill.laid}) == 16


@pytest.mark.parametrize("drill", DRILLS, ids=named)
def test_a_drill_is_solved_by_its_solution_and_by_no_restart_of_everything(drill: Drill, lab_session: Session) -> None:
    assert [str(each) for each in proof.prove(lab_session, drill, ["both"]) if each.problem] == []
