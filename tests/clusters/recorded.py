"""Commands that answer as they have been seen to, in place of the programs themselves."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any

from clusters.base import Progress
from clusters.kind.archive import node_ids
from clusters.kind.commands import Commands, Ran


class Recorded(Commands):
    """Answers a command by the first row whose `when` matches it; an output that `outputs` names is taken from there. Remembers what was run."""

    def __init__(self, *rows: dict[str, Any], outputs: dict[str, str] | None = None):
        super().__init__()
        self.rows = rows
        self.rest: tuple[dict[str, Any], ...] = ()
        self.outputs = outputs or {}
        self.ran: list[str] = []

    def run(self, *argv: str, timeout: float, called: str = "", on_line: Any = None, stdin: Path | None = None) -> Ran:
        line = " ".join([Path(argv[0]).name, *argv[1:]])
        self.ran.append(line)
        for row in (*self.rows, *self.rest):
            if re.search(row["when"], line):
                out = self.outputs.get(row.get("out", ""), row.get("out", ""))
                err = row.get("err", "")
                for told in [*err.splitlines(), *out.splitlines()] if on_line else ():
                    on_line(told)
                return Ran((Path(argv[0]).name, *argv[1:]), row.get("code", 0), out, err)
        raise AssertionError(f"nobody has recorded an answer to: {line}")

    def did(self, pattern: str) -> bool:
        return any(re.search(pattern, line) for line in self.ran)


class Heard(Progress):
    """Remembers the lines that were said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)


class Machine(Recorded):
    """The same, with an engine that has images and nodes that take them, in what `rows` leave open and before `rest` is asked.

    `engine` is reference to id, with `sha256:`; `inside` is, per node, canonical name to id without it. With `newer_store` the engine calls an
    image by its manifest, as Docker's containerd store does: the id that a node shows is another one.
    """

    def __init__(
        self, *rows: dict[str, Any], rest: list[dict[str, Any]], engine: dict[str, str], outputs: dict[str, str], newer_store: bool = False
    ):
        super().__init__(*rows, outputs=outputs)
        self.rest = tuple(rest)
        self.engine = dict(engine)
        self.inside: dict[str, dict[str, str]] = {}
        self.newer_store = newer_store
        self.refusing: set[str] = set()

    def node_id(self, reference: str) -> str:
        """The id by which a node knows the engine's image."""
        identity = self.engine[reference]
        return hashlib.sha256(identity.encode()).hexdigest() if self.newer_store else identity.removeprefix("sha256:")

    def run(self, *argv: str, timeout: float, called: str = "", on_line: Any = None, stdin: Path | None = None) -> Ran:
        line = " ".join([Path(argv[0]).name, *argv[1:]])
        if not any(re.search(row["when"], line) for row in self.rows):
            answer = self._answer(line, argv, stdin)
            if answer is not None:
                self.ran.append(line)
                return answer
        return super().run(*argv, timeout=timeout, called=called, on_line=on_line, stdin=stdin)

    def _answer(self, line: str, argv: tuple[str, ...], stdin: Path | None) -> Ran | None:
        if re.search("^(docker|podman) image inspect", line):
            here = [{"Id": self.engine[name]} for name in argv[3:] if name in self.engine]
            return Ran(argv, 0 if len(here) == len(argv) - 3 else 1, json.dumps(here), "")
        if saved := re.search(r"^(docker|podman) save (--multi-image-archive )?-o (\S+) (.+)", line):
            self._write(Path(saved[3]), saved[4].split())
            return Ran(argv, 0, "", "")
        if pulled := re.search("^docker pull (\\S+)", line):
            self.engine[pulled[1]] = "sha256:" + hashlib.sha256(pulled[1].encode()).hexdigest()
            return Ran(argv, 0, "", "")
        if node := re.search(r"^(docker|podman) exec --privileged (-i )?(\S+) (.+)", line):
            there = self.inside.setdefault(node[3], {})
            if node[4] == "crictl images -o json":
                return Ran(argv, 0, json.dumps({"images": [{"id": f"sha256:{i}", "repoTags": [name]} for name, i in there.items()]}), "")
            if "images import" in node[4]:
                assert stdin is not None
                if node[3] in self.refusing:
                    return Ran(argv, 1, "", "ctr: content digest sha256:ab: not found\n")
                there |= node_ids(stdin)
                return Ran(argv, 0, "", "")
        if loaded := re.search(r"^kind load image-archive (\S+) --name ai-lab --nodes (\S+)", line):
            for name in loaded[2].split(","):
                self.inside.setdefault(name, {}).update(node_ids(Path(loaded[1])))
            return Ran(argv, 0, "", "")
        return None

    def _write(self, path: Path, references: list[str]) -> None:
        entries = [{"Config": f"blobs/sha256/{self.node_id(name)}", "RepoTags": [name], "Layers": []} for name in references]
        body = json.dumps(entries).encode()
        with tarfile.open(path, "w") as tar:
            member = tarfile.TarInfo("manifest.json")
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
