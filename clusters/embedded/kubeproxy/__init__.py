"""kube-proxy, cluster DNS, NetworkPolicies and the Pod network: see `proxy.py`, `policy_agent.py` and `pod_network.py`."""

from clusters.embedded.kubeproxy.pod_network import PodNetwork
from clusters.embedded.kubeproxy.policy_agent import PolicyAgent
from clusters.embedded.kubeproxy.proxy import KubeProxy

__all__ = ["KubeProxy", "PodNetwork", "PolicyAgent"]
