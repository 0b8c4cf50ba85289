"""The course's own account: its token is renewed by itself, so that the learner's connection did nothing."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from lab_checks.engine import identity
from lab_checks.engine.api import CommandFailed

CLUSTER = {"server": "https://127.0.0.1:6443"}


@pytest.fixture
def learners(tmp_path: Path) -> Path:
    path = tmp_path / "kubeconfig"
    context = {"name": "learner", "context": {"cluster": "lab", "user": "learner"}}
    path.write_text(json.dumps({"current-context": "learner", "contexts": [context], "clusters": [{"name": "lab", "cluster": CLUSTER}]}))
    return path


class Kubectl:
    """Answers as kubectl does, and notes with which kubeconfig it was asked."""

    def __init__(self, refuses: Path | None = None):
        self.asked: list[tuple[str, Path]] = []
        self.refuses = refuses

    def __call__(self, command: str, kubeconfig: Path, **_: object) -> str:
        self.asked.append((command.split()[1] if "create token" not in command else "token", kubeconfig))
        if kubeconfig == self.refuses:
            raise CommandFailed(command, 1, "Unauthorized")
        return json.dumps({"clusters": [{"cluster": CLUSTER}]}) if "config view" in command else f"token-{len(self.asked)}\n"


def test_a_token_about_to_end_is_renewed_with_itself(tmp_path: Path, learners: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kubectl = Kubectl()
    monkeypatch.setattr(identity, "shell", kubectl)
    own = identity.kubeconfig(learners, tmp_path, "c1")
    assert ("token", learners) in kubectl.asked

    kubectl.asked.clear()
    assert identity.kubeconfig(learners, tmp_path, "c1") == own
    assert not kubectl.asked
    long_ago = time.time() - 13 * 3600
    os.utime(own, (long_ago, long_ago))
    identity.kubeconfig(learners, tmp_path, "c1")
    assert ("token", own) in kubectl.asked
    assert all(who == own or what == "config" for what, who in kubectl.asked)


def test_where_its_token_is_refused_the_learners_account_makes_a_new_one(
    tmp_path: Path, learners: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(identity, "shell", Kubectl())
    own = identity.kubeconfig(learners, tmp_path, "c1")
    kubectl = Kubectl(refuses=own)
    monkeypatch.setattr(identity, "shell", kubectl)
    long_ago = time.time() - 13 * 3600
    os.utime(own, (long_ago, long_ago))
    identity.kubeconfig(learners, tmp_path, "c1")
    assert ("token", learners) in kubectl.asked
