"""`ai-lab watch`: a fix is seen without another command, and the pass ends it."""

from __future__ import annotations

import asyncio
import subprocess
from itertools import pairwise
from pathlib import Path

import pytest

from lab_checks.engine import course
from lab_checks.engine.session import Session
from lab_checks.engine.verdict import Verdict
from lab_checks.face.live import by_itself
from tests.cli.test_command import run
from tests.conftest import BIN

FIX = '{"spec":{"template":{"spec":{"tolerations":[{"key":"nvidia.com/gpu","operator":"Exists","effect":"NoSchedule"}]}}}}'


def test_without_a_cluster_it_says_how_to_get_one(tmp_path: Path) -> None:
    done = run(tmp_path, "watch", "03-pending/moved-in")
    assert done.returncode == 5
    assert "next: ai-lab up" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.cluster
@pytest.mark.timeout(300)
async def test_a_fix_turns_green_by_itself(tmp_path: Path) -> None:
    home = tmp_path / "home"
    up = await asyncio.to_thread(run, home, "up", "--cluster", "embedded")
    assert up.returncode == 0, up.stderr
    told: list[Verdict] = []
    heard = asyncio.Event()

    def tell(found: Verdict) -> None:
        told.append(found)
        heard.set()

    try:
        session, exercise = Session(home), course.load().lab("03-pending").exercise("moved-in")
        await asyncio.to_thread(session.start, exercise)
        watching = asyncio.create_task(by_itself.until_passed(session, exercise, tell))
        async with asyncio.timeout(120):
            await heard.wait()
        assert not told[0].passed
        await asyncio.to_thread(session.diagnose, exercise, "taint-not-tolerated", "3 node(s) had untolerated taint(s)")
        patch = ["-n", "ai-platform", "patch", "deployment", "ai-log-summary-api", "--patch", FIX]
        kubectl = [str(BIN / "kubectl"), "--kubeconfig", str(session.learner), *patch]
        await asyncio.to_thread(subprocess.run, kubectl, check=True, capture_output=True, timeout=60)
        async with asyncio.timeout(180):
            found = await watching
        assert found.passed
        assert told[-1].passed
        # The same line is never said twice in a row, and only the pass counts as a check.
        lines = [(each.mark, each.headline) for each in told]
        assert all(one != other for one, other in pairwise(lines))
        assert session.progress.standing(exercise.key).tries == 1
    finally:
        await asyncio.to_thread(run, home, "down")
