"""`status.allocation` of a claim, from the devices that were found for it."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal

from clusters.embedded.client import Object
from clusters.embedded.scheduler.structured.capacity import Amounts
from clusters.embedded.scheduler.structured.requests import Candidate, Wanted
from kubeobjects import meta, quantity


@dataclass(frozen=True)
class Given:
    """One device for one request; `share` and `amounts` where others may use the device too."""

    wanted: Wanted
    candidate: Candidate
    amounts: Amounts = field(default_factory=dict)
    share: str = ""


def allocation(claim: Object, chosen: list[Wanted], given: list[Given], node: str) -> Object:
    """`chosen` has one entry a request. The node's name goes into the selector where a device is there and nowhere else."""
    devices: Object = {"results": [_result(each) for each in given]}
    config = [*_of_classes(chosen), *_of_claim(claim, chosen)]
    if config:
        devices["config"] = config
    found: Object = {"devices": devices}
    selector = _node_selector(given, node)
    if selector is not None:
        found["nodeSelector"] = selector
    return found


def _result(given: Given) -> Object:
    driver, pool, device = given.candidate.id
    result: Object = {"request": given.wanted.reference, "driver": driver, "pool": pool, "device": device}
    if given.wanted.admin:
        result["adminAccess"] = True
    if given.wanted.spec.get("tolerations"):
        result["tolerations"] = meta.copy(given.wanted.spec["tolerations"])
    if given.share:
        result["shareID"] = given.share
    if given.amounts:
        result["consumedCapacity"] = {name: _text(given, name, amount) for name, amount in given.amounts.items()}
    return result


def _text(given: Given, name: str, amount: Decimal) -> str:
    """The amount as claim or device wrote it, where one of them did."""
    capacity = given.candidate.device["capacity"][name]
    policy = capacity.get("requestPolicy") or {}
    written = [given.wanted.amounts.get(name), policy.get("default"), capacity["value"], *(policy.get("validValues") or [])]
    return next((str(each) for each in written if each is not None and quantity.parse(each) == amount), quantity.canonical(str(amount)))


def _of_classes(chosen: list[Wanted]) -> list[Object]:
    """Each class's configuration once, with the requests that it is for."""
    by_class: dict[str, list[Object]] = {}
    for each in chosen:
        name = each.device_class["metadata"]["name"]
        if name in by_class:
            for config in by_class[name]:
                config["requests"].append(each.reference)
        else:
            configured = (each.device_class.get("spec") or {}).get("config") or []
            by_class[name] = [{**meta.copy(config), "source": "FromClass", "requests": [each.reference]} for config in configured]
    return [config for configs in by_class.values() for config in configs]


def _of_claim(claim: Object, chosen: list[Wanted]) -> list[Object]:
    found = []
    for config in claim["spec"]["devices"].get("config") or []:
        named = config.get("requests") or []
        if not named:
            found.append({**meta.copy(config), "source": "FromClaim"})
        for each in chosen:
            if each.request in named or (each.name and each.reference in named):
                found.append({**meta.copy(config), "source": "FromClaim"})
    return found


def _node_selector(given: list[Given], node: str) -> Object | None:
    term: Object = {}
    for each in given:
        spec = each.candidate.slice["spec"]
        place = each.candidate.device if spec.get("perDeviceNodeSelection") else spec
        if place.get("nodeName"):
            return {"nodeSelectorTerms": [{"matchFields": [{"key": "metadata.name", "operator": "In", "values": [node]}]}]}
        for selected in (place.get("nodeSelector") or {}).get("nodeSelectorTerms") or []:
            for kind in ("matchFields", "matchExpressions"):
                known = term.setdefault(kind, [])
                known += [one for one in selected.get(kind) or [] if one not in known]
    term = {kind: requirements for kind, requirements in term.items() if requirements}
    return {"nodeSelectorTerms": [meta.copy(term)]} if term else None
