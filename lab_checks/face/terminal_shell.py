"""`python -m lab_checks.face.terminal_shell [SHELL OPTION...]`: what a JupyterLab terminal runs.

It becomes the learner's own shell, which reads its own start files; after these come the lines of `shell_setup`. So kubectl and ai-lab are found
there, and speak to the lab's cluster, also where a start file sets PATH or KUBECONFIG anew.
"""

from __future__ import annotations

import os
import pwd
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from lab_checks.face import shell_setup

_FILES = Path(__file__).with_name("shell_files")

# What the server remembers of $SHELL, which it sets to bash for the cells of notebooks.
OWN_SHELL = "AI_LAB_OWN_SHELL"

# Read by the files in shell_files/, which remove them again.
_SETUP, _LOGIN = "AI_LAB_SHELL_SETUP", "AI_LAB_SHELL_LOGIN"

# Programs that stand where a shell should, for users who may not log in.
_NO_SHELLS = frozenset({"nologin", "false", "true", "sync"})


def own_shell(environment: Mapping[str, str]) -> str:
    """The learner's shell: $SHELL, else the one of the user's entry in the password database, else bash, else sh. Only a program that is there counts."""
    try:
        recorded = pwd.getpwuid(os.getuid()).pw_shell
    except KeyError:
        recorded = ""
    candidates = (environment.get("SHELL", ""), recorded, "bash")
    return next(filter(None, (_usable(each, environment) for each in candidates)), "/bin/sh")


def _usable(program: str, environment: Mapping[str, str]) -> str | None:
    """The path of a shell that is there and is one."""
    return shutil.which(program, path=environment.get("PATH")) if program and Path(program).name not in _NO_SHELLS else None


def prepare(given: Sequence[str], environment: Mapping[str, str], course: Mapping[str, str]) -> tuple[list[str], dict[str, str]]:
    """(command, environment) of a terminal's shell.

    `given` is the shell and its options; without it, or where its program is not there, the learner's own shell is taken. `course` is what
    `api.environment` gives. A shell that is not one of `shell_setup.KINDS` inherits the environment and starts without its login files.
    """
    inherited = {**environment, **course}
    if OWN_SHELL in inherited:
        inherited["SHELL"] = inherited.pop(OWN_SHELL)
    program, *options = given or [""]
    found = _usable(program, inherited) or own_shell(inherited)
    shell = shell_setup.kind(found)
    if shell:
        inherited["SHELL"] = found
        inherited[_SETUP] = shell_setup.lines(shell, course)
    if shell == "fish":
        return [found, "--init-command", f"eval ${_SETUP}; set -e {_SETUP}", *options], inherited
    if shell == "zsh":
        if "ZDOTDIR" in inherited:
            inherited["AI_LAB_ZDOTDIR"] = inherited["ZDOTDIR"]
        return [found, *options], {**inherited, "ZDOTDIR": str(_FILES / "zsh")}
    # bash and sh read a start file that is named to them, or their login files, and not both: the course's file reads the login files itself.
    rest = [each for each in options if each not in ("-l", "--login")]
    if shell and len(rest) < len(options):
        inherited[_LOGIN] = "yes"
    if shell == "bash":
        return [found, "--rcfile", str(_FILES / "bashrc"), *rest], inherited
    if shell == "sh":
        if "ENV" in inherited:
            inherited["AI_LAB_ENV"] = inherited["ENV"]
        return [found, *rest], {**inherited, "ENV": str(_FILES / "shrc")}
    return [found, *rest], inherited


def main() -> None:
    from lab_checks.engine.api import environment

    command, inherited = prepare(sys.argv[1:], os.environ, environment(Path(os.environ["KUBECONFIG"])))
    os.execve(command[0], command, inherited)


if __name__ == "__main__":
    main()
