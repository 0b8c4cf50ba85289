"""Expressions: Kubernetes' own functions, and errors in the words of a kube-apiserver."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from clusters.embedded import cel
from clusters.embedded.cel.library import authorization

CASES = yaml.safe_load((Path(__file__).parent / "expressions.yaml").read_text())
VARIABLES = (("object", "dyn"), ("authorizer", "Authorizer"))
OBJECT = {"spec": {"replicas": 3, "containers": [{"name": "main", "resources": {"limits": {"nvidia.com/gpu": "1"}}}]}}


def evaluate(text: str) -> Any:
    return cel.compiled(text, VARIABLES).evaluate({"object": OBJECT, "authorizer": authorization.authorizer()})


@pytest.mark.parametrize("text", CASES["true"])
def test_what_holds(text: str) -> None:
    assert evaluate(text) is True


@pytest.mark.parametrize(("text", "says"), CASES["evaluation errors"].items())
def test_what_gives_no_value(text: str, says: str) -> None:
    with pytest.raises(cel.EvaluationError) as failed:
        evaluate(text)
    assert str(failed.value) == says


@pytest.mark.parametrize(("text", "says"), CASES["compile errors"].items())
def test_what_is_no_expression(text: str, says: str) -> None:
    with pytest.raises(cel.CompileError) as failed:
        evaluate(text)
    assert str(failed.value) == says.rstrip("\n")


@pytest.mark.parametrize(("text", "kind"), CASES["types"].items())
def test_what_an_expression_gives_is_known_before_it_is_evaluated(text: str, kind: str) -> None:
    assert cel.compiled(text, VARIABLES).returns == kind


def test_a_check_is_answered_by_who_is_asked() -> None:
    asked = []

    def authorize(attributes: dict[str, str]) -> tuple[bool, str]:
        asked.append(attributes)
        return attributes["verb"] == "create", "a rule"

    check = 'authorizer.serviceAccount("ai", "server").group("apps").resource("deployments").namespace("ai").name("api")'
    with authorization.asked_of(authorize):
        assert evaluate(f'{check}.check("create").allowed()') is True
        assert evaluate(f'{check}.subresource("scale").check("delete").allowed()') is False
        assert evaluate('authorizer.path("/healthz").check("get").reason()') == "a rule"
    what = {"account": "ai/server", "group": "apps", "resource": "deployments", "namespace": "ai", "name": "api"}
    assert asked[0] == {**what, "verb": "create"}
    assert asked[1] == {**what, "subresource": "scale", "verb": "delete"}
    assert asked[2] == {"path": "/healthz", "verb": "get"}
