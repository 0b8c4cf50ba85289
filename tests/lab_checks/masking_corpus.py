"""Planted secrets and innocent look-alikes, read from `data/masking`, and what a way of masking makes of them.

A third of the cases is held back, chosen by the name of each: rules are written against the others, and the held-back third then says how well they do on
what they were not written for. `python -m tests.lab_checks.masking_corpus` prints the figures of both parts; `--missed` names the cases of the open part.
"""

from __future__ import annotations

import re
import sys
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

_DATA = Path(__file__).parent / "data" / "masking"
_MARK = "§"
# `hunter2secret` is not told by `<secret-1>`.
_PLACEHOLDER = re.compile(r"<[a-z-]+-\d+>")
# So many characters of a secret in a row give it away.
TELLING = 6


@dataclass(frozen=True)
class Planted:
    """A text with a secret in it. Nothing of `secret` may be left that is as long as TELLING (or the whole of it, where it is shorter)."""

    name: str
    secret: str
    text: str

    def leaks(self, masked: str) -> str:
        """The first part of the secret that is still in the masked text and is not in what surrounds the secret; empty when there is none."""
        size = min(TELLING, len(self.secret))
        around = self.text.replace(self.secret, "\0")
        masked = _PLACEHOLDER.sub("\0", masked)
        for start in range(len(self.secret) - size + 1):
            part = self.secret[start : start + size]
            if part in masked and part not in around:
                return part
        return ""


@dataclass(frozen=True)
class Innocent:
    """A text of which `keeps` must come out unchanged."""

    name: str
    text: str
    keeps: tuple[str, ...]

    def harmed(self, masked: str) -> bool:
        return any(masked.count(each) < self.text.count(each) for each in self.keeps)


@cache
def secrets() -> tuple[Planted, ...]:
    found = []
    for row in yaml.safe_load((_DATA / "secrets.yaml").read_text()):
        secret = row["secret"] if isinstance(row["secret"], str) else "".join(row["secret"])
        found.append(Planted(row["name"], secret, row["text"].replace(_MARK, secret)))
    return tuple(found)


@cache
def innocents() -> tuple[Innocent, ...]:
    rows = yaml.safe_load((_DATA / "innocent.yaml").read_text())
    return tuple(Innocent(row["name"], row["text"], tuple(row.get("keeps", [row["text"]]))) for row in rows)


def held_back(name: str) -> bool:
    return zlib.crc32(name.encode()) % 3 == 0


def _show(mask: Callable[[str], str], planted: Iterable[Planted], innocent: Iterable[Innocent], names: bool) -> str:
    planted, innocent = list(planted), list(innocent)
    leaked = [(each.name, each.leaks(mask(each.text))) for each in planted]
    missed = [name for name, part in leaked if part]
    harmed = [each.name for each in innocent if each.harmed(mask(each.text))]
    told = (
        f"masked {len(planted) - len(missed)} of {len(planted)}, false {len(harmed)} of {len(innocent)} ({len(harmed) / len(innocent):.1%})"
    )
    return told + (f"\n  missed: {' '.join(missed)}\n  false:  {' '.join(harmed)}" if names else "")


def main() -> None:
    from lab_checks.redact import redact

    for back in (False, True):
        planted = [each for each in secrets() if held_back(each.name) is back]
        innocent = [each for each in innocents() if held_back(each.name) is back]
        names = "--missed" in sys.argv and not back
        print(f"{'held back' if back else 'open':10}", _show(lambda text: redact(text).text, planted, innocent, names))


if __name__ == "__main__":
    main()
