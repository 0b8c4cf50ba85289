"""Starts that another process makes. While a notebook is graded, that is the grader: it knows how an exercise began from nobody but itself.

A line of JSON asks, lines of JSON answer: {"start": "LAB/EXERCISE"} or {"clean": true}, each with the "word" that the asker was given; then
{"say": "…"} for what takes a moment, and last {"before": {…}}, the baseline, or {"refused": "…"}.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable
from typing import Any

from lab_checks.engine.setup import LessonError

# host:port:word; empty or not set: starts are made by the process that is asked for one.
VARIABLE = "AI_LAB_STARTS_BY"
# A start takes less than a minute; a busy machine takes longer.
_PATIENCE = 600


def wanted() -> bool:
    """Whether another process makes the starts."""
    return bool(os.environ.get(VARIABLE))


def start(key: str, say: Callable[[str], None]) -> dict[str, Any]:
    """The baseline of an exercise's start, which is on the cluster then. `key` is LAB/EXERCISE. Raises LessonError."""
    return _asked({"start": key}, say)


def clean(say: Callable[[str], None]) -> None:
    """Everything that exercises changed on the cluster is taken back. Raises LessonError."""
    _asked({"clean": True}, say)


def _asked(request: dict[str, Any], say: Callable[[str], None]) -> dict[str, Any]:
    try:
        host, port, word = os.environ[VARIABLE].split(":")
        with socket.create_connection((host, int(port)), timeout=_PATIENCE) as line:
            line.sendall(json.dumps(request | {"word": word}).encode() + b"\n")
            with line.makefile("r", encoding="utf-8") as lines:
                for each in lines:
                    told = json.loads(each)
                    if "say" in told:
                        say(told["say"])
                    elif "refused" in told:
                        raise LessonError(told["refused"])
                    else:
                        before: dict[str, Any] = told["before"]
                        return before
    except (OSError, ValueError, KeyError) as problem:
        raise LessonError(f"the process that makes the starts does not answer ({problem}); {VARIABLE} says where it is") from None
    raise LessonError("the process that makes the starts has gone away")
