"""From a seed to a drill: which faults, on which services, with which names and values. The same seed gives the same drill; no cluster is asked.

A platform has two services in two namespaces, one on each kind of GPU, each with clients that ask all the time; one device is free. Names that a fault's
texts are filled with: `service`, `namespace`, `clients`, `product`, `other_product` (the other kind of GPU), `node` and `other_node` (the nodes with them),
`devices` (how many the node has), `other_service`, `other_namespace`, `plugin`, `seed`, and the fault's own `values`.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lab_checks.drill import catalogue
from lab_checks.drill.catalogue import Break, Condition, Fault, filled
from lab_checks.engine.course import Cause, Evidence, Exercise

# Raised when a seed gives another drill than before: a report names it beside its seed.
VERSION = 1
LAB = "drill"
PLUGIN = "nvidia-device-plugin-daemonset"

# The GPU nodes of the lab cluster, and how many devices each has.
_MANY = ("NVIDIA-A100-SXM4-40GB", "ai-lab-worker2", 2)
_ONE = ("Tesla-T4", "ai-lab-worker3", 1)
_NAMES = (
    "log-summary", "ticket-triage", "incident-search", "alert-digest", "chat-router", "mail-sorter", "release-notes", "query-rewrite", "order-notes",
    "fraud-hints",
)  # fmt: skip
_NAMESPACES = ("ai-platform", "team-search", "team-support", "team-billing", "team-mobile", "team-risk")


@dataclass(frozen=True)
class Service:
    """A model server of the platform: the names of its Deployment and Service, of its namespace, and the GPU that it runs on."""

    name: str
    namespace: str
    product: str
    node: str
    devices: int

    @property
    def clients(self) -> str:
        """The Deployment of the load generator that asks this service all the time."""
        return f"clients-of-{self.name}"


@dataclass(frozen=True)
class Laid:
    """A fault on a service, with the values that the seed drew."""

    fault: Fault
    service: Service
    values: dict[str, Any]

    def fill(self, text: str, *, pattern: bool = False) -> str:
        return filled(text, self.values, pattern=pattern)

    def condition(self, row: Condition) -> Condition:
        return Condition(
            self.fill(row.run),
            self.fill(row.matches, pattern=True),
            self.fill(row.says),
            self.fill(row.expected),
            self.fill(row.next),
            row.absent,
        )

    @property
    def symptom(self) -> list[Condition]:
        return [self.condition(each) for each in self.fault.symptom]

    @property
    def mitigated(self) -> list[Condition]:
        return [self.condition(each) for each in self.fault.mitigated]

    @property
    def breaks(self) -> list[Break]:
        return [
            Break(*(self.fill(str(value)) for value in (each.run, each.patch, each.body, each.namespace, each.type, each.apply)))
            for each in self.fault.breaks
        ]

    def commands(self, lines: Sequence[str]) -> list[str]:
        """Commands of the fault's file, such as its solution, filled in."""
        return [self.fill(each) for each in lines]

    @property
    def cause(self) -> Cause:
        """What shows the cause on this service, for the diagnosis engine."""
        needs = tuple(
            Evidence(tuple(self.fill(each, pattern=True) for each in need.shows), self.fill(need.told), need.of)
            for need in self.fault.evidence
        )
        return Cause(self.fault.id, needs, self.fill(self.fault.look), self.fill(self.fault.alone))

    @property
    def allow(self) -> dict[str, tuple[str, ...]]:
        return {self.fill(key): tuple(map(self.fill, fields)) for key, fields in self.fault.allow.items()}


@dataclass(frozen=True)
class Drill:
    """One incident. `services` is the whole platform; `laid` what is wrong with it, one fault a service at most.

    `more` is what an exercise that has the drill lets change besides, in the form of a lab's `allow`.
    """

    seed: int
    faults: int
    services: tuple[Service, Service]
    laid: tuple[Laid, ...]
    more: Mapping[str, tuple[str, ...]] = field(default_factory=dict, compare=False)

    @property
    def key(self) -> str:
        """What its attempt is kept under: the seed, and how many faults where there are two."""
        return f"{LAB}/{self.seed}" + (f"-{self.faults}" if self.faults != 1 else "")

    @property
    def command(self) -> str:
        """How the same drill is started again."""
        return f"ai-lab drill start --seed {self.seed}" + (f" --faults {self.faults}" if self.faults != 1 else "")

    @property
    def namespaces(self) -> list[str]:
        """The namespaces of the platform."""
        return list(dict.fromkeys(each.namespace for each in self.services))

    @cached_property
    def allow(self) -> dict[str, tuple[str, ...]]:
        """What may change, in the form of a lab's `allow`, with the namespace in every key."""
        found: dict[str, tuple[str, ...]] = {}
        for each in self.laid:
            for key, fields in each.allow.items():
                found[key] = (*found.get(key, ()), *fields)
        return {**self.more, **found}

    def exercise(self) -> Exercise:
        """The drill in the form in which everything that judges takes an exercise."""
        return Exercise(
            lab=LAB, id=self.key.partition("/")[2], title=f"Incident drill {self.seed}", goal="Restore the service, and say what it was.",
            version=VERSION, diagnosis=True, causes=causes(), allow=self.allow,
        )  # fmt: skip

    def laid_on(self, service: str) -> Laid | None:
        return next((each for each in self.laid if each.service.name == service), None)

    def service(self, name: str) -> Service | None:
        return next((each for each in self.services if each.name == name), None)

    def imagined(self, fault: Fault, service: Service) -> Laid:
        """The fault as it would be on that service: what a diagnosis that names it is held against. The one that was laid, where it was."""
        found = self.laid_on(service.name)
        if found is not None and found.fault.id == fault.id:
            return found
        return Laid(fault, service, _values(self.seed, service, self.services, {name: rows[0] for name, rows in fault.values.items()}))


def causes() -> tuple[str, ...]:
    """The ids of all faults: what a diagnosis chooses from."""
    return tuple(catalogue.load())


def generate(seed: int, faults: int = 1, *, only: Sequence[str] = (), namespaces: Sequence[str] = ()) -> Drill:
    """The drill of a seed, with one fault or two.

    `only` names the faults instead of drawing them; `namespaces` are two to use instead of drawn ones, or one for both services.
    Raises ValueError for another number of faults and for two that do not go together, UnknownFault for a name that is none.
    """
    count = len(only) or faults
    if count not in (1, 2):
        raise ValueError(f"a drill has one fault or two, not {count}")
    dice = random.Random(f"ai-lab drill {VERSION} {seed} {count}")
    first, second = dice.sample(_NAMES, 2)
    here, there = (namespaces[0], namespaces[-1]) if namespaces else dice.sample(_NAMESPACES, 2)
    many, one = Service(first, here, *_MANY), Service(second, there, *_ONE)
    chosen = [catalogue.fault(each) for each in only] or _drawn(dice, count)
    placed = next(_places(chosen, dice.sample((many, one), 2)), None)
    if placed is None:
        raise ValueError(f"{' and '.join(each.id for each in chosen)} do not go together")
    laid = tuple(_laid(dice, seed, fault, service, (many, one)) for fault, service in zip(chosen, placed, strict=True))
    return Drill(seed, count, (many, one), laid)


def _drawn(dice: random.Random, count: int) -> list[Fault]:
    every = sorted(catalogue.load().values(), key=lambda each: each.id)
    while True:
        chosen = dice.sample(every, count)
        if goes_together(chosen):
            return chosen


def goes_together(chosen: Sequence[Fault]) -> bool:
    """Whether each of the faults can be seen and solved beside the other, on two services of one platform.

    What reaches all GPU nodes would hide the other fault, or keep its solution from taking effect. The spare device is one: it solves one fault, and a fault
    on the node that has it may not be solved by moving there.
    """
    if len(chosen) < 2:
        return True
    alone = any(each.reach == "platform" for each in chosen)
    return not alone and sum(each.spare for each in chosen) <= 1 and next(_places(chosen, _anywhere()), None) is not None


def _anywhere() -> list[Service]:
    return [Service("a", "a", *_MANY), Service("b", "b", *_ONE)]


def _places(chosen: Sequence[Fault], services: Sequence[Service]) -> Iterator[list[Service]]:
    """Ways to put the faults on different services, each where it can be."""
    for order in (list(services), list(reversed(services))):
        if not all(_fits(fault, service) for fault, service in zip(chosen, order, strict=False)):
            continue
        if any(fault.spare for fault in chosen) and any(
            fault.reach == "node" and service.devices > 1 for fault, service in zip(chosen, order, strict=False)
        ):
            # The spare device is on that node.
            continue
        yield order[: len(chosen)]


def _fits(fault: Fault, service: Service) -> bool:
    return {"any": True, "one": service.devices == 1, "many": service.devices > 1}[fault.where]


def _laid(dice: random.Random, seed: int, fault: Fault, service: Service, services: tuple[Service, Service]) -> Laid:
    drawn = {name: dice.choice(choices) for name, choices in sorted(fault.values.items())}
    return Laid(fault, service, _values(seed, service, services, drawn))


def _values(seed: int, service: Service, services: tuple[Service, Service], drawn: dict[str, Any]) -> dict[str, Any]:
    other = next(each for each in services if each is not service)
    return {
        "service": service.name, "namespace": service.namespace, "clients": service.clients, "product": service.product, "node": service.node,
        "devices": service.devices, "other_product": other.product, "other_node": other.node, "other_service": other.name,
        "other_namespace": other.namespace, "seed": seed, "plugin": PLUGIN, **drawn,
    }  # fmt: skip
