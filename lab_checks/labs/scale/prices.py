"""Lab 11-scale-and-cost: money. The prices are data of the exercise, the ConfigMap `prices`: euros an hour, as examples."""

from __future__ import annotations

import re

from lab_checks.engine.context import Context
from lab_checks.judging import answers

# Hours from ten in the evening to six in the morning.
NIGHT = 8
_HOUR = 3600


def hourly(ctx: Context, what: str) -> float:
    """Euros an hour for a row of the price list."""
    return float(ctx.need("configmaps", "prices")["data"][what])


def per_thousand(euros_an_hour: float, requests_a_second: float) -> float:
    """Euros for a thousand requests: an hour costs the same whether its requests are many or few."""
    return 1000 * euros_an_hour / (requests_a_second * _HOUR)


def euros(said: object) -> float | None:
    """An amount of money in euros: 4.40, "4.40 €", "0.8 cents"; None for what is none."""
    text = str(said).strip().lower()
    cents = re.search(r"\b(?:cents?|ct)\b", text)
    bare = re.sub(r"€|\b(?:euros?|eur|cents?|ct)\b|(?:a|per|/) ?(?:thousand|night|1000)(?: requests)?", "", text)
    found = answers.number(bare.strip())
    if found is None or found.measures:
        return None
    return found.value / 100 if cents else found.value


def near(said: float, right: float, share: float = 0.15) -> bool:
    return abs(said - right) <= share * right
