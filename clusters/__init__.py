"""Where labs run: an embedded cluster, a kind cluster, or an existing context.

`get` makes a cluster by name, `choose` decides for those who do not, `current` finds the one that is in use.
"""

from __future__ import annotations

from pathlib import Path

from clusters.base import Cluster, ClusterError, ClusterStatus, Progress, state_folder

NAMES = ("embedded", "kind", "current")

# The file in the state folder that says which cluster the last `up` brought up.
_CHOSEN = "cluster"

__all__ = [
    "NAMES",
    "Cluster",
    "ClusterError",
    "ClusterStatus",
    "Progress",
    "choose",
    "get",
    "in_use",
    "prepare",
    "remember",
    "state_folder",
]


def get(name: str, state: Path | None = None) -> Cluster:
    """The cluster called `name`, up or not. Raises ClusterError for a name that is none."""
    folder = state or state_folder()
    # Imported one by one: starting the embedded cluster must not wait for what kind needs.
    if name == "embedded":
        from clusters.embedded.provider import EmbeddedCluster

        return EmbeddedCluster(folder)
    if name == "kind":
        from clusters.kind.provider import KindCluster

        return KindCluster(folder)
    if name == "current":
        from clusters.current import CurrentCluster

        return CurrentCluster(folder)
    raise ClusterError(f'there is no cluster called "{name}"', next=f"one of: auto, {', '.join(NAMES)}")


def prepare(state: Path | None = None) -> None:
    """For a command that will bring up the cluster in use: what its server takes to read itself is taken while the command reads itself.

    Does nothing where that is another cluster than the embedded one, or none.
    """
    folder = state or state_folder()
    try:
        if (folder / _CHOSEN).read_text().strip() != "embedded":
            return
    except (OSError, ValueError):
        return
    from clusters.embedded import prepared_server

    prepared_server.prepare(folder / "embedded")


def choose(state: Path | None = None) -> tuple[Cluster, str]:
    """(cluster, why): what `auto` takes. Kind where it could start at once, else embedded; `why` says in one line what kind would take.

    The cluster that the last `up` brought up is kept while it answers. Where kind is not installed, `why` is said before the first `up` only.
    """
    import shutil

    folder = state or state_folder()
    before = in_use(folder)
    if before is not None and before.status().state in ("ready", "starting", "unknown"):
        before.may_fetch = False
        return before, ""
    if shutil.which("kind") is None:
        # The most frequent case by far, and told without starting another program.
        why = "Taking the embedded cluster; kind is not installed, ai-lab doctor says what it takes" if before is None else ""
    else:
        from clusters.kind.provider import KindCluster

        kind = KindCluster(folder)
        hindrance = kind.can_start_at_once()
        if not hindrance:
            kind.may_fetch = False
            return kind, ""
        why = f"Taking the embedded cluster. For kind: {hindrance}; ai-lab up --cluster kind"
    return get("embedded", folder), why


def remember(cluster: Cluster, state: Path | None = None) -> None:
    """Notes that `cluster` is the one in use. Raises ClusterError where that cannot be written."""
    folder = state or state_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _CHOSEN).write_text(cluster.name + "\n")
    except OSError as error:
        raise ClusterError(
            f"the {cluster.name} cluster is up, and {folder / _CHOSEN} cannot be written: {error.strerror}",
            next="free some disk space or make the folder writable, then: ai-lab up",
        ) from None


def in_use(state: Path | None = None) -> Cluster | None:
    """The cluster that the last `up` brought up, be it running or not; None where there was none."""
    folder = state or state_folder()
    try:
        name = (folder / _CHOSEN).read_text().strip()
    except OSError:
        name = ""
    if not name:
        from clusters.embedded.provider import EmbeddedCluster

        # The folder may have been deleted under a running cluster, which is then still there to be ended.
        embedded = EmbeddedCluster(folder)
        return embedded if embedded.is_running() else None
    if name == "current":
        from clusters.current import CurrentCluster

        # The context that was taken over stays the one in use, whatever context the learner has switched to since.
        return CurrentCluster(folder, keep=True)
    return get(name, folder) if name in NAMES else None
