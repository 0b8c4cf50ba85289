"""Text: `"abc 123".find("[0-9]+")`."""

from __future__ import annotations

import re

from clusters.embedded.cel.functions import method


@method("find", "string", "string", returns="string")
def find(text: str, pattern: str) -> str:
    found = re.search(pattern, text)
    return found[0] if found else ""


@method("findAll", "string", "string", returns="list(string)")
def find_all(text: str, pattern: str) -> list[str]:
    return [found[0] for found in re.finditer(pattern, text)]


@method("findAll", "string", "string", "int", returns="list(string)")
def find_some(text: str, pattern: str, most: int) -> list[str]:
    found = find_all(text, pattern)
    return found if most < 0 else found[:most]
