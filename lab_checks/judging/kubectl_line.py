"""A kubectl command that somebody proposes, taken apart: its words without the options. Nothing is run."""

from __future__ import annotations

from collections.abc import Iterable

# The verbs that only read, whatever comes after them.
READS = frozenset(
    {"get", "describe", "logs", "top", "events", "explain", "version", "api-resources", "api-versions", "cluster-info", "wait", "diff"}
)
_NAMESPACE = ("-n", "--namespace")
# Options whose value is the next word.
_VALUED = (*_NAMESPACE, "-p", "--patch", "-l", "--selector", "-c", "-f", "-o", "--type", "--context", "--as")


def taken_apart(words: Iterable[str]) -> tuple[str, list[str]]:
    """(the namespace, empty where none is named; the words that are no options and no values of options) of what stands after `kubectl`."""
    namespace, found, left = "", [], iter(words)
    for word in left:
        if word in _VALUED:
            value = next(left, "")
            namespace = value if word in _NAMESPACE else namespace
        elif word.startswith("--namespace="):
            namespace = word.partition("=")[2]
        elif not word.startswith("-"):
            found.append(word)
    return namespace, found
