"""Regular expressions of Go (RE2) as those of Python."""

from __future__ import annotations

import re
from functools import lru_cache

_CLASSES = {
    "[:alnum:]": "0-9A-Za-z",
    "[:alpha:]": "A-Za-z",
    "[:digit:]": "0-9",
    "[:lower:]": "a-z",
    "[:upper:]": "A-Z",
    "[:space:]": r"\s",
    "[:punct:]": r"!-/:-@\[-`{-~",
    "[:xdigit:]": "0-9A-Fa-f",
    "[:word:]": "0-9A-Za-z_",
}
# An escaped character, a class in brackets, or an end of text.
_PART = re.compile(r"\\.|\[:\w+:\]|\$")


@lru_cache(maxsize=512)
def compiled(pattern: str) -> re.Pattern[str]:
    """The pattern. Raises re.error for what is none."""

    def translated(found: re.Match[str]) -> str:
        text = found[0]
        if text in (r"\z", "$"):
            # Without (?m) a `$` of Go is the end of the text, and not what stands before a last line break.
            return r"\Z" if "(?m" not in pattern else text
        return _CLASSES.get(text, text)

    return re.compile(_PART.sub(translated, pattern) if not _has_bracketed_dollar(pattern) else pattern, re.ASCII)


def _has_bracketed_dollar(pattern: str) -> bool:
    """A `$` inside brackets stands for itself; such patterns stay as they are."""
    return re.search(r"\[[^\]]*\$", pattern) is not None
