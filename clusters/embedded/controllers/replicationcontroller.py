"""ReplicationController: a ReplicaSet of the first API version, with a plain map for a selector."""

from __future__ import annotations

from clusters.embedded.client import Object
from clusters.embedded.controllers.replicaset import ReplicaSetController
from kubeobjects import selectors


class ReplicationControllerController(ReplicaSetController):
    name = "replication-controller"
    workers = 1
    resource = "replicationcontrollers"
    kind = "ReplicationController"

    def selector(self, replica_set: Object) -> selectors.Matcher:
        return selectors.from_map(replica_set["spec"].get("selector"))
