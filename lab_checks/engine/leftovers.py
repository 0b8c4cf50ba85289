"""What a learner left on a cluster outside the course's namespaces, by comparison with how it was before any exercise; and taking it away."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase

from lab_checks.engine.api import Api, shell
from lab_checks.engine.snapshot import Snapshot

# (resource, "namespace/name", or "name" at cluster scope)
Key = tuple[str, str]
AskedFor = Callable[[Key], bool]

# Set right elsewhere (nodes and priority classes by what they were, the plugin by its manifest), or made by the course itself.
_ELSEWHERE = frozenset({"nodes", "priorityclasses"})
# So many names are told; a learner who left more reads how many.
_TOLD = 6


def created(pristine: Mapping[str, Collection[str]], now: Snapshot, courses: set[str]) -> list[Key]:
    """What was created since `pristine` (the keys of each kind), outside the namespaces of the course.

    Of a namespace that is itself new only the namespace is named.
    """
    fresh = set(now.get("namespaces", {})) - set(pristine.get("namespaces", ()))
    found = []
    for kind, objects in sorted(now.items()):
        for key in objects:
            namespace = key.rpartition("/")[0]
            if (
                kind in _ELSEWHERE
                or key in pristine.get(kind, ())
                or namespace in fresh | courses
                or (kind == "namespaces" and key in courses)
            ):
                continue
            found.append((kind, key))
    return found


def asked_for(allow: Mapping[str, Collection[str]]) -> AskedFor:
    """Whether an exercise with this `allow` asks for an object to be created: nobody has to be asked before that one is deleted."""
    patterns = [pattern for pattern, words in allow.items() if "create" in words or "*" in words]

    def asks(row: Key) -> bool:
        return any(fnmatchcase("/".join(row), pattern) for pattern in patterns)

    return asks


def told(rows: list[Key]) -> str:
    """The objects as people are told of them: `service/leak in namespace default, …`."""
    names = []
    for kind, key in rows[:_TOLD]:
        namespace, _, name = key.rpartition("/")
        names.append(f"{kind.removesuffix('s')}/{name}" + (f" in namespace {namespace}" if namespace else ""))
    more = f" and {len(rows) - _TOLD} more" if len(rows) > _TOLD else ""
    return ", ".join(names) + more


def commands(rows: list[Key]) -> list[str]:
    """The kubectl commands that delete them, one for each kind and namespace; namespaces last."""
    grouped: dict[Key, list[str]] = {}
    for kind, key in rows:
        namespace, _, name = key.rpartition("/")
        grouped.setdefault((kind, namespace), []).append(name)
    return [
        f"kubectl delete {kind} {' '.join(names)} --cascade=foreground" + (f" -n {namespace}" if namespace else "")
        for (kind, namespace), names in sorted(grouped.items(), key=lambda row: (row[0][0] == "namespaces", row[0]))
    ]


def remove(api: Api, rows: list[Key]) -> None:
    """Deletes the objects and waits until they are gone. Raises CommandFailed."""
    for line in commands(rows):
        grace = " --grace-period=1" if line.startswith("kubectl delete pods ") else ""
        shell(f"{line} --ignore-not-found --wait=true --timeout=60s{grace}", api.kubeconfig)
