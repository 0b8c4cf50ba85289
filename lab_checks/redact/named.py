"""Values under names that mean a secret: `password: x`, `"token":"x"`, `- name: DB_PASSWORD` with `value: x`, `--api-key x`, `os.environ["TOKEN"] = "x"`."""

from __future__ import annotations

import re
from collections.abc import Iterator

from lab_checks.redact import names, values
from lab_checks.redact.spans import CERTIFICATE, CREDENTIALS, SECRET, TOKEN, Span

_ASSIGNED = re.compile(
    r"(?P<dashes>-{0,2})(?P<name>[\w./-]{1,200})(?P<close>\\{0,15}[\"'])?\]?[ \t]{0,8}(?P<sign>:=|=>|=(?!=)|==(?=[ \t]*\\{0,15}[\"'])|:(?![:/]))[ \t]*"
)
_CALLED = re.compile(r"\b(?:setdefault|getenv|get|setenv|putenv)\(\s*(?P<quote>[\"'])(?P<name>[\w.-]{1,200})(?P=quote)\s*,\s*")
_FLAG = re.compile(
    r"(?<![\w-])--?(?P<name>[A-Za-z][\w.-]{1,100})(?P<close>\\{0,15}[\"'])?(?P<gap>,?[ \t]+|,|(?P<line>,?[ \t]*\n[ \t]*(?:- )?))"
)
_PAIR = re.compile(
    r"(?<![\w-])(?P<quote>\\{0,15}[\"']?)(?:name|key|Name|Key)(?P=quote)[ \t]*:[ \t]*(?P<quote2>\\{0,15}[\"']?)(?P<name>[\w./-]{2,200})(?P=quote2)(?=[\s,}])"
)
_PAIRED_VALUE = re.compile(r"[ \t]*,?\s*(?:\\{0,15}[\"']?)(?:value|Value)(?:\\{0,15}[\"']?)[ \t]*:[ \t]*")
_VALUE_BEFORE = re.compile(r"(?<![\w-])\\{0,15}[\"']?[vV]alue\\{0,15}[\"']?[ \t]*:[ \t]*")
_AUTH = re.compile(r"[A-Za-z0-9+/]{6,}={0,2}")
_ITEM = re.compile(r"[ \t]*")
_NEXT_ITEM = re.compile(r"\\{0,15}[\"'][ \t]*,[ \t]*")
_YAML_ITEM = re.compile(r"\n[ \t]*- ")
_VALUE_BELOW = re.compile(r"\n[ \t]+[\"']?[vV]alue[\"']?:[ \t]*")
_WORDS_BEFORE = re.compile(r"(?:\b[A-Za-z]+ ){1,2}\Z")
# How far before a name its value may begin, where the value comes first, and how long a name may be.
_BEFORE = 8192
_LONGEST_NAME = 200


def find(text: str) -> Iterator[Span]:
    yield from _assigned(text)
    yield from _called(text)
    yield from _flags(text)
    yield from _pairs(text)


def kind_of(name: str) -> str:
    return CERTIFICATE if names.is_certificate(name) else TOKEN if "token" in name.lower() else SECRET


def _names(text: str) -> Iterator[re.Match[str]]:
    """Names that may mean a secret and are given a value."""
    last = -1
    for stem in names.STEM.finditer(text):
        begin = stem.start()
        floor = max(0, begin - _LONGEST_NAME, last)
        while begin > floor and (text[begin - 1].isalnum() or text[begin - 1] in "_./-"):
            begin -= 1
        found = _ASSIGNED.match(text, begin) if begin > last else None
        if found:
            last = begin
            yield found


def _assigned(text: str) -> Iterator[Span]:
    done = 0
    for found in _names(text):
        name = found["name"]
        # A name inside of a value that is masked already says nothing more.
        if found.start() < done:
            continue
        if name.lower() == "auth":
            yield from _docker_auth(text, found)
            continue
        in_query = found["sign"] == "=" and text[found.start() - 1 : found.start()] in ("?", "&") and found.start() > 0
        if not (names.is_secret(name, in_query) or names.is_certificate(name)) or _refers(text, found):
            continue
        listed = list(_listed(text, found))
        yield from listed
        span = None if listed else _value(text, found)
        if span is not None and span[0] < span[1] and not values.innocent(text[span[0] : span[1]], name):
            done = span[1]
            yield Span(*span, kind_of(name))


def _refers(text: str, found: re.Match[str]) -> bool:
    """Whether what follows is prose or a list of names: `Image pull secrets: x`, `failed for volume "tls-secret" : secret "x" not found`."""
    if found["sign"] != ":":
        return False
    before = _WORDS_BEFORE.search(text, max(0, found.start() - 40), found.start())
    if before is not None and not names.is_secret(f"{before.group()}{found['name']}"):
        return True
    return bool(found["close"]) and text[found.end("close")] in " \t" and values.quoted(text, found.end()) is None


def _value(text: str, found: re.Match[str]) -> tuple[int, int] | None:
    """The value after a name and its sign, as far as the notation says that it goes."""
    at, sign = found.end(), found["sign"]
    inside = values.quoted(text, at)
    if inside is not None:
        return inside
    begin = values.line_start(text, found.start())
    before = text[max(begin, found.start() - 400) : found.start()]
    first = not before.strip(" \t-\"'") if found["close"] else not before.strip(" \t-")
    if sign == ":":
        if text[at : at + 1] == "\n" or at >= len(text):
            below = _VALUE_BELOW.match(text, at)
            return _pair_value(text, below.end()) if below else None
        if first and not found["dashes"]:
            return values.block(text, at, len(before.replace("-", " "))) or _scalar(text, at)
        span = values.word(text, at)
        rest = text[span[0] : min(values.line_end(text, at), span[0] + 200)]
        in_sentence = not found["close"] and bool(re.search(r"[A-Za-z]\s+$", before))
        return None if in_sentence and values.prose(rest) else span
    if first and values.in_environment(text, found.start()):
        return values.rest_of_line(text, at)
    if found["close"] is None and text[at : at + 1] and sign == "=" and " " in text[found.end("name") : at]:
        # An assignment in a program: a name, a call or an index on the right is no secret.
        code = re.match(r"[A-Za-z_][\w.]*(?:\(|\[|$|\s)", text[at : values.line_end(text, at)] + "\n")
        if code and not re.search(r"\d", code.group()):
            return None
    span = values.word(text, at)
    return None if re.match(r"[A-Za-z_][\w.]*\(|[a-z_]+\.[a-z_.]+[,)]", text[span[0] : span[1] + 1]) else span


def _listed(text: str, found: re.Match[str]) -> Iterator[Span]:
    """The plain items of a list: `"passwords": ["a", "b"]`, or a line each in YAML. `secrets:` lists names of Secrets, and is left."""
    name, at = found["name"], found.end()
    if name.lower().endswith(("secrets", "credentials")):
        return
    if text.startswith("[", at):
        item = _ITEM.match(text, at + 1)
        while item is not None:
            inside = values.quoted(text, item.end())
            if inside is None or not text[slice(*inside)]:
                return
            yield Span(*inside, kind_of(name))
            item = _NEXT_ITEM.match(text, inside[1])
    elif found["sign"] == ":" and text.startswith("\n", at):
        line = _YAML_ITEM.match(text, at)
        while line is not None:
            begin, end = values.quoted(text, line.end()) or values.rest_of_line(text, line.end())
            value = text[begin:end]
            if re.match(r"[\w.-]+:(?: |$)", value):
                return
            if not values.innocent(value, name):
                yield Span(begin, end, kind_of(name))
            line = _YAML_ITEM.match(text, values.line_end(text, end))


def _scalar(text: str, at: int) -> tuple[int, int]:
    """A plain YAML value, or a line of `kubectl describe`: it ends with its line."""
    begin, end = values.rest_of_line(text, at)
    if text[begin:end].endswith((",", "\\n")):
        return values.word(text, at)
    return begin, end


def _docker_auth(text: str, found: re.Match[str]) -> Iterator[Span]:
    """`"auth": "…"` in a registry login: user and password in base64."""
    begin, end = values.quoted(text, found.end()) or values.word(text, found.end())
    if _AUTH.fullmatch(text, begin, end):
        yield Span(begin, end, CREDENTIALS)


def _called(text: str) -> Iterator[Span]:
    for found in _CALLED.finditer(text):
        if names.is_secret(found["name"]) and (span := values.quoted(text, found.end())) and not values.innocent(text[slice(*span)]):
            yield Span(*span, kind_of(found["name"]))


def _flags(text: str) -> Iterator[Span]:
    for found in _FLAG.finditer(text):
        if not (names.STEM.search(found["name"]) and names.is_secret(found["name"])):
            continue
        at = found.end()
        span = values.quoted(text, at)
        if found["line"] is not None:
            begin = values.line_start(text, found.start())
            if text[begin : found.start()].strip(" \t-[\"'\\"):
                continue
            span = span or values.rest_of_line(text, at)
        span = span or values.word(text, at)
        value = text[span[0] : span[1]]
        alone = found["line"] is not None or found["close"]
        if value.startswith("-") or values.innocent(value, found["name"]) or (not alone and values.prose(value)):
            continue
        yield Span(*span, kind_of(found["name"]))


def _pairs(text: str) -> Iterator[Span]:
    """`name` and `value` beside each other, in either order."""
    for found in _PAIR.finditer(text):
        name = found["name"]
        if not (names.STEM.search(name) and names.is_secret(name)):
            continue
        after = _PAIRED_VALUE.match(text, found.end())
        if after is not None and not re.search(r"\n[ \t]*- ", after.group()):
            span = _pair_value(text, after.end())
        else:
            span = _value_before(text, found.start())
        if span is not None and not values.innocent(text[span[0] : span[1]], name):
            yield Span(*span, kind_of(name))


def _pair_value(text: str, at: int) -> tuple[int, int] | None:
    inside = values.quoted(text, at)
    if inside is not None:
        return inside
    begin = values.line_start(text, at)
    head = text[begin:at]
    if re.fullmatch(r"[ \t]*(?:- )?[vV]alue:[ \t]*", head):
        return values.block(text, at, len(head) - len(head.lstrip(" \t"))) or values.rest_of_line(text, at)
    return values.word(text, at)


def _value_before(text: str, at: int) -> tuple[int, int] | None:
    """The value that stands directly before the `name` at this place, in the same element of a list."""
    if text.startswith("- ", at - 2):
        return None
    key = text.rfind("alue", max(0, at - _BEFORE), at)
    last = _VALUE_BEFORE.search(text, max(0, key - 17), at) if key > 0 else None
    span = _pair_value(text, last.end()) if last else None
    if span is None:
        return None
    return span if re.fullmatch(r"\\{0,15}[\"']?[ \t]*,?\s*", text[span[1] : at]) else None
