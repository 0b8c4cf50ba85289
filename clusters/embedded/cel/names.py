"""Field names as expressions write them (k8s.io/apiserver/pkg/cel/escaping.go)."""

from __future__ import annotations

import re

_RESERVED = frozenset(
    {"true", "false", "null", "in", "as", "break", "const", "continue", "else", "for", "function",
     "if", "import", "let", "loop", "package", "namespace", "return", "var", "void", "while"}
)  # fmt: skip
_ESCAPES = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_ESCAPED = re.compile(r"__|[.\-/]")


def escaped(name: str) -> str | None:
    """A field's name as an expression writes it; None for one that no expression can."""
    if name in _RESERVED:
        return f"__{name}__"
    found = _ESCAPED.sub(lambda part: _ESCAPES[part[0]], name)
    return found if re.fullmatch(r"[a-zA-Z_]\w*", found, re.ASCII) else None
