"""Where the API server calls a Service of the cluster: at its own address, which kube-proxy leads on to a Pod.

Follows ResolveCluster of k8s.io/apiserver/pkg/util/proxy, which kube-apiserver uses without `--enable-aggregator-routing`.
"""

from __future__ import annotations

from clusters.embedded.apiserver.reader import Reader


class Unresolved(Exception):
    """The Service cannot be called; the message is the API server's."""


def of(reader: Reader, namespace: str, name: str, port: int) -> tuple[str, int]:
    """(address, port) at which to call the Service's `port`. Raises Unresolved."""
    service = reader.get("services", name, namespace)
    if service is None:
        raise Unresolved(f'service "{name}" not found')
    spec = service["spec"]
    if spec.get("type") == "ExternalName":
        return spec.get("externalName") or "", port
    if spec.get("type", "ClusterIP") == "ClusterIP" and spec.get("clusterIP") == "None":
        raise Unresolved('cannot route to service with ClusterIP "None"')
    if not any(each["port"] == port for each in spec.get("ports") or []):
        raise Unresolved(f'no service port {port} found for service "{name}"')
    return spec.get("clusterIP") or "", port
