"""Records the audit log of the night that lab 12 reads: what a release account and two engineers asked of an API server.

    AI_LAB_HOME=… ai-lab up --cluster embedded
    AI_LAB_HOME=… python tools/record_night.py lab_checks/labs/incident/night.jsonl

The requests are made with kubectl, under the name of the one who made them (impersonation), one after the other. What is written is the API server's own
audit events, one a line, with two changes: their times are moved to the clock of that night, since nobody records for half an hour; and what kubectl reads
of an object before it writes to it is left out, for nobody looked at it.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import clusters
from lab_checks.engine.api import environment, shell

API = "-n ai-platform {} deployment/ai-log-summary-api"
RELEASE, MIRA, TEO = "system:serviceaccount:ci:release-bot", "mira", "teo"
TUNING = "kubectl -n ai-platform scale deployment/nightly-fine-tune --replicas={}"
NIGHT = "2026-03-10T{}+00:00"
# When, who, what; a command that writes is marked, and kubectl's own reads are left out of it.
DEEDS = (
    ("02:07:12", RELEASE, f"kubectl {API.format('set env')} MODEL_PATH=/models/log-classifier-next.safetensors", True),
    ("02:16:40", MIRA, f"kubectl {API.format('rollout restart')}", True),
    ("02:18:05", MIRA, "kubectl -n ai-platform get events", False),
    ("02:18:31", MIRA, "kubectl -n ai-platform get pods", False),
    ("02:20:02", TEO, "kubectl get nodes", False),
    ("02:21:10", TEO, TUNING.format(0), True),
    ("02:24:50", MIRA, "kubectl -n ai-platform get replicasets", False),
    ("02:25:30", MIRA, f"kubectl {API.format('rollout undo')} --to-revision=1", True),
    ("02:31:04", TEO, TUNING.format(1), True),
)
KEPT = (
    "kind", "apiVersion", "level", "stage", "requestURI", "verb", "user", "impersonatedUser", "sourceIPs", "userAgent", "objectRef", "responseStatus",
    "requestObject", "requestReceivedTimestamp", "stageTimestamp",
)  # fmt: skip
SETTLE = 1.5


def _stamp(text: str) -> float:
    return datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def _written(moment: float) -> str:
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _moved(text: str, clock: str) -> str:
    """An event whose body says when it was sent, as a restart's annotation does, on the clock of that night."""
    return re.sub(
        r'(restartedAt[\\": ]+)\d{4}-\d\d-\d\dT[\d:]{8}(?:Z|[+-]\d\d:\d\d)',
        lambda found: found[1] + NIGHT.format(clock).replace("+00:00", "Z"),
        text,
    )


def _prepared(kubeconfig: Path) -> None:
    base = Path(__file__).parents[1] / "manifests"
    shell("kubectl create namespace ai-platform --dry-run=client -o yaml | kubectl apply -f -", kubeconfig)
    shell(f"kubectl apply -k {base / 'base/model-server'}", kubeconfig)
    shell(f"kubectl apply -f {base / '12-incident/three-sessions/fine-tune.yaml'}", kubeconfig)
    for number, who in enumerate((RELEASE, MIRA, TEO)):
        subject = f"--serviceaccount={':'.join(who.split(':')[2:])}" if who.startswith("system:") else f"--user={who}"
        shell(f"kubectl create clusterrolebinding night-{number} --clusterrole=cluster-admin {subject}", kubeconfig)
    shell("kubectl -n ai-platform rollout status deployment/ai-log-summary-api --timeout=90s", kubeconfig)


def main(target: Path) -> None:
    cluster = clusters.in_use()
    if cluster is None:
        sys.exit("no cluster is up: ai-lab up --cluster embedded")
    _prepared(cluster.kubeconfig)
    kept: list[dict[str, Any]] = []
    for clock, who, command, writes in DEEDS:
        began = time.time()
        subprocess.run(
            ["bash", "-c", f"{command} --as={who}"], env={**os.environ, **environment(cluster.kubeconfig)}, check=True, capture_output=True
        )
        time.sleep(SETTLE)
        shift = _stamp(NIGHT.format(clock)) - began
        for event in cluster.audit_log(began):
            if (
                event.get("stage") == "RequestReceived"
                or (event.get("impersonatedUser") or {}).get("username") != who
                or not event.get("objectRef")
            ):
                continue
            if _stamp(event["requestReceivedTimestamp"]) < began or (writes and event["verb"] in ("get", "list", "watch")):
                continue
            moved = {name: _written(_stamp(event[name]) + shift) for name in ("requestReceivedTimestamp", "stageTimestamp")}
            kept.append(json.loads(_moved(json.dumps({name: value for name, value in {**event, **moved}.items() if name in KEPT}), clock)))
    target.write_text("".join(f"{json.dumps(each, separators=(',', ':'))}\n" for each in kept))
    print(f"{len(kept)} events in {target}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
