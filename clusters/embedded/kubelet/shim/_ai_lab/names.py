"""Cluster DNS: what a name means inside a Pod, with the search path of a Pod's resolv.conf (ndots:5).

A name goes in; addresses come out, or another name to ask for (an ExternalName Service), or the news that the cluster has no such name.
"""

from __future__ import annotations

from .routes import Routes

DOMAIN = "cluster.local"
_SVC = ".svc." + DOMAIN
_POD = ".pod." + DOMAIN


class NoSuchName(Exception):
    """A name that only the cluster could know, and it does not."""


def is_address(text: str) -> bool:
    """Whether it is an IP address already."""
    if ":" in text:
        return True
    parts = text.split(".")
    return len(parts) == 4 and all(part.isdigit() and int(part) < 256 for part in parts)


class Names:
    def __init__(self, routes: Routes, namespace: str, hostname: str) -> None:
        self._routes = routes
        self._namespace = namespace
        self.hostname = hostname

    def lookup(self, name: str) -> tuple[list[str], str] | None:
        """(addresses, full name). None: ask the machine's own resolver. Raises NoSuchName."""
        asked = name.lower()
        if asked == "localhost" or asked.endswith(".localhost"):
            return ["127.0.0.1"], asked
        if asked == self.hostname.lower() and self._routes.own:
            return [self._routes.own], asked
        table = self._routes.table()
        for candidate in self._candidates(asked):
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

    def _candidates(self, name: str) -> list[str]:
        """The full names to try, in the resolver's order."""
        if name.endswith("."):
            return [name[:-1]]
        searched = [f"{name}.{self._namespace}{_SVC}", f"{name}{_SVC}", f"{name}.{DOMAIN}"]
        return [*searched, name] if name.count(".") < 5 else [name, *searched]

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
        for key, addresses in (self._routes.table().get("names") or {}).items():
            if address in addresses:
                return f"{key}{_SVC}"
        return None
