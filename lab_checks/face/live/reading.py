"""Reading a cluster without asking it again and again: one list and one watch for each kind, in the event loop of whoever runs it.

As client-go's Reflector does: list, watch from there, and list anew where the API server says that it no longer has what came in between (410).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kubeobjects import Object
from lab_checks.engine.api import ApiUnreachable, collection

if TYPE_CHECKING:
    import aiohttp

# What the picture is made of.
SHOWN = ("nodes", "pods", "services", "endpointslices", "events", "resourceclaims", "resourceslices")
# What a cluster may do without: it has no DRA, or the account may not read it.
MAY_BE_MISSING = frozenset({"resourceclaims", "resourceslices"})
# What an exercise may be about besides: a change of these is a reason to look again, and nothing of them is kept.
ALSO = (
    "configmaps", "secrets", "deployments", "replicasets", "statefulsets", "daemonsets", "jobs", "cronjobs", "persistentvolumeclaims", "resourcequotas",
    "limitranges", "networkpolicies", "roles", "rolebindings", "serviceaccounts", "horizontalpodautoscalers", "poddisruptionbudgets", "priorityclasses",
)  # fmt: skip

_WATCH_FOR = 290  # seconds; the API server ends a watch itself after some minutes
_ANSWER_WITHIN = 10.0  # seconds
_BETWEEN_WATCHES = 0.1  # seconds


class Hears(Protocol):
    """Who is told what was read."""

    def replaced(self, kind: str, objects: list[Object]) -> None:
        """All objects of a kind, as they are now."""

    def changed(self, kind: str, how: str, obj: Object) -> None:
        """One object that was ADDED, MODIFIED or DELETED."""


class _Expired(Exception):
    """The watch cannot go on from where it was."""


def _settings(kubeconfig: Path) -> Any:
    """What the kubeconfig says, as the Kubernetes client reads it. Raises ApiUnreachable."""
    import yaml
    from kubernetes import client, config

    found: Any = client.Configuration()
    try:
        config.load_kube_config(str(kubeconfig), client_configuration=found)
    except (config.ConfigException, OSError, ValueError, TypeError, LookupError, AttributeError, yaml.YAMLError) as problem:
        raise ApiUnreachable(f"{kubeconfig} is no kubeconfig that can be used ({type(problem).__name__})") from None
    return found


def _trust(settings: Any) -> ssl.SSLContext | bool:
    if not str(settings.host).startswith("https"):
        return False
    context = ssl.create_default_context(cafile=settings.ssl_ca_cert or None)
    if not settings.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if settings.cert_file:
        context.load_cert_chain(settings.cert_file, settings.key_file)
    return context


class Connection:
    """HTTP to the API server that a kubeconfig names, for one event loop. Raises ApiUnreachable where it does not answer."""

    def __init__(self, kubeconfig: Path):
        import aiohttp

        settings = _settings(kubeconfig)
        token = settings.auth_settings().get("BearerToken", {}).get("value")
        self._host = str(settings.host).rstrip("/")
        self._proxy = settings.proxy or None
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(ssl=_trust(settings), limit=0), headers={"Authorization": token} if token else {},
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_ANSWER_WITHIN),
        )  # fmt: skip

    async def close(self) -> None:
        await self._session.close()

    async def get(self, path: str, **query: str) -> Object:
        """The JSON at a path, within ten seconds."""
        try:
            async with asyncio.timeout(_ANSWER_WITHIN), self._asked(path, query) as answer:
                found: Object = json.loads(await answer.read())
                return found
        except (TimeoutError, ValueError) as problem:
            raise ApiUnreachable(f"GET {path}: the API server does not answer ({type(problem).__name__})") from None

    @contextlib.asynccontextmanager
    async def _asked(self, path: str, query: dict[str, str]) -> AsyncIterator[aiohttp.ClientResponse]:
        import aiohttp

        try:
            async with self._session.get(self._host + path, params=query, proxy=self._proxy) as answer:
                if answer.status == 410:
                    raise _Expired
                if answer.status != 200:
                    raise ApiUnreachable(f"GET {path}: {answer.status} {answer.reason}", answer.status)
                yield answer
        except (aiohttp.ClientError, OSError) as problem:
            raise ApiUnreachable(f"GET {path}: the API server does not answer ({type(problem).__name__})") from None

    async def lines(self, path: str, **query: str) -> AsyncIterator[Object]:
        """The JSON objects of an answer that goes on, one a line."""
        async with self._asked(path, query) as answer:
            rest = b""
            async for piece in answer.content.iter_any():
                *whole, rest = (rest + piece).split(b"\n")
                for line in whole:
                    if line.strip():
                        yield json.loads(line)


async def _follow(connection: Connection, kind: str, version: str, hears: Hears) -> str:
    """Watches from a resource version until the API server ends the watch; the version to go on from. Raises _Expired, ApiUnreachable."""
    query = {"watch": "true", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": str(_WATCH_FOR)}
    async for each in connection.lines(collection(kind), **query):
        obj = each.get("object") or {}
        if each.get("type") == "ERROR":
            raise _Expired
        version = obj.get("metadata", {}).get("resourceVersion") or version
        if each.get("type") != "BOOKMARK":
            hears.changed(kind, str(each.get("type")), obj)
    return version


async def _one_kind(connection: Connection, kind: str, hears: Hears, listed: asyncio.Event, keep: bool) -> None:
    path = collection(kind)
    while True:
        try:
            found = await connection.get(path) if keep else await connection.get(path, limit="1")
        except ApiUnreachable as problem:
            if problem.status in (403, 404) and (not keep or kind in MAY_BE_MISSING):
                # This cluster does not serve the kind, or not to us: nothing in it can be seen, or be a reason to look.
                listed.set()
                return
            raise
        except _Expired:
            continue
        version = found["metadata"]["resourceVersion"]
        if keep:
            hears.replaced(kind, found["items"])
        listed.set()
        with contextlib.suppress(_Expired):
            while True:
                version = await _follow(connection, kind, version, hears)
                # A server that ends every watch at once is not asked in a circle.
                await asyncio.sleep(_BETWEEN_WATCHES)


async def read(kubeconfig: Path, hears: Hears, ready: Callable[[], None], kinds: Iterable[str] = SHOWN, also: Iterable[str] = ALSO) -> None:
    """Tells `hears` of every object of `kinds` and of changes to those of `also`, until it is cancelled. Calls `ready` once all kinds were listed.

    Raises ApiUnreachable when the API server is gone.
    """
    connection = Connection(kubeconfig)
    lost: ApiUnreachable | None = None
    try:
        async with asyncio.TaskGroup() as group:
            marks = []
            for kind, keep in [*((each, True) for each in kinds), *((each, False) for each in also)]:
                marks.append(asyncio.Event())
                group.create_task(_one_kind(connection, kind, hears, marks[-1], keep))
            for each in marks:
                await each.wait()
            ready()
    except* ApiUnreachable as problems:
        lost = _first(problems)
    finally:
        await connection.close()
    if lost is not None:
        raise lost


def _first(problems: BaseExceptionGroup[ApiUnreachable]) -> ApiUnreachable:
    found: Any = problems
    while isinstance(found, BaseExceptionGroup):
        found = found.exceptions[0]
    return ApiUnreachable(str(found), getattr(found, "status", 0))
