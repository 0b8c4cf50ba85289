"""The aggregation layer: APIServices, whether who stands behind them answers, and requests on behalf of a user (kube-aggregator).

APIServices flow in; their condition Available, and what `aggregated.py` serves, come out. The API server shows who asks in X-Remote
headers, and that it is the API server by its front-proxy certificate.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import ssl
from collections.abc import Mapping
from urllib.parse import quote, urlencode

import orjson

from clusters.embedded.apiserver import aggregated
from clusters.embedded.apiserver.aggregated import Aggregated
from clusters.embedded.apiserver.outgoing import calls, go_words, service_address
from clusters.embedded.apiserver.outgoing.calls import Streams, Unreachable
from clusters.embedded.apiserver.reader import StoredObjects
from clusters.embedded.apiserver.registry import Caller, Registry
from clusters.embedded.apiserver.request import User
from clusters.embedded.errors import ApiError
from clusters.embedded.network import Network
from clusters.embedded.pki import Certificates
from clusters.embedded.resources import by_name
from clusters.embedded.store import Expired, Store
from kubeobjects import Object, meta

log = logging.getLogger(__name__)

_RESOURCE = "apiservices.apiregistration.k8s.io"
_AGGREGATOR = User("system:kube-aggregator", ("system:masters",))
_CHECK_SECONDS = 5.0
# How often who answers is asked again, and who does not; a change of an APIService is looked at at once.
_RESYNC_SECONDS, _RETRY_SECONDS = 30.0, 1.0
# What a request of a component may take, as client-go's default for the metrics clients.
_REQUEST_SECONDS = 30.0
_UNAVAILABLE = "the server is currently unable to handle the request"


def remote_headers(user: User) -> list[tuple[str, str]]:
    """Who asks, as another API server reads it behind a front proxy (transport.SetAuthProxyHeaders)."""
    found = [("X-Remote-User", user.name), *(("X-Remote-Group", each) for each in user.groups)]
    if user.uid:
        found.append(("X-Remote-Uid", user.uid))
    for name, values in user.extra.items():
        found += [(f"X-Remote-Extra-{quote(name.lower(), safe='-_.~')}", value) for value in values]
    return found


class Aggregator:
    """`await run()` follows the APIServices of a store until it is cancelled."""

    def __init__(self, store: Store, registry: Registry, network: Network | None, certificates: Certificates):
        self._store = store
        self._registry = registry
        self._reader = StoredObjects(store)
        self._network = network
        self._certificates = certificates
        self._next: dict[str, float] = {}

    # Requests

    async def connect(self, of: Aggregated) -> Streams:
        """A connection to it, with TLS and our certificate. Raises Unresolved, Unreachable."""
        namespace, name, port = of.service["namespace"], of.service["name"], of.service.get("port", 443)
        reader, writer = await calls.dial_service(self._reader, self._network, namespace, name, port)
        host = f"{name}.{namespace}.svc"
        try:
            await writer.start_tls(self._trust(of), server_hostname=host)
        except BaseException as error:
            writer.transport.abort()
            if isinstance(error, ssl.SSLCertVerificationError):
                raise Unreachable(f"tls: failed to verify certificate: x509: {error.verify_message}") from None
            if isinstance(error, OSError):
                raise Unreachable(go_words.of_handshake(error)) from None
            raise
        return reader, writer

    def _trust(self, of: Aggregated) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_cert_chain(self._certificates.front_proxy, self._certificates.front_proxy_key)
        if of.insecure:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            return context
        with contextlib.suppress(ValueError):
            calls.believe(context, of.bundle)
        return context

    async def _ask(self, of: Aggregated, target: str, user: User) -> tuple[int, bytes]:
        """(status, body) of a GET as `user`. Raises Unresolved, Unreachable."""
        streams = await self.connect(of)
        head = [f"GET {target} HTTP/1.1", f"Host: {of.service['name']}.{of.service['namespace']}.svc", "Accept: application/json"]
        head += [f"{name}: {value}" for name, value in remote_headers(user)]
        raw = await calls.exchange(streams, "\r\n".join([*head, "Connection: close", "", ""]).encode("latin-1", "replace"))
        response, body = calls.answer(raw, "GET")
        return response.status, body

    async def get(self, of: Aggregated, path: str, query: Mapping[str, str], user: User) -> Object:
        """What it answers to a component. Raises ApiError with its Status, or 503 where it gives none."""
        if not of.available:
            raise ApiError(503, "ServiceUnavailable", _UNAVAILABLE)
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                status, body = await self._ask(of, path + (f"?{urlencode(query)}" if query else ""), user)
        except (Unreachable, service_address.Unresolved, TimeoutError):
            raise ApiError(503, "ServiceUnavailable", _UNAVAILABLE) from None
        try:
            found = orjson.loads(body)
        except ValueError:
            found = None
        if status >= 400:
            told = found if isinstance(found, dict) and found.get("kind") == "Status" else {}
            raise ApiError(status, told.get("reason") or "Unknown", told.get("message") or body.decode("utf-8", "replace").strip())
        if not isinstance(found, dict):
            raise ApiError(500, "InternalError", f"{of.name} did not answer with an object")
        return found

    # The controller

    async def run(self) -> None:
        while True:
            try:
                watch = self._store.watch(_RESOURCE, self._store.revision)
                while True:
                    wait = await self._look()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(watch.next(), wait)
            except Expired:
                continue

    async def _look(self) -> float | None:
        """Judges every APIService; in how many seconds to look again, None for not before one changes."""
        stored = self._store.list(_RESOURCE)
        before = {each.name: each for each in aggregated.served()}
        found = [_read(each) for each in stored if (each.get("spec") or {}).get("service")]
        for each in found:
            old = before.get(each.name)
            if old is not None:
                each.available, each.rows = old.available, old.rows
        aggregated.serve(found)
        for obj in stored:
            if not (obj.get("spec") or {}).get("service"):
                await self._tell(obj["metadata"]["name"], True, "Local", "Local APIServices are always available")
        now = asyncio.get_running_loop().time()
        self._next = {each.name: self._next.get(each.name, 0.0) for each in found}
        for each in found:
            reason, message = self._endpoints(each)
            if not reason and each.available and now < self._next[each.name]:
                continue
            if not reason:
                reason, message = await self._discover(each)
                self._next[each.name] = now + _RESYNC_SECONDS
            each.available = reason == "Passed"
            await self._tell(each.name, each.available, reason, message)
        return _RETRY_SECONDS if found else None

    def _endpoints(self, of: Aggregated) -> tuple[str, str]:
        """(reason, message) of what keeps the Service from being called; both empty where nothing does."""
        namespace, name, port = of.service["namespace"], of.service["name"], of.service.get("port", 443)
        service = self._reader.get("services", name, namespace)
        if service is None:
            return "ServiceNotFound", f"service/{name} in {json.dumps(namespace)} is not present"
        if service["spec"].get("type", "ClusterIP") != "ClusterIP":
            return "", ""
        chosen = next((each for each in service["spec"].get("ports") or [] if each["port"] == port), None)
        if chosen is None:
            return "ServicePortError", f"service/{name} in {json.dumps(namespace)} is not listening on port {port}"
        slices = [
            each
            for each in self._reader.list("endpointslices.discovery.k8s.io", namespace)
            if (each["metadata"].get("labels") or {}).get("kubernetes.io/service-name") == name
        ]
        if not slices:
            return "EndpointsNotFound", f"cannot find endpointslices for service/{name} in {json.dumps(namespace)}"
        port_name = chosen.get("name") or ""
        for each in slices:
            ready = any((one.get("conditions") or {}).get("ready") is not False for one in each.get("endpoints") or [])
            if ready and any((one.get("name") or "") == port_name and one.get("port") for one in each.get("ports") or []):
                return "", ""
        what = f"endpointslices for service/{name} in {json.dumps(namespace)} have no addresses with port name {json.dumps(port_name)}"
        return "MissingEndpoints", what

    async def _discover(self, of: Aggregated) -> tuple[str, str]:
        """Asks for the list of resources, which every API server has."""
        path = f"/apis/{of.group}/{of.version}"
        url = path
        try:
            address, port = service_address.of(self._reader, of.service["namespace"], of.service["name"], of.service.get("port", 443))
            url = f"https://{address}:{port}{path}"
            async with asyncio.timeout(_CHECK_SECONDS):
                status, body = await self._ask(of, path, _AGGREGATOR)
        except service_address.Unresolved as error:
            return "FailedDiscoveryCheck", str(error)
        except Unreachable as error:
            return "FailedDiscoveryCheck", f"failing or missing response from {url}: Get {json.dumps(url)}: {error}"
        except TimeoutError:
            late = "context deadline exceeded (Client.Timeout exceeded while awaiting headers)"
            return "FailedDiscoveryCheck", f"failing or missing response from {url}: Get {json.dumps(url)}: {late}"
        if not 200 <= status < 300:
            return "FailedDiscoveryCheck", f"failing or missing response from {url}: bad status from {url}: {status}"
        with contextlib.suppress(ValueError, AttributeError):
            of.rows = [each for each in orjson.loads(body).get("resources") or [] if isinstance(each, dict) and each.get("name")]
        return "Passed", "all checks passed"

    async def _tell(self, name: str, available: bool, reason: str, message: str) -> None:
        """Writes the condition Available where it says something else."""
        wanted = {"type": "Available", "status": "True" if available else "False", "reason": reason, "message": message}
        stored = self._store.get(_RESOURCE, name)
        had = meta.condition(stored, "Available") if stored is not None else None
        if stored is None or (had is not None and all(had.get(key) == value for key, value in wanted.items())):
            return
        same = had is not None and had.get("status") == wanted["status"]
        condition = wanted | {"lastTransitionTime": had["lastTransitionTime"] if had is not None and same else meta.now()}

        def change(old: Object) -> Object:
            others = [each for each in (old.get("status") or {}).get("conditions") or [] if each.get("type") != "Available"]
            return {**old, "status": {**(old.get("status") or {}), "conditions": [*others, condition]}}

        caller = Caller(User("system:apiserver", ("system:masters", "system:authenticated")), "kube-aggregator")
        try:
            await self._registry.update(caller, by_name()[_RESOURCE], None, name, change, subresource="status", patched=True)
        except ApiError as error:
            if error.code not in (404, 409):
                log.warning("APIService %s: %s", name, error.message)


def _read(obj: Object) -> Aggregated:
    spec = obj["spec"]
    return Aggregated(
        name=obj["metadata"]["name"],
        group=spec.get("group", ""),
        version=spec.get("version", ""),
        service=spec["service"],
        insecure=bool(spec.get("insecureSkipTLSVerify")),
        bundle=spec.get("caBundle") or "",
        priority=(spec.get("groupPriorityMinimum", 0), spec.get("versionPriority", 0)),
    )
