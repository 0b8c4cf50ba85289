"""The HTTP face: routes, bodies and answers. Bad input is answered with 400 and words, a model that is not there with 503 and why."""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from model_server import measures, summary
from model_server.access import Denied
from model_server.engine import Engine, InferenceError, NotReady, Overloaded

log = logging.getLogger("model_server.http")

_LONGEST_BODY = 4 * 1024 * 1024
_MOST_LINES = 5000
_QUIET = {"/ready", "/healthz", "/metrics"}
_ENGINE = web.AppKey("engine", Engine)
_ID = "id"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadInput(Exception):
    """A body that cannot be worked on; the message says what was expected."""


def _error(status: int, kind: str, message: str) -> web.Response:
    headers = {"Retry-After": "1"} if status in (429, 503) else None
    return web.json_response({"error": {"type": kind, "message": message}}, status=status, headers=headers)


@web.middleware
async def _measured(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Turns errors into answers, counts and logs each request."""
    began = time.monotonic()
    kind = {"/v1/summarize": "summarize", "/v1/classify": "classify"}.get(request.path, "")
    engine, token = request.app[_ENGINE], ""
    request[_ID] = secrets.token_hex(4)
    try:
        if request.path.startswith("/v1/"):
            token = engine.access.admit(request.headers.get("Authorization", ""))
        response = await handler(request)
    except Denied as error:
        response = _error(401, "unauthorized", str(error))
        response.headers["WWW-Authenticate"] = "Bearer"
    except BadInput as error:
        response = _error(400, "bad_request", str(error))
    except NotReady as error:
        response = _error(503, "not_ready", str(error))
        measures.ERRORS.labels(kind, "not_ready").inc()
    except Overloaded as error:
        response = _error(429, "overloaded", str(error))
        measures.ERRORS.labels(kind, "overloaded").inc()
    except InferenceError as error:
        log.error("request failed path=%s error=%s", request.path, error)
        response = _error(500, "inference_error", str(error))
        measures.ERRORS.labels(kind, "inference").inc()
    except web.HTTPRequestEntityTooLarge:
        response = _error(413, "bad_request", f"the body is larger than {_LONGEST_BODY // 1024 // 1024} MiB")
    except web.HTTPException as error:
        response = _error(error.status, "bad_request", error.reason)
    seconds = time.monotonic() - began
    if kind:
        measures.REQUESTS.labels(kind, str(response.status)).inc()
        measures.LATENCY.labels(kind).observe(seconds)
    level = logging.DEBUG if request.path in _QUIET else logging.INFO
    more = (f" token={token}" if token else "") + (f" request={request[_ID]}" if kind and engine.settings.log_prompts != "none" else "")
    log.log(level, "%s %s %d ms=%.0f client=%s%s", request.method, request.path, response.status, 1000 * seconds, request.remote, more)
    return response


async def _body(request: web.Request) -> dict[str, Any]:
    try:
        body = json.loads(await request.read())
    except (ValueError, UnicodeDecodeError):
        raise BadInput('the body is not JSON; send {"logs": "one line\\nanother line"}') from None
    if not isinstance(body, dict):
        raise BadInput(f"the body is a {type(body).__name__}; expected a JSON object")
    return body


def _lines(body: dict[str, Any], *names: str) -> list[str]:
    """The lines under the first of these names: text with line breaks, or a list of lines."""
    name = next((each for each in names if each in body), None)
    if name is None:
        raise BadInput(f'the field "{names[0]}" is missing: text with line breaks, or a list of lines')
    found = body[name]
    if isinstance(found, str):
        found = found.splitlines()
    if not isinstance(found, list) or not all(isinstance(each, str) for each in found):
        raise BadInput(f'the field "{name}" must be text or a list of texts')
    lines = [line for line in found if line.strip()]
    if not lines:
        raise BadInput(f'the field "{name}" has no line in it')
    if len(lines) > _MOST_LINES:
        raise BadInput(f'the field "{name}" has {len(lines)} lines; {_MOST_LINES} is the most')
    return lines


def _note(request: web.Request, lines: list[str]) -> None:
    """Logs the prompt as LOG_PROMPTS says: not at all, how much it was, or every word of it."""
    how = request.app[_ENGINE].settings.log_prompts
    if how != "none":
        text = "\n".join(lines)
        said = f" text={json.dumps(text)}" if how == "full" else ""
        log.info("prompt request=%s lines=%d chars=%d%s", request[_ID], len(lines), len(text), said)


async def classify(request: web.Request) -> web.StreamResponse:
    engine = request.app[_ENGINE]
    lines = _lines(await _body(request), "lines", "line", "logs")
    _note(request, lines)
    async with engine.turn() as model:
        found = await engine.classify(model, lines)
    results = [{"line": each.line, "kind": each.kind, "score": round(each.score, 4)} for each in found]
    return web.json_response({"results": results, "model": model.classifier.weights.version})


async def summarize(request: web.Request) -> web.StreamResponse:
    engine = request.app[_ENGINE]
    body = await _body(request)
    lines = _lines(body, "logs", "lines")
    _note(request, lines)
    stream = body.get("stream", False)
    if not isinstance(stream, bool):
        raise BadInput('the field "stream" must be true or false')
    began = time.monotonic()
    async with engine.turn() as model:
        found = await engine.classify(model, lines)
        text = summary.summarise(found)
        about = {"lines": len(found), "kinds": summary.counts(found), "model": model.classifier.weights.version, "device": model.device}
        if stream:
            return await _stream(request, engine, text, about, began)
        made = [token async for token in engine.tokens(text)]
    return web.json_response({"summary": text, **about, "tokens": len(made), "seconds": round(time.monotonic() - began, 4)})


async def _stream(request: web.Request, engine: Engine, text: str, about: dict[str, Any], began: float) -> web.StreamResponse:
    """Server-sent events: one `token` each, then the whole with `done`, then `[DONE]`."""
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"})
    await response.prepare(request)
    count = 0
    try:
        async for token in engine.tokens(text):
            if not count:
                measures.FIRST_TOKEN.observe(time.monotonic() - began)
            count += 1
            await response.write(b"data: " + json.dumps({"token": token}).encode() + b"\n\n")
        end = {"done": True, **about, "tokens": count, "seconds": round(time.monotonic() - began, 4)}
        await response.write(b"data: " + json.dumps(end).encode() + b"\n\ndata: [DONE]\n\n")
        await response.write_eof()
    except ConnectionError:
        log.info("client went away after tokens=%d", count)
    return response


async def ready(request: web.Request) -> web.StreamResponse:
    """200 when a request would be answered; with READY_LIES as soon as the web server runs, which is the mistake it shows."""
    engine = request.app[_ENGINE]
    reason = engine.not_ready()
    if engine.settings.ready_lies and not engine.draining:
        reason = ""
    if reason:
        return web.json_response({"ready": False, "reason": reason}, status=503)
    version = engine.model.classifier.weights.version if engine.model else ""
    return web.json_response({"ready": True, "model": version, "device": engine.model.device if engine.model else ""})


async def healthz(request: web.Request) -> web.StreamResponse:
    """200 for as long as the process can answer at all, also while the model loads."""
    return web.json_response({"alive": True})


async def metrics(request: web.Request) -> web.StreamResponse:
    return web.Response(body=generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})


async def about(request: web.Request) -> web.StreamResponse:
    engine = request.app[_ENGINE]
    return web.json_response(
        {
            "name": "ai-log-summary-api",
            "version": engine.settings.model_version,
            "ready": not engine.not_ready(),
            "paths": ["POST /v1/summarize", "POST /v1/classify", "GET /ready", "GET /healthz", "GET /metrics"],
        }
    )


def application(engine: Engine) -> web.Application:
    app = web.Application(middlewares=[_measured], client_max_size=_LONGEST_BODY)
    app[_ENGINE] = engine
    app.router.add_post("/v1/summarize", summarize)
    app.router.add_post("/v1/classify", classify)
    app.router.add_get("/ready", ready)
    app.router.add_get("/healthz", healthz)
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/", about)
    return app
