"""The verbs of resources over HTTP: query and body flow in, the registry does the work, the object goes out in the form asked for."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from clusters.embedded.apiserver import bodies, effects, listing, patching, representation, reviews, routing, streams, validity
from clusters.embedded.apiserver.audit import loggable
from clusters.embedded.apiserver.deletion import DeleteOptions
from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.patch import apply as server_side
from clusters.embedded.apiserver.registry import Caller
from clusters.embedded.apiserver.request import is_true
from clusters.embedded.apiserver.responses import page_not_found, respond
from clusters.embedded.apiserver.services import Services
from clusters.embedded.apiserver.subresources import OWN_UPDATE
from clusters.embedded.errors import ApiError, bad_request, method_not_allowed, not_found
from clusters.embedded.resources import Resource
from kubeobjects import Object, meta

# Kinds whose use is answered with a Warning header.
_DEPRECATED = {
    ("", "endpoints"): "v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice",
    ("", "componentstatuses"): "v1 ComponentStatus is deprecated in v1.19+",
}


class Handlers:
    def __init__(self, services: Services):
        self._services = services
        self._registry = services.registry

    async def serve(self, exchange: Exchange) -> web.StreamResponse:
        info = exchange.info
        resource = info.served
        if resource is None:
            if info.group == "metrics.k8s.io":
                return await streams.metrics(self._services, exchange)
            raise page_not_found()
        routing.check(resource, info)
        if warning := _DEPRECATED.get((resource.group, resource.plural)):
            exchange.warnings.append(warning)
        if resource.custom is not None and resource.custom.deprecation:
            exchange.warnings.append(resource.custom.deprecation)
        if info.subresource in routing.STREAMED:
            return await streams.serve(self._services, exchange, resource)
        if reviews.is_review(resource):
            return await self._review(exchange, resource)
        match info.verb:
            case "get":
                return self._get(exchange, resource)
            case "list":
                return self._list(exchange, resource)
            case "watch":
                return await listing.watch(self._registry.store, exchange, resource)
            case "create":
                return await self._create(exchange, resource)
            case "update":
                return await self._update(exchange, resource)
            case "patch":
                return await self._patch(exchange, resource)
            case "delete":
                return await self._delete(exchange, resource)
            case "deletecollection":
                return await self._delete_collection(exchange, resource)
        raise method_not_allowed()

    def _caller(self, exchange: Exchange) -> Caller:
        query = exchange.query
        dry_run = query.get("dryRun", "")
        if dry_run not in ("", "All"):
            raise validity.option("dryRun", dry_run, ("All",))
        agent = exchange.record.user_agent
        manager = query.get("fieldManager") or agent.partition("/")[0] or "unknown"
        if len(manager) > 128:
            raise validity.too_long_manager(manager)
        options: Object = {name: query[name] for name in ("fieldManager", "fieldValidation") if query.get(name)}
        if dry_run:
            options["dryRun"] = ["All"]
        return Caller(exchange.user, manager, bool(dry_run), exchange.warnings, exchange.record.annotations, options)

    def _reply(self, exchange: Exchange, resource: Resource, obj: Object, status: int = 200) -> web.Response:
        form = representation.negotiate(exchange.http.headers.get("Accept", ""), exchange.query, plain="get" not in resource.verbs)
        return respond(exchange, representation.one(form, resource, obj), form, status)

    # Reads

    def _get(self, exchange: Exchange, resource: Resource) -> web.Response:
        info = exchange.info
        namespace = _namespace(exchange, resource)
        listing.check_version(self._registry.store, exchange.query)
        if info.subresource:
            obj = self._services.subresources.get(resource, namespace, info.name, info.subresource)
        else:
            obj = self._registry.get(resource, info.name, namespace)
        return self._reply(exchange, resource, obj)

    def _list(self, exchange: Exchange, resource: Resource) -> web.Response:
        page = listing.page(self._registry.store, resource, _namespace(exchange, resource), exchange.query)
        form = representation.negotiate(exchange.http.headers.get("Accept", ""), exchange.query)
        return respond(exchange, representation.many(form, resource, page.items, page.metadata), form)

    # Writes

    async def _body(self, exchange: Exchange, resource: Resource) -> Object:
        """The object that a POST or PUT carries, pruned to its schema; strict errors are raised or become warnings."""
        info = exchange.info
        api_version, kind = patching.body_kind(resource, info.subresource)
        found, duplicates, length = await bodies.read_object(exchange.http, bodies.content_type(exchange.http), kind=kind)
        validity.check_kind(found, api_version, kind)
        exchange.record.request_object = loggable(resource.plural, info.subresource, found, length)
        return validity.decode(found, duplicates, api_version, kind, exchange.query, exchange.warnings)

    def _guard(self, exchange: Exchange, resource: Resource, namespace: str | None, obj: Object, old: Object | None) -> None:
        """Raises ApiError 403 or 404 where the caller may write such objects and yet not this one."""
        self._services.privileges.check(exchange.user, resource, namespace, obj, old)
        if exchange.info.subresource == "approval" and old is not None:
            self._services.privileges.check_approval(exchange.user, old)

    async def _create(self, exchange: Exchange, resource: Resource) -> web.Response:
        info, caller, namespace = exchange.info, self._caller(exchange), _namespace(exchange, resource)
        body = await self._body(exchange, resource)
        if resource.name == "bindings":
            bound = await self._services.subresources.bind(caller, namespace, (body.get("metadata") or {}).get("name", ""), body)
            return self._reply(exchange, resource, bound, 201)
        if info.subresource:
            created = await self._services.subresources.create(caller, resource, namespace, info.name, info.subresource, body)
            return self._reply(exchange, resource, created, 201)
        self._guard(exchange, resource, namespace, body, None)
        effects.tell(resource, body, caller.dry_run, exchange.warnings)
        created = await self._registry.create(caller, resource, namespace, body)
        if exchange.record.object_ref is not None:
            exchange.record.object_ref["name"] = created["metadata"]["name"]
        return self._reply(exchange, resource, created, 201)

    async def _update(self, exchange: Exchange, resource: Resource) -> web.Response:
        info, caller, namespace = exchange.info, self._caller(exchange), _namespace(exchange, resource)
        body = await self._body(exchange, resource)
        metadata = body.setdefault("metadata", {})
        if metadata.setdefault("name", info.name) != info.name:
            raise bad_request(f"the name of the object ({metadata['name']}) does not match the name on the URL ({info.name})")

        def replace(old: Object) -> Object:
            self._guard(exchange, resource, namespace, body, old)
            return meta.copy(body)

        updated = await self._change(caller, resource, namespace, info.name, info.subresource, replace)
        return self._reply(exchange, resource, updated)

    async def _change(
        self,
        caller: Caller,
        resource: Resource,
        namespace: str | None,
        name: str,
        subresource: str,
        transform: Any,
        *,
        patched: bool = False,
        applied: bool = False,
    ) -> Object:
        if subresource in OWN_UPDATE:
            update = self._services.subresources.update
            return await update(caller, resource, namespace, name, subresource, transform, patched=patched)
        return await self._registry.update(
            caller, resource, namespace, name, transform, subresource=subresource, patched=patched, applied=applied
        )

    async def _patch(self, exchange: Exchange, resource: Resource) -> web.Response:
        media = bodies.content_type(exchange.http)
        if media not in patching.TYPES:
            raise patching.unsupported()
        if resource.custom is not None and media == patching.STRATEGIC and exchange.info.subresource != "scale":
            raise patching.not_for_custom()
        caller, namespace, info = self._caller(exchange), _namespace(exchange, resource), exchange.info
        if media == patching.APPLY:
            return await self._apply(exchange, resource, caller, namespace)
        patch, length = await bodies.read_json(exchange.http)
        exchange.record.request_object = loggable(resource.plural, info.subresource, patch, length)
        plain = patching.transform(media, patch, resource, info.subresource)
        api_version, kind = patching.body_kind(resource, info.subresource)

        def transform(old: Object) -> Object:
            strategic = media == patching.STRATEGIC
            # Merging may change what it is given; the guard compares with the object as it was.
            patched = plain(meta.copy(old))
            checked = validity.decode_patched(patched, patch, strategic, api_version, kind, exchange.query, exchange.warnings)
            self._guard(exchange, resource, namespace, checked, old)
            return checked

        patched = await self._change(caller, resource, namespace, info.name, info.subresource, transform, patched=True)
        return self._reply(exchange, resource, patched)

    async def _apply(self, exchange: Exchange, resource: Resource, caller: Caller, namespace: str | None) -> web.Response:
        """Server-side apply: merges into what is there, or creates it."""
        query, info = exchange.query, exchange.info
        if not query.get("fieldManager"):
            raise validity.manager_required()
        applied, duplicates, length = await bodies.read_object(exchange.http, patching.APPLY)
        api_version, kind = patching.body_kind(resource, info.subresource)
        validity.check_applied_kind(applied, api_version, kind)
        exchange.record.request_object = loggable(resource.plural, info.subresource, applied, length)
        validity.check_applied(applied, duplicates, api_version, kind, query, exchange.warnings)
        metadata = applied.get("metadata") or {}
        if metadata.get("managedFields"):
            raise bad_request("metadata.managedFields must be nil")
        validity.check_applied_name(metadata, info.name)
        if resource.namespaced:
            metadata.setdefault("namespace", namespace)
        force = is_true(query.get("force"))

        def merge(live: Object | None) -> Object:
            before = None if live is None else meta.copy(live)
            merged = server_side.apply(live, meta.copy(applied), caller.manager, force, info.subresource, meta.now())
            patching.keep_last_applied(merged, applied, caller.manager)
            self._guard(exchange, resource, namespace, merged, before)
            return merged

        try:
            self._registry.stored(resource, info.name, namespace)
        except ApiError:
            if info.subresource:
                raise
            if metadata.get("uid"):
                raise not_found(resource.plural, resource.group, info.name) from None
            merged = merge(None)
            effects.tell(resource, merged, caller.dry_run, exchange.warnings)
            created = await self._registry.create(caller, resource, namespace, merged, applied=True)
            return self._reply(exchange, resource, created, 201)
        changed = await self._change(caller, resource, namespace, info.name, info.subresource, merge, patched=True, applied=True)
        return self._reply(exchange, resource, changed)

    # Deletes

    async def _delete_options(self, exchange: Exchange) -> tuple[DeleteOptions, bool]:
        """The options of body and query, and whether the body asks for a dry run."""
        body, _, _ = await bodies.read_object(exchange.http, bodies.content_type(exchange.http), optional=True)
        validity.check_delete_options(body)
        query = exchange.query
        asked = dict(body)
        if "gracePeriodSeconds" in query:
            asked["gracePeriodSeconds"] = validity.whole_number(query["gracePeriodSeconds"])
        if "propagationPolicy" in query:
            asked["propagationPolicy"] = query["propagationPolicy"]
        if "orphanDependents" in query:
            asked["orphanDependents"] = is_true(query["orphanDependents"])
        return DeleteOptions.read(asked), body.get("dryRun") == ["All"]

    async def _delete(self, exchange: Exchange, resource: Resource) -> web.Response:
        caller, info = self._caller(exchange), exchange.info
        options, dry_run = await self._delete_options(exchange)
        caller.dry_run = caller.dry_run or dry_run
        outcome = await self._registry.delete(caller, resource, _namespace(exchange, resource), info.name, options)
        return self._reply(exchange, resource, outcome.reply(resource))

    async def _delete_collection(self, exchange: Exchange, resource: Resource) -> web.Response:
        caller, namespace = self._caller(exchange), _namespace(exchange, resource)
        options, dry_run = await self._delete_options(exchange)
        caller.dry_run = caller.dry_run or dry_run
        page = listing.page(self._registry.store, resource, namespace, exchange.query)
        gone = []
        for each in page.items:
            metadata = each["metadata"]
            try:
                outcome = await self._registry.delete(caller, resource, metadata.get("namespace"), metadata["name"], options)
            except ApiError as error:
                if error.code != 404:
                    raise
                continue
            gone.append(outcome.object)
        form = representation.negotiate(exchange.http.headers.get("Accept", ""), exchange.query)
        return respond(exchange, representation.many(form, resource, gone, page.metadata), form)

    async def _review(self, exchange: Exchange, resource: Resource) -> web.Response:
        body = await self._body(exchange, resource)
        answer = reviews.answer(self._services, exchange.user, resource, exchange.info.namespace, body)
        return self._reply(exchange, resource, answer, 201)


def _namespace(exchange: Exchange, resource: Resource) -> str | None:
    return exchange.info.namespace if resource.namespaced else None
