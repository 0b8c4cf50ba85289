"""The files of a Pod that say who and where it is: /etc/hosts, /etc/hostname and /etc/resolv.conf. Pure.

Follows pkg/kubelet/kubelet_pods.go (hosts, host name) and pkg/kubelet/network/dns/dns.go; the form of resolv.conf is containerd's.
"""

from __future__ import annotations

from kubeobjects import Object

CLUSTER_DOMAIN = "cluster.local"
CLUSTER_DNS = "10.96.0.10"
_HEADER = "# Kubernetes-managed hosts file.\n"
_HEADER_OF_NODE = "# Kubernetes-managed hosts file (host network).\n"
_LOCAL = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
fe00::0\tip6-mcastprefix
fe00::1\tip6-allnodes
fe00::2\tip6-allrouters
"""


def _short_name(pod: Object) -> str:
    spec = pod["spec"]
    return (spec.get("hostnameOverride") or spec.get("hostname") or pod["metadata"]["name"])[:63].rstrip("-.")


def _domain(pod: Object) -> str:
    """The domain in which the Pod has a name: its subdomain's."""
    subdomain = pod["spec"].get("subdomain") if not pod["spec"].get("hostnameOverride") else None
    return f"{subdomain}.{pod['metadata']['namespace']}.svc.{CLUSTER_DOMAIN}" if subdomain else ""


def hostname(pod: Object, node: str) -> str:
    """What `hostname` says in the Pod: its own name, the whole one with setHostnameAsFQDN, the node's on the node's network."""
    if pod["spec"].get("hostNetwork"):
        return node
    domain = _domain(pod)
    return f"{_short_name(pod)}.{domain}" if domain and pod["spec"].get("setHostnameAsFQDN") else _short_name(pod)


def hosts(pod: Object, ip: str, node: str) -> str:
    """/etc/hosts; `node` is the node's name, which its own network knows."""
    aliases = "".join("\t".join([each["ip"], *(each.get("hostnames") or [])]) + "\n" for each in pod["spec"].get("hostAliases") or [])
    if pod["spec"].get("hostNetwork"):
        text = f"{_HEADER_OF_NODE}{_LOCAL}{ip}\t{node}\n"
    else:
        domain = _domain(pod)
        names = f"{_short_name(pod)}.{domain}\t{_short_name(pod)}" if domain else _short_name(pod)
        text = f"{_HEADER}{_LOCAL}{ip}\t{names}\n"
    return text + (f"\n# Entries added by HostAliases.\n{aliases}" if aliases else "")


def resolv_conf(pod: Object, of_node: str) -> str:
    """/etc/resolv.conf as dnsPolicy and dnsConfig ask for it; `of_node` is the node's own."""
    spec, namespace = pod["spec"], pod["metadata"]["namespace"]
    policy = spec.get("dnsPolicy") or "ClusterFirst"
    servers: list[str] = []
    searches: list[str] = []
    options: dict[str, str | None] = {}
    if policy == "ClusterFirstWithHostNet" or (policy == "ClusterFirst" and not spec.get("hostNetwork")):
        servers = [CLUSTER_DNS]
        searches = [f"{namespace}.svc.{CLUSTER_DOMAIN}", f"svc.{CLUSTER_DOMAIN}", CLUSTER_DOMAIN]
        options = {"ndots": "5"}
    elif policy != "None":
        servers, searches, options = _parsed(of_node)
    config = spec.get("dnsConfig") or {}
    servers = list(dict.fromkeys([*servers, *(config.get("nameservers") or [])]))
    searches = list(dict.fromkeys([*searches, *(config.get("searches") or [])]))
    options |= {each["name"]: each.get("value") for each in config.get("options") or []}
    lines = [f"search {' '.join(searches)}"] if searches else []
    lines += [f"nameserver {each}" for each in servers]
    if options:
        lines.append("options " + " ".join(name if value is None else f"{name}:{value}" for name, value in options.items()))
    return "".join(f"{line}\n" for line in lines)


def _parsed(text: str) -> tuple[list[str], list[str], dict[str, str | None]]:
    """(name servers, search list, options) of a resolv.conf."""
    servers: list[str] = []
    searches: list[str] = []
    options: dict[str, str | None] = {}
    for line in text.splitlines():
        keyword, *words = line.split() or [""]
        if keyword == "nameserver" and words:
            servers.append(words[0])
        elif keyword == "search":
            searches = words
        elif keyword == "options":
            options |= {name: value if colon else None for name, colon, value in (word.partition(":") for word in words)}
    return servers, searches, options
