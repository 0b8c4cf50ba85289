"""Text for the cells of a spreadsheet: names and quoted lines come from learners, and none of them is to be calculated."""

from __future__ import annotations

# What a spreadsheet takes for the beginning of a formula.
# https://owasp.org/www-community/attacks/CSV_Injection
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")


def text(value: str) -> str:
    """The value, with a quote before what a spreadsheet would calculate: it shows such a cell as it stands."""
    return f"'{value}" if value.lstrip().startswith(_FORMULA) or value.startswith(_FORMULA) else value
