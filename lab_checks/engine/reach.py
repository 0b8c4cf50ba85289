"""Why the lab cluster cannot be asked, in one sentence, and the one command that changes it.

A cluster and what went wrong come in; a NoCluster goes out. The command and the notebook show it in their own ways.
"""

from __future__ import annotations

import os
from pathlib import Path

import clusters
from clusters import Cluster, ClusterError
from lab_checks.engine.api import Api, ApiUnreachable

UP = "ai-lab up"
AGAIN = "ai-lab down && ai-lab up"


class NoCluster(ClusterError):
    """There is no cluster to work on: `what` is the matter, and `next` is the command that brings one."""


def connect(cluster: Cluster | None) -> Api:
    """The cluster's API, after it has answered. Raises NoCluster."""
    if cluster is None:
        raise NoCluster("No lab cluster has been started yet.", next=UP)
    if not cluster.kubeconfig.exists():
        raise no_cluster(cluster)
    try:
        api = Api(cluster.kubeconfig)
        api.raw("/version")
    except ApiUnreachable as problem:
        raise no_cluster(cluster, problem) from None
    return api


def api_of_shell() -> Api:
    """The API of the kubeconfig that KUBECONFIG names, as kubectl in the same shell would reach it; without one, of the cluster in use. Raises NoCluster."""
    named = os.environ.get("KUBECONFIG", "").split(os.pathsep)[0]
    if not named:
        return connect(clusters.in_use())
    try:
        api = Api(Path(named))
        api.raw("/version")
    except ApiUnreachable:
        raise NoCluster(f"No cluster answers under the kubeconfig {named} (KUBECONFIG).", next=UP) from None
    return api


def no_cluster(cluster: Cluster | None, problem: ApiUnreachable | None = None) -> NoCluster:
    """What to say of a cluster that did not do what was asked of it; `problem` is what its API answered."""
    if cluster is None:
        return NoCluster("No lab cluster has been started yet.", next=UP)
    if problem is not None and problem.status == 403:
        return NoCluster(f"Your user may not do this on the {cluster.name} cluster: {problem}.", next="ask the cluster's administrator")
    seen = cluster.status()
    name = f"The {cluster.name} cluster"
    # What a status says of the next step stands in `next`.
    detail = seen.detail.partition(";")[0]
    if seen.state == "absent":
        return NoCluster(f"{name} is not up.", next=f"{UP} --cluster {cluster.name}")
    if seen.state == "stopped":
        return NoCluster(f"{name} is stopped{f': {detail}' if detail and detail != 'not running' else ''}.", next=UP)
    if seen.state == "starting":
        return NoCluster(f"{name} is running and does not answer{f': {detail}' if detail else ''}.", next=UP)
    if seen.state == "ready":
        kubeconfig = cluster.kubeconfig
        if not kubeconfig.exists():
            return NoCluster(f"{name} is running, and its kubeconfig {kubeconfig} is missing.", next=AGAIN)
        if problem is not None and problem.status not in (0, 401):
            return NoCluster(f"{name} answers with an error: {problem}.", next="ai-lab status")
        return NoCluster(f"{name} is running, and the kubeconfig {kubeconfig} does not lead to it.", next=AGAIN)
    return NoCluster(f"{name} cannot be reached{f': {detail}' if detail else ''}.", next=UP)
