"""Any secret of a kind, in any place where that kind stands, is masked; and no text is slow to mask or makes the masking fail."""

from __future__ import annotations

import base64
import json
import string
from collections.abc import Callable

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lab_checks.redact import redact
from tests.lab_checks.masking_corpus import Planted

LETTERS = string.ascii_letters + string.digits
NOISE = [
    "2026-11-26T10:00:00.123Z INFO model_server: GET /v1/classify 200 took=41ms",
    "    Image:          registry.example.com/ai/model-server:1.4.2",
    "  Warning  FailedScheduling  2m  default-scheduler  0/4 nodes are available: 3 Insufficient nvidia.com/gpu.",
    '{"level": "info", "msg": "loaded", "quote": "it\'s \\"so\\""}',
    "I1126 10:00:01.123456   12345 controller.go:615] quota admission added evaluator",
    "",
]
SECRET_NAMES = [
    "DB_PASSWORD",
    "HF_TOKEN",
    "client-secret",
    "apiKey",
    "AWS_SECRET_ACCESS_KEY",
    "smtp_pass",
    "spring.redis.password",
    "PGPASSWORD",
]

# Passwords as people and generators write them: no space, quote or backslash, which have cases of their own below.
passwords = st.text(LETTERS + "!#%+-.^_~/*@", min_size=8, max_size=40).filter(
    lambda each: (
        each[0].isalnum() and each[-1].isalnum() and any(map(str.isdigit, each)) and any(map(str.isalpha, each)) and "//" not in each
    )
)
phrases = st.lists(st.text(LETTERS, min_size=3, max_size=9), min_size=2, max_size=4).map(" ".join)


def token(alphabet: str, least: int, most: int) -> st.SearchStrategy[str]:
    return st.text(alphabet, min_size=least, max_size=most).filter(lambda each: any(map(str.isdigit, each)) and any(map(str.isupper, each)))


PROVIDERS: dict[str, st.SearchStrategy[str]] = {
    "github": st.builds("gh{}_{}".format, st.sampled_from("pousr"), token(LETTERS, 36, 36)),
    "github-fine": token(LETTERS + "_", 40, 82).map("github_pat_{}".format),
    "gitlab": token(LETTERS + "-", 20, 26).map("glpat-{}".format),
    "hugging-face": token(LETTERS, 30, 37).map("hf_{}".format),
    "openai": token(LETTERS + "-", 40, 60).map("sk-proj-{}".format),
    "npm": token(LETTERS, 36, 36).map("npm_{}".format),
    "nvidia": token(LETTERS + "-", 40, 64).map("nvapi-{}".format),
    "docker": token(LETTERS, 27, 27).map("dckr_pat_{}".format),
    "pypi": token(LETTERS, 40, 90).map("pypi-AgEI{}".format),
    "aws": st.builds(
        "{}{}".format, st.sampled_from(["AKIA", "ASIA"]), st.text(string.ascii_uppercase + string.digits, min_size=16, max_size=16)
    ),
    "google": token(LETTERS + "-", 35, 35).map("AIza{}".format),
    "stripe": token(LETTERS, 24, 40).map("sk_live_{}".format),
    "sendgrid": st.builds("SG.{}.{}".format, token(LETTERS, 22, 22), token(LETTERS, 43, 43)),
    "slack": st.builds("xoxb-{}-{}".format, st.integers(10**11, 10**12 - 1), token(LETTERS, 24, 24)),
    "jwt": st.builds(
        lambda claims, seal: ".".join(
            base64.urlsafe_b64encode(each).decode().rstrip("=") for each in (b'{"alg":"RS256"}', json.dumps(claims).encode(), seal)
        ),
        st.dictionaries(st.sampled_from(["sub", "iss", "aud"]), st.text(LETTERS, min_size=4, max_size=12), min_size=1),
        st.binary(min_size=16, max_size=64),
    ),
}


def nested(value: str, depth: int) -> str:
    """A password in JSON that is a string of JSON, so many times."""
    text = json.dumps({"image": "python:3.12-slim", "password": value, "port": 8080})
    for _ in range(depth):
        text = json.dumps({"metadata": {"annotations": {"kubectl.kubernetes.io/last-applied-configuration": text}}, "kind": "Pod"})
    return text


def secret_object(value: str, write: Callable[[object], str]) -> str:
    encoded = base64.b64encode(value.encode()).decode()
    return write({"apiVersion": "v1", "data": {"colour": encoded, "shape": "cm91bmQ="}, "kind": "Secret", "metadata": {"name": "paint"}})


def pod(name: str, value: str) -> dict[str, object]:
    return {
        "kind": "Pod",
        "spec": {"containers": [{"name": "web", "env": [{"name": name, "value": value}, {"name": "PORT", "value": "8080"}]}]},
    }


PLACES: dict[str, Callable[[str, str], str]] = {
    "describe": lambda name, value: f"    Environment:\n      {name}:  {value}\n      PORT:  8080\n",
    "yaml": lambda name, value: yaml.safe_dump(pod(name, value)),
    "json": lambda name, value: json.dumps(pod(name, value), indent=4),
    "compact json": lambda name, value: json.dumps(pod(name, value)),
    "repr": lambda name, value: repr(pod(name, value)),
    "value first": lambda name, value: json.dumps({"env": [{"value": value, "name": name}, {"value": "8080", "name": "PORT"}]}),
    "env dump": lambda name, value: f"HOME=/root\n{name}={value}\nPATH=/usr/bin\n",
    "set env": lambda name, value: f"$ kubectl set env deployment/web {name}={value} LOG_LEVEL=debug\n",
    "shell": lambda name, value: f"export {name}='{value}'\n",
    "flag": lambda name, value: f"exec: serve --db-password {value} --port 8080\n",
    "flag equals": lambda name, value: f"    Args:\n      --api-key={value}\n      --port=8080\n",
    "flag list": lambda name, value: yaml.safe_dump({"args": ["--admin-password", value, "--port", "8080"]}),
    "python": lambda name, value: f"os.environ['{name}'] = '{value}'\n",
    "annotation": lambda name, value: nested(value, 1),
    "deep annotation": lambda name, value: nested(value, 3),
    "url": lambda name, value: f"connecting to amqp://app:{value}@mq.internal:5672/x\n",
    "header": lambda name, value: f"> Authorization: Custom {value}\n> Accept: */*\n",
    "cookie": lambda name, value: f"Set-Cookie: session={value}; Path=/\n",
    "toml": lambda name, value: f'[db]\npassword = "{value}"\nport = 5432\n',
    "secret yaml": lambda name, value: secret_object(value, yaml.safe_dump),
    "secret json": lambda name, value: secret_object(value, json.dumps),
    "secret pretty json": lambda name, value: secret_object(value, lambda each: json.dumps(each, indent=4)),
    "secret in annotation": lambda name, value: json.dumps({"annotations": {"last-applied": secret_object(value, json.dumps)}}),
}


def hidden(planted: str, text: str) -> None:
    assert not Planted("random", planted, text).leaks(redact(text).text), (text, redact(text).text)


def around(text: str, before: list[str], after: list[str]) -> str:
    return "\n".join([*before, text, *after])


noise = st.lists(st.sampled_from(NOISE), max_size=4)
thorough = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("place", PLACES)
@thorough
@given(name=st.sampled_from(SECRET_NAMES), value=passwords, before=noise, after=noise)
def test_a_password_is_masked_wherever_it_is_written(place: str, name: str, value: str, before: list[str], after: list[str]) -> None:
    text = around(PLACES[place](name, value), before, after)
    if place.startswith("secret"):
        value = base64.b64encode(value.encode()).decode()
    hidden(value, text)


@pytest.mark.parametrize("provider", PROVIDERS)
@thorough
@given(data=st.data(), before=noise, after=noise)
def test_a_providers_token_is_masked_without_a_name(provider: str, data: st.DataObject, before: list[str], after: list[str]) -> None:
    value = data.draw(PROVIDERS[provider])
    left, right = data.draw(st.sampled_from([(" ", " refused"), ('"', '"'), ("(", ")"), ("=", "&x=1"), ("'", "',"), (": ", "")]))
    hidden(value, around(f"upstream said{left}{value}{right}", before, after))


@thorough
@given(name=st.sampled_from(SECRET_NAMES), phrase=phrases)
def test_a_password_of_several_words_goes_whole(name: str, phrase: str) -> None:
    for text in (
        f'{name}: "{phrase}"\n',
        f"  {name}: {phrase}\n",
        f"export {name}='{phrase}'\n",
        yaml.safe_dump(pod(name, phrase)),
        json.dumps(pod(name, phrase)),
    ):
        hidden(phrase, text)


@thorough
@given(
    value=st.text(LETTERS + " \"'\\,;:{}[]#", min_size=8, max_size=30).filter(
        lambda each: each.strip() == each and any(map(str.isdigit, each)) and any(map(str.isalpha, each))
    )
)
def test_quotes_and_brackets_in_a_password_do_not_end_it(value: str) -> None:
    inside = json.dumps(value)[1:-1]
    if len(inside.strip("\\\"'{}[],:;# ")) >= 6:
        hidden(inside, json.dumps({"password": value, "port": 8080}))
        hidden(inside, json.dumps(pod("DB_PASSWORD", value), indent=2))


@thorough
@given(
    address=st.ip_addresses(v=6).filter(lambda each: int(each) > 2**64 and any(map(str.isdigit, str(each)))),
    end=st.sampled_from(["", ": no route", "/64", "%eth0", ")"]),
)
def test_an_ipv6_address_is_masked(address: object, end: str) -> None:
    for written in (str(address), f"[{address}]:8080"):
        hidden(str(address), f"dial tcp {written}{end}\n")


@thorough
@given(address=st.ip_addresses(v=4).filter(lambda each: not each.is_loopback and not str(each).startswith(("255.", "0.", "169.254."))))
def test_an_ipv4_address_is_masked(address: object) -> None:
    for text in (f"dial tcp {address}:80", f"ip={address},", f"{address}/24", f"[{address}]", f'"podIP": "{address}"', f"::ffff:{address}"):
        assert str(address) not in redact(text).text


FRAGMENTS = [
    *"ab1 .:=-_/\\\"'{}[],\n@|>$<",
    "password",
    "token",
    "kind",
    "Secret",
    "data",
    "name",
    "value",
    "://",
    "-----BEGIN PRIVATE KEY-----",
]


@thorough
@given(st.lists(st.sampled_from(FRAGMENTS), max_size=60).map("".join))
def test_no_text_makes_it_fail_and_what_is_left_is_the_text_itself(text: str) -> None:
    masked = redact(text)
    assert masked.restore(masked.text) == text or "<" in text


PIECES = [
    "a",
    "1.",
    "a@b.",
    "password=",
    "PASSWORD=a,",
    '"',
    "\\",
    '\\"',
    "{",
    '[{"kind":"Secret"},',
    "kind: Secret\n",
    "  kind: Secret\n",
    '"name":"DB_PASSWORD",',
    "://a:",
    ":",
    "-----BEGIN RSA PRIVATE KEY-----\n",
    "eyJa.",
    "cookie: a ",
    "--token ",
    "password: |\n",
    "x password: ",
    "\\n",
    " ",
]


@pytest.mark.parametrize("piece", PIECES)
def test_the_work_grows_no_faster_than_the_text(piece: str) -> None:
    """Eight times the text may take 24 times as long, as machines are shared; with a quadratic rule it would be 64 times. The best of four tries counts."""
    import time

    def spent(size: int) -> float:
        text = (piece * size)[:size]
        began = time.process_time()
        redact(text)
        return time.process_time() - began

    redact(piece)
    small, large = 20_000, 160_000
    ratios = []
    for _ in range(4):
        ratios.append(spent(large) / max(spent(small), 0.005))
        if ratios[-1] < 3 * large / small:
            break
    assert min(ratios) < 3 * large / small, ratios
