"""Masking what must not leave the machine: tokens, keys, passwords, addresses. Text goes in; masked text and what was masked come out."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass

_RULES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("PRIVATE KEY", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.S)),
    ("CERTIFICATE", re.compile(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", re.S)),
    ("TOKEN", re.compile(r"\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*")),
    (
        "TOKEN",
        re.compile(
            r"\b(?:gh[pousr]_\w{20,}|glpat-[\w-]{16,}|hf_\w{16,}|sk-[\w-]{16,}|nvapi-[\w-]{16,}|xox[abprs]-[\w-]{10,}|AKIA[0-9A-Z]{16})"
        ),
    ),
    ("TOKEN", re.compile(r"(?i)(?<=bearer )[\w.~+/=-]{12,}")),
    (
        "SECRET",
        re.compile(
            r"(?i)(?P<keep>\b(?!TokenExpirationSeconds)[\w.-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|credential)[\w.-]*[\"']?\s*[:=]\s*[\"']?)(?P<hide>[^\s\"',}]{4,})"
        ),
    ),
    ("CREDENTIALS", re.compile(r"(?P<keep>\w+://)(?P<hide>[^/\s:@]+:[^/\s@]+)(?=@)")),
    ("EMAIL", re.compile(r"\b[\w.+-]+@[\w-]+(?:\.[\w-]+)+\b")),
    ("ADDRESS", re.compile(r"\b(?:\d{1,3}\.){3}\d{1,3}\b")),
    ("ADDRESS", re.compile(r"(?i)\b(?:[0-9a-f]{1,4}:){4,7}[0-9a-f]{1,4}\b")),
)


@dataclass(frozen=True)
class Redacted:
    """`masked` counts what was replaced, by kind."""

    text: str
    masked: dict[str, int]

    def summary(self) -> str:
        """What was masked, for the learner and for the model."""
        if not self.masked:
            return "nothing had to be masked"
        return ", ".join(f"{count} x {kind.lower()}" for kind, count in sorted(self.masked.items()))


def redact(text: str) -> Redacted:
    """Replaces each secret by `<KIND-n>`; the same secret gets the same placeholder everywhere, so that the text still makes sense."""
    names: dict[tuple[str, str], str] = {}
    numbers: Counter[str] = Counter()
    masked: Counter[str] = Counter()

    for kind, pattern in _RULES:

        def mask(found: re.Match[str], kind: str = kind) -> str:
            groups = found.groupdict()
            hidden = groups.get("hide") or found.group()
            if hidden.startswith("<") or hidden in ("None", "none", "null", "true", "false"):
                return found.group()
            if (kind, hidden) not in names:
                numbers[kind] += 1
                names[kind, hidden] = f"<{kind}-{numbers[kind]}>"
            masked[kind] += 1
            return (groups.get("keep") or "") + names[kind, hidden]

        text = pattern.sub(mask, text)
    return Redacted(text, dict(masked))
