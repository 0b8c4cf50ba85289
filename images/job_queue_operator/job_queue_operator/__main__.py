"""`python -m job_queue_operator`: runs until it is told to end. Exit code 1 where the cluster does not serve what the operator is for."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from typing import Any

# kopf loads the official client wherever it is installed. That takes seconds, and nothing here uses it.
sys.modules["kubernetes"] = None  # type: ignore[assignment]

import kopf  # noqa: E402

from job_queue_operator import certificate  # noqa: E402
from job_queue_operator.cluster import Cluster, ClusterError  # noqa: E402
from job_queue_operator.operator import NotServed, Operator, registry, served  # noqa: E402

log = logging.getLogger("job_queue_operator")
# Without it kopf asks who the user is, and in a container nobody is.
IDENTITY: Any = "job-queue-operator"


async def run() -> int:
    service, namespace = os.environ.get("SERVICE", "job-queue-operator"), os.environ.get("NAMESPACE", "kube-system")
    cluster, stop = Cluster(), asyncio.Event()
    try:
        await served(cluster)
        pair = await certificate.kept(cluster, service, namespace)
        await certificate.told(cluster, pair, service)
    except (NotServed, ClusterError) as problem:
        log.error("%s", problem)
        return 1
    operator = Operator(cluster, pair, service)
    handlers = registry(operator, *pair.written(), int(os.environ.get("PORT", "9443")))
    # kopf itself listens for SIGTERM.
    framework = asyncio.create_task(kopf.operator(registry=handlers, standalone=True, clusterwide=True, identity=IDENTITY, stop_flag=stop))
    deciding = asyncio.create_task(operator.run())
    operator.wake.set()
    await asyncio.wait([framework, deciding], return_when=asyncio.FIRST_COMPLETED)
    problem = deciding.exception() if deciding.done() else framework.exception()
    stop.set()
    deciding.cancel()
    with contextlib.suppress(asyncio.CancelledError, NotServed):
        await asyncio.gather(framework, deciding)
    if problem is not None:
        log.error("%s", problem)
        return 1
    return 0


def main() -> int:
    logging.basicConfig(level=os.environ.get("LOG_LEVEL", "INFO"), format="%(asctime)s %(levelname)s %(name)s %(message)s")
    # What a refusal is about the operator says itself; to kopf it is an error.
    logging.getLogger("kopf.objects").setLevel(logging.CRITICAL)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
    return asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main())
