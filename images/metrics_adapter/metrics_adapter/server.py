"""HTTPS: requests of the API server flow in, JSON goes out; /livez and /readyz are for the kubelet."""

from __future__ import annotations

import contextlib
import datetime
import json
import logging
import ssl
import tempfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from metrics_adapter import api
from metrics_adapter.access import Authorizer, Trust
from metrics_adapter.api import Api, Refused
from metrics_adapter.cluster import ClusterError, Object
from metrics_adapter.scraping import Scraper

log = logging.getLogger("metrics_adapter.http")

_VALID = datetime.timedelta(days=365)


def certificate(names: list[str]) -> tuple[bytes, bytes]:
    """PEM of (key, certificate) that signs itself: an APIService with insecureSkipTLSVerify takes it, as with metrics-server."""
    key = ec.generate_private_key(ec.SECP256R1())
    name, now = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]), datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + _VALID)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(each) for each in names]), critical=False)
        .sign(key, hashes.SHA256())
    )
    form = serialization.PrivateFormat.PKCS8
    pem = key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())
    return pem, made.public_bytes(serialization.Encoding.PEM)


def tls(trust: Trust, names: list[str]) -> ssl.SSLContext:
    """Asks for a client's certificate and takes only the API server's; the kubelet's probes have none."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "serving.pem"
        file.touch(mode=0o600)
        file.write_bytes(b"".join(certificate(names)))
        context.load_cert_chain(file)
    context.load_verify_locations(cadata=trust.ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


class Server(ThreadingHTTPServer):
    """Serves until `shutdown`."""

    daemon_threads = True

    def __init__(
        self, address: tuple[str, int], context: ssl.SSLContext, trust: Trust, found: Api, authorizer: Authorizer, scraper: Scraper
    ):
        super().__init__(address, Handler)
        # The handshake is the handler's: a client that says nothing must not keep others waiting.
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.trust, self.api, self.authorizer, self.scraper = trust, found, authorizer, scraper


class Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    timeout = 10.0

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        if parts.path in ("/livez", "/readyz", "/healthz"):
            self._send(200, b"ok", "text/plain")
            return
        try:
            found = self._answer(parts.path, dict(parse_qsl(parts.query)))
            self._send(200, json.dumps(found).encode(), "application/json")
        except Refused as refused:
            log.info("%s: %d %s", self.path, refused.code, refused)
            self._send(refused.code, json.dumps(refused.status()).encode(), "application/json")

    def _answer(self, path: str, query: dict[str, str]) -> Object:
        connection: Any = self.connection
        caller = self.server.trust.caller(connection.getpeercert(), self.headers)
        if caller is None:
            raise Refused(401, "Unauthorized", "Unauthorized")
        asked = api.parse(path)
        if asked is None:
            found = api.discovery(path, self.server.scraper.known())
            if found is None:
                raise Refused(404, "NotFound", "the server could not find the requested resource")
            return found
        verb = "list" if asked.group == api.EXTERNAL[0] else "get"
        try:
            allowed = self.server.authorizer.allows(caller, verb, asked)
        except ClusterError as error:
            raise Refused(500, "InternalError", f"Internal error occurred: {error}") from None
        if not allowed:
            what = f"{asked.resource}/{asked.metric}" if asked.name else asked.resource
            where = f'cannot {verb} resource "{what}" in API group "{asked.group}" in the namespace "{asked.namespace}"'
            raise Refused(403, "Forbidden", f'{what}.{asked.group} is forbidden: User "{caller.name}" {where}')
        return self.server.api.values(asked, query)

    def _send(self, code: int, body: bytes, kind: str) -> None:
        with contextlib.suppress(OSError):
            self.send_response(code)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        log.debug(format, *arguments)
