"""The tables of `rules.toml`, read once."""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Token:
    """A token that begins with one of `begins` and goes on as `goes_on` says."""

    begins: tuple[str, ...]
    goes_on: re.Pattern[str]


@dataclass(frozen=True)
class Shape:
    """What `pattern` finds is of `kind`; it finds nothing in a text that holds none of `needs` (lower case), where any are given."""

    kind: str
    pattern: re.Pattern[str]
    needs: tuple[str, ...]


@cache
def data() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "rules.toml").read_text())


@cache
def words(table: str, name: str) -> frozenset[str]:
    return frozenset(data()[table][name])


@cache
def tokens() -> tuple[Token, ...]:
    return tuple(Token(tuple(row["begins"]), re.compile(row["goes_on"])) for row in data()["token"])


@cache
def shapes() -> tuple[Shape, ...]:
    return tuple(Shape(row["kind"], re.compile(row["pattern"]), tuple(row.get("needs", ()))) for row in data()["shape"])


@cache
def innocent_value() -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{each})" for each in data()["values"]["innocent"]), re.IGNORECASE)
