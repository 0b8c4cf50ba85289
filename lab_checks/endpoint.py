"""The one place for a language model of the learner's: an OpenAI-compatible endpoint, off until somebody configures it, and one question to it.

Configured by the environment (AI_LAB_ASSISTANT_URL, AI_LAB_ASSISTANT_MODEL, AI_LAB_ASSISTANT_KEY) or by `ai-lab endpoint`, which keeps the same three in
`endpoint.json` of the state folder; a variable wins. Nothing here is called unless a learner asks for it, and nothing is masked here: whoever
sends a text masks it before (lab_checks.redact).

The call is `POST {url}/chat/completions`, as https://platform.openai.com/docs/api-reference/chat describes it; `response_format` with a JSON schema is
left out in a second try where a server answers 400 or 422 to it, for many that call themselves compatible do not know it.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import clusters
from lab_checks import whole_file

# Seconds for all of a call: whoever waits longer thinks that the command hangs.
PATIENCE = 30.0
# A reply of more bytes is no reply to a question of ours.
_MOST_BYTES = 1_000_000
_VARIABLES = {"url": "AI_LAB_ASSISTANT_URL", "model": "AI_LAB_ASSISTANT_MODEL", "key": "AI_LAB_ASSISTANT_KEY"}
HOW = (
    "Set AI_LAB_ASSISTANT_URL (an OpenAI-compatible base URL), AI_LAB_ASSISTANT_MODEL and, where it wants one, AI_LAB_ASSISTANT_KEY; "
    "or: ai-lab endpoint --url URL --model NAME"
)


class EndpointError(Exception):
    """The endpoint gave no usable reply. The message is for people: what happened, and what to do next where something can be done."""


@dataclass(frozen=True)
class Endpoint:
    """A configured endpoint. `key` is never shown: `repr` and `told` leave it out."""

    url: str
    model: str = "default"
    key: str = ""

    def __repr__(self) -> str:
        return f"Endpoint({self.told})"

    @property
    def told(self) -> str:
        """What people are told of it: the model, and the address without what a URL may hold of a login."""
        parts = urlsplit(self.url)
        place = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        return f"{self.model} at {parts.scheme}://{place}{parts.path}"


def path() -> Path:
    """Where `ai-lab endpoint` keeps the settings."""
    return clusters.state_folder() / "endpoint.json"


def configured() -> Endpoint | None:
    """The endpoint, None where none is configured. Raises EndpointError for settings that cannot be meant."""
    given = {**_kept(), **{name: os.environ[variable] for name, variable in _VARIABLES.items() if os.environ.get(variable)}}
    if not given.get("url"):
        return None
    return Endpoint(checked(given["url"]), given.get("model") or "default", given.get("key", ""))


def checked(url: str) -> str:
    """The base URL without a slash at its end. Raises EndpointError where it is none."""
    try:
        parts = urlsplit(url.strip())
        valid = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        valid = False
    if not valid:
        raise EndpointError(
            f'"{url}" is no base URL; expected something like https://HOST/v1 (AI_LAB_ASSISTANT_URL, or ai-lab endpoint --url)'
        )
    return url.strip().rstrip("/")


def _kept() -> dict[str, str]:
    try:
        read = json.loads(path().read_text())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as problem:
        raise EndpointError(f"{path()} cannot be read ({problem}); ai-lab endpoint --off removes it") from None
    return {name: str(read[name]) for name in _VARIABLES if isinstance(read, dict) and read.get(name)}


def keep(endpoint: Endpoint) -> None:
    """Writes the settings, readable by their owner only. Raises OSError."""
    path().parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    whole_file.write(path(), json.dumps({"url": endpoint.url, "model": endpoint.model, "key": endpoint.key}))


def forget() -> bool:
    """Removes the settings that were kept, and says whether there were any."""
    try:
        path().unlink()
    except FileNotFoundError:
        return False
    return True


def ask(endpoint: Endpoint, messages: list[dict[str, str]], schema: dict[str, Any] | None = None, patience: float = PATIENCE) -> str:
    """What the model replies, as text; with `schema` it is asked for JSON of that schema, and may still reply with anything.

    Ends within `patience` seconds. Raises EndpointError.
    """
    # Loading the client takes seconds on a busy machine, and is none of the endpoint's time.
    importlib.import_module("openai")

    outcome: list[str | BaseException] = []

    def run() -> None:
        try:
            outcome.append(asyncio.run(_within(endpoint, messages, schema, patience)))
        except BaseException as problem:
            outcome.append(problem)

    # A thread of its own: a notebook's kernel already runs an event loop in this one.
    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    # The deadline is the call's; looking up a name is the one step that cannot be cancelled.
    thread.join(patience + 2)
    if not outcome:
        raise EndpointError(_late(endpoint, patience))
    if isinstance(outcome[0], BaseException):
        raise outcome[0]
    return outcome[0]


def _late(endpoint: Endpoint, patience: float) -> str:
    return f"{endpoint.told} did not reply within {patience:.0f} seconds"


async def _within(endpoint: Endpoint, messages: list[dict[str, str]], schema: dict[str, Any] | None, patience: float) -> str:
    from openai import APIConnectionError, APIStatusError, APITimeoutError, AsyncOpenAI, DefaultAsyncHttpxClient

    # No redirect is followed: what is sent goes to the address that was configured, and nowhere else.
    connection = DefaultAsyncHttpxClient(follow_redirects=False, timeout=patience)
    client = AsyncOpenAI(base_url=endpoint.url, api_key=endpoint.key or "none", max_retries=0, timeout=patience, http_client=connection)
    try:
        async with asyncio.timeout(patience), client:
            try:
                return await _complete(client, endpoint, messages, schema)
            except APIStatusError as problem:
                if schema is None or problem.status_code not in (400, 422):
                    raise
            return await _complete(client, endpoint, messages, None)
    except (TimeoutError, APITimeoutError):
        raise EndpointError(_late(endpoint, patience)) from None
    except APIStatusError as problem:
        raise EndpointError(_status(endpoint, problem.status_code, problem.response.headers.get("retry-after", ""))) from None
    except APIConnectionError as problem:
        raise EndpointError(
            f"{endpoint.told} cannot be reached ({problem.__cause__ or problem}); is the address right, and the server up?"
        ) from None
    except EndpointError:
        raise
    except Exception as problem:
        # While the body comes, errors are those of whichever HTTP library this version of the client stands on.
        if "Timeout" in type(problem).__name__:
            raise EndpointError(_late(endpoint, patience)) from None
        raise EndpointError(f"{endpoint.told} broke off its reply ({type(problem).__name__})") from None


async def _complete(client: Any, endpoint: Endpoint, messages: list[dict[str, str]], schema: dict[str, Any] | None) -> str:
    form = (
        {"response_format": {"type": "json_schema", "json_schema": {"name": "reply", "strict": True, "schema": schema}}} if schema else {}
    )
    body = bytearray()
    async with client.chat.completions.with_streaming_response.create(
        model=endpoint.model, messages=messages, temperature=0, **form
    ) as response:
        async for chunk in response.iter_bytes():
            body += chunk
            if len(body) > _MOST_BYTES:
                raise EndpointError(f"{endpoint.told} replied with more than {_MOST_BYTES // 1000} kB; that is no chat completion")
    try:
        text = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        text = None
    if not isinstance(text, str) or not text.strip():
        raise EndpointError(f"{endpoint.told} replied with something that is no chat completion; does the base URL end in /v1?")
    return text


def _status(endpoint: Endpoint, status: int, wait: str) -> str:
    if status in (401, 403):
        return f"{endpoint.told} refused the key ({status}); see AI_LAB_ASSISTANT_KEY, or ai-lab endpoint"
    if status == 404:
        return f"{endpoint.told} does not know that path or model (404); does the base URL end in /v1, and is the model's name right?"
    if status == 429:
        soon = f"; it asks to wait {wait} s" if wait.isdigit() else ""
        return f"{endpoint.told} has too many requests, or a quota is used up (429){soon}"
    if 300 <= status < 400:
        return f"{endpoint.told} wants to send the request to another address ({status}); redirects are not followed: configure the last address"
    return f"{endpoint.told} answered with status {status}"
