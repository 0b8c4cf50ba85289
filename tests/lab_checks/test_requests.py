"""Requests that a check tries: a table comes in, the API server's answers are held against it."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lab_checks.engine.api import Answer, Api, ApiUnreachable, NoApi
from lab_checks.engine.verdict import Outcome, Stop
from lab_checks.judging import requests
from lab_checks.judging.requests import ALLOWED, Person, Request
from tests.lab_checks.guards.world import Lists, context

ROSA = Person("rosa", "rosa", "research")
ACCOUNT = Person("a Pod", "system:serviceaccount:research:notebook")
TABLE = requests.Table({"rosa": ROSA}, {"quota": "exceeded quota", "rights": r"cannot \S+ resource"}, {})


class Server:
    """An API server that gives the answers it is told, and notes what it was asked."""

    def __init__(self, *answers: Answer):
        self.answers = list(answers)
        self.asked: list[tuple[str, str, dict[str, Any]]] = []

    def attempt(self, method: str, path: str, body: Any = None, **how: Any) -> Answer:
        self.asked.append((method, path, {"body": body, **how}))
        return self.answers.pop(0)


def sent(request: Request, answer: Answer) -> tuple[Answer, tuple[str, str, dict[str, Any]]]:
    server = Server(answer)
    return requests.send(cast(Api, server), request), server.asked[0]


@pytest.mark.parametrize(
    ("does", "method", "path"),
    [
        ("create pods in research", "POST", "/api/v1/namespaces/research/pods"),
        ("patch deployments.apps api in ai-platform", "PATCH", "/apis/apps/v1/namespaces/ai-platform/deployments/api"),
        ("patch deployments/scale.apps api in ai-platform", "PATCH", "/apis/apps/v1/namespaces/ai-platform/deployments/api/scale"),
        ("delete nodes worker", "DELETE", "/api/v1/nodes/worker"),
        ("create priorityclasses.scheduling.k8s.io", "POST", "/apis/scheduling.k8s.io/v1/priorityclasses"),
        ("create jobqueues.queues.ai-lab.dev in ai-platform", "POST", "/apis/queues.ai-lab.dev/v1/namespaces/ai-platform/jobqueues"),
    ],
)
def test_a_write_is_a_dry_run_under_the_name_of_who_asks(does: str, method: str, path: str) -> None:
    _, (used, where, how) = sent(Request(ROSA, "", does, ALLOWED, {}), Answer(200, {}))
    assert (used, where) == (method, path)
    assert ("dryRun", "All") in how["query"]
    assert (how["user"], how["group"]) == ("rosa", "research")


def test_a_read_is_sent_as_it_is() -> None:
    _, (used, where, how) = sent(Request(ROSA, "", "list pods in research", ALLOWED), Answer(200, {}))
    assert (used, where, how["query"]) == ("GET", "/api/v1/namespaces/research/pods", [])


@pytest.mark.parametrize(
    "does", ["get pods/log in research", "create pods/exec in research", "watch pods in research", "impersonate users mira"]
)
def test_what_cannot_be_tried_without_doing_it_is_asked_of_the_authorizer(does: str) -> None:
    answer, (used, where, how) = sent(Request(ACCOUNT, "", does, "rights"), Answer(201, {"status": {"allowed": False}}))
    assert (used, where) == ("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews")
    assert how["body"]["spec"]["groups"] == ["system:serviceaccounts", "system:serviceaccounts:research", "system:authenticated"]
    assert TABLE.came(answer) == "rights"


def test_who_may_change_what_is_not_there_was_allowed_to() -> None:
    answer, _ = sent(Request(ROSA, "", "delete pods try in research", "rights"), Answer(404, {"message": 'pods "try" not found'}))
    assert answer.allowed
    missing, _ = sent(Request(ROSA, "", "create pods in nowhere", "rights"), Answer(404, {"message": 'namespaces "nowhere" not found'}))
    assert not missing.allowed


@pytest.mark.parametrize(
    ("comes", "answer", "says"),
    [
        (ALLOWED, Answer(403, {"message": "exceeded quota: gpus"}), "a right request is refused"),
        ("quota", Answer(201, {}), "a wrong request is let through"),
        ("quota", Answer(403, {"message": 'User "rosa" cannot create resource "pods"'}), "for another reason than its own"),
    ],
)
def test_another_answer_than_the_tables_is_told_with_the_servers_words(comes: str, answer: Answer, says: str) -> None:
    ctx = context(Lists())
    ctx.api = cast(Api, Server(answer))
    with pytest.raises(Stop) as stop:
        requests.judge(ctx, [Request(ROSA, "a GPU", "create pods in research", comes, {}, expected="this", next="that")], TABLE)
    verdict = stop.value.verdict
    assert verdict.outcome is Outcome.FAILED
    assert says in verdict.headline
    assert (verdict.expected, verdict.next) == ("this", "that")
    assert answer.message in verdict.seen[0].value


def test_an_allowed_object_comes_back_with_what_admission_filled_in() -> None:
    pod = {"spec": {"containers": [{"resources": {"limits": {"memory": "256Mi", "nvidia.com/gpu": "1"}}}]}}
    gets = {"spec.containers.0.resources.limits.memory": "256Mi", "spec.containers.0.resources.limits.[nvidia.com/gpu]": None}
    ctx = context(Lists())
    ctx.api = cast(Api, Server(Answer(201, pod)))
    with pytest.raises(Stop, match="a Pod comes out otherwise"):
        requests.judge(ctx, [Request(ROSA, "a Pod", "create pods in research", ALLOWED, {}, gets)], TABLE)


def test_a_row_that_names_nobody_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "requests.yaml"
    path.write_text("people: {}\nrefusals: {}\nrequests: {one: [{who: rosa, asks: a, does: get pods, comes: allowed}]}\n")
    with pytest.raises(ValueError, match="rosa"):
        requests.table(path)


@pytest.mark.parametrize(
    ("message", "refused"),
    [
        ('Internal error occurred: failed calling webhook "check": connection refused', True),
        ("Internal error occurred: the database is locked", False),
    ],
)
def test_a_webhook_that_does_not_answer_refuses_and_a_server_that_fails_does_not(message: str, refused: bool) -> None:
    class Failing(NoApi):
        def _send(self, *_: Any, **__: Any) -> Any:
            headers = SimpleNamespace(getlist=lambda _name: [])
            response = SimpleNamespace(headers=headers)
            return SimpleNamespace(status=500, reason="Internal Server Error", data=json.dumps({"message": message}), response=response)

    if refused:
        assert Failing().attempt("POST", "/apis/batch/v1/jobs").message == message
    else:
        with pytest.raises(ApiUnreachable, match="500"):
            Failing().attempt("POST", "/apis/batch/v1/jobs")
