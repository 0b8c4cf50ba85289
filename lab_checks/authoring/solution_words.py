"""The words that solve an exercise, out of its last hint and its solution: patterns to look for in a text that must not tell them.

A number is looked for next to what it counts (`2 GPUs`, `free: 2`), since alone it says nothing; from three digits on it is looked for by itself.
A field is found in every spelling: `startupProbe`, startup probe, Startup probes.
"""

from __future__ import annotations

import contextlib
import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

from lab_checks.authoring.attempts import Attempt
from lab_checks.engine.course import Exercise

# Verbs of kubectl that say nothing of what is wrong, and flags whose values do not.
_PLAIN = {"apply", "create", "edit", "patch", "replace", "set", "get", "describe", "logs", "wait", "rollout", "run", "exec"}
_FLAGS = {"namespace", "type", "timeout", "patch", "filename", "output", "field-manager", "for", "raw", "tail"}
# Fields that every manifest has; and those of which only the value says something.
_FRAME = {"apiVersion", "kind", "metadata", "spec", "template", "containers", "name", "namespace", "matchLabels"}
_LIST = {"key", "value", "operator", "effect"}
_SMALL = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
_COMMAND = re.compile(r"\bkubectl\b[^\n;|`]*")
_PATCH = re.compile(r"(?:-p|--patch|--overrides)[= ]*'(.*?)'", re.S)
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")


@dataclass(frozen=True)
class Word:
    """One thing that solves an exercise. `everywhere`: it gives the exercise away wherever it stands, and not only in its own section.

    `written`: it is what a command writes, and gives nothing away where the start has it already.
    """

    pattern: re.Pattern[str]
    of: str
    everywhere: bool = True
    written: bool = False


def of(exercise: Exercise, solution: Attempt) -> list[Word]:
    """The words of an exercise, without those that its title, its goal or `given` says."""
    told = "\n".join((exercise.title, exercise.goal, *exercise.given))
    found: dict[str, Word] = {}
    for step in solution.steps:
        for word in _of_diagnosis(step.get("diagnose", {})):
            if not any(word.pattern.search(each) for each in exercise.given):
                found[word.pattern.pattern] = word
        for word in _of_answers(step.get("answer", {})):
            if not word.pattern.search(told):
                found[word.pattern.pattern] = word
    for text in [exercise.hints[-1], *(f"{step['run']}\n{step.get('stdin', '')}" for step in solution.steps if "run" in step)]:
        for word in _of_commands(text):
            if not word.pattern.search(told):
                found.setdefault(word.pattern.pattern, replace(word, written=True))
    return list(found.values())


def _of_diagnosis(diagnosis: dict[str, Any]) -> Iterator[Word]:
    if cause := diagnosis.get("cause"):
        yield Word(_text(cause), "the cause of its solution")
    evidence = diagnosis.get("evidence", ())
    for quote in [evidence] if isinstance(evidence, str) else evidence:
        yield Word(_text(quote), "evidence of its solution")


def _of_answers(answers: dict[str, Any]) -> Iterator[Word]:
    for name, value in answers.items():
        for each in value if isinstance(value, list) else [value]:
            if isinstance(each, str) and not _NUMBER.fullmatch(each):
                yield Word(_text(each), f"its answer {name}")
            elif isinstance(each, (int, float, str)):
                yield Word(_counted(name.split("_"), float(each)), f"its answer {name}")


def _of_commands(text: str) -> Iterator[Word]:
    """What a text with kubectl commands, patches and manifests writes."""
    for patch in _PATCH.findall(text):
        yield from _of_yaml(patch)
    _, _, manifest = text.partition("\n")
    if re.search(r"^\w+:", manifest, re.M):
        yield from _of_yaml(manifest)
    for command in _COMMAND.findall(_PATCH.sub("", text)):
        yield from _of_command(command)


def _of_command(command: str) -> Iterator[Word]:
    try:
        words = shlex.split(command)
    except ValueError:
        words = command.split()
    flag = ""
    plain = []
    for word in words[1:]:
        if flag:
            if flag == "f" and "/" in word:
                yield Word(_text(word.rpartition("/")[2]), "the file of its solution")
            flag = ""
        elif word.startswith("-"):
            name, equals, value = word.lstrip("-").partition("=")
            flag = name if not equals and len(name) == 1 else ""
            if value and len(name) > 1 and name not in _FLAGS:
                for part in value.split(","):
                    key, _, inner = part.rpartition("=")
                    yield from _field_and_value(key or name, inner)
        else:
            plain.append(word)
    for verb in plain[:1]:
        if verb not in _PLAIN:
            yield Word(re.compile(rf"\b{verb.removesuffix('e')}(?:e?[sd]?|ing)\b", re.I), "the verb of its command", everywhere=False)
    for word in plain[1:]:
        key, equals, value = word.partition("=")
        if equals and key:
            yield from _field_and_value(key, value)
        elif "/" in word:
            yield Word(_text(word.rpartition("/")[2]), "what its command names")


def _of_yaml(text: str) -> Iterator[Word]:
    with contextlib.suppress(yaml.YAMLError):
        for document in yaml.safe_load_all(text):
            for key, value in _leaves(document):
                yield from _field_and_value(key, value)


def _leaves(node: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """(field, value) of everything that is written; a field that holds more fields comes with None."""
    if isinstance(node, dict):
        if "op" in node and "path" in node:
            yield from _leaves(node.get("value"), node["path"].rpartition("/")[2].replace("~1", "/"))
            return
        if key:
            yield key, None
        for name, each in node.items():
            yield from _leaves(each, str(name))
    elif isinstance(node, list):
        if key:
            yield key, None
        for each in node:
            yield from _leaves(each)
    elif key:
        yield key, node


def _field_and_value(key: str, value: Any) -> Iterator[Word]:
    if key in _FRAME:
        return
    if key not in _LIST:
        yield Word(_spelled(key), "a field of its solution", everywhere=False)
    if value is None or isinstance(value, bool):
        return
    if _NUMBER.fullmatch(str(value)):
        yield Word(re.compile(rf"{_spelled(key).pattern}\W{{1,4}}{re.escape(str(value))}\b", re.I), "a value of its solution")
    elif len(str(value)) > 2:
        yield Word(_text(str(value)), "a value of its solution")


def _text(text: str) -> re.Pattern[str]:
    """A text as it stands, whatever white space is in it."""
    words = r"\s+".join(re.escape(word) for word in text.split())
    return re.compile(rf"(?<![\w/.-]){words}(?![\w/-])", re.I)


def _spelled(name: str) -> re.Pattern[str]:
    """A name in every spelling: camel case, hyphens and underscores are spaces as well, and a plural is as good as a singular."""
    parts = re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+|[^\w\s-]+", name)
    stems = [re.escape(part.removesuffix("s") if len(part) > 3 else part) + "s?" * part[-1].isalpha() for part in parts]
    return re.compile(r"(?<![\w./])" + r"[ _-]?".join(stems) + r"(?![\w/])", re.I)


def _counted(name: list[str], number: float) -> re.Pattern[str]:
    """A number beside one of the words of the answer's name."""
    value = f"{number:g}"
    spelled = "|".join([re.escape(value), *([_SMALL[int(number)]] if number in range(len(_SMALL)) else [])])
    if len(value) > 2 and "." not in value:
        return re.compile(rf"(?<![\w.]){re.escape(value)}(?!\w|\.\d)")
    nouns = "|".join(re.escape(part.removesuffix("s")) for part in name if len(part) > 2)
    return re.compile(rf"\b(?:{spelled})(?: [a-z]+)? (?:{nouns})s?\b|\b(?:{nouns})s?(?: is| are|[:=])? ?(?:{spelled})\b", re.I)
