"""What answers requests: the parts of the API server that handlers, streams and in-process clients work with."""

from __future__ import annotations

from dataclasses import dataclass

from clusters.embedded.apiserver.aggregation import Aggregator
from clusters.embedded.apiserver.audit import AuditLog
from clusters.embedded.apiserver.authentication import Authenticator
from clusters.embedded.apiserver.authorization import Authorizer
from clusters.embedded.apiserver.privileges import Privileges
from clusters.embedded.apiserver.registry import Registry
from clusters.embedded.apiserver.subresources import Subresources
from clusters.embedded.network import Network
from clusters.embedded.nodes import NodeConnections


@dataclass(frozen=True)
class Services:
    """`connections` leads to the kubelets; `network` to the addresses of Pods and Services, where there is one."""

    registry: Registry
    subresources: Subresources
    authenticator: Authenticator
    authorizer: Authorizer
    privileges: Privileges
    audit: AuditLog
    aggregator: Aggregator
    connections: NodeConnections
    network: Network | None = None
