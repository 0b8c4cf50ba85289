"""An operator framework of others, unmodified: it registers its webhooks, is called, and goes."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from clusters.embedded.apiserver.local_client import LocalClient
from clusters.embedded.apiserver.server import ApiServer
from tests.embedded.apiserver.conftest import Http

from .webhook_server import CA

pytestmark = pytest.mark.cluster
OPERATOR = Path(__file__).with_name("kopf_operator.py")
GROUP = "admissionregistration.k8s.io"
CONFIGURATIONS = [f"{kind}webhookconfigurations.{GROUP}" for kind in ("mutating", "validating")]
MAPS = "/api/v1/namespaces/default/configmaps"


async def _configured(client: LocalClient, resource: str) -> None:
    """Waits until the configuration has a webhook with an address."""
    found = await client.list(resource)
    if any(each.get("webhooks") for each in found.items):
        return
    async for event in client.watch(resource, resource_version=found.resource_version):
        if event.object.get("webhooks"):
            return


@pytest.fixture
async def operator(server: ApiServer, client: LocalClient, tmp_path: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    server.write_kubeconfig(tmp_path / "kubeconfig")
    chain, authority = tmp_path / "webhook.pem", tmp_path / "authority.pem"
    CA.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(str(chain))
    CA.cert_pem.write_to_path(str(authority))
    environment = {**os.environ, "KUBECONFIG": str(tmp_path / "kubeconfig")}
    environment |= {"WEBHOOK_CERTIFICATE": str(chain), "WEBHOOK_AUTHORITY": str(authority)}
    command = [sys.executable, "-m", "kopf", "run", "--standalone", "--namespace=default", str(OPERATOR)]
    with (tmp_path / "kopf.log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(*command, env=environment, stdout=log, stderr=log)
    try:
        ended = asyncio.create_task(process.wait())
        ready = asyncio.gather(*(_configured(client, each) for each in CONFIGURATIONS))
        await asyncio.wait([ended, ready], timeout=300, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            pytest.fail((tmp_path / "kopf.log").read_text())
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()


async def test_an_operators_webhooks_complete_and_refuse(http: Http, operator: asyncio.subprocess.Process) -> None:
    refused = await http("POST", MAPS, {"metadata": {"name": "one"}, "data": {"size": "large"}})
    assert refused.status == 403, refused.body
    assert refused.body["message"].startswith('admission webhook "check.operators.example.com" denied the request: name a team')
    created = await http("POST", MAPS, {"metadata": {"name": "one"}, "data": {"team": "serving"}})
    assert (created.status, created.body["data"]) == (201, {"team": "serving", "size": "small"})
    assert "no size was given: small it is" in created.headers["Warning"]
    # Without the operator nothing can be created: the failure policy is Fail.
    operator.kill()
    await operator.wait()
    failed = await http("POST", MAPS, {"metadata": {"name": "two"}, "data": {"team": "serving", "size": "large"}})
    assert failed.status == 500
    assert (
        'failed calling webhook "complete.operators.example.com": failed to call webhook: Post "https://127.0.0.1:'
        in failed.body["message"]
    )
    assert failed.body["message"].endswith("connect: connection refused")
