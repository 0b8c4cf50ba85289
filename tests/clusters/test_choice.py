"""Which cluster `auto` takes, and what it says about the other one."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import clusters
from clusters.base import ClusterStatus
from clusters.current import CurrentCluster
from clusters.embedded.provider import EmbeddedCluster
from clusters.kind.provider import KindCluster


@pytest.fixture
def kind_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, *rest: f"/usr/bin/{name}")


def test_without_kind_it_is_the_embedded_cluster_with_one_line_on_what_kind_would_take(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "which", lambda name, *rest: None)
    chosen, why = clusters.choose(tmp_path)
    assert isinstance(chosen, EmbeddedCluster)
    assert "kind is not installed" in why
    assert len(why.splitlines()) == 1
    clusters.remember(chosen, tmp_path)
    assert clusters.choose(tmp_path)[1] == "", "it was said once"


def test_kind_that_would_have_to_fetch_is_not_taken_unasked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind_here: None) -> None:
    monkeypatch.setattr(KindCluster, "can_start_at_once", lambda self: "the node image is missing: about 420 MB to fetch")
    chosen, why = clusters.choose(tmp_path)
    assert isinstance(chosen, EmbeddedCluster)
    assert "420 MB to fetch; ai-lab up --cluster kind" in why
    clusters.remember(chosen, tmp_path)
    assert clusters.choose(tmp_path)[1] == why, "both could be had"


def test_kind_that_can_start_at_once_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind_here: None) -> None:
    monkeypatch.setattr(KindCluster, "can_start_at_once", lambda self: "")
    chosen, why = clusters.choose(tmp_path)
    assert isinstance(chosen, KindCluster)
    assert why == ""
    assert not chosen.may_fetch, "nobody asked for it by name"
    assert clusters.get("kind", tmp_path).may_fetch


def test_the_cluster_that_is_up_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind_here: None) -> None:
    monkeypatch.setattr(KindCluster, "can_start_at_once", lambda self: "")
    monkeypatch.setattr(EmbeddedCluster, "status", lambda self: ClusterStatus("embedded", "ready"))
    clusters.remember(clusters.get("embedded", tmp_path), tmp_path)
    assert isinstance(clusters.choose(tmp_path)[0], EmbeddedCluster)


def test_a_context_in_use_is_kept_and_no_other_one_taken_over(tmp_path: Path) -> None:
    clusters.remember(clusters.get("current", tmp_path), tmp_path)
    found = clusters.in_use(tmp_path)
    assert isinstance(found, CurrentCluster)
    assert found._keep


def test_a_name_that_is_none_is_answered_with_the_names(tmp_path: Path) -> None:
    with pytest.raises(clusters.ClusterError, match="auto, embedded, kind, current"):
        clusters.get("openshift", tmp_path)
