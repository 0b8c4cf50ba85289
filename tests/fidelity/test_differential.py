"""The embedded API server answers to the letter what a real one answered: a request of each class, with its recorded answer."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import start_cluster, stop_cluster
from tests.fidelity import differential

RECORDED = Path(__file__).parent / "data" / "differential.jsonl.gz"
# Cases that may differ, and why.
_DRAWN = "the real server walks a Go map, whose order it draws, and stops at the first field that is not declared"
MAY_DIFFER = {
    "1001-337": _DRAWN,
    "1001-1547": _DRAWN,
    "1001-2465": _DRAWN,
}

pytestmark = pytest.mark.cluster


@pytest.fixture(scope="module")
def server() -> Iterator[differential.Server]:
    """A cluster that has no other objects than a new one has."""
    state = Path(tempfile.mkdtemp(prefix="ai-lab-differential-"))
    process = start_cluster(state)
    try:
        yield differential.Server(state / "kubeconfig")
    finally:
        stop_cluster(process)
        shutil.rmtree(state, ignore_errors=True)


def test_requests_of_every_class_get_the_real_answer(server: differential.Server) -> None:
    cases = differential.read(RECORDED)
    found = [f"{case['id']} {case['method']} {case['path']}: {what}" for case, what in differential.compare(server, cases)]
    unexpected = [line for line in found if line.split()[0] not in MAY_DIFFER]
    assert not unexpected, f"{len(unexpected)} of {len(cases)} answers differ:\n" + "\n".join(unexpected[:20])


def test_a_sample_has_one_case_of_a_class() -> None:
    cases = differential.read(RECORDED)
    assert len({differential.class_of(case) for case in cases}) == len(cases)
    assert differential.sample([*cases, *cases]) == cases


def test_a_difference_says_what_was_real_and_what_is_here() -> None:
    real = {"code": 201, "warnings": [], "object": {"spec": {"replicas": 1}}}
    assert differential.difference(real, real) == ""
    assert differential.difference(real, {**real, "warnings": ["w"]}) == 'warnings: real [], here ["w"]'
    refused = {"code": 422, "warnings": [], "status": {"reason": "Invalid", "message": "spec.x: no", "causes": []}}
    assert differential.difference(real, refused) == "code: real 201, here 422\n  here: spec.x: no"
