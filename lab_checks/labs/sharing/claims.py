"""Lab 14-sharing-a-gpu: claims: what a Pod's claim asks for, which device it was given, and whether the container sees that one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from kubeobjects import Object, resourceclaims
from lab_checks.engine.claimed import DRIVER
from lab_checks.engine.context import Context
from lab_checks.engine.observe import amount, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import expressions as cel
from lab_checks.judging import words
from lab_checks.labs.sharing.devices import its_card

# A card that is too small for any server of this lab, in bytes.
_SMALL = 2 * 1024**3
_QUANTITY = re.compile(r"""quantity\(\s*(['"])([^'"]+)\1\s*\)""")


@dataclass(frozen=True)
class Given:
    """A device that a claim was given: its name, its node, and what the ResourceSlice says of it."""

    name: str
    node: str
    attributes: Object

    @property
    def uuid(self) -> str:
        """Empty for a part of a card, which has one only while it is made."""
        return str(self.attributes.get("uuid", {}).get("string", ""))

    @property
    def product(self) -> str:
        return str(self.attributes.get("productName", {}).get("string", ""))

    @property
    def is_part(self) -> bool:
        return self.attributes.get("type", {}).get("string") == "mig"


def entries(deployment: Object) -> list[Object]:
    """What the Pod template says under resourceClaims."""
    return list(deployment["spec"]["template"]["spec"].get("resourceClaims") or [])


def used_by_container(ctx: Context, deployment: Object) -> None:
    """Each claim of the Pod is named by its first container; ends the check where it is not."""
    container = deployment["spec"]["template"]["spec"]["containers"][0]
    named = {each["name"] for each in (container.get("resources") or {}).get("claims") or []}
    if left := [each["name"] for each in entries(deployment) if each["name"] not in named]:
        raise words.fail(
            ctx, "claim-not-used", see(deployment, "resourceClaims", left), see(deployment, "resources.claims", sorted(named)), credit=0.4
        )


def of_pod(ctx: Context, pod: Object) -> list[Object]:
    """The claims that a Pod uses, as far as they exist."""
    found = (ctx.get("resourceclaims", name) for name in resourceclaims.names(pod))
    return [each for each in found if each is not None]


def need(ctx: Context, pods: list[Object], deployment: Object) -> Object:
    """The one claim of the Deployment's Pod; not yet while there is none, and ends the check where a Pod has several."""
    for pod in pods:
        found = of_pod(ctx, pod)
        if len(found) > 1:
            names = sorted(each["metadata"]["name"] for each in found)
            raise words.fail(ctx, "several-claims", see(pod, "resourceClaims", names), count=len(found), credit=0.3)
        if found:
            return found[0]
    wanted = [each.get("resourceClaimName") or each.get("resourceClaimTemplateName") for each in entries(deployment)]
    raise words.wait(ctx, "claim-not-there", see(deployment, "resourceClaims", wanted), credit=0.2)


def _asks(spec: Object) -> Iterator[Object]:
    for request in (spec.get("devices") or {}).get("requests") or []:
        yield from [request["exactly"]] if request.get("exactly") else request.get("firstAvailable") or []


def expressions(ctx: Context, claim: Object) -> list[str]:
    """The expressions that a claim's devices have to meet: its own, and those of classes that the learner made."""
    return [text for texts in alternatives(ctx, claim) for text in texts]


def alternatives(ctx: Context, claim: Object) -> list[list[str]]:
    """The same, for each request by itself and for each of the devices that a request would take one after the other."""
    found: list[list[str]] = []
    for ask in _asks(claim["spec"]):
        rows = list(ask.get("selectors") or [])
        name = ask.get("deviceClassName", "")
        if not ctx.before("deviceclasses", name, ""):
            rows += ((ctx.api.get("deviceclasses", name) or {}).get("spec") or {}).get("selectors") or []
        found.append([each["cel"]["expression"] for each in rows if each.get("cel")])
    return found


def card(attributes: Object, memory: int, **other: str) -> Object:
    """A whole card as an expression sees it: the attributes of a device, some of them other ones, and so many bytes of memory."""
    values: dict[str, dict[str, Any]] = {DRIVER: {}}
    for name, attribute in attributes.items():
        domain, slash, own = name.partition("/")
        kept = next(iter(attribute.values()))
        values.setdefault(domain if slash else DRIVER, {})[own if slash else name] = other.get(own if slash else name, kept)
    return {"driver": DRIVER, "allowMultipleAllocations": False, "attributes": values, "capacity": {DRIVER: {"memory": memory}}}


def unknown_card(ctx: Context, memory: int) -> Object:
    """A card that this cluster does not have: all that a driver tells of it by a name is another one."""
    known = next((each.get("attributes", {}) for each in devices(ctx).values() if not _is_part(each)), {"type": {"string": "gpu"}})
    names = {name.rpartition("/")[2] for name, value in known.items() if "string" in value} - {"type"}
    return card(known, memory, **dict.fromkeys(names, "another"))


def takes(texts: list[str], one: Object) -> bool | None:
    """Whether a device meets all these expressions; None where one of them gives no answer."""
    said = [cel.holds(text, {"device": one}) for text in texts]
    return False if False in said else None if None in said else True


def _is_part(device: Object) -> bool:
    return bool(device.get("attributes", {}).get("type", {}).get("string") == "mig")


def goes_by_memory(ctx: Context, claim: Object, least: int) -> bool:
    """Whether each card with at least so many bytes meets the claim, and no smaller one does, whatever it is called."""
    return all(
        takes(texts, unknown_card(ctx, least)) is True and takes(texts, unknown_card(ctx, least - 1)) is False
        for texts in alternatives(ctx, claim)
    )


def asks_for_memory_alone(ctx: Context, claim: Object, least: int) -> None:
    """Ends the check where a smaller card meets the claim as well, or where a card that is large enough does not."""
    for texts in alternatives(ctx, claim):
        seen = see(claim, "expressions", texts or None)
        if takes(texts, unknown_card(ctx, least - 1)) is True:
            raise words.fail(ctx, "smaller-ones-too", seen, credit=0.4)
        if takes(texts, unknown_card(ctx, least)) is False:
            raise words.fail(ctx, "not-every-one", seen, credit=0.4)


def takes_no_other(ctx: Context, claim: Object, product: str) -> None:
    """Ends the check where a claim that is meant for one product takes other cards too, or one card of that product alone."""
    for texts in alternatives(ctx, claim):
        seen = see(claim, "expressions", texts or None)
        for device in devices(ctx).values():
            attributes, called = device.get("attributes", {}), _called(device)
            memory = int(amount((device.get("capacity") or {}).get("memory", {}).get("value")))
            if _is_part(device):
                continue
            if not called.startswith(product) and takes(texts, card(attributes, memory)) is True:
                raise words.fail(ctx, "other-cards-too", seen, card=called, credit=0.3)
            twin = card(attributes, memory, uuid="GPU-of-another", pciBusID="another", pcieRoot="another")
            if called.startswith(product) and takes(texts, twin) is False:
                raise words.fail(ctx, "one-card-alone", seen, credit=0.4)
        if takes(texts, unknown_card(ctx, _SMALL)) is True:
            raise words.fail(ctx, "other-cards-too", seen, card="a new card with 2 GiB", credit=0.3)


def _called(device: Object) -> str:
    return str(device.get("attributes", {}).get("productName", {}).get("string", ""))


def memory_asked(texts: list[str]) -> Decimal | None:
    """The amount that an expression on a device's memory compares it with; None where none is about memory."""
    for text in texts:
        found = _QUANTITY.search(text)
        if found and ".memory" in text.replace("['memory']", ".memory").replace('["memory"]', ".memory"):
            try:
                return amount(found[2])
            except ValueError:
                return None
    return None


def devices(ctx: Context) -> dict[tuple[str, str], Object]:
    """Every device of the driver, by node and name."""
    found: dict[tuple[str, str], Object] = {}
    for each in ctx.api.list("resourceslices"):
        spec = each["spec"]
        if spec["driver"] == DRIVER:
            found |= {(spec["pool"]["name"], device["name"]): device for device in spec.get("devices") or []}
    return found


def given(ctx: Context, claim: Object) -> list[Given]:
    """The devices that a claim was given; none while it waits."""
    known = devices(ctx)
    return [
        Given(row["device"], row["pool"], known.get((row["pool"], row["device"]), {}).get("attributes", {}))
        for row in resourceclaims.devices(claim)
    ]


def one_device(ctx: Context, claim: Object) -> Given:
    """The one device that a claim was given; ends the check where it waits, or has several."""
    found = given(ctx, claim)
    if not found:
        raise words.wait(ctx, "claim-still-waits", see(claim, "status.allocation", None))
    if len(found) > 1:
        raise words.fail(ctx, "several-devices", see(claim, "status.allocation", [each.name for each in found]), count=len(found))
    return found[0]


def in_container(ctx: Context, pod: Object, device: Given, name: str) -> Seen:
    """What the Pod's server found is the device that its claim was given; ends the check where it is another one."""
    found = its_card(ctx, pod)
    same = found.uuid == device.uuid if device.uuid else found.uuid.startswith("MIG-")
    seen = see(pod, "uuid, by its log", found.uuid)
    if not same:
        raise words.fail(ctx, "another-device", seen, Seen(f"device/{device.name}", "uuid", device.uuid or "a part of a card"), name=name)
    return seen
