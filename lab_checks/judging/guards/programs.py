"""What a container really runs: the program of its image, with nothing over it and no variable that makes it another one."""

from __future__ import annotations

import re
import shlex
from pathlib import PurePosixPath

from kubeobjects import Object
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import fail

# Where an image has its programs, libraries and data, and where a device plugin puts what it gives.
_PROGRAM_FOLDERS = re.compile(r"/(?:app|models|run|usr|lib\w*|etc|opt|s?bin|proc|sys|var)?(?:/|$)")
# Variables by which another program or library is found, or a device taken that nobody gave.
_OTHER_PROGRAM = re.compile(r"PATH|LD_.*|PYTHON.*|BASH_ENV|ENV|NVIDIA_.*|CUDA_.*|AI_LAB_.*|GPU_ROOT")
_SHELLS = frozenset({"sh", "bash", "dash", "ash"})
# Programs that run the one named behind them.
_WRAPPERS = frozenset({"env", "exec", "time", "nice", "nohup", "timeout", "stdbuf", "command", "watch", "tini", "--"})


def nothing_over_the_program(container: Object, owner: Object) -> None:
    """No volume lies over the image's own files."""
    for mount in container.get("volumeMounts") or []:
        # Admission mounts the account's token itself.
        if _PROGRAM_FOLDERS.match(mount["mountPath"]) and not mount["mountPath"].startswith("/var/run/secrets/kubernetes.io/"):
            raise fail(
                "a volume lies over the program's own files",
                see(owner, f"containers[{container['name']}].volumeMounts", mount["mountPath"]),
                expected="the program and the files of the image",
                next=f"remove the mount of {mount['mountPath']}",
            )


def no_lying_variable(container: Object, owner: Object, also: str = "") -> None:
    """No variable makes the program another one, or takes a device; `also` is a pattern of further ones."""
    for each in container.get("env") or []:
        if _OTHER_PROGRAM.fullmatch(each["name"]) or (also and re.fullmatch(also, each["name"])):
            raise fail(
                f"the variable {each['name']} makes the program another one",
                see(owner, f"containers[{container['name']}].env[{each['name']}]", each.get("value", "from elsewhere")),
                expected="a program that finds its files and its device by itself, and tells what it finds",
                next=f"remove {each['name']}",
            )


def commands(container: Object) -> list[list[str]]:
    """The commands that a container runs, each as its words: what `sh -c` is given is taken apart. Empty for the image's own command."""
    words = [*(container.get("command") or []), *(container.get("args") or [])]
    while words and (PurePosixPath(words[0]).name in _WRAPPERS or re.fullmatch(r"\w+=.*|-.*|\d+[smh]?", words[0])):
        words = words[1:]
    if words and PurePosixPath(words[0]).name in _SHELLS:
        script = next((words[number + 1] for number, word in enumerate(words[:-1]) if re.fullmatch(r"-\w*c", word)), "")
        return _of_script(script)
    return [words] if words else []


def _of_script(script: str) -> list[list[str]]:
    """The simple commands of a shell script, without its redirections' marks. A script that is none is one command of its words."""
    found: list[list[str]] = [[]]
    try:
        lexer = shlex.shlex(script.replace("\n", " ; "), posix=True, punctuation_chars=";&|()")
        lexer.whitespace_split = True
        words = list(lexer)
    except ValueError:
        return [script.split()]
    for word in words:
        if set(word) <= set(";&|()"):
            found.append([])
        elif found[-1] or PurePosixPath(word).name not in _WRAPPERS:
            found[-1].append(word)
    return [each for each in found if each]


def runs(container: Object, program: str) -> bool:
    """Whether one of a container's commands is `program`, by its name or its path in the image."""
    return any(PurePosixPath(each[0]).name == program and each[0] in (program, f"/usr/bin/{program}") for each in commands(container))
