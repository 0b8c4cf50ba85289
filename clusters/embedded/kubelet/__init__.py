"""The kubelet: runs the Pods of one node as processes of this machine."""

from clusters.embedded.kubelet.kubelet import Kubelet
from clusters.embedded.kubelet.node_spec import NodeSpec, load_topology

__all__ = ["Kubelet", "NodeSpec", "load_topology"]
