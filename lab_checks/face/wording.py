"""How a message names what to do: in a terminal the command (`ai-lab reset 03-pending/moved-in`), in a notebook its call (`lab.reset("moved-in")`).

Checks, hints and goals name either; the command and the notebook pass what they show through one of the two functions here. What only a
terminal can do, such as `ai-lab up`, keeps its command.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

from lab_checks.engine.verdict import Verdict

Words = Callable[[str, str], str]

_VERBS = "start|check|hint|reset|answer|diagnose|causes"
_NAME = r"\d\d-[a-z0-9-]*[a-z0-9]"
_COMMAND = re.compile(rf"\bai-lab (?:(?P<verb>start|check|hint|reset) (?P<lab>{_NAME})(?:/(?P<exercise>[a-z0-9-]*[a-z0-9]))?|progress\b)")
_CALL = re.compile(rf'\blab\.(?P<verb>{_VERBS}|progress)\((?P<arguments>(?:[^()"]|"[^"]*")*)\)')
_PRACTICE = re.compile(r'\bpractice\.(?P<verb>ask|mock|report)\((?P<argument>(?:[^()"]|"[^"]*")*)\)')
_ARGUMENT = re.compile(r'(?:[^,"]|"[^"]*")+')


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
        return " ".join(["ai-lab", verb, target, *rest])

    def interview(found: re.Match[str]) -> str:
        argument = found["argument"].strip('"')
        return {"ask": f"ai-lab interview {argument}", "mock": f"ai-lab interview --mock --seed {argument}"}.get(
            found["verb"], "ai-lab interview --mock"
        )

    return _PRACTICE.sub(interview, _CALL.sub(command, text))


def in_notebook(text: str, lab: str) -> str:
    """`text` with commands on exercises of `lab` as the notebook's calls."""

    def call(found: re.Match[str]) -> str:
        if not found["verb"]:
            return "lab.progress()"
        if found["lab"] != lab:
            return found.group()
        name = f'"{found["exercise"]}"' if found["exercise"] else ""
        # Only a reset is about a whole lab in a notebook.
        return f"lab.{found['verb']}({name})" if name or found["verb"] == "reset" else found.group()

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
