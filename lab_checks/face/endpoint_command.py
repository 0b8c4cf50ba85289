"""`ai-lab endpoint`: which language model the assistant and the interview's second opinion may ask; off until it is configured.

ai-lab endpoint                                       what is configured
ai-lab endpoint --url http://localhost:11434/v1 --model qwen3   configures one; the key is asked for, or taken from AI_LAB_ASSISTANT_KEY
ai-lab endpoint --off                                 removes it
"""

from __future__ import annotations

import getpass
import os
import sys
from typing import Annotated

import typer

from lab_checks import endpoint
from lab_checks.endpoint import Endpoint, EndpointError
from lab_checks.face.terminal import USAGE, die


def command(
    url: Annotated[str, typer.Option(metavar="URL", help="base URL of an OpenAI-compatible endpoint, up to /v1")] = "",
    model: Annotated[str, typer.Option(metavar="NAME", help="the model's name there")] = "",
    off: Annotated[bool, typer.Option("--off", help="forget the endpoint and its key")] = False,
) -> None:
    """Show, set or remove the language model that you may ask.

    Nothing is contacted by this command, nor by any other unless you ask for it: lab.assistant.ask() in a notebook, and
    ai-lab interview QUESTION --second-opinion. The key is never an argument: it is asked for, or read from AI_LAB_ASSISTANT_KEY.
    """
    if off:
        if url or model:
            raise die("--off goes with no other option", USAGE)
        typer.echo("[endpoint] removed" if endpoint.forget() else "[endpoint] none was kept")
        _show()
        return
    if model and not url:
        raise die("--model needs --url", USAGE, "ai-lab endpoint --url URL --model NAME")
    if url:
        try:
            kept = Endpoint(endpoint.checked(url), model or "default", _key())
        except EndpointError as problem:
            raise die(str(problem), USAGE) from None
        endpoint.keep(kept)
        typer.echo(f"[endpoint] kept in {endpoint.path()}")
    _show()


def _key() -> str:
    """The key from the environment or, on a terminal, typed without being shown; the empty text for a server that wants none."""
    given = os.environ.get("AI_LAB_ASSISTANT_KEY", "")
    if given or not sys.stdin.isatty():
        return given
    return getpass.getpass("Key (Enter for none): ").strip()


def _show() -> None:
    try:
        found = endpoint.configured()
    except EndpointError as problem:
        raise die(str(problem), USAGE) from None
    if found is None:
        typer.echo(f"No model is configured, and none is needed. {endpoint.HOW}")
        return
    variables = [name for name in ("AI_LAB_ASSISTANT_URL", "AI_LAB_ASSISTANT_MODEL", "AI_LAB_ASSISTANT_KEY") if os.environ.get(name)]
    where = f" (from {', '.join(variables)})" if variables else ""
    typer.echo(f"{found.told}, {'with a key' if found.key else 'without a key'}{where}")
    typer.echo("Asked only by lab.assistant.ask() and ai-lab interview QUESTION --second-opinion.")
