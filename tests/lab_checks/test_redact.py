"""What must not leave the machine does not."""

from __future__ import annotations

import pytest

from lab_checks.redact import redact


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("Authorization: Bearer abcdef0123456789abcdef", "abcdef0123456789abcdef"),
        ("token is eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJhIn0abc.c2lnbmF0dXJl", "eyJhbGciOiJFUzI1NiJ9"),
        ("HF_TOKEN: hf_abcdefghijklmnopqrstuv", "hf_abcdefghijklmnopqrstuv"),
        ("DB_PASSWORD=hunter22", "hunter22"),
        ("  api-key: 'sk-live-0123456789abcdef'", "sk-live-0123456789abcdef"),
        ("postgres://scott:tiger77@db.internal/x", "scott:tiger77"),
        ("asked by mira@example.com", "mira@example.com"),
        ("dial tcp 10.244.1.7:8080: connection refused", "10.244.1.7"),
        ("-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----", "MIIE"),
    ],
)
def test_a_secret_is_replaced_and_counted(text: str, secret: str) -> None:
    masked = redact(text)
    assert secret not in masked.text
    assert sum(masked.masked.values()) >= 1


def test_the_same_address_keeps_one_name_so_that_the_text_makes_sense() -> None:
    masked = redact("10.0.0.1 asks 10.0.0.2, and 10.0.0.1 waits")
    assert masked.text == "<ADDRESS-1> asks <ADDRESS-2>, and <ADDRESS-1> waits"


def test_what_an_engineer_needs_stays() -> None:
    text = "0/4 nodes are available: 3 Insufficient nvidia.com/gpu. Image python:3.12-slim, exit code 137, token count 512, TokenExpirationSeconds:  3607"
    assert redact(text).text == text
