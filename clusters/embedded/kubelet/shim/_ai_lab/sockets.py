"""Sockets as a Pod has them: any port may be bound, addresses of Pods and Services can be reached, names of the cluster resolve.

A bind becomes a bind to a free port of this machine's 127.0.0.1 and a record of it (`records`); a connect is routed (`routes`); what
`getsockname`, `getpeername` and `accept` tell is turned back into the Pod's view. What a NetworkPolicy forbids takes as long as the program
waits: a socket that blocks is kept waiting here, any other is connected to a port that never answers. On Linux, where all of 127.0.0.0/8 is local, a Pod
10.244.a.b connects from 127.244.a.b, so that the other side sees who it was; elsewhere, and for the node's own probes, it sees the
node's gateway address, as it would behind masquerading.
"""

from __future__ import annotations

import _socket
import errno
import os
import sys
from _weakref import ref

from . import records
from .names import Names, NoAnswer, NoSuchName, is_address
from .policy import Blocked, Policies
from .routes import POD_PREFIX, Routes, refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_LINUX = sys.platform == "linux"
_IP_BIND_ADDRESS_NO_PORT = 24
_SOURCE_PREFIX = "127.244."
# The same for connections that a Pod makes to its own localhost.
_LOOPBACK_PREFIX = "127.245."
_MAPPED = "::ffff:"
_INET = (_socket.AF_INET, _socket.AF_INET6)
# Until the kernel gives up a connection that nobody answers, and how often a forbidden one is tried anew.
_KERNEL_SECONDS, _AGAIN_SECONDS = 127.0, 0.5
# Remembered targets of connections, for getpeername.
_MOST_PEERS = 4096

_real = _socket.socket


class _Held:
    """A bound socket: its claim, and the address that the program gave."""

    def __init__(self, claim: records.Claim, host: str) -> None:
        self.claim = claim
        self.host = host


class PodSockets:
    """The Pod's view; one instance a process."""

    def __init__(self, routes: Routes, names: Names) -> None:
        self.routes = routes
        self._replies = Routes(routes.directory, routes.own)
        self.names = names
        self.own = routes.own
        self._by_fd: dict[int, tuple[_Held, Any]] = {}
        self._by_real: dict[tuple[int, int], _Held] = {}
        self._peers: dict[int, tuple[int, tuple[str, int]]] = {}
        # Whom datagrams came from: what is sent back is a reply, which no policy forbids.
        self._heard: dict[tuple[str, int], None] = {}
        self._source = _SOURCE_PREFIX + self.own[len(POD_PREFIX) :] if _LINUX and self.own.startswith(POD_PREFIX) else ""
        octets = self.own.split(".")
        self._gateway = ".".join([*octets[:3], "1"]) if self.own.startswith(POD_PREFIX) else self.own

    # Listening

    def bind(self, sock: Any, address: Any) -> None:
        if sock.family not in _INET or not isinstance(address, tuple) or len(address) < 2 or not self.own:
            _real.bind(sock, address)
            return
        host, port = address[0], address[1]
        scope = self._scope(sock, host)
        if scope is None or not isinstance(port, int) or not 0 <= port <= 65535:
            _real.bind(sock, address)
            return
        six = sock.family == _socket.AF_INET6
        if six and scope != records.LOOPBACK6:
            sock.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 0)
        inside = "::1" if scope == records.LOOPBACK6 else _MAPPED + "127.0.0.1" if six else "127.0.0.1"

        def bind(real: int) -> int:
            _real.bind(sock, (inside, real))
            found: int = _real.getsockname(sock)[1]
            return found

        stream = sock.type == _socket.SOCK_STREAM
        reuse = bool(hasattr(_socket, "SO_REUSEPORT") and sock.getsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEPORT))
        folder = self.routes.folder(self.own)
        claim = records.claim(folder, "tcp" if stream else "udp", port, scope, six, reuse, bind)
        held = _Held(claim, self._bound_host(six, scope, host))
        if not self._by_fd:
            import atexit

            atexit.register(self._release_all, os.getpid())
        fd = sock.fileno()
        self._by_fd[fd] = held, ref(sock, lambda gone: self.closed(fd))
        self._by_real[claim.real, sock.type] = held

    def _scope(self, sock: Any, host: Any) -> str | None:
        """What is bound (`records`); None for what is none of the Pod network's business. Raises EADDRNOTAVAIL."""
        if isinstance(host, (bytes, bytearray)):
            host = host.decode("ascii", "replace")
        if not isinstance(host, str):
            return None
        host = host.partition("%")[0]
        if host in ("", "0.0.0.0"):
            return records.ANY
        if host == "::":
            only = sock.getsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY)
            return records.LOOPBACK6 if only else records.ANY
        if host == "::1":
            return records.LOOPBACK6
        if host.startswith(_MAPPED):
            host = host[len(_MAPPED) :]
        if not is_address(host):
            host = self.first_address(host) or host
        if host.startswith("127."):
            return records.LOOPBACK
        if host == self.own:
            return records.ADDRESS
        if not is_address(host) or host == "<broadcast>" or host.startswith(("22", "23", "255.")):
            return None
        raise refusal(errno.EADDRNOTAVAIL)

    def _bound_host(self, six: bool, scope: str, host: str) -> str:
        if scope == records.ANY:
            return "::" if six else "0.0.0.0"
        if scope == records.LOOPBACK6:
            return host
        address = self.own if scope == records.ADDRESS else host if is_address(host) else "127.0.0.1"
        return _MAPPED + address if six and not address.startswith(_MAPPED) else address

    def closed(self, fd: int) -> None:
        """The socket behind `fd` is being closed."""
        entry = self._by_fd.pop(fd, None)
        if entry is not None:
            claim = entry[0].claim
            for key, held in list(self._by_real.items()):
                if held.claim is claim:
                    del self._by_real[key]
            claim.release()

    def detached(self, fd: int) -> None:
        """The socket object lets go of `fd`, which goes on listening under another object (ssl does so)."""
        if fd in self._by_fd:
            self._by_fd[fd] = self._by_fd[fd][0], None

    def _release_all(self, pid: int) -> None:
        if os.getpid() == pid:
            for fd in list(self._by_fd):
                self.closed(fd)

    # Connecting

    def reach(self, sock: Any, address: Any) -> Any:
        """`target`, for a connect: where a socket blocks, a forbidden one is tried again for as long, as the kernel does with its packets."""
        patience = sock.gettimeout()
        if patience == 0 or sock.type == _socket.SOCK_DGRAM:
            return self.target(sock, address)
        deadline = None
        while True:
            try:
                return self._target(sock, address)
            except Blocked:
                import time

                now = time.monotonic()
                if deadline is None:
                    deadline = now + (_KERNEL_SECONDS if patience is None else patience)
                if now >= deadline:
                    raise (refusal(errno.ETIMEDOUT) if patience is None else TimeoutError("timed out")) from None
                time.sleep(min(_AGAIN_SECONDS, deadline - now))

    def target(self, sock: Any, address: Any) -> Any:
        """The address to really connect or send to, one that never answers for what is forbidden. Raises OSError as the kernel would."""
        try:
            return self._target(sock, address)
        except Blocked:
            here = _MAPPED + "127.0.0.1" if sock.family == _socket.AF_INET6 else "127.0.0.1"
            return (here, self.routes.nowhere("udp" if sock.type == _socket.SOCK_DGRAM else "tcp"))

    def _target(self, sock: Any, address: Any) -> Any:
        """Raises Blocked where a policy forbids it."""
        if sock.family not in _INET or not isinstance(address, tuple) or len(address) < 2 or not isinstance(address[1], int):
            return address
        host = address[0]
        if isinstance(host, (bytes, bytearray)):
            host = host.decode("ascii", "replace")
        if not isinstance(host, str):
            return address
        bare = host[len(_MAPPED) :] if host.startswith(_MAPPED) else host
        if not is_address(bare):
            bare = self.first_address(bare) or _socket.getaddrinfo(bare, None, sock.family)[0][4][0]  # type: ignore[assignment]
        datagram = sock.type == _socket.SOCK_DGRAM
        six = sock.family == _socket.AF_INET6
        routes = self._replies if datagram and (bare, address[1]) in self._heard else self.routes
        try:
            found = routes.resolve(bare, address[1], "udp" if datagram else "tcp")
        except OSError:
            if datagram and self._source and bare.startswith(POD_PREFIX):
                # A client that never bound its port: it is known by its source address.
                return (_SOURCE_PREFIX + bare[len(POD_PREFIX) :], address[1])
            raise
        if found is None:
            return address
        self._name_source(sock, six, self.routes.is_loopback(bare))
        if bare == "::1" and not found.six:
            raise refusal(errno.ECONNREFUSED)
        inside = "::1" if bare == "::1" and self._is_loopback6(address[1]) else _MAPPED + "127.0.0.1" if six else "127.0.0.1"
        return (inside, found.real)

    def _is_loopback6(self, port: int) -> bool:
        return records.find(self.routes.folder(self.own), "tcp", port, records.LOOPBACK6) is not None

    def _name_source(self, sock: Any, six: bool, loopback: bool) -> None:
        """Lets the connection come from the address that stands for this Pod."""
        if not self._source:
            return
        source = self._source.replace(_SOURCE_PREFIX, _LOOPBACK_PREFIX) if loopback else self._source
        try:
            if _real.getsockname(sock)[1] == 0:
                sock.setsockopt(_socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
                _real.bind(sock, ((_MAPPED if six else "") + source, 0))
        except OSError:
            pass

    def connected(self, sock: Any, asked: Any, real: Any) -> None:
        """Notes what the program connected to, for getpeername."""
        if real is asked:
            return
        try:
            local = _real.getsockname(sock)[1]
        except OSError:
            return
        if len(self._peers) >= _MOST_PEERS:
            del self._peers[next(iter(self._peers))]
        self._peers[local] = real[1], (asked[0], asked[1])

    # What the program is told

    def peer(self, address: Any) -> Any:
        """The address of the other side of an accepted connection or of a datagram, as the Pod sees it."""
        if not isinstance(address, tuple) or not isinstance(address[0], str):
            return address
        mapped = address[0].startswith(_MAPPED)
        host = address[0][len(_MAPPED) :] if mapped else address[0]
        if host.startswith(_LOOPBACK_PREFIX):
            host = "127.0.0.1"
        elif host.startswith(_SOURCE_PREFIX):
            host = POD_PREFIX + host[len(_SOURCE_PREFIX) :]
        elif host == "127.0.0.1":
            host = self._gateway
        else:
            return address
        return ((_MAPPED + host if mapped else host), *address[1:])

    def sender(self, address: Any) -> Any:
        """The same for a datagram's sender, who may be answered."""
        seen = self.peer(address)
        if isinstance(seen, tuple) and isinstance(seen[0], str):
            if len(self._heard) >= _MOST_PEERS:
                del self._heard[next(iter(self._heard))]
            self._heard[seen[0].replace(_MAPPED, ""), seen[1]] = None
        return seen

    def peername(self, sock: Any) -> Any:
        real = _real.getpeername(sock)
        if sock.family in _INET:
            noted = self._peers.get(_real.getsockname(sock)[1])
            if noted is not None and noted[0] == real[1]:
                return (*noted[1], *real[2:])
            return self.peer(real)
        return real

    def sockname(self, sock: Any) -> Any:
        real = _real.getsockname(sock)
        if sock.family not in _INET:
            return real
        held = self._by_real.get((real[1], sock.type))
        if held is None:
            if real[0].startswith((_LOOPBACK_PREFIX, _MAPPED + _LOOPBACK_PREFIX)):
                return (real[0].replace(self._source.replace(_SOURCE_PREFIX, _LOOPBACK_PREFIX), "127.0.0.1"), *real[1:])
            return (real[0].replace(_SOURCE_PREFIX, POD_PREFIX), *real[1:])
        host = held.host
        if host in ("0.0.0.0", "::"):
            try:
                _real.getpeername(sock)
                host = (_MAPPED if host == "::" else "") + self.own
            except OSError:
                pass
        return (host, held.claim.port, *real[2:])

    def first_address(self, name: str) -> str | None:
        """The first address of a name of the cluster. Raises gaierror for one that the cluster does not have."""
        try:
            found = self.names.lookup(name)
        except NoSuchName:
            raise _socket.gaierror(_socket.EAI_NONAME, "Name or service not known") from None
        except NoAnswer:
            raise _socket.gaierror(_socket.EAI_AGAIN, "Temporary failure in name resolution") from None
        return found[0][0] if found and found[0] else None


def install(module: Any) -> None:
    """Patches the module `socket`."""
    own = os.environ.get("AI_LAB_POD_IP", "")
    network = os.environ["AI_LAB_NETWORK"]
    routes = Routes(network, own, Policies(network, own))
    names = Names(routes, os.environ.get("AI_LAB_NAMESPACE", "default"), os.environ.get("HOSTNAME", ""))
    pod = PodSockets(routes, names)
    cls = module.socket

    def bind(self: Any, address: Any, /) -> None:
        pod.bind(self, address)

    def connect(self: Any, address: Any, /) -> None:
        real = pod.reach(self, address)
        try:
            _real.connect(self, real)
        finally:
            pod.connected(self, address, real)

    def connect_ex(self: Any, address: Any, /) -> int:
        try:
            real = pod.reach(self, address)
        except _socket.gaierror:
            raise
        except OSError as error:
            return error.errno or (errno.EWOULDBLOCK if isinstance(error, TimeoutError) else errno.EIO)
        result = _real.connect_ex(self, real)
        pod.connected(self, address, real)
        return result

    def _accept(self: Any) -> Any:
        fd, address = _real._accept(self)  # type: ignore[attr-defined]
        return fd, pod.peer(address)

    def getsockname(self: Any) -> Any:
        return pod.sockname(self)

    def getpeername(self: Any) -> Any:
        return pod.peername(self)

    def sendto(self: Any, data: Any, *rest: Any) -> int:
        sent: int = _real.sendto(self, data, *rest[:-1], pod.target(self, rest[-1]))  # type: ignore[call-overload]
        return sent

    def sendmsg(self: Any, buffers: Any, ancdata: Any = (), flags: int = 0, address: Any = None, /) -> int:
        if address is None:
            return _real.sendmsg(self, buffers, ancdata, flags)
        return _real.sendmsg(self, buffers, ancdata, flags, pod.target(self, address))

    def recvfrom(self: Any, *rest: Any) -> Any:
        data, address = _real.recvfrom(self, *rest)
        return data, pod.sender(address)

    def recvfrom_into(self: Any, *args: Any, **kwargs: Any) -> Any:
        count, address = _real.recvfrom_into(self, *args, **kwargs)
        return count, pod.sender(address)

    def detach(self: Any) -> int:
        pod.detached(self.fileno())
        self._closed = True
        return _real.detach(self)

    real_close = cls._real_close

    def _real_close(self: Any, *rest: Any) -> None:
        pod.closed(self.fileno())
        real_close(self, *rest)

    for method in (
        *(bind, connect, connect_ex, _accept, getsockname, getpeername, sendto, sendmsg),
        *(recvfrom, recvfrom_into, detach, _real_close),
    ):
        setattr(cls, method.__name__, method)

    from . import resolver

    resolver.install(module, names)
