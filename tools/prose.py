"""`python tools/prose.py [FILE …]`: holds the course's prose against the rules of `tools/prose.toml`; for `make lint`.

Read are the text cells of `solutions/*.md`, what learners are told in `lab.toml` and `words.toml`, and the documents. Code, commands, quoted
output and links' addresses are no prose. A finding is one line, `FILE:LINE: what is wrong`; the exit status is 1 where there is one.

Vale would do the same; its package on the index fetches a program from elsewhere at its first start, and CI has the index only.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RULES = Path(__file__).with_name("prose.toml")

# What is no prose in Markdown: front matter, fenced and indented blocks, marks, tables' frames. Lines are kept, so that findings have numbers.
_FRONT = re.compile(r"\A---\n.*?^---\n", re.S | re.M)
_FENCED = re.compile(r"^(?P<fence>```+|~~~+).*?^(?P=fence)\s*$", re.S | re.M)
_MARKS = re.compile(r"<!--.*?-->", re.S)
_INDENTED = re.compile(r"(?<=\n\n)(?:(?: {4}|\t)[^\n]*\n|\n(?= {4}))+")
_CODE = re.compile(r"(?P<ticks>`+)[^`].*?(?P=ticks)(?!`)", re.S)
_LINK = re.compile(r"\]\([^)\s]*\)")
_ADDRESS = re.compile(r"<?https?://\S+")
# What is quoted is somebody else's wording; what stands between brackets is read apart from its sentence.
_QUOTED = re.compile(r"\"[^\"\n]*\"")
_ASIDE = re.compile(r"\([^()]*\)")
# What a sentence of a verdict quotes: a placeholder that is filled in, a path, a field, a name with hyphens and digits, an option.
_NAME = re.compile(r"\(\w+\)|\b\w+=\S*|\{[^}]*\}|\$\w+|--[\w-]+|\b[\w-]+(?:[./:=][\w-]+)+|/[\w/.-]+|\b\w+_\w+\b|'[^']*'|\"[^\"]*\"")

# A command that a hint shows without code marks goes on to the end of its line or sentence.
_COMMAND = re.compile(r"(?m)^kubectl .*$|\b(?:kubectl|curl|base64)(?= [-a-z]).*?(?=[.?!…:;](?:\s|$)|\n|$)")

# A sentence ends at a full stop, a question or exclamation mark, or a colon or semicolon, and with its line where a list or a table goes on.
_END = re.compile(r"(?<=[.!?:;…])[\"')*_]*\s+|\n\s*\n|\n(?=\s*(?:[-*|#>]|\d+\.)\s?)|\s*\|\s*")
_WORD = re.compile(r"[A-Za-zÀ-ÿ0-9][\w'’-]*")


@dataclass(frozen=True)
class Rule:
    """`find` is searched for; `say` is what to write instead."""

    find: re.Pattern[str]
    say: str


@dataclass(frozen=True)
class Rules:
    """`words` is how long a sentence may be, but in the files `long`; `not_yet` names files that are not read so far, by the beginning of their path.

    `told` are the names under which a table holds what learners are told.
    """

    words: int
    long: tuple[str, ...]
    rules: tuple[Rule, ...]
    not_yet: tuple[str, ...]
    told: frozenset[str]


def rules(path: Path = RULES) -> Rules:
    data = tomllib.loads(path.read_text())
    found = []
    for row in data["rule"]:
        flags = re.NOFLAG if row.get("case") else re.IGNORECASE
        found.append(Rule(re.compile(rf"(?<![\w-])(?:{'|'.join(row['find'])})(?![\w-])", flags), row["say"]))
    return Rules(data["words_in_a_sentence"], tuple(data["long_so_far"]), tuple(found), tuple(data["not_yet"]), frozenset(data["told"]))


def _blank(text: re.Match[str]) -> str:
    """What is no prose, gone: its lines stay."""
    return re.sub(r"[^\n]", " ", text[0])


def prose(markdown: str) -> str:
    """The prose of a Markdown text, on the lines that it stands on; a piece of code within a sentence counts as one word."""
    for each in (_FRONT, _FENCED, _MARKS, _INDENTED):
        markdown = each.sub(_blank, markdown)
    markdown = _CODE.sub(lambda found: "\u2020" + "\n" * found[0].count("\n"), markdown)
    return _QUOTED.sub("\u2020", _ADDRESS.sub(" ", _LINK.sub("]", markdown)))


def _told(data: Any, names: frozenset[str], under: str = "") -> Iterator[str]:
    """What a table says to a learner, wherever it stands in it: texts under one of `names`."""
    if isinstance(data, dict):
        for name, value in data.items():
            yield from _told(value, names, name if name in names else under)
    elif isinstance(data, list):
        for each in data:
            yield from _told(each, names, under)
    elif isinstance(data, str) and under:
        yield data


def texts(path: Path, names: frozenset[str]) -> Iterator[tuple[int, str]]:
    """(line, prose) for each piece of a file that is read on its own."""
    source = path.read_text()
    if path.suffix != ".toml":
        yield 1, prose(source)
        return
    for text in _told(tomllib.loads(source), names):
        first = text.strip().splitlines()[0] if text.strip() else ""
        escaped = first.replace("\\", "\\\\").replace('"', '\\"')
        place = max(source.find(first), 0) or max(source.find(escaped), 0)
        yield source.count("\n", 0, place) + 1, _NAME.sub("\u2020", _COMMAND.sub("\u2020", prose(text)))


def _sentences(text: str) -> Iterator[tuple[int, str]]:
    begin = 0
    for end in [*_END.finditer(text), None]:
        stop = end.start() if end else len(text)
        yield begin, text[begin:stop]
        begin = end.end() if end else stop


def findings(path: Path, held: Rules) -> list[str]:
    """What is wrong in a file, a line each."""
    name = path.relative_to(ROOT).as_posix() if path.is_relative_to(ROOT) else str(path)
    if name.startswith(held.not_yet):
        return []
    found: list[tuple[int, str]] = []
    for line, text in texts(path, held.told):

        def at(place: int, line: int = line, text: str = text) -> int:
            return line + text.count("\n", 0, place)

        if not name.startswith(held.long):
            for begin, sentence in _sentences(text):
                bare = _ASIDE.sub("", sentence)
                count = len(_WORD.findall(bare)) + bare.count("\u2020")
                if count > held.words:
                    place = begin + len(sentence) - len(sentence.lstrip())
                    found.append((at(place), f'{count} words in a sentence, {held.words} at most: "{" ".join(sentence.split()[:8])} …"'))
        for rule in held.rules:
            found += [(at(match.start()), f'"{" ".join(match[0].split())}": {rule.say}') for match in rule.find.finditer(text)]
    return [f"{name}:{line}: {what}" for line, what in sorted(found)]


def sources(root: Path = ROOT) -> list[Path]:
    """Every file whose prose is read."""
    patterns = (
        "solutions/*.md",
        "lab_checks/labs/*/lab.toml",
        "lab_checks/judging/words.toml",
        "docs/**/*.md",
        "images/*/README.md",
        "*.md",
    )
    return sorted({path for pattern in patterns for path in root.glob(pattern)})


def main(arguments: list[str]) -> int:
    held = rules()
    found = [line for path in ([Path(each).resolve() for each in arguments] or sources()) for line in findings(path, held)]
    print(*found, sep="\n", end="\n" if found else "")
    return 1 if found else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
