"""Reads of a Dockerfile what running its image needs: a path and build arguments in, a `Built` out.

RUN is not executed. What it would add to the image is known in two cases only: `pip install` makes third-party packages available, and
`python -m compileall` compiles the modules that were copied.
With several stages the last one counts, and files that it copies from an earlier stage are looked up there.
"""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

import orjson

_VARIABLE = re.compile(r"\\\$|\$(?:\{(?P<braced>\w+)(?::(?P<operator>[-+])(?P<word>[^}]*))?\}|(?P<plain>\w+))")


@dataclass
class Built:
    """The configuration of the built image. None for entrypoint and cmd means: as in the base image."""

    base: str
    env: dict[str, str] = field(default_factory=dict)
    working_dir: str = ""
    user: str = ""
    ports: list[int] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    files: list[tuple[str, Path]] = field(default_factory=list)
    installs_packages: bool = False
    compiles: bool = False
    stop_signal: str = ""


def instructions(text: str) -> list[tuple[str, str]]:
    """(`COPY`, `a b /app/`) for each instruction; comments dropped, continued lines joined."""
    found: list[tuple[str, str]] = []
    joined = ""
    for line in text.splitlines():
        stripped = line.strip()
        if stripped.startswith("#") or (not stripped and not joined):
            continue
        joined += stripped[:-1] + " " if stripped.endswith("\\") else stripped
        if stripped.endswith("\\"):
            continue
        if joined.strip():
            word, _, rest = joined.strip().partition(" ")
            found.append((word.upper(), rest.strip()))
        joined = ""
    return found


def expand(text: str, values: dict[str, str]) -> str:
    """`$NAME`, `${NAME}`, `${NAME:-default}` and `${NAME:+word}` as the builder replaces them."""

    def value(found: re.Match[str]) -> str:
        if found.group() == r"\$":
            return "$"
        have = values.get(found["braced"] or found["plain"], "")
        if found["operator"] == "-":
            return have or found["word"]
        if found["operator"] == "+":
            return found["word"] if have else ""
        return have

    return _VARIABLE.sub(value, text)


def _words(text: str) -> list[str]:
    """The words of a line. Most lines quote nothing, and the shell's rules take long."""
    return shlex.split(text) if re.search(r"[\"'\\]", text) else text.split()


def _command(rest: str) -> tuple[str, ...]:
    """The exec form as it is, the shell form under `/bin/sh -c`."""
    if rest.startswith("["):
        try:
            return tuple(orjson.loads(rest))
        except orjson.JSONDecodeError:
            pass
    return ("/bin/sh", "-c", rest)


def _pairs(rest: str) -> dict[str, str]:
    """`KEY=value …` with quotes, or the old form `KEY value`."""
    words = _words(rest)
    if words and "=" not in words[0]:
        return {words[0]: rest.split(None, 1)[1] if len(words) > 1 else ""}
    return dict(word.partition("=")[::2] for word in words if "=" in word)


def _copied(rest: str, folder: Path, working_dir: str, stages: dict[str, Built]) -> list[tuple[str, Path]]:
    options = []
    while rest.startswith("--"):
        option, _, rest = rest.partition(" ")
        options.append(option)
        rest = rest.strip()
    words = orjson.loads(rest) if rest.startswith("[") else _words(rest)
    *sources, target = words
    into_folder = target.endswith("/") or target in (".", "./") or len(sources) > 1
    place = str(PurePosixPath(working_dir or "/") / target)
    stage = next((option.partition("=")[2] for option in options if option.startswith("--from=")), None)
    if stage is not None:
        from_stage = stages.get(stage)
        return [
            (place + path[len(source) :], host)
            for source in sources
            for path, host in (from_stage.files if from_stage else [])
            if path == source or path.startswith(source.rstrip("/") + "/")
        ]
    found: list[tuple[str, Path]] = []
    for source in sources:
        pattern = source.strip("/")
        matches = [folder] if pattern in (".", "") else sorted(folder.glob(pattern))
        for match in matches:
            if match.is_dir():
                # .dockerignore
                found += [(str(PurePosixPath(place) / each.name), each) for each in sorted(match.iterdir()) if each.name != "__pycache__"]
            else:
                found.append((str(PurePosixPath(place) / match.name) if into_folder else place, match))
    return found


def read(path: Path, arguments: dict[str, str] | None = None, *, context: Path | None = None) -> Built:
    """The image that the Dockerfile at `path` describes; its context is the folder of the file unless another is given.

    Raises ValueError for a file without FROM.
    """
    given = arguments or {}
    args: dict[str, str] = {}
    stages: dict[str, Built] = {}
    built: Built | None = None
    for word, rest in instructions(path.read_text()):
        if word == "ARG":
            for name, default in (_pairs(rest) if "=" in rest else {rest: ""}).items():
                args[name] = given.get(name, expand(default, args) or args.get(name, ""))
            continue
        known = args | (built.env if built else {})
        if word == "FROM":
            words = [each for each in expand(rest, known).split() if not each.startswith("--")]
            earlier = stages.get(words[0])
            built = Built(base=earlier.base if earlier else words[0])
            if earlier:
                built.env, built.files = dict(earlier.env), list(earlier.files)
                built.installs_packages, built.working_dir = earlier.installs_packages, earlier.working_dir
                built.compiles = earlier.compiles
            stages[str(len(stages))] = built
            if len(words) == 3 and words[1].lower() == "as":
                stages[words[2]] = built
            continue
        if built is None:
            raise ValueError(f"{path}: {word} before FROM")
        if word == "ENV":
            built.env |= {name: expand(value, known) for name, value in _pairs(rest).items()}
        elif word == "LABEL":
            built.labels |= {name: expand(value, known) for name, value in _pairs(rest).items()}
        elif word == "WORKDIR":
            built.working_dir = str(PurePosixPath(built.working_dir or "/") / expand(rest, known))
        elif word == "USER":
            built.user = expand(rest, known)
        elif word == "EXPOSE":
            built.ports += [int(port.partition("/")[0]) for port in expand(rest, known).split()]
        elif word == "STOPSIGNAL":
            built.stop_signal = expand(rest, known)
        elif word == "ENTRYPOINT":
            built.entrypoint, built.cmd = _command(rest), built.cmd or ()
        elif word == "CMD":
            built.cmd = _command(rest)
        elif word in ("COPY", "ADD"):
            rest = expand(rest, known)
            built.files += _copied(rest, context or path.parent, built.working_dir, stages)
            # An environment that an earlier stage installed and this one copies.
            source = re.search(r"--from=(\S+)", rest)
            if source and source[1] in stages:
                built.installs_packages |= stages[source[1]].installs_packages
        elif word == "RUN":
            built.installs_packages |= bool(re.search(r"\bpip3?\s+install\b|\buv\s+(pip|sync)\b", rest))
            built.compiles |= bool(re.search(r"\bcompileall\b", rest))
    if built is None:
        raise ValueError(f"{path}: no FROM")
    return built
