"""`python -m metrics_adapter`: serves both APIs until it is told to end. PORT (6443) and SERVICE (metrics-adapter.kube-system.svc) are settings."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
import time

from metrics_adapter.access import Authorizer, Trust
from metrics_adapter.api import Api
from metrics_adapter.cluster import Cluster, ClusterError
from metrics_adapter.scraping import Scraper
from metrics_adapter.server import Server, tls

log = logging.getLogger("metrics_adapter")

# The API server may come up after us.
_PATIENCE, _AGAIN = 60.0, 2.0


def trusted(cluster: Cluster) -> Trust:
    """Whom the API server says to believe. Raises ClusterError where it does not say so in a minute."""
    until = time.monotonic() + _PATIENCE
    while True:
        try:
            return Trust.read(cluster)
        except ClusterError as error:
            if time.monotonic() > until:
                raise
            log.warning("%s; trying again", error)
        time.sleep(_AGAIN)


def main() -> int:
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    cluster = Cluster()
    try:
        trust = trusted(cluster)
    except ClusterError as error:
        log.error("%s", error)
        return 1
    scraper, stop = Scraper(cluster), threading.Event()
    port, service = int(os.environ.get("PORT", "6443")), os.environ.get("SERVICE", "metrics-adapter.kube-system.svc")
    server = Server(("", port), tls(trust, [service]), trust, Api(cluster, scraper), Authorizer(cluster), scraper)

    def end(number: int, frame: object) -> None:
        stop.set()
        threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    threading.Thread(target=scraper.run, args=(stop,), name="scraper", daemon=True).start()
    log.info("serving custom and external metrics on port %d", port)
    server.serve_forever()
    return 0


if __name__ == "__main__":
    sys.exit(main())
