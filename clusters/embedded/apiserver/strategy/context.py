"""What a strategy knows beside the object: the stored objects that it must not collide with."""

from __future__ import annotations

from dataclasses import dataclass

from clusters.embedded.apiserver.reader import Reader


@dataclass(frozen=True)
class Context:
    """`reader` shows what is stored (Services, for addresses and node ports); `dry_run` changes nothing that is kept."""

    reader: Reader
    dry_run: bool = False
