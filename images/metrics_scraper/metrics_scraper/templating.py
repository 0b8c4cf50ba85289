"""Texts of alerts: `{{ $labels.pod }} answers in {{ $value | humanizeDuration }}`.

The part of Prometheus' templates (Go's text/template) that rule files are written with: labels, the value, and functions over them.
https://prometheus.io/docs/prometheus/latest/configuration/template_reference/
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping

_ACTION = re.compile(r"\{\{-?\s*(.*?)\s*-?\}\}", re.S)
_WORD = re.compile(r'"(?:[^"\\]|\\.)*"|`[^`]*`|[^\s"`|]+|\|')
_LABEL = re.compile(r"(?:\$labels|\.Labels|\$externalLabels|\.ExternalLabels)\.(\w+)")
_VERB = re.compile(r"%[-+ #0]*\d*(?:\.\d+)?[a-zA-Z%]")

Value = float | str


class TemplateError(ValueError):
    """A text that cannot be filled; the message says what in it."""


def _shown(value: Value) -> str:
    """A value as Go prints it where nobody says how."""
    if isinstance(value, str):
        return value
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value == int(value) and abs(value) < 1e21:
        return str(int(value))
    return repr(value)


def _number(value: Value, function: str) -> float:
    try:
        return float(value)
    except ValueError:
        raise TemplateError(f"{function}: {value!r} is no number") from None


def _general(value: float) -> str:
    return _shown(value) if not math.isfinite(value) else f"{value:.4g}"


def _scaled(value: float, base: float, large: str, small: str) -> str:
    if value == 0 or not math.isfinite(value):
        return _general(value)
    prefix = ""
    if abs(value) >= 1:
        for prefix_here in large:
            if abs(value) < base:
                break
            prefix, value = prefix_here, value / base
    else:
        for prefix_here in small:
            if abs(value) >= 1:
                break
            prefix, value = prefix_here, value * base
    return f"{value:.4g}{prefix}"


def _humanize(value: Value) -> str:
    return _scaled(_number(value, "humanize"), 1000, "kMGTPEZY", "munpfazy")


def _humanize1024(value: Value) -> str:
    number = _number(value, "humanize1024")
    if abs(number) <= 1 or not math.isfinite(number):
        return _general(number)
    prefix = ""
    for each in ("ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Zi", "Yi"):
        if abs(number) < 1024:
            break
        prefix, number = each, number / 1024
    return f"{number:.4g}{prefix}"


def _humanize_duration(value: Value) -> str:
    number = _number(value, "humanizeDuration")
    if not math.isfinite(number):
        return _general(number)
    if number == 0:
        return "0s"
    if abs(number) < 1:
        return _scaled(number, 1000, "", "munpfazy") + "s"
    sign, whole = "-" if number < 0 else "", int(abs(number))
    seconds, minutes, hours, days = whole % 60, whole // 60 % 60, whole // 3600 % 24, whole // 86400
    if days:
        return f"{sign}{days}d {hours}h {minutes}m {seconds}s"
    if hours:
        return f"{sign}{hours}h {minutes}m {seconds}s"
    if minutes:
        return f"{sign}{minutes}m {seconds}s"
    return f"{sign}{abs(number):.4g}s"


FILTERS: dict[str, Callable[[Value], str]] = {
    "humanize": _humanize,
    "humanize1024": _humanize1024,
    "humanizeDuration": _humanize_duration,
    "humanizePercentage": lambda value: f"{_number(value, 'humanizePercentage') * 100:.4g}%",
    "toUpper": lambda value: _shown(value).upper(),
    "toLower": lambda value: _shown(value).lower(),
    "title": lambda value: _shown(value).title(),
}


def _printf(pattern: str, values: list[Value]) -> str:
    left = list(values)

    def one(verb: re.Match[str]) -> str:
        if verb[0] == "%%":
            return "%"
        if not left:
            return f"%!{verb[0][-1]}(MISSING)"
        value = left.pop(0)
        if verb[0][-1] in "vs":
            return (verb[0][:-1] + "s") % _shown(value)
        if verb[0][-1] == "q":
            return f'"{_shown(value)}"'
        if verb[0][-1] in "feEgG":
            return verb[0] % _number(value, "printf")
        raise TemplateError(f"printf: {verb[0]} is not known here")

    return _VERB.sub(one, pattern)


def fill(text: str, labels: Mapping[str, str], value: float, external: Mapping[str, str] | None = None) -> str:
    """The text with its actions filled. Raises TemplateError."""

    def operand(word: str) -> Value:
        if word in ("$value", ".Value"):
            return value
        if found := _LABEL.fullmatch(word):
            return ((external or {}) if "xternal" in word else labels).get(found[1], "")
        if word[0] in '"`':
            return word[1:-1] if word[0] == "`" else re.sub(r"\\(.)", r"\1", word[1:-1])
        try:
            return float(word)
        except ValueError:
            raise TemplateError(
                f"{{{{ {word} }}}}: only labels, the value and {', '.join(sorted(FILTERS))}, printf are known here"
            ) from None

    def command(words: list[str], piped: list[Value]) -> Value:
        if not words:
            raise TemplateError("missing value for command")
        if words[0] == "printf":
            arguments = [*(operand(word) for word in words[1:]), *piped]
            if not arguments:
                raise TemplateError("printf: what to print is missing")
            return _printf(_shown(arguments[0]), arguments[1:])
        if words[0] in FILTERS:
            arguments = [*(operand(word) for word in words[1:]), *piped]
            if len(arguments) != 1:
                raise TemplateError(f"wrong number of args for {words[0]}: want 1 got {len(arguments)}")
            return FILTERS[words[0]](arguments[0])
        if len(words) > 1 or piped:
            raise TemplateError(f"can't give argument to non-function {words[0]}")
        return operand(words[0])

    def action(found: re.Match[str]) -> str:
        if found[1].startswith("/*"):
            return ""
        piped: list[Value] = []
        words: list[str] = []
        for word in [*_WORD.findall(found[1]), "|"]:
            if word == "|":
                piped, words = [command(words, piped)], []
            else:
                words.append(word)
        return _shown(piped[0])

    if text.count("{{") != len(_ACTION.findall(text)):
        raise TemplateError("unclosed action")
    return _ACTION.sub(action, text)
