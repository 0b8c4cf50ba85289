"""What is stored and has no effect is told to whoever creates it."""

from __future__ import annotations

import pytest

from clusters.embedded.apiserver import effects
from clusters.embedded.resources import by_name


@pytest.mark.parametrize(("dry_run", "told"), [(False, 1), (True, 0)])
def test_what_has_no_effect_is_stored_with_a_warning(dry_run: bool, told: int) -> None:
    warnings: list[str] = []
    effects.tell(by_name()["certificatesigningrequests.certificates.k8s.io"], {"spec": {}}, dry_run, warnings)
    assert sum("gets no certificate" in each for each in warnings) == told


def test_every_kind_that_is_told_of_is_served() -> None:
    assert effects._WARNED.keys() <= by_name().keys()
