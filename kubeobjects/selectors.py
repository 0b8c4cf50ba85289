"""Label selectors: the text form of `?labelSelector=` and the object form of `metav1.LabelSelector`."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

Labels = dict[str, str]
Matcher = Callable[[Labels], bool]
Check = Callable[[str, list[str]], None]

# What labels.Lexer reads: a sign, or everything up to the next sign or space.
_TOKEN = re.compile(r"[ \t\r\n]*(==|!=|[=!(),<>]|[^ \t\r\n=!(),<>]+)")
_SPACE = " \t\r\n"
_SIGNS = frozenset({"==", "!=", "=", "!", "(", ")", ",", "<", ">"})
_END = ""
_OPERATORS = ("in", "notin", "=", "==", "!=", ">", "<")
# As the original lists them.
_OPERATOR_NAMES = "in, notin, =, ==, !=, gt, lt"


class SelectorError(ValueError):
    """A selector that cannot be parsed; the message names the part."""


def _number(text: str | None) -> int | None:
    try:
        # An int64 has 19 digits; int() of a long text is slow.
        return int(text) if text is not None and len(text) <= 20 else None
    except ValueError:
        return None


def _requirement(key: str, operator: str, values: list[str]) -> Matcher:
    if operator in ("In", "in", "=", "=="):
        wanted = frozenset(values)
        return lambda labels: key in labels and labels[key] in wanted
    if operator in ("NotIn", "notin", "!="):
        unwanted = frozenset(values)
        return lambda labels: labels.get(key) not in unwanted
    if operator == "Exists":
        return lambda labels: key in labels
    if operator == "DoesNotExist":
        return lambda labels: key not in labels
    if operator in ("Gt", ">", "Lt", "<"):
        bound = _number(values[0]) if values else None

        def compare(labels: Labels) -> bool:
            have = _number(labels.get(key))
            if have is None or bound is None:
                return False
            return have > bound if operator in ("Gt", ">") else have < bound

        return compare
    raise SelectorError(f'"{operator}" is not a valid label selector operator')


def parse(text: str, check: Check | None = None) -> Matcher:
    """A matcher for a `labelSelector` query; the empty text matches everything. Raises SelectorError, in the words of labels.Parse.

    `check` is asked about each requirement's key and values as they are read, and may raise SelectorError itself.
    """
    matchers = _Parser(text, check).parse()
    return lambda labels: all(matcher(labels) for matcher in matchers)


class _Parser:
    """Reads each character once, however long the text is (k8s.io/apimachinery/pkg/labels/selector.go)."""

    def __init__(self, text: str, check: Check | None = None):
        self._check = check or (lambda key, values: None)
        # Whatever is not read is space at the end.
        self._tokens = [*_TOKEN.findall(text.rstrip(_SPACE)), _END]
        self._at = 0

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1]

    def parse(self) -> list[Matcher]:
        matchers: list[Matcher] = []
        while (token := self._peek()) != _END:
            if token in _SIGNS and token != "!":
                raise SelectorError(f"found '{token}', expected: !, identifier, or 'end of string'")
            try:
                matchers.append(self._requirement())
            except SelectorError as error:
                raise SelectorError(f"unable to parse requirement: {error}") from None
            if (token := self._next()) == _END:
                break
            if token != ",":
                raise SelectorError(f"found '{token}', expected: ',' or 'end of string'")
            if (token := self._peek()) == _END or (token in _SIGNS and token != "!"):
                raise SelectorError(f"found '{token}', expected: identifier after ','")
        return matchers

    def _requirement(self) -> Matcher:
        key = self._next()
        absent = key == "!"
        if absent:
            key = self._next()
        if key == _END or key in _SIGNS:
            raise SelectorError(f"found '{key}', expected: identifier")
        self._check(key, [])
        if self._peek() in (_END, ","):
            return _requirement(key, "DoesNotExist" if absent else "Exists", [])
        if absent:
            # What follows a key with "!" is for the caller to refuse.
            return _requirement(key, "DoesNotExist", [])
        operator = self._next()
        if operator not in _OPERATORS:
            raise SelectorError(f"found '{operator}', expected: {_OPERATOR_NAMES}")
        values = self._values() if operator in ("in", "notin") else [self._value()]
        self._check(key, values)
        if operator in (">", "<") and _number(values[0]) is None:
            raise SelectorError(f"values[0]: Invalid value: \"{values[0]}\": for 'Gt', 'Lt' operators, the value must be an integer")
        return _requirement(key, operator, values)

    def _value(self) -> str:
        if self._peek() in (_END, ","):
            return ""
        value = self._next()
        if value in _SIGNS:
            raise SelectorError(f"found '{value}', expected: identifier")
        return value

    def _values(self) -> list[str]:
        if (token := self._next()) != "(":
            raise SelectorError(f"found '{token}' expected: '('")
        values, wanted = list[str](), True
        while (token := self._next()) != ")":
            if token == ",":
                values += [""] if wanted else []
                wanted = True
            elif token == _END or token in _SIGNS:
                raise SelectorError(f"found '{token}', expected: ',', or identifier")
            elif not wanted:
                raise SelectorError(f"found '{token}', expected: ',' or ')'")
            else:
                values.append(token)
                wanted = False
        return [*values, ""] if wanted else values


def from_object(selector: dict[str, Any] | None) -> Matcher:
    """A matcher for a `metav1.LabelSelector`. None matches nothing, {} everything (LabelSelectorAsSelector)."""
    if selector is None:
        return lambda labels: False
    matchers = [_requirement(key, "In", [value]) for key, value in (selector.get("matchLabels") or {}).items()]
    for expression in selector.get("matchExpressions") or []:
        matchers.append(_requirement(expression["key"], expression["operator"], expression.get("values") or []))
    return lambda labels: all(matcher(labels) for matcher in matchers)


def from_map(selector: Labels | None) -> Matcher:
    """A matcher for a plain map such as `Service.spec.selector`; an empty or missing map matches nothing."""
    if not selector:
        return lambda labels: False
    wanted = dict(selector)
    return lambda labels: all(labels.get(key) == value for key, value in wanted.items())


def text_of(selector: dict[str, Any] | None) -> str:
    """The text form of a `metav1.LabelSelector`, as kubectl prints it."""
    parts = [f"{key}={value}" for key, value in sorted(((selector or {}).get("matchLabels") or {}).items())]
    for expression in (selector or {}).get("matchExpressions") or []:
        key, operator, values = expression["key"], expression["operator"], ",".join(sorted(expression.get("values") or []))
        parts.append(
            {"In": f"{key} in ({values})", "NotIn": f"{key} notin ({values})", "Exists": key, "DoesNotExist": f"!{key}"}.get(
                operator, f"{key} {operator} {values}"
            )
        )
    return ",".join(parts)
