"""A cluster that the lab did not make: the course writes in its own namespaces and nowhere else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import clusters
from lab_checks.engine import course
from lab_checks.engine.api import shell
from lab_checks.engine.session import Session
from lab_checks.engine.setup import LABEL, LessonError

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(180)]


class Borrowed:
    """The test's cluster, as a context of somebody else's: everything as it is, but not the lab's to put right."""

    made_by_lab = False

    def __init__(self, cluster: clusters.Cluster):
        self._cluster = cluster

    def __getattr__(self, name: str) -> Any:
        return getattr(self._cluster, name)


@pytest.fixture
def guest(lab_session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Session:
    borrowed = Borrowed(lab_session.cluster)
    monkeypatch.setattr(Session, "cluster", property(lambda _: borrowed))
    return Session(tmp_path)


def versions(session: Session) -> dict[str, str]:
    """What belongs to the cluster: specs and labels of its nodes, and the GPU plugin's generation."""
    nodes = {each["metadata"]["name"]: f"{each['spec']} {each['metadata']['labels']}" for each in session.api.list("nodes")}
    plugin = session.api.get("daemonsets", "nvidia-device-plugin-daemonset", "kube-system")
    assert plugin
    return nodes | {"plugin": f"{plugin['metadata']['uid']} {plugin['metadata']['generation']}"}


def test_an_exercise_in_its_own_namespace_is_laid_and_nothing_else_is_written(guest: Session) -> None:
    shell("kubectl label node ai-lab-worker mine=yes --overwrite", guest.learner)
    before = versions(guest)
    exercise = course.load().lab("03-pending").exercise("moved-in")
    guest.start(exercise)
    assert not guest.check(exercise, patience=0).passed
    guest.reset(course.load().lab("03-pending"))
    assert guest.api.list("deployments", "ai-platform") == []
    assert versions(guest) == before
    shell("kubectl label node ai-lab-worker mine-", guest.learner)


def test_an_exercise_that_takes_the_plugin_away_is_refused(guest: Session) -> None:
    before = versions(guest)
    with pytest.raises(LessonError, match="not made by the course"):
        guest.start(course.load().lab("03-pending").exercise("rebuilt-nodes"))
    assert versions(guest) == before


def test_an_exercise_that_creates_what_the_whole_cluster_shares_is_refused(guest: Session) -> None:
    with pytest.raises(LessonError, match="creates a ValidatingAdmissionPolicy, which the whole cluster shares"):
        guest.start(course.load().lab("07-guardrails").exercise("refused"))
    assert guest.api.list("validatingadmissionpolicies") == []


def test_a_namespace_of_that_name_that_is_somebody_elses_is_not_emptied(guest: Session) -> None:
    kubeconfig = guest.learner
    shell(f"kubectl label namespace ai-platform {LABEL}-", kubeconfig)
    shell("kubectl -n ai-platform create configmap payroll --from-literal=a=b", kubeconfig)
    try:
        with pytest.raises(LessonError, match="kubectl label namespace"):
            guest.start(course.load().lab("03-pending").exercise("moved-in"))
        assert guest.api.get("configmaps", "payroll", "ai-platform")
    finally:
        shell(f"kubectl label namespace ai-platform {LABEL}=true", kubeconfig)
        shell("kubectl -n ai-platform delete configmap payroll", kubeconfig)
