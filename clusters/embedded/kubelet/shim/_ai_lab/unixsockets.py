"""Unix sockets whose path the container's table translates, however long the path becomes on this machine."""

from __future__ import annotations

import _socket
import os
import posix

from . import files

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

# sun_path: 104 bytes on macOS, 108 on Linux, with the zero at its end.
_LONGEST = 103
_count = 0
# The program's own names of sockets that were bound through a link.
_names: dict[str, str] = {}


def _through_link(path: str, use: Callable[[str], Any]) -> Any:
    """Calls `use` with a path to the same place that fits into a sun_path: through a link to its folder, gone afterwards."""
    global _count
    if len(os.fsencode(path)) <= _LONGEST:
        return use(path)
    _count += 1
    folder, name = os.path.split(path)
    link = f"/tmp/.ai-lab-{posix.getpid()}-{_count}"
    posix.symlink(folder, link)
    try:
        return use(f"{link}/{name}")
    finally:
        posix.unlink(link)


def install(module: Any) -> None:
    """Patches the module `socket`, over the patches of `sockets` where the Pod has a network of its own."""
    cls = module.socket
    family = _socket.AF_UNIX
    bind, connect, connect_ex = cls.bind, cls.connect, cls.connect_ex
    getsockname, getpeername = cls.getsockname, cls.getpeername

    def translated(address: Any, binding: bool) -> str | None:
        """The path on this machine; None for an abstract address."""
        if isinstance(address, (bytes, bytearray)):
            if not address or address[0] == 0:
                return None
            address = os.fsdecode(bytes(address))
        if not isinstance(address, str) or not address or address[0] == "\0":
            return None
        return files.table().outside(address, binding)

    def patched(real: Callable[[Any, Any], Any], binding: bool = False) -> Callable[[Any, Any], Any]:
        def call(self: Any, address: Any, /) -> Any:
            path = translated(address, binding) if self.family == family else None
            if path is None:
                return real(self, address)

            def use(short: str) -> Any:
                if short != path:
                    _names[short] = os.fsdecode(address)
                return real(self, short)

            return _through_link(path, use)

        return call

    def viewed(real: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def call(self: Any) -> Any:
            found = real(self)
            if self.family != family or not isinstance(found, str):
                return found
            return _names.get(found) or files.table().inside(found)

        return call

    cls.bind, cls.connect, cls.connect_ex = patched(bind, True), patched(connect), patched(connect_ex)
    cls.getsockname, cls.getpeername = viewed(getsockname), viewed(getpeername)
