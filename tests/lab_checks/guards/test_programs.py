"""What a container runs: its commands out of shells and wrappers, and what makes the program another one."""

from __future__ import annotations

from typing import Any

import pytest

from lab_checks.judging import guards
from tests.lab_checks.guards.world import deployment, said

OWNER = deployment()


@pytest.mark.parametrize(
    ("container", "runs"),
    [
        ({"command": ["nvidia-smi"]}, True),
        ({"args": ["nvidia-smi", "-L"]}, True),
        ({"command": ["/usr/bin/nvidia-smi"]}, True),
        ({"command": ["timeout", "10", "nvidia-smi"]}, True),
        ({"command": ["sh", "-c", "nvidia-smi; sleep 5"]}, True),
        ({"command": ["bash", "-ec"], "args": ["date && exec nvidia-smi"]}, True),
        ({"command": ["sh", "-c"], "args": ["(nvidia-smi | head -20)"]}, True),
        ({}, False),
        ({"command": ["/tmp/nvidia-smi"]}, False),
        ({"command": ["echo", "nvidia-smi"]}, False),
        ({"command": ["sh", "-c", "echo 'nvidia-smi; Tesla T4'"]}, False),
        ({"command": ["sh", "-c", "cat /v/p # nvidia-smi"]}, False),
        ({"command": ["sh", "-c", "it's broken nvidia-smi"]}, False),
    ],
)
def test_a_program_runs_where_it_is_a_command_and_no_word_of_one(container: dict[str, Any], runs: bool) -> None:
    assert guards.runs(container, "nvidia-smi") is runs


@pytest.mark.parametrize(
    ("path", "says"), [("/usr/bin", "lies over"), ("/app/model_server", "lies over"), ("/", "lies over"), ("/data", ""), ("/tmp/x", "")]
)
def test_a_volume_over_the_programs_files_is_told(path: str, says: str) -> None:
    heard = said(guards.nothing_over_the_program, {"name": "c", "volumeMounts": [{"name": "v", "mountPath": path}]}, OWNER)
    assert (says in heard) if says else not heard


@pytest.mark.parametrize(
    ("name", "says"),
    [("LD_PRELOAD", "LD_PRELOAD"), ("PATH", "PATH"), ("NVIDIA_VISIBLE_DEVICES", "NVIDIA"), ("GREETING", ""), ("LIES", "LIES")],
)
def test_a_variable_that_makes_another_program_is_told(name: str, says: str) -> None:
    heard = said(guards.no_lying_variable, {"name": "c", "env": [{"name": name, "value": "x"}]}, OWNER, "LIES")
    assert (says in heard) if says else not heard
