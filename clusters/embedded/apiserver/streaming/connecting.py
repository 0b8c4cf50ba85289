"""Streams as admission sees them: CONNECT with the options of the stream (k8s.io/apiserver/pkg/endpoints/handlers ConnectResource)."""

from __future__ import annotations

from typing import Any

from clusters.embedded.apiserver import admission
from clusters.embedded.apiserver.admission import AdmissionRequest
from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.request import is_true
from clusters.embedded.apiserver.services import Services
from clusters.embedded.resources import Resource
from kubeobjects import Object

_KINDS = {"exec": "PodExecOptions", "attach": "PodAttachOptions", "portforward": "PodPortForwardOptions"}


def options(exchange: Exchange, resource: Resource) -> Object:
    """What the request's query and path say of the stream, as its kind in core/v1 has it."""
    subresource, query = exchange.info.subresource, exchange.http.rel_url.query
    kind = _KINDS.get(subresource, f"{resource.kind}ProxyOptions")
    found: Object = {"kind": kind, "apiVersion": "v1"}
    if subresource == "proxy":
        path = exchange.http.rel_url.raw_path.partition("/proxy")[2]
        return found | ({"path": path} if path else {})
    if subresource == "portforward":
        ports = [int(each) for text in query.getall("ports", []) for each in text.split(",") if each.isdigit()]
        return found | ({"ports": ports} if ports else {})
    streams: dict[str, Any] = {name: True for name in ("stdin", "stdout", "stderr", "tty") if is_true(query.get(name))}
    if query.get("container"):
        streams["container"] = query["container"]
    if subresource == "exec":
        streams["command"] = query.getall("command", [])
    return found | streams


async def admit(services: Services, exchange: Exchange, resource: Resource) -> None:
    """Raises ApiError where a policy or a webhook refuses the stream."""
    user, info, found = exchange.user, exchange.info, options(exchange, resource)
    await admission.connect(
        AdmissionRequest(
            operation="CONNECT",
            resource=resource,
            reader=services.registry.reader,
            subresource=info.subresource,
            kind=found["kind"],
            namespace=info.namespace,
            name=info.name,
            object=found,
            user=user.name,
            groups=user.groups,
            uid=user.uid,
            extra=user.extra,
            network=services.network,
            warnings=exchange.warnings,
            annotations=exchange.record.annotations,
        )
    )
