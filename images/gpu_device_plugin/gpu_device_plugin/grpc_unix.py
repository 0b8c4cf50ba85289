"""gRPC over a unix socket to a server written in Go."""

from __future__ import annotations

from grpclib.client import Channel


class UnixChannel(Channel):
    """A channel whose requests name `localhost` as their authority: a Go server refuses the one that grpclib makes up for a socket."""

    def _get_authority(self, host: str, port: int) -> str:
        return "localhost"
