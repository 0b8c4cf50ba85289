"""`python -m metrics_scraper`: scrapes, keeps and answers until SIGTERM. The flags are Prometheus' own, so that one Deployment runs either of the two.

Ends with 0 after SIGTERM, 1 where prometheus.yml cannot be used or the port cannot be taken, 2 where a flag makes no sense.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import re
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from aiohttp import web

from metrics_scraper.configuration import ConfigurationError
from metrics_scraper.numbers import duration
from metrics_scraper.rules import RuleFileError
from metrics_scraper.service import Service, Settings
from metrics_scraper.web import application

log = logging.getLogger("metrics_scraper")

_SIZES = {"B": 1, "KB": 1024, "MB": 1024**2, "GB": 1024**3}
# Flags of Prometheus that a Deployment may well have, and that change nothing here.
_WITHOUT_EFFECT = (
    "--storage.tsdb.path",
    "--web.external-url",
    "--web.route-prefix",
    "--web.console.templates",
    "--web.console.libraries",
    "--log.level",
)


def _size(text: str) -> int:
    found = re.fullmatch(r"(\d+)([KMG]?B)", text)
    if not found:
        raise argparse.ArgumentTypeError(f'not a valid size: "{text}"; for example 64MB')
    return int(found[1]) * _SIZES[found[2]]


def _span(text: str) -> int:
    try:
        return duration(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def settings(arguments: Sequence[str]) -> Settings:
    """Ends the process with 2 and words where a flag makes no sense."""
    default = Settings()
    parser = argparse.ArgumentParser("metrics_scraper", allow_abbrev=False)
    parser.add_argument("--config.file", dest="config_file", type=Path, default=default.config_file)
    parser.add_argument("--web.listen-address", dest="listen", default=default.listen, help="host:port; without a host, all addresses")
    parser.add_argument("--storage.tsdb.retention.time", dest="retention_time", type=_span, default=default.retention_time)
    parser.add_argument("--storage.tsdb.retention.size", dest="retention_size", type=_size, default=default.retention_size)
    parser.add_argument("--query.lookback-delta", dest="lookback", type=_span, default=default.lookback)
    parser.add_argument("--query.timeout", dest="query_timeout", type=_span, default=default.query_timeout)
    parser.add_argument("--web.enable-lifecycle", dest="lifecycle", action="store_true", help="POST /-/reload")
    parser.add_argument("--enable-feature", dest="features", action="append", default=[], help="auto-reload-config, as in Prometheus 3")
    parser.add_argument("--config.auto-reload-interval", dest="auto_reload", type=_span, default=30_000)
    for name in _WITHOUT_EFFECT:
        parser.add_argument(name, help="taken, without effect")
    found = parser.parse_args(arguments)
    features = {name for each in found.features for name in each.split(",")}
    for unknown in features - {"auto-reload-config"}:
        log.warning("--enable-feature=%s is not known to this server", unknown)
    return Settings(
        config_file=found.config_file,
        listen=found.listen,
        retention_time=found.retention_time,
        retention_size=found.retention_size,
        lookback=found.lookback,
        query_timeout=found.query_timeout,
        lifecycle=found.lifecycle,
        reload_interval=found.auto_reload if "auto-reload-config" in features else 0,
    )


async def run(service: Service) -> int:
    """Serves until SIGTERM; answers the exit code."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    try:
        await service.start()
    except (ConfigurationError, RuleFileError) as problem:
        log.error("cannot start: %s", problem)
        await service.stop()
        return 1
    host, _, port = service.settings.listen.rpartition(":")
    runner = web.AppRunner(application(service), access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        await web.TCPSite(runner, host.strip("[]") or "0.0.0.0", int(port)).start()
        log.info("listening address=%s", service.settings.listen)
        await stop.wait()
    except OSError as error:
        log.error("cannot listen address=%s error=%s", service.settings.listen, error.strerror)
        return 1
    finally:
        await runner.cleanup()
        await service.stop()
    log.info("stopped")
    return 0


class _Lines(logging.Formatter):
    """`2026-11-23T14:05:11.042Z INFO metrics_scraper: listening address=:9090`"""

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:
        return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(record.created))}.{int(record.msecs):03d}Z"


def main() -> int:
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(_Lines("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    chosen = settings(sys.argv[1:])
    return asyncio.run(run(Service(chosen)))


if __name__ == "__main__":
    sys.exit(main())
