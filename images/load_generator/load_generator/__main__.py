"""`python -m load_generator URL`: a JSON line each second while it runs, and one with the summary at the end.

Every option is also a variable (`--rate` is RATE), so that a Pod can be given either. Ends with 0; with `--fail-on-error` with 1 after
any error; with 2 where the options make no sense. SIGTERM ends it early, with its summary.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import Callable

from load_generator.record import Answer, summarise
from load_generator.sender import Plan, Sender

_LOGS = """\
02:09:58 checkout: upstream timed out while connecting to 10.0.4.17:5432
02:10:02 kernel: Out of memory: Killed process 4242 (python3) total-vm:8123456kB
02:10:03 gateway: 503 no healthy upstream for checkout
02:10:07 INFO gateway: started, listening on port 8080"""


def _steps(text: str) -> tuple[tuple[float, float], ...]:
    """The steps of a pattern. Raises ValueError."""
    steps = tuple((float(rate), float(seconds)) for rate, _, seconds in (part.partition(":") for part in text.split(",")))
    if any(rate < 0 or seconds <= 0 for rate, seconds in steps) or not any(rate for rate, _ in steps):
        raise ValueError(text)
    return steps


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="load_generator", description="Sends requests to a model endpoint and says what came back.")

    def option(name: str, kind: Callable[[str], object], default: object, about: str) -> None:
        parser.add_argument(f"--{name}", type=kind, default=os.environ.get(name.upper().replace("-", "_"), default), help=about)

    parser.add_argument("url", nargs="?", default=os.environ.get("URL"), help="such as http://ai-log-summary-api:8080/v1/summarize")
    option("rate", float, 0.0, "requests a second, whether or not earlier ones have been answered")
    option(
        "pattern",
        _steps,
        (),
        "rates in turn, as RATE:SECONDS,RATE:SECONDS: 2:20,40:5 is two a second for 20 s, then forty for 5 s, and again",
    )
    option("clients", int, 1, "clients that each wait for their answer (without --rate)")
    option("seconds", float, 10.0, "how long")
    option("requests", int, 0, "how many at most; 0: as many as fit")
    option("timeout", float, 10.0, "seconds after which a request is given up")
    option("logs", str, _LOGS, "the log lines to send")
    parser.add_argument("--body", default=os.environ.get("BODY"), help="the whole JSON body instead; empty: GET")
    parser.add_argument("--stream", action="store_true", default=os.environ.get("STREAM") == "true", help="ask for streamed summaries")
    parser.add_argument("--quiet", action="store_true", help="the summary only")
    parser.add_argument(
        "--fail-on-error", action="store_true", default=os.environ.get("FAIL_ON_ERROR") == "true", help="end with 1 after any error"
    )
    options = parser.parse_args(arguments)
    if not options.url or not options.url.startswith(("http://", "https://")):
        parser.error("a URL is needed, such as http://ai-log-summary-api:8080/v1/summarize (as an argument, or in the variable URL)")
    if options.seconds <= 0 or options.rate < 0 or options.clients < 1 or options.timeout <= 0 or options.requests < 0:
        parser.error("--seconds and --timeout must be above 0, --clients 1 or more, --rate and --requests not below 0")
    return options


def _body(options: argparse.Namespace) -> bytes:
    if options.body is not None:
        return str(options.body).encode()
    return json.dumps({"logs": options.logs} | ({"stream": True} if options.stream else {})).encode()


def _print(line: dict[str, object]) -> None:
    print(json.dumps(line), flush=True)


async def run(options: argparse.Namespace) -> int:
    answers: list[Answer] = []
    plan = Plan(
        options.url,
        _body(options),
        options.seconds,
        options.rate,
        options.clients,
        options.requests,
        options.timeout,
        pattern=options.pattern,
    )
    sender = Sender(plan, answers.append)
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, sender.stop)

    async def every_second() -> None:
        told = 0
        while True:
            await asyncio.sleep(1)
            latest, told = answers[told:], len(answers)
            shown = summarise(latest, 1.0)
            _print({"at": round(time.monotonic() - sender.began, 1)} | {key: shown[key] for key in ("ok", "errors", "outcomes", "models")})

    progress = None if options.quiet else asyncio.create_task(every_second())
    seconds = await sender.run()
    if progress:
        progress.cancel()
    found = summarise(answers, seconds)
    _print({"summary": found})
    return 1 if options.fail_on_error and found["errors"] else 0


def main() -> int:
    return asyncio.run(run(_options(sys.argv[1:])))


if __name__ == "__main__":
    sys.exit(main())
