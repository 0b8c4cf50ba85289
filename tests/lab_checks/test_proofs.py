"""`ai-lab dev check --clusters`: exercises are proved side by side on embedded clusters of their own, which are gone afterwards."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import psutil
import pytest

from lab_checks.authoring import attempts, proofs
from lab_checks.authoring.attempts import Attempt
from lab_checks.authoring.proofs import Line
from lab_checks.engine import course
from lab_checks.engine.api import CommandFailed
from lab_checks.engine.session import Session


def test_a_measurement_of_what_is_not_there_is_a_command_that_failed(tmp_path: Path) -> None:
    session = cast("Session", SimpleNamespace(learner=tmp_path / "kubeconfig", answer=None))
    way = Attempt("cluster-map", "solution", "the solution", ({"measure": """echo '{"load": }'"""},))
    with pytest.raises(CommandFailed, match=r'printed no JSON object: \{"load": \}'):
        attempts.replay(session, course.load().exercises[0], way)


@pytest.mark.cluster
@pytest.mark.timeout(900)
def test_exercises_are_proved_on_clusters_of_their_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    told: list[Line] = []
    proofs.side_by_side(["00-welcome", "00-welcome/cluster-map", "no-such-lab", "00-welcome/first-fix"], 2, told.append)
    assert [(line.about, line.problem) for line in told if line.problem] == [
        ("no-such-lab", "the process that proves it ended; what it said is above")
    ]
    for name in ("cluster-map", "first-fix"):
        assert {"the start", "the solution"} <= {line.what for line in told if line.about == f"00-welcome/{name}"}
    assert list(tmp_path.iterdir()) == []
    assert [
        each.pid for each in psutil.process_iter(["cmdline"]) if any(str(tmp_path) in word for word in each.info["cmdline"] or [])
    ] == []
