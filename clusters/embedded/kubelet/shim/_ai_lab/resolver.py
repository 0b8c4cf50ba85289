"""The name functions of the module `socket` with cluster DNS in front: names of the cluster here, all others by the machine's resolver."""

from __future__ import annotations

import _socket

from .names import Names, NoAnswer, NoSuchName, is_address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

# macOS has deprecated EAI_NODATA.
_NO_ADDRESS = getattr(_socket, "EAI_NODATA", _socket.EAI_NONAME)


def install(module: Any, names: Names) -> None:
    real_getaddrinfo = module.getaddrinfo
    real_gethostbyname = module.gethostbyname
    real_gethostbyname_ex = module.gethostbyname_ex
    real_gethostbyaddr = module.gethostbyaddr
    real_getnameinfo = module.getnameinfo

    def lookup(host: Any) -> tuple[list[str], str] | None:
        if isinstance(host, (bytes, bytearray)):
            host = bytes(host).decode("ascii", "replace")
        if not isinstance(host, str) or host in ("", "<broadcast>") or is_address(host):
            return None
        try:
            return names.lookup(host)
        except NoSuchName:
            raise module.gaierror(_socket.EAI_NONAME, "Name or service not known") from None
        except NoAnswer:
            raise module.gaierror(_socket.EAI_AGAIN, "Temporary failure in name resolution") from None

    def name_of(address: str) -> str | None:
        try:
            return names.reverse(address)
        except NoAnswer:
            return None

    def getaddrinfo(host: Any, port: Any, family: int = 0, type: int = 0, proto: int = 0, flags: int = 0) -> Any:
        found = lookup(host)
        if found is None:
            return real_getaddrinfo(host, port, family, type, proto, flags)
        addresses, full = found
        if family == _socket.AF_INET6 and host not in ("localhost", b"localhost"):
            # The cluster has IPv4 only: the name is known, an address of that kind is not.
            raise module.gaierror(_NO_ADDRESS, "No address associated with hostname")
        if family == _socket.AF_INET6:
            addresses = ["::1"]
        results = []
        for address in addresses:
            results += real_getaddrinfo(address, port, family, type, proto, flags & ~_socket.AI_CANONNAME)
        if flags & _socket.AI_CANONNAME and results:
            results[0] = (*results[0][:3], full, results[0][4])
        return results

    def gethostbyname(host: Any, /) -> str:
        found = lookup(host)
        return str(real_gethostbyname(host)) if found is None else found[0][0]

    def gethostbyname_ex(host: Any, /) -> Any:
        found = lookup(host)
        return real_gethostbyname_ex(host) if found is None else (found[1], [], list(found[0]))

    def gethostbyaddr(host: Any, /) -> Any:
        found = lookup(host)
        address = found[0][0] if found else host
        if address.startswith(("10.244.", "10.96.")):
            name = name_of(address)
            if name is None:
                raise module.herror(1, "Unknown host")
            return name, [], [address]
        return real_gethostbyaddr(address)

    def getnameinfo(address: Any, flags: int, /) -> Any:
        name = name_of(address[0]) if isinstance(address[0], str) and address[0].startswith(("10.244.", "10.96.")) else None
        if flags & _socket.NI_NUMERICHOST or name is None:
            return real_getnameinfo(address, flags)
        return name, real_getnameinfo(address, flags | _socket.NI_NUMERICHOST)[1]

    for function in (getaddrinfo, gethostbyname, gethostbyname_ex, gethostbyaddr, getnameinfo):
        setattr(module, function.__name__, function)
    hostname = names.hostname
    if hostname:
        module.gethostname = lambda: hostname
