"""What a program in a Pod sees of the network."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from clusters.embedded.kubeproxy import tables
from tests.embedded.pods_without_kubelet import Lab, eventually

SERVER = """
    import http.server, sys
    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            body = f"{sys.argv[1]} {self.client_address[0]}".encode()
            self.send_response(200); self.send_header("Content-Length", str(len(body))); self.end_headers()
            self.wfile.write(body)
        def log_message(self, *args): pass
    http.server.ThreadingHTTPServer((sys.argv[3] if len(sys.argv) > 3 else "", int(sys.argv[2])), Handler).serve_forever()
"""
FETCH = """
    import sys, urllib.request, urllib.error
    for url in sys.argv[1:]:
        try:
            print(urllib.request.urlopen(url, timeout=60).read().decode())
        except urllib.error.URLError as error:
            print(repr(error.reason))
"""


def service(name: str, ip: str, **spec: object) -> dict[str, object]:
    ports = [{"name": "http", "port": 80, "protocol": "TCP", "nodePort": 30080}]
    return {"metadata": {"name": name, "namespace": "default"}, "spec": {"clusterIP": ip, "ports": ports, **spec}}


def slice_of(name: str, *addresses: str, port: int = 8080, ready: bool = True, hostname: str = "") -> dict[str, object]:
    endpoints = [
        {"addresses": [each], "conditions": {"ready": ready}} | ({"hostname": f"{hostname}-{index}"} if hostname else {})
        for index, each in enumerate(addresses)
    ]
    return {
        "metadata": {"name": f"{name}-1", "namespace": "default", "labels": {"kubernetes.io/service-name": name}},
        "addressType": "IPv4",
        "ports": [{"name": "http", "port": port, "protocol": "TCP"}],
        "endpoints": endpoints,
    }


NODES = [{"metadata": {"name": "ai-lab-worker"}, "status": {"addresses": [{"type": "InternalIP", "address": "172.18.0.3"}]}}]


def test_two_pods_listen_on_the_same_port(lab: Lab) -> None:
    one, two = lab.pod("one"), lab.pod("two")
    for name, ip in (("one", one), ("two", two)):
        lab.start(ip, SERVER, name, "8080")
        lab.wait_for(ip, 8080)
    said = lab.run(one, FETCH, f"http://{one}:8080/", f"http://{two}:8080/", "http://localhost:8080/", "http://127.0.0.1:8080/")
    assert said.splitlines() == [f"one {one}", f"two {one}", "one 127.0.0.1", "one 127.0.0.1"]


def test_a_pod_has_each_port_once(lab: Lab) -> None:
    ip = lab.pod("a")
    said = lab.run(
        ip,
        """
        import socket
        first = socket.socket(); first.bind(("", 8080)); first.listen()
        for host in ("0.0.0.0", "127.0.0.1"):
            try:
                socket.socket().bind((host, 8080))
            except OSError as error:
                print(error)
        first.close()
        again = socket.socket(); again.bind(("", 8080)); print(again.getsockname())
        del again
        socket.socket().bind(("", 8080))
        try:
            socket.socket().bind(("192.0.2.1", 8080))
        except OSError as error:
            print(error)
        """,
    )
    assert said.splitlines() == [
        "[Errno 98] Address already in use",
        "[Errno 98] Address already in use",
        "('0.0.0.0', 8080)",
        "[Errno 99] Cannot assign requested address",
    ]


def test_a_port_is_free_again_when_its_process_was_killed(lab: Lab) -> None:
    ip = lab.pod("a")
    first = lab.start(ip, SERVER, "first", "8080")
    lab.wait_for(ip, 8080)
    first.kill()
    first.wait(10)
    assert "refused" in lab.run(lab.pod("b"), FETCH, f"http://{ip}:8080/")
    lab.start(ip, SERVER, "second", "8080")
    lab.wait_for(ip, 8080)
    assert lab.run(lab.pod("b"), FETCH, f"http://{ip}:8080/").startswith("second")


def test_a_server_on_localhost_is_not_reached_from_outside_its_pod(lab: Lab) -> None:
    ip = lab.pod("a")
    lab.start(ip, SERVER, "hidden", "8080", "127.0.0.1")
    assert eventually(lambda: _nonempty(lab.run(ip, FETCH, "http://localhost:8080/"))) == "hidden 127.0.0.1\n"
    assert lab.run(lab.pod("b"), FETCH, f"http://{ip}:8080/") == "ConnectionRefusedError(111, 'Connection refused')\n"

    async def dial() -> None:
        _, writer = await lab.network.dial(ip, 8080, loopback=True)
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await lab.network.dial(ip, 8080)

    asyncio.run(dial())


def _nonempty(text: str) -> str:
    assert "refused" not in text
    return text


def test_a_service_leads_to_its_ready_endpoints(lab: Lab) -> None:
    one, two, client = lab.pod("one"), lab.pod("two"), lab.pod("client", node=2)
    for name, ip in (("one", one), ("two", two)):
        lab.start(ip, SERVER, name, "8080")
        lab.wait_for(ip, 8080)
    lab.network.publish(
        tables.build(
            [service("web", "10.96.0.10"), service("none", "10.96.0.11", ports=[{"name": "http", "port": 80}])],
            [slice_of("web", one, two)],
            NODES,
        )
    )
    addresses = (
        *("http://10.96.0.10/", "http://web/", "http://web.default/", "http://web.default.svc/", "http://web.default.svc.cluster.local/"),
        *("http://web.default.svc.cluster.local./", "http://172.18.0.3:30080/", "http://ai-lab-worker:30080/"),
    )
    said = lab.run(client, FETCH, *addresses * 3)
    assert {line.split()[0] for line in said.splitlines()} == {"one", "two"}
    assert {line.split()[1] for line in said.splitlines()} == {client}
    assert lab.run(client, FETCH, "http://none/") == "ConnectionRefusedError(111, 'Connection refused')\n"
    assert lab.run(client, FETCH, "http://nosuch/", "http://web.default.svc.cluster.lokal.svc/", "http://x.default/") == (
        "gaierror(-2, 'Name or service not known')\n" * 3
    )


def test_a_change_of_a_service_is_seen_at_the_next_connection(lab: Lab) -> None:
    one, two, client = lab.pod("one"), lab.pod("two"), lab.pod("client")
    for name, ip in (("one", one), ("two", two)):
        lab.start(ip, SERVER, name, "8080")
        lab.wait_for(ip, 8080)
    lab.network.publish(tables.build([service("web", "10.96.0.10")], [slice_of("web", one)], NODES))
    process = lab.start(
        client,
        """
        import sys, time, urllib.request
        while True:
            print(urllib.request.urlopen("http://web/").read().decode().split()[0], flush=True)
            time.sleep(0.02)
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "one\n"
    lab.network.publish(tables.build([service("web", "10.96.0.10")], [slice_of("web", two)], NODES))
    assert "two\n" in [process.stdout.readline() for _ in range(5)]


def test_a_headless_service_resolves_to_its_pods(lab: Lab) -> None:
    client = lab.pod("client")
    headless = service("db", "None")
    external = {
        "metadata": {"name": "out", "namespace": "default"},
        "spec": {"type": "ExternalName", "externalName": "db.default.svc.cluster.local"},
    }
    pods = slice_of("db", "10.244.1.7", "10.244.2.8", hostname="db")
    lab.network.publish(tables.build([headless, external], [pods], NODES))
    said = lab.run(
        client,
        """
        import socket
        print(sorted(row[4][0] for row in socket.getaddrinfo("db", 5432, type=socket.SOCK_STREAM)))
        print(socket.gethostbyname("db-1.db"), socket.gethostbyname_ex("db-0.db.default.svc.cluster.local"))
        print(socket.gethostbyname("out") in ("10.244.1.7", "10.244.2.8"))
        print(socket.gethostbyname("10-244-1-7.default.pod.cluster.local"), socket.gethostbyname("localhost"))
        print(socket.gethostbyname(socket.gethostname()))
        try:
            socket.getaddrinfo("db", 1, socket.AF_INET6)
        except socket.gaierror as error:
            print(error)
        """,
    )
    assert said.splitlines() == [
        "['10.244.1.7', '10.244.2.8']",
        "10.244.2.8 ('db-0.db.default.svc.cluster.local', [], ['10.244.1.7'])",
        "True",
        "10.244.1.7 127.0.0.1",
        client,
        "[Errno -5] No address associated with hostname",
    ]


def test_the_api_server_is_reached_at_its_service(lab: Lab) -> None:
    async def scenario() -> str:
        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(b"api")
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        kubernetes = service("kubernetes", "10.96.0.1", ports=[{"name": "http", "port": 443}])
        lab.network.publish(tables.build([kubernetes], [slice_of("kubernetes", "172.18.0.2", port=port)], [_node("172.18.0.2")]))
        code = "import socket; s = socket.create_connection(('kubernetes.default.svc', 443)); print(s.recv(9), s.getpeername())"
        child = await asyncio.create_subprocess_exec(
            sys.executable, "-c", code, env=lab.environment(lab.pod("client")), stdout=subprocess.PIPE
        )
        said, _ = await child.communicate()
        server.close()
        return said.decode()

    assert asyncio.run(scenario()) == "b'api' ('10.96.0.1', 443)\n"


def _node(address: str) -> dict[str, object]:
    return {"metadata": {"name": "n"}, "status": {"addresses": [{"type": "InternalIP", "address": address}]}}


def test_asyncio_and_aiohttp_serve_and_connect(lab: Lab) -> None:
    ip, client = lab.pod("a"), lab.pod("b")
    lab.start(
        ip,
        """
        from aiohttp import web
        async def answer(request): return web.Response(text=f"{request.remote} {request.transport.get_extra_info('sockname')}")
        app = web.Application(); app.router.add_get("/", answer)
        web.run_app(app, port=8080, print=None)
        """,
    )
    lab.wait_for(ip, 8080)
    said = lab.run(
        client,
        f"""
        import asyncio, aiohttp
        async def main():
            async with aiohttp.ClientSession() as session, session.get("http://{ip}:8080/") as reply:
                print(await reply.text())
            try:
                await asyncio.open_connection("{ip}", 8081)
            except ConnectionRefusedError as error:
                print(error.errno)
            server = await asyncio.start_server(lambda r, w: w.close(), None, 9000)
            print(sorted(sock.getsockname()[:2] for sock in server.sockets))
            reader, writer = await asyncio.open_connection("localhost", 9000)
            print(await reader.read())
        asyncio.run(main())
        """,
    )
    assert said.splitlines() == [f"{client} ('{ip}', 8080)", "111", "[('0.0.0.0', 9000), ('::', 9000)]", "b''"]


def test_the_ipv6_wildcard_takes_ipv4_connections(lab: Lab) -> None:
    ip = lab.pod("a")
    lab.start(
        ip,
        """
        import socket
        server = socket.create_server(("::", 8080), family=socket.AF_INET6, dualstack_ipv6=True)
        while True:
            conn, peer = server.accept()
            conn.sendall(f"{peer[0]} {conn.getsockname()[:2]} {server.getsockname()[:2]}".encode()); conn.close()
        """,
    )
    lab.wait_for(ip, 8080)
    client = lab.pod("b")
    said = lab.run(client, f"import socket; print(socket.create_connection(('{ip}', 8080)).recv(200).decode())")
    assert said == f"::ffff:{client} ('::ffff:{ip}', 8080) ('::', 8080)\n"
    assert "::ffff:127.0.0.1" in lab.run(ip, "import socket; print(socket.create_connection(('::1', 8080)).recv(200).decode())")


def test_forked_workers_go_on_serving_when_their_parent_has_gone(lab: Lab) -> None:
    ip = lab.pod("a")
    parent = lab.start(
        ip,
        """
        import os, socket, sys
        server = socket.create_server(("", 8080))
        if os.fork() == 0:
            os.close(1); os.close(2)
            for _ in range(2):
                conn, _ = server.accept(); conn.sendall(str(os.getppid()).encode()); conn.close()
            os._exit(0)
        os._exit(0)
        """,
    )
    parent.wait(10)
    assert lab.run(lab.pod("b"), f"import socket; print(len(socket.create_connection(('{ip}', 8080)).recv(9)) > 0)") == "True\n"
    lab.run(lab.pod("b"), f"import socket; socket.create_connection(('{ip}', 8080)).recv(9)")
    eventually(lambda: _refused(lab, ip))


def _refused(lab: Lab, ip: str) -> None:
    assert "refused" in lab.run(lab.pod("b"), FETCH, f"http://{ip}:8080/")


def test_processes_share_a_port_with_so_reuseport(lab: Lab) -> None:
    ip = lab.pod("a")
    code = """
        import os, socket
        server = socket.socket(); server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        server.bind(("", 8080)); server.listen()
        print("up", flush=True)
        while True:
            conn, _ = server.accept(); conn.sendall(str(os.getpid()).encode()); conn.close()
    """
    for _ in range(2):
        process = lab.start(ip, code)
        assert process.stdout is not None
        assert process.stdout.readline() == "up\n"
    said = lab.run(lab.pod("b"), f"import socket; print(len({{socket.create_connection(('{ip}', 8080)).recv(9) for _ in range(60)}}))")
    assert said == "2\n"
    done = lab.attempt(ip, "import socket; socket.socket().bind(('', 8080))")
    assert "Address already in use" in done.stderr


def test_datagrams_find_their_way_there_and_back(lab: Lab) -> None:
    ip, client = lab.pod("a"), lab.pod("b")
    process = lab.start(
        ip,
        """
        import socket
        server = socket.socket(type=socket.SOCK_DGRAM); server.bind(("", 5353)); print("up", flush=True)
        while True:
            data, peer = server.recvfrom(100); server.sendto(data.upper() + str(peer[0]).encode(), peer)
        """,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    said = lab.run(
        client,
        f"""
        import socket
        sock = socket.socket(type=socket.SOCK_DGRAM); sock.settimeout(5)
        sock.sendto(b"ping ", ("{ip}", 5353)); print(sock.recvfrom(100))
        """,
    )
    assert said.startswith(f"(b'PING {client}', (")


def test_a_tls_server_keeps_its_port_when_its_socket_is_wrapped(lab: Lab) -> None:
    ip = lab.pod("a")
    lab.start(
        ip,
        """
        import gc, http.server, ssl, tempfile, trustme
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self): self.send_response(204); self.end_headers()
        server = http.server.HTTPServer(("", 8443), Handler)
        ca = trustme.CA(); context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ca.issue_cert("a").configure_cert(context)
        server.socket = context.wrap_socket(server.socket, server_side=True); gc.collect()
        server.serve_forever()
        """,
    )
    lab.wait_for(ip, 8443)
    code = f"""
        import ssl, urllib.request
        context = ssl._create_unverified_context()
        print(urllib.request.urlopen("https://{ip}:8443/", context=context).status)
    """
    assert lab.run(lab.pod("b"), code) == "204\n"


def test_addresses_that_nobody_has(lab: Lab) -> None:
    lab.network.publish(tables.build([], [], NODES))
    said = lab.run(lab.pod("a"), FETCH, "http://10.244.3.200/", "http://10.96.3.200/", "http://172.18.0.3:31234/")
    assert said.splitlines() == [
        "OSError(113, 'No route to host')",
        "TimeoutError(110, 'Connection timed out')",
        "ConnectionRefusedError(111, 'Connection refused')",
    ]
