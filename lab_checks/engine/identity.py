"""The account under which the course itself acts on a cluster, so that the audit log tells its requests from a learner's.

A ServiceAccount `ai-lab` in kube-system, bound to cluster-admin; its kubeconfig is kept in the state folder and renewed before its token ends. What a
client calls itself, or its field manager, proves nothing: who is connected does.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path

from lab_checks.engine.api import CommandFailed, shell

NAME = "ai-lab"
# How the course creates objects: from stdin, under its own field manager, over what somebody else has set.
APPLY = f"kubectl apply --field-manager={NAME} --server-side --force-conflicts -f -"
NAMESPACE = "kube-system"
# As the API server writes it into the audit log.
USER = f"system:serviceaccount:{NAMESPACE}:{NAME}"

# Seconds that a token is asked for, and those after which a new one is taken.
_LASTS = 24 * 3600
_RENEW = 12 * 3600

_ACCOUNT = {
    "apiVersion": "v1",
    "kind": "List",
    "items": [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": NAME, "namespace": NAMESPACE}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": NAME},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [{"kind": "ServiceAccount", "name": NAME, "namespace": NAMESPACE}],
        },
    ],
}


def kubeconfig(learners: Path, folder: Path, cluster: str, *, renew: bool = False) -> Path:
    """The course's own kubeconfig for the cluster with this id, made with the learner's where there is none yet or its token is about to end.

    With `renew` it is made in any case. Raises CommandFailed where the learner's account may not create the course's, OSError where it cannot be kept.
    """
    path = folder / "course" / f"{cluster}.kubeconfig"
    try:
        if not renew and _same_server(path, learners):
            if time.time() - path.stat().st_mtime < _RENEW:
                return path
            # With its own token, which still holds: the audit log would take the learner's connection for the learner.
            with contextlib.suppress(CommandFailed):
                return with_token(_token(path), learners, path)
    except (OSError, ValueError, LookupError):
        # None yet, or one that cannot be read.
        pass
    return _made(learners, path)


def _made(learners: Path, path: Path) -> Path:
    shell(APPLY, learners, stdin=json.dumps(_ACCOUNT))
    return with_token(_token(learners), learners, path)


def _token(by: Path) -> str:
    """A new token of the account, created by the account of that kubeconfig. Raises CommandFailed."""
    return shell(f"kubectl -n {NAMESPACE} create token {NAME} --duration={_LASTS}s", by).strip()


def with_token(token: str, learners: Path, path: Path) -> Path:
    """Writes a kubeconfig to `path`: this token, at the address of `learners`. Raises CommandFailed, OSError."""
    cluster = json.loads(shell("kubectl config view --minify --raw --flatten -o json", learners))["clusters"][0]["cluster"]
    body = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": NAME,
        "clusters": [{"name": NAME, "cluster": cluster}],
        "users": [{"name": NAME, "user": {"token": token}}],
        "contexts": [{"name": NAME, "context": {"cluster": NAME, "user": NAME}}],
    }
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_suffix(f".{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(body, file)
    fresh.replace(path)
    return path


def _same_server(path: Path, learners: Path) -> bool:
    """Whether the kubeconfig still names the address of the learner's: a cluster that came back may listen on another port."""
    import yaml

    mine = json.loads(path.read_text())["clusters"][0]["cluster"]["server"]
    theirs = yaml.safe_load(learners.read_text())
    context: dict[str, str] = next(
        (each["context"] for each in theirs.get("contexts") or [] if each["name"] == theirs.get("current-context")), {}
    )
    return any(each["cluster"].get("server") == mine for each in theirs.get("clusters") or [] if each["name"] == context.get("cluster"))
