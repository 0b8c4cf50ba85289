"""The container's /etc/hosts and /etc/resolv.conf, as its resolver reads them: anew at each lookup, as a program may have changed them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

CLUSTER_DNS = "10.96.0.10"


def _lines(path: str) -> Iterator[list[str]]:
    from . import files

    real = files.table().outside(path)
    try:
        fd = os.open(real, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    with os.fdopen(fd, errors="replace") as file:
        for line in file:
            words = line.partition("#")[0].split()
            if words:
                yield words


def addresses(name: str) -> list[str]:
    """The IPv4 addresses that /etc/hosts has for a name."""
    return [words[0] for words in _lines("/etc/hosts") if ":" not in words[0] and name in (each.lower() for each in words[1:])]


class Resolver:
    """What /etc/resolv.conf says: name servers, the search list, and the options that matter here (resolv.conf(5))."""

    def __init__(self, servers: list[str], search: list[str], options: dict[str, int]) -> None:
        self.servers = servers
        self.search = search
        self.ndots = options.get("ndots", 1)
        self.timeout = options.get("timeout", 5)
        self.attempts = max(1, options.get("attempts", 2))


def resolver() -> Resolver:
    servers: list[str] = []
    search: list[str] = []
    options: dict[str, int] = {}
    for keyword, *words in _lines("/etc/resolv.conf"):
        if keyword == "nameserver" and words:
            servers.append(words[0])
        elif keyword == "search":
            search = words
        elif keyword == "options":
            for word in words:
                name, _, value = word.partition(":")
                if value.isdigit():
                    options[name] = int(value)
    return Resolver(servers, search, options)


def of_cluster(namespace: str) -> Resolver:
    """The one of a Pod with dnsPolicy ClusterFirst."""
    domain = "cluster.local"
    return Resolver([CLUSTER_DNS], [f"{namespace}.svc.{domain}", f"svc.{domain}", domain], {"ndots": 5})
