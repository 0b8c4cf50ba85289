"""A start that is stopped half-way: what was on the cluster before is not judged any more."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import pytest

from kubeobjects import Object
from lab_checks.engine import leftovers
from lab_checks.engine import setup as lesson
from lab_checks.engine.api import Api
from lab_checks.engine.progress import Progress
from tests.lab_checks.guards.world import Lists


class World(Lists):
    def cluster_id(self) -> str:
        return "here"


@pytest.mark.parametrize("made_by_lab", [True, False])
def test_no_exercise_is_on_the_cluster_once_clearing_has_begun(made_by_lab: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(*_: object) -> None:
        raise KeyboardInterrupt

    progress = Progress(tmp_path)
    progress.remember_pristine("here", {"nodes": {}})
    progress.start("03-pending/moved-in", 1, "here", {})
    assert progress.shown("here") == "03-pending/moved-in"
    monkeypatch.setattr(lesson, "_empty", stopped)
    with pytest.raises(KeyboardInterrupt):
        lesson.clean(cast(Api, World()), progress, lambda line: None, lambda question: True, made_by_lab=made_by_lab)
    assert progress.shown("here") == ""


def test_a_cluster_whose_namespace_is_not_the_courses_is_left_alone(tmp_path: Path) -> None:
    progress = Progress(tmp_path)
    progress.start("03-pending/moved-in", 1, "here", {})
    world = World(namespaces=[{"kind": "Namespace", "metadata": {"name": lesson.NAMESPACE}}])
    with pytest.raises(lesson.LessonError, match="was not made by the course"):
        lesson.clean(cast(Api, world), progress, lambda line: None, lambda question: True, made_by_lab=False)
    assert progress.shown("here") == "03-pending/moved-in"


def test_a_deleted_node_is_named_with_how_to_have_it_back() -> None:
    world = World(nodes=[{"kind": "Node", "metadata": {"name": "ai-lab-worker"}, "spec": {}}])
    rules = {"labels": {}, "taints": [], "unschedulable": False, "faults": {}}
    with pytest.raises(lesson.LessonError, match=r"node ai-lab-worker3 was deleted.*ai-lab down, then ai-lab up"):
        lesson._restore_nodes(cast(Api, world), {"nodes": {"ai-lab-worker": rules, "ai-lab-worker3": rules}})


class Rights(World):
    """Answers for the cluster's roles and bindings."""

    def __init__(self, *objects: Object):
        self.rights = objects

    def raw(self, path: str, *, accept: str = "") -> Object | None:
        kind = {"clusterroles": "ClusterRole", "clusterrolebindings": "ClusterRoleBinding"}[path.rpartition("/")[2]]
        return {"items": [each for each in self.rights if each["kind"] == kind]}

    @property
    def kubeconfig(self) -> Path:
        return Path("kubeconfig")


def test_roles_that_kubernetes_brings_along_are_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    def role(name: str, **more: Any) -> Object:
        own = {"labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}} if name != "teams" else {}
        return {"kind": "ClusterRole", "metadata": {"name": name, "uid": "1", **own}, **more}

    def binding(to: str) -> Object:
        made = {"name": "system:basic-user", "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}}
        return {"kind": "ClusterRoleBinding", "metadata": made, "roleRef": {"name": to}}

    edit = role("edit", aggregationRule={"clusterRoleSelectors": []}, rules=[{"verbs": ["get"]}])
    before = Rights(edit, role("view", rules=[{"verbs": ["get"]}]), role("teams", rules=[]), binding("basic"))
    first = {"rights": lesson._built_in_rights(cast(Api, before))}
    assert sorted(first["rights"]) == ["clusterrolebindings/system:basic-user", "clusterroles/edit", "clusterroles/view"]
    done: list[str] = []
    monkeypatch.setattr(lesson, "shell", lambda line, kubeconfig, stdin="": done.append(line))
    # The rules of an aggregated role are a controller's, and no change.
    same = Rights(role("edit", aggregationRule={"clusterRoleSelectors": []}), role("view", rules=[{"verbs": ["get"]}]), binding("basic"))
    lesson._restore_rights(cast(Api, same), first, lambda line: None)
    assert done == []
    said: list[str] = []
    lesson._restore_rights(cast(Api, Rights(role("view", rules=[{"verbs": ["*"]}]), binding("other"))), first, said.append)
    assert said == ["restoring clusterroles/edit", "restoring clusterroles/view", "restoring clusterrolebindings/system:basic-user"]
    create, replace = (f"kubectl {verb} --field-manager=ai-lab -f -" for verb in ("create", "replace"))
    assert done == [create, replace, "kubectl delete clusterrolebindings/system:basic-user", create]


def test_a_namespace_that_an_exercise_shares_is_left_alone_where_it_is_not_the_courses(tmp_path: Path) -> None:
    ours = {"kind": "Namespace", "metadata": {"name": lesson.NAMESPACE, "labels": {lesson.LABEL: "true"}}}
    world = World(namespaces=[ours, {"kind": "Namespace", "metadata": {"name": "research"}}])
    with pytest.raises(lesson.LessonError, match="namespace research of this cluster was not made by the course"):
        lesson.clean(cast(Api, world), Progress(tmp_path), lambda line: None, lambda question: True, keep=("research",), made_by_lab=False)


def test_what_an_exercise_asks_for_is_taken_away_without_a_question() -> None:
    asks = leftovers.asked_for(
        {
            "clusterroles/*": ("create",),
            "priorityclasses/serving": ("*",),
            "daemonsets/kube-system/*": ("create",),
            "deployments/api": ("image",),
        }
    )
    assert asks(("clusterroles", "team-deploys"))
    assert asks(("priorityclasses", "serving"))
    assert asks(("daemonsets", "kube-system/plugin"))
    assert not asks(("clusterrolebindings", "team-deploys"))
    assert not asks(("priorityclasses", "payroll"))
    assert not asks(("deployments", "api"))


@pytest.mark.parametrize(
    ("labels", "taken"),
    [
        ({lesson.LABEL: "true", "kubernetes.io/metadata.name": "ai-platform", "team": "ai-platform"}, ""),
        (
            {lesson.LABEL: "true", "pod-security.kubernetes.io/enforce": "restricted", "mine": "yes"},
            "mine- pod-security.kubernetes.io/enforce-",
        ),
    ],
)
def test_a_label_that_an_exercise_put_on_a_namespace_is_gone_at_the_next_start(
    labels: dict[str, str], taken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    ran: list[str] = []
    monkeypatch.setattr(lesson, "shell", lambda line, *_, **__: ran.append(line))
    world = World(namespaces=[{"kind": "Namespace", "metadata": {"name": "ai-platform", "labels": labels}}])
    monkeypatch.setattr(world, "kubeconfig", Path("kubeconfig"), raising=False)
    lesson._namespace(cast(Api, world), "ai-platform")
    assert ran == ([f"kubectl label namespace ai-platform {taken} --field-manager=ai-lab"] if taken else [])
