"""What a security context makes of a container's capabilities."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.kubelet.capabilities import DEFAULT, NAMES, of


@pytest.mark.parametrize(
    ("security", "expected"),
    [
        ({}, DEFAULT),
        ({"capabilities": {"drop": ["ALL"]}}, frozenset()),
        ({"capabilities": {"drop": ["ALL"], "add": ["NET_BIND_SERVICE"]}}, {"NET_BIND_SERVICE"}),
        ({"capabilities": {"add": ["cap_sys_ptrace"], "drop": ["CHOWN"]}}, (DEFAULT | {"SYS_PTRACE"}) - {"CHOWN"}),
        ({"capabilities": {"add": ["ALL"], "drop": ["SYS_ADMIN"]}}, set(NAMES) - {"SYS_ADMIN"}),
        ({"capabilities": {"add": ["NO_SUCH"]}}, DEFAULT),
        ({"privileged": True, "capabilities": {"drop": ["ALL"]}}, set(NAMES)),
    ],
)
def test_capabilities_are_those_that_containerd_would_give(security: dict[str, Any], expected: set[str]) -> None:
    assert of(security) == expected


def test_the_default_is_the_number_that_every_container_shows() -> None:
    assert sum(1 << NAMES.index(name) for name in DEFAULT) == 0xA80425FB
