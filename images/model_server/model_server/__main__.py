"""`python -m model_server`: the HTTP server at once, the model as soon as it is loaded.

Ends with 0 after SIGTERM, 1 where the model cannot be loaded or the port cannot be taken, 2 where a variable makes no sense. Memory
beyond the container's limit ends it from outside (137), shared memory beyond /dev/shm too (135).
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import logging
import os
import signal
import sys
import time

from aiohttp import web

from model_server import loading
from model_server.engine import Engine
from model_server.server import application
from model_server.settings import Settings, SettingsError, from_environment

log = logging.getLogger("model_server")


async def run(settings: Settings) -> int:
    """Serves until SIGTERM; answers the exit code."""
    engine = Engine(settings)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    runner = web.AppRunner(application(engine), access_log=None, shutdown_timeout=settings.shutdown_grace_seconds)
    await runner.setup()
    try:
        await web.TCPSite(runner, "0.0.0.0", settings.port).start()
    except OSError as error:
        log.error("cannot listen port=%d error=%s", settings.port, error.strerror)
        return 1
    log.info("listening port=%d version=%s; not ready until the model is loaded", settings.port, settings.model_version or "unknown")
    usage = asyncio.create_task(engine.report_usage())
    stopped = asyncio.create_task(stop.wait())
    loaded = asyncio.create_task(_load(engine))
    await asyncio.wait((loaded, stopped), return_when=asyncio.FIRST_COMPLETED)
    if loaded.done() and not loaded.result() and settings.on_load_error == "exit":
        stopped.cancel()
        usage.cancel()
        await runner.cleanup()
        return 1
    await stopped
    await _drain(engine, loaded)
    usage.cancel()
    await runner.cleanup()
    log.info("stopped")
    return 0


async def _load(engine: Engine) -> bool:
    """Loads the model, or logs why that failed."""
    try:
        model = await loading.load(engine.settings)
    except loading.LoadError as error:
        engine.reason = str(error)
        log.error("model failed to load: %s", error)
        return False
    engine.loaded(model)
    log.info("ready")
    return True


async def _drain(engine: Engine, loaded: asyncio.Task[bool]) -> None:
    """Stops being ready, waits until others know it, then until the requests that are here have been answered."""
    log.info("SIGTERM: not ready any more, draining seconds=%g", engine.settings.drain_seconds)
    engine.draining = True
    if not loaded.done():
        loaded.cancel()
        return
    await asyncio.sleep(engine.settings.drain_seconds)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(engine.at_rest.wait(), engine.settings.shutdown_grace_seconds)


class _Lines(logging.Formatter):
    """`2026-11-23T14:05:11.042Z INFO model_server.loader: model loaded seconds=3.02 …`"""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def main() -> int:
    faulthandler.enable()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    try:
        settings = from_environment(os.environ)
    except SettingsError as error:
        log.error("cannot start: %s", error)
        return 2
    logging.getLogger().setLevel(settings.log_level.upper())
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(run(settings))
    return 130


if __name__ == "__main__":
    sys.exit(main())
