"""The course's environment in the words of a learner's shell: bash, zsh, fish, and sh for those that speak like it.

`ai-lab env` prints these lines; the shell of a JupyterLab terminal evaluates the same ones after the learner's own start files (`terminal_shell`).
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping
from pathlib import Path

KINDS = ("bash", "zsh", "fish", "sh")

# Shells that read what sh reads, and that find their start file by the variable ENV.
_LIKE_SH = frozenset({"sh", "ash", "dash", "ksh", "ksh93", "mksh"})


def kind(program: str) -> str:
    """Which of KINDS a shell is, told by its program's name or path; the empty text for one that is none of them."""
    name = Path(program).name.lstrip("-")
    return name if name in KINDS else "sh" if name in _LIKE_SH else ""


def asking() -> str:
    """Which of KINDS runs this command: the nearest shell among its parent processes, else $SHELL, else sh."""
    import psutil

    try:
        names = [parent.name() for parent in psutil.Process().parents()]
    except psutil.Error:
        names = []
    found = (kind(name) for name in [*names, os.environ.get("SHELL", "")])
    return next((each for each in found if each), "sh")


def lines(shell: str, environment: Mapping[str, str]) -> str:
    """What a shell evaluates to be given `environment`. Of PATH only the first folder is taken, and is put before what the shell has.

    Evaluated twice, the lines change nothing more. Each ends with a semicolon: fish joins them where they are given to `eval` unquoted.
    """
    first = environment["PATH"].split(os.pathsep)[0]
    others = {name: value for name, value in environment.items() if name != "PATH"}
    if shell == "fish":
        told = [f"set -gx {name} {_fish(value)};" for name, value in others.items()]
        told.append(f'if test "$PATH[1]" != {_fish(first)}; set -gx PATH {_fish(first)} $PATH; end;')
    else:
        told = [f"export {name}={shlex.quote(value)};" for name, value in others.items()]
        told.append(f'case "$PATH" in {shlex.quote(first)}|{shlex.quote(first)}:*) ;; *) export PATH={shlex.quote(first)}:"$PATH";; esac;')
    return "\n".join(told)


def _fish(value: str) -> str:
    """`value` in fish's single quotes, where a backslash protects itself and the quote only."""
    escaped = value.replace("\\", "\\\\").replace("'", "\\'")
    return f"'{escaped}'"


def how_to(shell: str, command: str) -> str:
    """What to type in a shell to be given the environment; `command` is `ai-lab` as it is typed there."""
    return f"{command} env | source" if shell == "fish" else f'eval "$({command} env)"'
