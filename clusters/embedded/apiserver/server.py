"""The API server: HTTPS on 127.0.0.1, and the pipeline that every request passes.

A request is parsed, authenticated, authorized and recorded; then a handler answers it from the registry, discovery or a kubelet.
Whatever fails becomes a `metav1.Status`.
"""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path

from aiohttp import web

from clusters.embedded import kubeconfig, pki
from clusters.embedded.apiserver import (
    aggregated,
    authentication,
    authorization,
    bootstrap,
    definitions,
    endpoints,
    expiry,
    impersonation,
    representation,
    request,
    validity,
)
from clusters.embedded.apiserver.aggregation import Aggregator
from clusters.embedded.apiserver.attributes import Attributes
from clusters.embedded.apiserver.audit import AuditLog, Record, object_ref
from clusters.embedded.apiserver.connections import Listener
from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.handlers import Handlers
from clusters.embedded.apiserver.privileges import Privileges
from clusters.embedded.apiserver.registry import Registry
from clusters.embedded.apiserver.responses import is_pretty
from clusters.embedded.apiserver.services import Services
from clusters.embedded.apiserver.subresources import Subresources
from clusters.embedded.errors import ApiError, internal
from clusters.embedded.network import Network
from clusters.embedded.nodes import NodeConnections
from clusters.embedded.resources import serve_custom
from clusters.embedded.store import Store
from clusters.embedded.supervision import keep_running

log = logging.getLogger(__name__)


_CLIENT_GONE = 499
# Watches never end by themselves; whatever else is under way takes milliseconds.
_SHUTDOWN_SECONDS = 0.25
# Selectors and tokens can make lines longer than aiohttp's own limit.
_LINE_BYTES = 65536


class ServerError(Exception):
    """The server cannot start; the message says why and what to do."""


def _services(
    store: Store,
    folder: Path,
    certificates: pki.Certificates,
    tokens: pki.TokenIssuer,
    connections: NodeConnections,
    network: Network | None,
) -> Services:
    authorizer = authorization.Authorizer(store)
    registry = Registry(store, authorizer, network)
    return Services(
        registry=registry,
        subresources=Subresources(registry, tokens.issue),
        authenticator=authentication.Authenticator(store, tokens),
        authorizer=authorizer,
        privileges=Privileges(store, authorizer),
        audit=AuditLog(folder / "audit.log"),
        aggregator=Aggregator(store, registry, network, certificates),
        connections=connections,
        network=network,
    )


class ApiServer:
    """`folder` holds keys and the audit log. Serves after `start`, until `stop`; in-process clients need neither."""

    def __init__(self, store: Store, folder: Path, connections: NodeConnections, network: Network | None = None):
        self.store = store
        self.folder = folder
        self.certificates = pki.ensure(folder / "pki")
        self.tokens = pki.TokenIssuer(self.certificates.token_key.read_bytes())
        self.services = _services(store, folder, self.certificates, self.tokens, connections, network)
        self.port = 0
        self._handlers = Handlers(self.services)
        self._listener: Listener | None = None
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def url(self) -> str:
        return f"https://127.0.0.1:{self.port}"

    async def bootstrap(self) -> None:
        """Creates what every cluster has from its first moment: namespaces, roles, priority classes, the kubernetes Service."""
        await bootstrap.ensure(self.services.registry, self.services.authorizer, self.port or 6443, self.certificates)

    async def start(self, port: int = 0) -> None:
        """Listens on 127.0.0.1:`port` (0: any free one). Raises ServerError where that cannot be had."""
        definitions.publish(self.store)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificates.server, self.certificates.server_key)
        context.load_verify_locations(self.certificates.ca)
        # A client may come with a certificate or a token; a certificate that is given must be ours.
        context.verify_mode = ssl.CERT_OPTIONAL
        # OpenSSL would remember the session of every connection.
        context.num_tickets = 0
        # Bodies are read as they come: the real server knows no Content-Encoding of requests, and what is packed may be any size.
        listener = Listener(self._serve, context, max_line_size=_LINE_BYTES, max_field_size=_LINE_BYTES, auto_decompress=False)
        try:
            listener.start(port)
        except OSError as error:
            raise ServerError(
                f"port {port} on 127.0.0.1 cannot be used ({error.strerror or error}): another program holds it. "
                "Choose another port, or none to take any free one."
            ) from None
        self._listener = listener
        self.port = listener.port
        await self.bootstrap()
        controller = definitions.DefinitionController(self.store, self.services.registry)
        self._tasks = [
            asyncio.create_task(expiry.run(self.store), name="event expiry"),
            asyncio.create_task(keep_running("apiextensions", controller.run), name="custom resource definitions"),
            asyncio.create_task(keep_running("kube-aggregator", self.services.aggregator.run), name="aggregated APIs"),
        ]

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        self._tasks = []
        serve_custom(())
        aggregated.serve(())
        if self._listener is not None:
            await self._listener.stop(_SHUTDOWN_SECONDS)
            self._listener = None
        self.services.audit.close()

    def write_kubeconfig(self, path: Path) -> None:
        kubeconfig.write(path, self.url, self.certificates)

    # The pipeline

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        info = request.parse(http.method, http.rel_url.raw_path, http.query)
        record = Record(info.verb, http.raw_path if isinstance(http, web.Request) else http.path_qs)
        record.user_agent = http.headers.get("User-Agent", "")
        if info.resource is not None:
            record.object_ref = object_ref(info.group, info.version, info.resource, info.subresource, info.namespace, info.name)
        exchange = Exchange(http, info, record, self.services.audit)
        try:
            self._admit(exchange)
            response = await self._dispatch(exchange)
            self.services.audit.write(record, "ResponseComplete", response.status)
            return response
        except ApiError as error:
            return self._failed(exchange, error)
        except (asyncio.CancelledError, ConnectionError):
            # The client has gone: that is how watches usually end.
            started = exchange.response is not None and exchange.response.prepared
            self.services.audit.write(record, "ResponseComplete", 200 if started else _CLIENT_GONE)
            raise
        except Exception as error:
            log.exception("%s %s", http.method, http.path_qs)
            return self._failed(exchange, internal(f"{type(error).__name__}: {error}"))

    def _admit(self, exchange: Exchange) -> None:
        """Authentication and authorization. Raises ApiError 401 or 403."""
        http, record = exchange.http, exchange.record
        transport = http.transport
        certificate = transport.get_extra_info("peercert") if transport is not None else None
        exchange.user = record.user = self.services.authenticator.authenticate(certificate, http.headers.get("Authorization"))
        attributes = Attributes.of(exchange.info)
        if self._listener is not None and exchange.user is not authentication.ANONYMOUS:
            self._listener.introduce(http.protocol)
        other = impersonation.wanted(http.headers)
        if other is not None:
            acting, record.constraint = impersonation.authorize(self.services.authorizer, exchange.user, other, attributes)
            exchange.user = record.impersonated = acting
        decision = self.services.authorizer.decide(exchange.user, attributes)
        record.annotations["authorization.k8s.io/decision"] = "allow" if decision.allowed else "forbid"
        record.annotations["authorization.k8s.io/reason"] = decision.reason
        if not decision.allowed:
            raise authorization.refusal(exchange.user, attributes, decision)

    async def _dispatch(self, exchange: Exchange) -> web.StreamResponse:
        if (found := aggregated.find(exchange.info.path)) is not None:
            from clusters.embedded.apiserver.streaming import aggregated_proxy

            return await aggregated_proxy.serve(self.services.aggregator, exchange, found)
        if exchange.info.resource is None:
            return endpoints.serve(exchange, f"127.0.0.1:{self.port}", self.services.registry.store)
        return await self._handlers.serve(exchange)

    def _failed(self, exchange: Exchange, error: ApiError) -> web.StreamResponse:
        self.services.audit.write(exchange.record, "ResponseComplete", error.code, error)
        if exchange.response is not None and exchange.response.prepared:
            # The reply has begun: its status cannot be changed any more.
            return exchange.response
        headers = exchange.headers()
        retry = error.details.get("retryAfterSeconds")
        if retry:
            headers["Retry-After"] = str(retry)
        body = representation.encode(error.status, pretty=is_pretty(exchange))
        response = web.Response(status=error.code, body=body, content_type=representation.JSON, headers=headers)
        for warning in dict.fromkeys(exchange.warnings):
            response.headers.add("Warning", validity.warning_header(warning))
        return response
