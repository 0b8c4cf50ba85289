"""The words and signs that the command and the notebook share: verdicts, how an exercise stands, and how a message names what to do.

A message names a command in a terminal (`ai-lab reset 03-pending/moved-in`) and a call in a notebook (`lab.reset("moved-in")`). Checks, hints and
goals name either; the command and the notebook pass what they show through one of the two functions here. What only a terminal can do, such as
`ai-lab up`, keeps its command.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass, replace

from lab_checks.engine.course import Exercise
from lab_checks.engine.progress import Standing
from lab_checks.engine.verdict import Verdict
from lab_checks.face import pictures

Words = Callable[[str, str], str]


@dataclass(frozen=True)
class Look:
    """How something is marked: a sign, and a colour in the words of a terminal and in those of a web page."""

    sign: str
    in_terminal: str
    in_notebook: str


# By the mark of a verdict.
LOOKS = {
    "passed": Look("✔", "green", pictures.GREEN),
    "failed": Look("✘", "red", pictures.RED),
    "not yet": Look("…", "yellow", pictures.ORANGE),
    "checker error": Look("!", "magenta", pictures.GREY),
    "diagnosis accepted": Look("◐", "cyan", pictures.BLUE),
    "diagnosis not accepted": Look("✘", "red", pictures.RED),
}


def sign(word: str) -> str:
    """The sign before a verdict's mark, or before how an exercise stands; a blank where nothing was said yet."""
    return LOOKS[word].sign if word in LOOKS else " "


def state(exercise: Exercise, standing: Standing) -> str:
    """How an exercise stands with a learner: passed, passed in an earlier version, the word of its newest verdict, started, not started."""
    return standing.state(exercise.version)


_VERBS = "start|check|hint|reset|answer|debrief|diagnose|causes"
_NAME = r"\d\d-[a-z0-9-]*[a-z0-9]"
_COMMAND = re.compile(
    rf"\bai-lab (?:(?P<verb>start|check|debrief|hint|reset) (?P<lab>{_NAME})(?:/(?P<exercise>[a-z0-9-]*[a-z0-9]))?|progress\b)"
)
_CALL = re.compile(rf'\blab\.(?P<verb>{_VERBS}|progress)\((?P<arguments>(?:[^()"]|"[^"]*")*)\)')
# A query to the cluster's monitoring has no command of its own in a terminal; its PromQL is what counts.
_QUERY = re.compile(r"\blab\.(?:query|plot)\((?:'(?P<promql>[^']*)'|…)[^()']*\)")
_PRACTICE = re.compile(r'\bpractice\.(?P<verb>ask|mock|report)\((?P<argument>(?:[^()"]|"[^"]*")*)\)')
# A comma within a list or a table, two deep, is a part of the argument.
_ARGUMENT = re.compile(r'(?:[^,"{\[]|"[^"]*"|\{(?:[^{}"]|"[^"]*"|\{(?:[^{}"]|"[^"]*")*\})*\}|\[(?:[^\[\]"]|"[^"]*")*\])+')
_TABLE = re.compile(r"^(\w+=)([{\[].*)$", re.DOTALL)


def in_terminal(text: str, lab: str) -> str:
    """`text` with the notebook's calls as commands; `lab` is the lab that it is about."""

    def command(found: re.Match[str]) -> str:
        verb = found["verb"]
        if verb == "progress":
            return "ai-lab progress"
        name, *rest = [each.strip() for each in _ARGUMENT.findall(found["arguments"])] or [""]
        target = f"{lab}/{name.strip(chr(34))}" if name else lab
        if verb == "causes":
            return f"ai-lab diagnose {target}"
        if verb == "diagnose":
            rest = [f"--{each.replace('=', ' ', 1)}" if "=" in each else each for each in rest]
        # The shell keeps braces and quotes only within quotes.
        rest = [_TABLE.sub(lambda found: found[1] + shlex.quote(found[2]), each) for each in rest]
        return " ".join(["ai-lab", verb, target, *rest])

    def interview(found: re.Match[str]) -> str:
        argument = found["argument"].strip('"')
        return {"ask": f"ai-lab interview {argument}", "mock": f"ai-lab interview --mock --seed {argument}"}.get(
            found["verb"], "ai-lab interview --mock"
        )

    def query(found: re.Match[str]) -> str:
        return f"the PromQL query {found['promql']}" if found["promql"] else "a PromQL query"

    return _QUERY.sub(query, _PRACTICE.sub(interview, _CALL.sub(command, text)))


def in_notebook(text: str, lab: str) -> str:
    """`text` with commands on exercises of `lab` as the notebook's calls."""

    def call(found: re.Match[str]) -> str:
        if not found["verb"]:
            return "lab.progress()"
        if found["lab"] != lab:
            return found.group()
        name = f'"{found["exercise"]}"' if found["exercise"] else ""
        # A reset and a summary are about a whole lab in a notebook.
        return f"lab.{found['verb']}({name})" if name or found["verb"] in ("reset", "debrief") else found.group()

    return _COMMAND.sub(call, text)


def verdict_in(words: Words, found: Verdict, lab: str) -> Verdict:
    """The verdict with its own words put through `words`; what was seen on the cluster stays as it was seen."""
    return replace(
        found,
        headline=words(found.headline, lab),
        expected=words(found.expected, lab),
        next=words(found.next, lab),
        notice=words(found.notice, lab),
    )
