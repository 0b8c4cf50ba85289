"""What must not leave the machine does not, and what a lesson needs stays."""

from __future__ import annotations

import pytest

from lab_checks.redact import redact
from tests.lab_checks import masking_corpus as corpus

# Of the innocent texts so many may be harmed.
ALLOWED = 0.02


@pytest.mark.parametrize("planted", corpus.secrets(), ids=lambda each: each.name)
def test_nothing_of_a_planted_secret_is_left(planted: corpus.Planted) -> None:
    masked = redact(planted.text)
    assert not planted.leaks(masked.text), masked.text
    assert sum(masked.masked.values()) >= 1


def test_hardly_any_innocent_text_is_harmed() -> None:
    innocent = corpus.innocents()
    harmed = {each.name: redact(each.text).text for each in innocent if each.harmed(redact(each.text).text)}
    assert len(harmed) <= ALLOWED * len(innocent), harmed


def test_the_corpus_is_as_large_as_it_says() -> None:
    assert len(corpus.secrets()) >= 150
    assert len(corpus.innocents()) >= 150


def test_one_long_prompt_masks_as_much_as_its_parts() -> None:
    """A text must not hide what its neighbours would show alone: an open quote, a cut key, a block that never ends."""
    whole = redact("\n\n".join(each.text for each in corpus.secrets())).text
    around = "\n\n".join(each.text.replace(each.secret, "\0") for each in corpus.secrets())
    told = [each.name for each in corpus.secrets() if each.secret in whole and each.secret not in around]
    assert told == []


def test_the_same_address_keeps_one_name_so_that_the_text_makes_sense() -> None:
    masked = redact("10.0.0.1 asks 10.0.0.2, and 10.0.0.1 waits")
    assert masked.text == "<address-1> asks <address-2>, and <address-1> waits"
    assert masked.masked == {"address": 3}
    assert masked.summary() == "3 x address"


def test_a_secret_that_was_named_once_is_known_wherever_it_stands() -> None:
    masked = redact("DB_PASSWORD: zebra-Stripes-7\nlog: connecting with zebra-Stripes-7 as app\nencoded emVicmEtU3RyaXBlcy03\n")
    assert masked.text == "DB_PASSWORD: <secret-1>\nlog: connecting with <secret-1> as app\nencoded <secret-2>\n"


def test_a_password_that_is_a_plain_word_does_not_take_that_word_from_the_text() -> None:
    text = "password: ai-platform\nNamespace:  ai-platform\n"
    assert redact(text).text == "password: <secret-1>\nNamespace:  ai-platform\n"


def test_masking_twice_is_masking_once() -> None:
    once = redact("\n".join(each.text for each in corpus.secrets())).text
    assert redact(once).text == once


def test_a_placeholder_that_the_text_holds_already_is_not_given_again() -> None:
    masked = redact("they say <address-1> is down; 10.0.0.7 is up")
    assert masked.text == "they say <address-1> is down; <address-2> is up"


def test_what_a_placeholder_stands_for_can_be_put_back_here_and_is_not_printed() -> None:
    masked = redact("client=10.244.1.7 status=503")
    assert masked.restore("> client=<address-1> status=503, and <address-9>") == "> client=10.244.1.7 status=503, and <address-9>"
    assert "10.244.1.7" not in repr(masked)


@pytest.mark.parametrize(
    "text",
    [
        "0/4 nodes are available: 3 Insufficient nvidia.com/gpu. Image python:3.12-slim, exit code 137, token count 512, TokenExpirationSeconds:  3607",
        "",
        "\n",
        "password:",
        "password: \n",
        "Authorization:\n",
        'token: "',
        "--token",
        "-----BEGIN ",
    ],
)
def test_what_an_engineer_needs_stays(text: str) -> None:
    assert redact(text).text == text


def test_a_summary_names_kinds_in_words() -> None:
    assert redact("all is well").summary() == "nothing had to be masked"
    assert redact("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEF\n-----END PRIVATE KEY-----").summary() == "1 x private key"
