"""Lab 14-sharing-a-gpu: why a claim waits, as rules over what it asks for and what the driver offers."""

from __future__ import annotations

import re
from dataclasses import dataclass

from kubeobjects import Object, resourceclaims
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import answers
from lab_checks.judging.diagnosis import Engine, Finding
from lab_checks.labs.sharing import claims
from lab_checks.labs.sharing.devices import API

_PRODUCT = re.compile(r"""productName\s*==\s*(['"])([^'"]*)\1""")


@dataclass(frozen=True)
class Scene:
    """The claims of the API's Pods, the classes and devices that there are, and who else has devices."""

    claims: list[Object]
    texts: list[str]
    classes: set[str]
    products: list[str]
    slices: list[str]
    others: list[str]


def look(ctx: Context) -> Scene:
    mine = [claim for pod in ctx.pods_of(ctx.need("deployments", API)) for claim in claims.of_pod(ctx, pod)]
    uids = {each["metadata"]["uid"] for each in mine}
    products = {each.get("attributes", {}).get("productName", {}).get("string", "") for each in claims.devices(ctx).values()}
    others = [each for each in ctx.api.list("resourceclaims") if each["metadata"]["uid"] not in uids]
    return Scene(
        mine,
        [text for claim in mine for text in claims.expressions(ctx, claim)],
        {each["metadata"]["name"] for each in ctx.api.list("deviceclasses")},
        sorted(products - {""}),
        [each["metadata"]["name"] for each in ctx.api.list("resourceslices")],
        [each["metadata"]["name"] for each in others if resourceclaims.allocation(each)],
    )


def waiting(now: Scene) -> list[Object]:
    return [each for each in now.claims if not resourceclaims.allocation(each)]


def selector(now: Scene) -> Finding:
    """An expression compares the product with a name that no device has."""
    wanted = [found[2] for text in now.texts if (found := _PRODUCT.search(text))]
    missing = [each for each in wanted if each not in now.products]
    # The product that was meant, as the driver writes it.
    real = [each for each in now.products if answers.flat(each) in map(answers.flat, missing)]
    seen = tuple(see(each, "expressions", now.texts) for each in waiting(now)[:1])
    why = "the devices meet what the claim's expressions say"
    if missing and now.products and waiting(now):
        why = f"no device is called {missing[0]}: there are {', '.join(now.products)}"
    return Finding(bool(missing and now.products and waiting(now)), why, seen, facts={"real": real or now.products})


def taken(now: Scene) -> Finding:
    return Finding(bool(now.others and waiting(now)), f"{len(now.others)} other claims have devices")


def no_class(now: Scene) -> Finding:
    named = {ask for claim in waiting(now) for ask in _classes(claim)}
    missing = sorted(named - now.classes)
    return Finding(
        bool(missing), f"there is no class {missing[0]}" if missing else f"the class {', '.join(sorted(named)) or 'it names'} exists"
    )


def no_driver(now: Scene) -> Finding:
    return Finding(not now.slices, f"{len(now.slices)} ResourceSlices offer devices", (Seen("resourceslices", "", str(len(now.slices))),))


def _classes(claim: Object) -> list[str]:
    found = []
    for request in claim["spec"]["devices"].get("requests") or []:
        rows = [request["exactly"]] if request.get("exactly") else request.get("firstAvailable") or []
        found += [row["deviceClassName"] for row in rows]
    return found


ENGINE = Engine(
    lab="14-sharing-a-gpu",
    look=look,
    parts=lambda now: {"workload": [API], "device": now.slices, "other-claim": now.others},
    rules={"selector-matches-no-device": selector, "devices-taken": taken, "no-such-class": no_class, "no-driver": no_driver},
)
