"""Cluster DNS: what a name means inside a Pod, by its /etc/hosts and with the servers and the search path of its resolv.conf.

A name goes in; addresses come out, or another name to ask for (an ExternalName Service), or the news that the cluster has no such name.
"""

from __future__ import annotations

import os

from . import etc
from .etc import Resolver
from .routes import Routes

DOMAIN = "cluster.local"
_SVC = ".svc." + DOMAIN
_POD = ".pod." + DOMAIN


class NoSuchName(Exception):
    """A name that only the cluster could know, and it does not."""


class NoAnswer(Exception):
    """The DNS servers could not be reached."""


def is_address(text: str) -> bool:
    """Whether it is an IP address already."""
    if ":" in text:
        return True
    parts = text.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


def _candidates(resolver: Resolver, name: str) -> list[str]:
    """The full names to try, in the resolver's order."""
    if name.endswith("."):
        return [name[:-1]]
    searched = [f"{name}.{domain}" for domain in resolver.search]
    return [*searched, name] if name.count(".") < resolver.ndots else [name, *searched]


class Names:
    def __init__(self, routes: Routes, namespace: str, hostname: str) -> None:
        self._routes = routes
        self._namespace = namespace
        # Without it, the files in /etc are this machine's own, which say nothing of the Pod.
        self._own_etc = "AI_LAB_OWN_ETC" in os.environ
        self.hostname = hostname

    def lookup(self, name: str) -> tuple[list[str], str] | None:
        """(addresses, full name). None: ask the machine's own resolver. Raises NoSuchName, and NoAnswer after a while."""
        asked = name.lower()
        if asked == "localhost" or asked.endswith(".localhost"):
            return ["127.0.0.1"], asked
        if asked == self.hostname.lower() and self._routes.own:
            return [self._routes.own], asked
        if self._own_etc and (found := etc.addresses(asked)):
            return found, asked
        resolver = self._resolver()
        self._await_server(resolver, asked)
        if etc.CLUSTER_DNS not in resolver.servers:
            return None
        table = self._routes.table()
        for candidate in _candidates(resolver, asked):
            if candidate.endswith(_SVC):
                key = candidate[: -len(_SVC)]
                addresses = (table.get("names") or {}).get(key)
                if addresses:
                    return list(addresses), candidate
                alias = (table.get("aliases") or {}).get(key)
                if alias:
                    return self.lookup(alias + ".") or ([], alias)
            elif candidate.endswith(_POD):
                dashed, _, _ = candidate[: -len(_POD)].partition(".")
                address = dashed.replace("-", ".")
                if is_address(address):
                    return [address], candidate
        node = (table.get("nodes") or {}).get(asked.rstrip("."))
        if node:
            return [node], asked
        if self._is_ours(asked.rstrip("."), table):
            raise NoSuchName(name)
        return None

    def _resolver(self) -> Resolver:
        return etc.resolver() if self._own_etc else etc.of_cluster(self._namespace)

    def _await_server(self, resolver: Resolver, name: str) -> None:
        """Returns when a DNS server can be asked. Raises NoAnswer once a resolver would have given up.

        Where the first name of the search list got no answer, it asks for the name as it was given, and no other (glibc, resolv/res_query.c).
        """
        if not resolver.servers or any(map(self._routes.answers_dns, resolver.servers)):
            return
        import time

        for _ in range(resolver.attempts * (1 if name.endswith(".") or not resolver.search else 2)):
            for server in resolver.servers:
                time.sleep(resolver.timeout / len(resolver.servers))
                if self._routes.answers_dns(server):
                    return
        raise NoAnswer(name)

    def _is_ours(self, name: str, table: dict[str, dict[str, object]]) -> bool:
        """Whether nobody outside the cluster can know the name."""
        if "." not in name or name.endswith((".svc", "." + DOMAIN)):
            return True
        last = name.rpartition(".")[2]
        namespaces = {key.rpartition(".")[2] for key in (table.get("names") or {})}
        return last == self._namespace or last in namespaces

    def reverse(self, address: str) -> str | None:
        """The name of an address of the cluster, for those who ask the other way round."""
        if address == self._routes.own:
            return self.hostname
        self._await_server(self._resolver(), address + ".")
        for key, addresses in (self._routes.table().get("names") or {}).items():
            if address in addresses:
                return f"{key}{_SVC}"
        return None
