"""Ports of 127.0.0.1 that never answer: what a NetworkPolicy forbids is connected there, and takes as long as the caller waits.

A listener whose queue is full drops the packets that would open a connection, as a firewall drops them on a real node: the kernel sends
them again and again, a program with a timeout ends when it has passed, any other with ETIMEDOUT after the kernel's own (about two minutes).
"""

from __future__ import annotations

import select
import socket

# The queue takes one or two more than it is told, and as many as it likes on some systems.
_MOST = 300
# A connection to this machine that is not made by then will not be; in seconds.
_PATIENCE = 0.05


class Nowhere:
    """`ports`: protocol → port. Open for as long as the object lives."""

    def __init__(self) -> None:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(1)
        self._queued: list[socket.socket] = []
        self._fill()
        self._datagrams = socket.socket(type=socket.SOCK_DGRAM)
        # Nobody reads: what comes in is thrown away by the kernel.
        self._datagrams.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self._datagrams.bind(("127.0.0.1", 0))
        self.ports = {"tcp": self._listener.getsockname()[1], "udp": self._datagrams.getsockname()[1]}

    def _fill(self) -> None:
        for _ in range(_MOST):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(self._listener.getsockname())
            _, made, _ = select.select([], [sock], [], _PATIENCE)
            if not made:
                sock.close()
                return
            self._queued.append(sock)
