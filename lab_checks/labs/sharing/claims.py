"""Lab 14-sharing-a-gpu: claims: what a Pod's claim asks for, which device it was given, and whether the container sees that one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal

from kubeobjects import Object, resourceclaims
from lab_checks.engine.claimed import DRIVER
from lab_checks.engine.context import Context
from lab_checks.engine.observe import amount, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import words
from lab_checks.labs.sharing.devices import its_card

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
    """The claim of the Deployment's Pod; not yet while there is none."""
    for pod in pods:
        for claim in of_pod(ctx, pod):
            return claim
    wanted = [each.get("resourceClaimName") or each.get("resourceClaimTemplateName") for each in entries(deployment)]
    raise words.wait(ctx, "claim-not-there", see(deployment, "resourceClaims", wanted), credit=0.2)


def _asks(spec: Object) -> Iterator[Object]:
    for request in (spec.get("devices") or {}).get("requests") or []:
        yield from [request["exactly"]] if request.get("exactly") else request.get("firstAvailable") or []


def expressions(ctx: Context, claim: Object) -> list[str]:
    """The expressions that a claim's devices have to meet: its own, and those of classes that the learner made."""
    found: list[str] = []
    for ask in _asks(claim["spec"]):
        found += [each["cel"]["expression"] for each in ask.get("selectors") or [] if each.get("cel")]
        name = ask.get("deviceClassName", "")
        if not ctx.before("deviceclasses", name, ""):
            made = ctx.api.get("deviceclasses", name) or {"spec": {}}
            found += [each["cel"]["expression"] for each in made["spec"].get("selectors") or [] if each.get("cel")]
    return found


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
    results = ((resourceclaims.allocation(claim) or {}).get("devices") or {}).get("results") or []
    return [Given(row["device"], row["pool"], known.get((row["pool"], row["device"]), {}).get("attributes", {})) for row in results]


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
