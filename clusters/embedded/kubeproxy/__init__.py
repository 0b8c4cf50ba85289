"""kube-proxy, cluster DNS and the Pod network: see `pod_network.py` and `proxy.py`."""

from clusters.embedded.kubeproxy.pod_network import PodNetwork
from clusters.embedded.kubeproxy.proxy import KubeProxy

__all__ = ["KubeProxy", "PodNetwork"]
