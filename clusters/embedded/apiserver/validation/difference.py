"""The block that shows what an update would change, in the manner of go-cmp's Diff of two Go structs.

Lines that start with `-` are what is stored, `+` what the request asks for; fields without a difference are counted, not shown.
"""

from __future__ import annotations

from typing import Any

from clusters.embedded.apiserver.strategy.generation import same
from clusters.embedded.apiserver.validation.field import quote
from kubeobjects import Object

# Go's names where they are not the JSON name with a capital.
_INITIALS = {
    "tty": "TTY", "dnsPolicy": "DNSPolicy", "dnsConfig": "DNSConfig", "hostIP": "HostIP", "hostPID": "HostPID", "hostIPC": "HostIPC",
    "hostNetwork": "HostNetwork", "os": "OS", "uid": "UID", "httpGet": "HTTPGet", "grpc": "GRPC", "tcpSocket": "TCPSocket", "nfs": "NFS",
    "csi": "CSI", "iscsi": "ISCSI", "rbd": "RBD", "fc": "FC",
}  # fmt: skip


def _name(name: str) -> str:
    return _INITIALS.get(name, name[:1].upper() + name[1:])


def _value(value: Any) -> str:
    if value is None:
        return "nil"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_name(name)}: {_value(each)}" for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "{" + ", ".join(map(_value, value)) + "}"
    return str(value)


def _same_fields(count: int) -> str:
    return f"... // {count} identical field{'' if count == 1 else 's'}"


def _lines(old: Any, new: Any, depth: int) -> list[str]:
    """The lines between the braces of two values of the same shape."""
    indent = "  " + "\t" * depth
    lines: list[str] = []
    if isinstance(old, dict) and isinstance(new, dict):
        skipped = 0
        for name in [*old, *(each for each in new if each not in old)]:
            before, after = old.get(name), new.get(name)
            if same(before, after):
                skipped += 1
                continue
            if skipped:
                lines.append(f"{indent}{_same_fields(skipped)}")
                skipped = 0
            lines += _changed(f"{_name(name)}: ", before, after, depth)
        if skipped:
            lines.append(f"{indent}{_same_fields(skipped)}")
        return lines
    for before, after in zip(old, new, strict=False):
        lines += [f"{indent}{_value(before)},"] if same(before, after) else _changed("", before, after, depth)
    lines += [f"-{indent[1:]}{_value(each)}," for each in old[len(new) :]]
    lines += [f"+{indent[1:]}{_value(each)}," for each in new[len(old) :]]
    return lines


def _changed(label: str, old: Any, new: Any, depth: int) -> list[str]:
    indent = "  " + "\t" * depth
    if type(old) is type(new) and isinstance(old, dict | list):
        return [f"{indent}{label}{{", *_lines(old, new, depth + 1), f"{indent}}},"]
    return [f"-{indent[1:]}{label}{_value(old)},", f"+{indent[1:]}{label}{_value(new)},"]


def difference(type_name: str, old: Object, new: Object) -> str:
    """`type_name` is the Go type of both, such as core.PodSpec."""
    return "\n".join([f"  {type_name}{{", *_lines(old, new, 1), "  }", ""])
