"""Counters that the devices of a pool share: partitions of one GPU draw on its memory and its slices."""

from __future__ import annotations

from decimal import Decimal

from clusters.embedded.client import Object
from clusters.embedded.scheduler.structured import pools
from clusters.embedded.scheduler.structured.pools import Pool, PoolId
from clusters.embedded.scheduler.structured.taken import Taken, add
from kubeobjects import quantity

# (counter set, counter), written as one text
Amounts = dict[str, Decimal]


class Counters:
    """What is left in each pool, beside what was taken before and what this search has taken so far."""

    def __init__(self, taken: Taken):
        self._taken = taken
        self._left: dict[PoolId, Amounts] = {}

    def take(self, pool: Pool, device: Object) -> bool:
        """False, with nothing taken, where a counter is used up."""
        needs = _needs(device)
        left = self._of(pool)
        if any(left.get(name, Decimal()) < amount for name, amount in needs.items()):
            return False
        add(left, needs, -1)
        return True

    def give_back(self, pool: Pool, device: Object) -> None:
        add(self._of(pool), _needs(device))

    def _of(self, pool: Pool) -> Amounts:
        if pool.id not in self._left:
            left = {
                f"{name}/{counter}": quantity.parse(each["value"])
                for name, counters in pool.counters.items()
                for counter, each in counters.items()
            }
            for ident, device in pools.devices([*pool.slices, *pool.elsewhere]):
                if self._taken.has(ident):
                    add(left, _needs(device), -1)
            self._left[pool.id] = left
        return self._left[pool.id]


def _needs(device: Object) -> Amounts:
    needs: Amounts = {}
    for each in device.get("consumesCounters") or []:
        add(needs, {f"{each['counterSet']}/{name}": quantity.parse(one["value"]) for name, one in (each.get("counters") or {}).items()})
    return needs
