"""The picture as a widget: what an account may not list is left out, and a cluster that is away is told as such."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from kubeobjects import Object
from lab_checks.engine.api import ApiUnreachable
from lab_checks.face.live.widget import ClusterPicture


def looked_at(refused: str, status: int) -> list[dict[str, Any]]:
    """What the widget is told when it looks and the API server refuses one kind with this HTTP status."""

    def listed(kind: str) -> list[Object]:
        if kind == refused:
            raise ApiUnreachable(f"GET {kind}: {status}", status)
        return []

    session: Any = SimpleNamespace(api=SimpleNamespace(list=listed), away=lambda _problem: SimpleNamespace(what="away", next="up"))
    picture = ClusterPicture(session)
    said: list[dict[str, Any]] = []
    picture.send = said.append
    picture._asked(picture, {"verb": "look"}, None)
    return said


@pytest.mark.parametrize("kind", ["resourceclaims", "resourceslices"])
def test_an_account_that_may_not_read_claims_sees_the_rest(kind: str) -> None:
    assert [(each["kind"], each.get("state")) for each in looked_at(kind, 403)] == [("state", "ready"), ("cluster", None)]


@pytest.mark.parametrize(("kind", "status"), [("pods", 403), ("resourceclaims", 0)])
def test_other_refusals_are_told(kind: str, status: int) -> None:
    assert [(each["kind"], each["state"]) for each in looked_at(kind, status)] == [("state", "down")]
