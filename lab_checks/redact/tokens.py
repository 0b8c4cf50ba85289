"""Tokens that are known by their looks: those of our own table, and those that the detectors of `bc-detect-secrets` know."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache

from lab_checks.redact import rules
from lab_checks.redact.spans import TOKEN, Span

# Detectors of bc-detect-secrets that know a token by its looks alone, each with what a text must hold (lower case) to be worth its time. Those that go by the
# name before it are left to `named`, which knows how Kubernetes writes names and values; basic auth and private keys to `rules.toml` and `pem`.
_DETECTORS = (
    ("aws", "AWSKeyDetector", ("akia", "asia", "abia", "acca", "a3t", "aws")),
    ("azure_storage_key", "AzureStorageKeyDetector", ("==",)),
    ("discord", "DiscordBotTokenDetector", (".",)),
    ("github_token", "GitHubTokenDetector", ("gh",)),
    ("jwt", "JwtTokenDetector", ("eyj",)),
    ("mailchimp", "MailchimpDetector", ("-us",)),
    ("npm", "NpmDetector", ("npm", "_authtoken")),
    ("sendgrid", "SendGridDetector", ("sg.",)),
    ("slack", "SlackDetector", ("xox", "hooks.slack.com")),
    ("square_oauth", "SquareOAuthDetector", ("sq0csp-",)),
    ("stripe", "StripeDetector", ("k_live_",)),
    ("twilio", "TwilioKeyDetector", ("ac", "sk")),
)


def find(text: str) -> Iterator[Span]:
    lower = text.lower()
    yield from _by_beginning(text)
    yield from _shapes(text, lower)
    yield from _detected(text, lower)


def _by_beginning(text: str) -> Iterator[Span]:
    for token in rules.tokens():
        for begins in token.begins:
            at = text.find(begins)
            while at >= 0:
                found = token.goes_on.match(text, at + len(begins))
                if found and not (at and (text[at - 1].isalnum() or text[at - 1] in "_-")):
                    yield Span(at, found.end(), TOKEN)
                at = text.find(begins, found.end() if found else at + 1)


def _shapes(text: str, lower: str) -> Iterator[Span]:
    for shape in rules.shapes():
        if shape.needs and not any(each in lower for each in shape.needs):
            continue
        for found in shape.pattern.finditer(text):
            groups = [each for each in ("hide", "hide2") if found.groupdict().get(each)]
            begin, end = found.span(groups[0]) if groups else found.span()
            if not rules.innocent_value().fullmatch(text, begin, end):
                yield Span(begin, end, shape.kind)


@cache
def _detectors() -> tuple[tuple[re.Pattern[str], tuple[str, ...]], ...]:
    # Importing takes 0.15 s, which only those wait for who mask.
    from importlib import import_module

    return tuple(
        (pattern, needs)
        for module, name, needs in _DETECTORS
        for pattern in getattr(import_module(f"detect_secrets.plugins.{module}"), name).denylist
    )


def _detected(text: str, lower: str) -> Iterator[Span]:
    for pattern, needs in _detectors():
        if not any(each in lower for each in needs):
            continue
        for found in pattern.finditer(text):
            whole = text[max(0, found.start() - 8) : found.start()]
            # The checksum of a package is as long as a key.
            if whole.endswith(("sha512-", "sha512:")):
                continue
            groups = [found.span(number) for number in range(1, (pattern.groups or 0) + 1) if found.group(number)]
            # A group that is only the beginning of a token (`(ghp|gho)_…`) is not all of it.
            begin, end = max(groups, key=lambda each: each[1] - each[0], default=found.span())
            if end - begin < 8:
                begin, end = found.span()
            yield Span(begin, end, TOKEN)
