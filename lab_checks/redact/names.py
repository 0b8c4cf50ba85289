"""Which names mean a secret: `DB_PASSWORD` and `clientSecret` do, `secretName` and `max_tokens` do not."""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import pairwise

from lab_checks.redact import rules

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
# A name without one of these is harmless; looking for them is quick.
STEM = re.compile(r"pass|pw|secret|token|key|cred|auth|jwt|otp|sig|cert|cookie|code|x-(?:amz|goog)", re.IGNORECASE)


@lru_cache(maxsize=4096)
def is_secret(name: str, in_query: bool = False) -> bool:
    """Whether a value under this name is a secret. `in_query`: the name stands in the query of a URL."""
    if in_query and name.lower() in rules.words("names", "query"):
        return True
    found = [word.lower() for word in _WORD.findall(name)]
    while found and (found[-1].isdigit() or found[-1] in rules.words("names", "after")):
        found.pop()
    if not found or found[-1] in rules.words("names", "about") or rules.words("names", "innocent").intersection(found):
        return False
    if any(stem in word for word in found for stem in rules.words("names", "holds")) or rules.words("names", "words").intersection(found):
        return True
    if rules.words("names", "of_text").intersection(found):
        return False
    return (
        any(word.endswith("token") for word in found)
        or any(first in rules.words("names", "keys") and second in ("key", "keys") for first, second in pairwise(found))
        # Names whose words run together.
        or (found[-1].endswith(("pass", "pwd")) and found[-1] not in ("bypass", "compass"))
        or found[-1] in ("privatekey", "accesskey", "secretkey", "accountkey", "authkey")
    )


@lru_cache(maxsize=4096)
def is_certificate(name: str) -> bool:
    """Whether the base64 under this name is a certificate of a person or a machine, and not of an authority."""
    return name.lower().replace("_", "-") in ("client-certificate-data", "client-certificate", "tls.crt", "client.crt")


def is_authority(name: str) -> bool:
    """Whether what stands under this name is the certificate of an authority, which everybody may know."""
    return bool(re.search(r"(?i)certificate-authority|ca-?bundle|(?:^|[-_.])ca[-_.]?(?:crt|cert|pem|data)$", name))
