"""Asking an assistant at drills on a live cluster: a read-only account looks, the endpoint answers, and the session is recorded."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from lab_checks import endpoint
from lab_checks.drill import assistant
from lab_checks.drill.desk import Desk
from lab_checks.drill.generator import VERSION, Drill, generate
from lab_checks.engine import identity, setup
from lab_checks.engine.api import Api, CommandFailed, shell
from lab_checks.engine.context import NAMESPACE
from lab_checks.engine.session import Session
from lab_checks.redact import redact

_NAME = "drill-assistant"
# What the account may read: no Secrets, no ConfigMaps, and nothing may be written.
_RULES = [
    {
        "apiGroups": [""],
        "resources": [
            "pods",
            "pods/log",
            "events",
            "services",
            "endpoints",
            "nodes",
            "resourcequotas",
            "persistentvolumeclaims",
            "replicationcontrollers",
        ],
        "verbs": ["get", "list", "watch"],
    },
    {"apiGroups": ["apps"], "resources": ["deployments", "replicasets", "daemonsets", "statefulsets"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["get", "list", "watch"]},
    {"apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get", "list", "watch"]},
]
# Seconds for a reply to a long prompt on a small machine.
_PATIENCE = 180.0


@contextmanager
def account(api: Api) -> Iterator[Path]:
    """The kubeconfig of an account that may read and not write, while it is needed; it carries the course's label and goes with everything else."""
    labels = {setup.LABEL: "true"}
    items = [
        {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": _NAME, "namespace": NAMESPACE}},
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": _NAME, "labels": labels},
            "rules": _RULES,
        },
        {
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": _NAME, "labels": labels},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": _NAME},
            "subjects": [{"kind": "ServiceAccount", "name": _NAME, "namespace": NAMESPACE}],
        },
    ]
    shell(identity.APPLY, api.kubeconfig, stdin=json.dumps({"apiVersion": "v1", "kind": "List", "items": items}))
    token = shell(f"kubectl -n {NAMESPACE} create token {_NAME} --duration=3600s", api.kubeconfig).strip()
    with tempfile.TemporaryDirectory(prefix="ai-lab-assistant-") as folder:
        yield identity.with_token(token, api.kubeconfig, Path(folder) / "kubeconfig")


def looked(api: Api, drill: Drill) -> dict[str, str]:
    """What the read-only account sees of a drill, by command; a command that fails shows its error."""
    found = {}
    with account(api) as kubeconfig:
        for command in (*assistant.looks(drill), *assistant.server_logs(drill)):
            try:
                found[command] = shell(command, kubeconfig, timeout=60)
            except CommandFailed as problem:
                found[command] = str(problem)
    return found


def ask(session: Session, where: endpoint.Endpoint, seeds: Iterable[int], tell: Callable[[str], None]) -> dict[str, Any]:
    """The session of one assistant at the drills of these seeds. Raises EndpointError, LessonError."""
    drills = []
    for seed in seeds:
        drill = generate(seed)
        tell(f"drill {seed}")
        Desk(session).start(drill)
        # Masked before it leaves the machine, and judged by what was sent.
        shown = redact(assistant.prompt(drill, looked(session.api, drill))).text
        reply = endpoint.ask(where, [{"role": "user", "content": shown}], assistant.SCHEMA, _PATIENCE)
        drills.append({"seed": seed, "shown": shown, "reply": reply})
    Desk(session).end()
    return {"generator": VERSION, "model": where.model, "drills": drills}
