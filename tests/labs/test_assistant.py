"""What an assistant is told: live evidence with every secret masked, and what was masked."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from lab_checks.engine import course
from lab_checks.engine.api import shell
from lab_checks.engine.session import Session
from lab_checks.face import assistant
from lab_checks.face.assistant import Assistant
from lab_checks.interview import mock, report
from tests.lab_checks.masking_corpus import Planted

LAB = course.load().lab("04-not-ready")
NAMESPACE = "planted"
# Where each secret is planted; none of them opens anything.
SECRETS = {
    "env": "env-Hunter2-aa17",
    "args": "args-Zebra3-bb28",
    "annotation": "note-Falcon4-cc39",
    "log": "log-Heron5-dd40",
    "url": "url@Otter6-ee51",
    "provider": "".join(["h", "f_", "Qw3rTy7UiOp9AsDf2GhJk4LzXcVbNm8QwE"]),
    "configmap": "map-Lynx7-ff62",
    "secret": "own-Moose8-gg73",
    "mail": "mira.lang@otterpost.org",
    "address": "2001:db8:17::4a2b",
}
PRINTS = f"""
print("connecting to amqp://app:{SECRETS["url"]}@mq.internal:5672/x", flush=True)
print("Authorization: Bearer  {SECRETS["log"]}", flush=True)
print("upstream refused {SECRETS["provider"]} of {SECRETS["mail"]} from [{SECRETS["address"]}]:8080", flush=True)
print("loaded model log-summary-v2 tokens_per_second=41 max_tokens=512", flush=True)
import time
time.sleep(600)
"""
OBJECTS = [
    {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE, "labels": {"ai-lab.dev/course": "true"}}},
    {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "web", "namespace": NAMESPACE, "annotations": {"ops.example.com/webhook-token": SECRETS["annotation"]}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "web",
                    "image": "python:3.12-slim",
                    "command": ["python", "-c", PRINTS],
                    "args": ["--admin-password", SECRETS["args"]],
                    "env": [{"name": "DB_PASS", "value": SECRETS["env"]}, {"name": "MODEL_NAME", "value": "log-summary-v2"}],
                }
            ],
        },
    },
    {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "app", "namespace": NAMESPACE},
        "data": {"app.ini": f"[redis]\nhost = cache\npassword = {SECRETS['configmap']}\n"},
    },
    {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "paint", "namespace": NAMESPACE},
        "stringData": {"colour": SECRETS["secret"]},
    },
]
EVIDENCE = [
    f"kubectl -n {NAMESPACE} describe pod web",
    f"kubectl -n {NAMESPACE} get pod web -o yaml",
    f"kubectl -n {NAMESPACE} get pod web -o json",
    f"kubectl -n {NAMESPACE} logs web",
    f"kubectl -n {NAMESPACE} describe configmap app",
    f"kubectl -n {NAMESPACE} get secret paint -o yaml",
    f"kubectl -n {NAMESPACE} get secret paint -o json",
    f"kubectl -n {NAMESPACE} exec web -- env",
]


@pytest.fixture
def planted(lab_session: Session) -> Iterator[Session]:
    """A namespace full of secrets, applied with kubectl so that the last-applied annotations hold them once more."""
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": OBJECTS})
    kubeconfig = lab_session.learner
    shell("kubectl apply -f -", kubeconfig, stdin=text, timeout=60)
    try:
        shell(f"kubectl -n {NAMESPACE} wait --for=condition=Ready pod/web --timeout=60s", kubeconfig, timeout=90)
        shell(f"until kubectl -n {NAMESPACE} logs web | grep -q 'loaded model'; do sleep 0.2; done", kubeconfig, timeout=90)
        yield lab_session
    finally:
        shell(f"kubectl delete namespace {NAMESPACE}", kubeconfig, timeout=60)


@pytest.mark.cluster
def test_no_planted_secret_reaches_a_prompt(planted: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "manifests" / LAB.id
    folder.mkdir(parents=True)
    rows = "".join(f"[[evidence]]\nrun = {json.dumps(each)}\n" for each in EVIDENCE)
    (folder / "assistant.toml").write_text(f'prompt = "Why is the Pod slow?"\n{rows}')
    monkeypatch.setattr(assistant.paths, "root", lambda: tmp_path)
    built = Assistant(planted, LAB).build()
    encoded = {"secret in base64": base64.b64encode(SECRETS["secret"].encode()).decode()}
    told = {where: part for where, secret in (SECRETS | encoded).items() if (part := Planted(where, secret, secret).leaks(built.text))}
    assert told == {}
    assert "last-applied-configuration" in built.text
    for needed in (
        "MODEL_NAME:  log-summary-v2",
        "tokens_per_second=41 max_tokens=512",
        "/var/run/secrets/kubernetes.io/serviceaccount",
        "python:3.12-slim",
        "name: paint",
    ):
        assert needed in built.text
    notice = built.text.split("--- begin data:")[0]
    assert f"Masked below: {built.summary()}" in notice
    assert {"secret", "token", "credentials", "email", "address"} <= set(built.masked)


def test_an_interview_report_hides_what_an_answer_quotes(tmp_path: Path) -> None:
    answers = [f"I would look at the log: DB_PASSWORD={SECRETS['env']} from 10.244.1.7", *[""] * 4]
    path = report.write(mock.judge("7", answers), answers, tmp_path / report.NAME)
    text = path.read_text()
    assert SECRETS["env"] not in text
    assert "10.244.1.7" not in text
    assert "Masked in this report: 1 x address, 1 x secret." in text
