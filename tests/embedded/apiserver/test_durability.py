"""A server that is killed while clients write comes back with everything that it acknowledged."""

from __future__ import annotations

import asyncio
import signal
import ssl
import subprocess
import sys
from pathlib import Path

import aiohttp

_SERVER = """
import asyncio, sys
from pathlib import Path
from clusters.embedded.apiserver.server import ApiServer
from clusters.embedded.nodes import NodeConnections
from clusters.embedded.store import Store

async def main():
    folder = Path(sys.argv[1])
    server = ApiServer(Store(folder), folder, NodeConnections())
    await server.start(int(sys.argv[2]))
    print(server.port, flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


class Killed:
    """The server in a process of its own."""

    def __init__(self, folder: Path, port: int = 0):
        self.process = subprocess.Popen([sys.executable, "-c", _SERVER, str(folder), str(port)], stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.maps = f"https://127.0.0.1:{self.port}/api/v1/namespaces/default/configmaps"

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def session(folder: Path) -> aiohttp.ClientSession:
    context = ssl.create_default_context(cafile=str(folder / "pki" / "ca.crt"))
    context.load_cert_chain(folder / "pki" / "admin.crt", folder / "pki" / "admin.key")
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context))


async def write_until_gone(http: aiohttp.ClientSession, url: str, prefix: str, acknowledged: dict[str, str]) -> None:
    """Creates and changes objects until the server answers no more; `acknowledged` has what it said it stored."""
    try:
        for number in range(100_000):
            name = f"{prefix}-{number}"
            async with http.post(url, json={"metadata": {"name": name}, "data": {"n": "0"}}) as reply:
                assert reply.status == 201
                acknowledged[name] = "0"
            patch = {"data": {"n": "1"}}
            headers = {"Content-Type": "application/merge-patch+json"}
            async with http.patch(f"{url}/{name}", json=patch, headers=headers) as reply:
                assert reply.status == 200
                acknowledged[name] = "1"
    except aiohttp.ClientError:
        return


async def test_nothing_acknowledged_is_lost_when_the_server_is_killed(tmp_path: Path) -> None:
    acknowledged: dict[str, str] = {}
    port, version = 0, 0
    # The last round only looks.
    for round_number, seconds in enumerate((0.15, 0.3, 0.6, 0.0)):
        server = Killed(tmp_path, port)
        port = server.port
        try:
            async with session(tmp_path) as http:
                async with http.get(server.maps) as reply:
                    listed = await reply.json()
                stored = {each["metadata"]["name"]: each["data"]["n"] for each in listed["items"] if "n" in each["data"]}
                assert {name for name in acknowledged if name not in stored} == set()
                assert all(stored[name] >= value for name, value in acknowledged.items())
                assert int(listed["metadata"]["resourceVersion"]) >= version
                version = int(listed["metadata"]["resourceVersion"])
                if not seconds:
                    break
                writers = [
                    asyncio.create_task(write_until_gone(http, server.maps, f"r{round_number}w{each}", acknowledged)) for each in range(3)
                ]
                await asyncio.sleep(seconds)
                server.kill()
                await asyncio.gather(*writers)
        finally:
            server.kill()
    assert len(acknowledged) > 20
