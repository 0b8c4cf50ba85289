"""From a request to the container that it means and the kubelet that runs it (StreamLocation, LogLocation of pkg/registry/core/pod)."""

from __future__ import annotations

from clusters.embedded.apiserver.exchange import Exchange
from clusters.embedded.apiserver.services import Services
from clusters.embedded.errors import ApiError, bad_request
from clusters.embedded.nodes import KubeletServer
from clusters.embedded.resources import by_name
from kubeobjects import Object

_KUBELET_PORT = 10250


def _names(pod: Object, field: str) -> list[str]:
    return [each["name"] for each in pod["spec"].get(field) or []]


def container_name(pod: Object, asked: str) -> str:
    """The container that `asked` means ("" means the only one). Raises ApiError 400 with the API server's words."""
    name = pod["metadata"]["name"]
    containers, init, ephemeral = (_names(pod, field) for field in ("containers", "initContainers", "ephemeralContainers"))
    if asked:
        if asked not in (*containers, *init, *ephemeral):
            raise bad_request(f"container {asked} is not valid for pod {name}")
        return asked
    if len(containers) == 1:
        return containers[0]
    message = f"a container name must be specified for pod {name}, choose one of: [{' '.join(containers)}]"
    if init:
        message += f" or one of the init containers: [{' '.join(init)}]"
    if ephemeral:
        message += f" or one of the ephemeral containers: [{' '.join(ephemeral)}]"
    raise bad_request(message)


def find_pod(services: Services, exchange: Exchange) -> Object:
    """The Pod in the request's path. Raises ApiError 404."""
    return services.registry.get(by_name()["pods"], exchange.info.name, exchange.info.namespace)


def node_address(services: Services, node: str) -> str:
    """The node's internal address. Raises ApiError 404 where there is no such node."""
    found = services.registry.get(by_name()["nodes"], node, None)
    addresses = (found.get("status") or {}).get("addresses") or []
    return next((each["address"] for each in addresses if each["type"] == "InternalIP"), node)


def kubelet_of(services: Services, node: str, path: str) -> KubeletServer:
    """The kubelet that serves the node; `path` is what a real API server would have asked it for.

    Raises ApiError 404 where there is no such node and 500 where its kubelet does not answer.
    """
    found = services.connections.get(node)
    if found is None:
        address = node_address(services, node)
        url = f"https://{address}:{_KUBELET_PORT}{path}"
        raise ApiError(500, "", f'Get "{url}": dial tcp {address}:{_KUBELET_PORT}: connect: connection refused')
    return found


def running_on(services: Services, pod: Object, path: str) -> KubeletServer:
    """The kubelet of a Pod's node. Raises ApiError 400 for a Pod that has none yet."""
    node = pod["spec"].get("nodeName")
    if not node:
        raise bad_request(f"pod {pod['metadata']['name']} does not have a host assigned")
    return kubelet_of(services, node, path)
