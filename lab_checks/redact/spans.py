"""A part of a text that has to go."""

from __future__ import annotations

from dataclasses import dataclass

SECRET, TOKEN, KEY, CERTIFICATE = "secret", "token", "private-key", "certificate"
CREDENTIALS, COOKIE, EMAIL, ADDRESS, USER = "credentials", "cookie", "email", "address", "user"


@dataclass(frozen=True)
class Span:
    """The characters from `start` up to and without `end` are of this kind."""

    start: int
    end: int
    kind: str
