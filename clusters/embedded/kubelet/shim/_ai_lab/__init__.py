"""What the interpreter of a Pod is changed in. `install()` reads the environment that the kubelet made:

- AI_LAB_NETWORK (folder), AI_LAB_POD_IP, AI_LAB_NAMESPACE: the Pod network, see `sockets`;
- AI_LAB_MOUNTS (`{"/container/path": "/host/path"}`), AI_LAB_ROOT (folder) and AI_LAB_READ_ONLY (paths, colons between): the container's
  files, see `files`. Absent where the container has a root of its own;
- AI_LAB_OWN_ETC: /etc/hosts and /etc/resolv.conf are the container's, see `etc`.
"""

from __future__ import annotations

import os


def install() -> None:
    """Patches now what is loaded already, and the rest when it is imported."""
    from . import late

    network = os.environ.get("AI_LAB_NETWORK")
    mounts = os.environ.get("AI_LAB_MOUNTS")
    if mounts:
        from . import files, paths

        table = paths.Table(
            paths.parse(mounts), os.environ.get("AI_LAB_ROOT", ""), tuple(os.environ.get("AI_LAB_READ_ONLY", "").split(":"))
        )
        files.install(table)
    if network:
        late.on_import("socket", _sockets)
    elif mounts:
        late.on_import("socket", _unix_sockets)
    late.on_import("traceback", _tracebacks)
    _show_pod_name()


def _sockets(module: object) -> None:
    from . import sockets

    sockets.install(module)
    if os.environ.get("AI_LAB_MOUNTS"):
        _unix_sockets(module)


def _unix_sockets(module: object) -> None:
    from . import unixsockets

    unixsockets.install(module)


def _tracebacks(module: object) -> None:
    from . import tracebacks

    tracebacks.install(module)


def _show_pod_name() -> None:
    """`os.uname()` names the Pod, as in its UTS namespace; the container runtime puts the same name into HOSTNAME."""
    import sys

    name = os.environ.get("HOSTNAME")
    if name:
        real = os.uname

        def uname() -> os.uname_result:
            found = tuple(real())
            return os.uname_result((found[0], name, *found[2:]))

        os.uname = uname
    hook = sys.excepthook

    def excepthook(kind: object, value: BaseException, trace: object) -> None:
        from . import tracebacks

        tracebacks.report(value, hook)

    sys.excepthook = excepthook  # type: ignore[assignment]
