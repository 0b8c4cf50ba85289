"""Validation of a ResourceClaim's status: what was allocated, for whom, and what drivers say of it (resource/validation)."""

from __future__ import annotations

import re
from typing import Any

from clusters.embedded.apiserver.validation import content, dra, field, placement, resource_slices, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object
from kubeobjects.equality import same

_STATUS = Path("status")
_MOST_CONSUMERS = 256
_MOST_RESULTS = 32
_MOST_CONFIGS = 64
_MOST_DEVICES_CONDITIONS = 8
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NOT_ALLOCATED = "may not be specified when `allocated` is not set"
_NO_NEW_ENTRIES = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set"
_NOT_ITS_DEVICE = "must be an allocated device in the claim"
_NOT_NORMAL = "uid must be in RFC 4122 normalized form, `xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx` with lowercase hexadecimal characters"


def update(new: Object, old: Object) -> Errors:
    status, before = new.get("status") or {}, old.get("status") or {}
    allocation, reserved = status.get("allocation"), status.get("reservedFor") or []
    known = dra.request_names((new.get("spec") or {}).get("devices") or {})
    where = _STATUS.child("reservedFor")
    found = dra.items(reserved, _MOST_CONSUMERS, _consumer, where, lambda each: str(each.get("uid", "")))
    given = {_identity(each) for each in ((allocation or {}).get("devices") or {}).get("results") or []}

    def device(each: Object, path: Path) -> Errors:
        return _device(each, given, path)

    devices = status.get("devices") or []
    found += dra.items(devices, len(devices), device, _STATUS.child("devices"), _identity)
    if reserved and allocation is None:
        found.append(field.forbidden(where, _NOT_ALLOCATED))
    elif reserved and new["metadata"].get("deletionTimestamp"):
        had = before.get("reservedFor") or []
        if any(each not in had for each in reserved):
            found.append(field.forbidden(where, _NO_NEW_ENTRIES))
    if allocation is not None and before.get("allocation") is not None:
        if not same(allocation, before["allocation"]):
            found.append(field.invalid(_STATUS.child("allocation"), allocation, content.IMMUTABLE))
    elif allocation is not None:
        found += _allocation(allocation, known, _STATUS.child("allocation"))
    return found


def _identity(device: Object) -> str:
    parts = [str(device.get(name, "")) for name in ("driver", "pool", "device")]
    return "/".join([*parts, *([device["shareID"]] if device.get("shareID") else [])])


def _consumer(consumer: Object, path: Path) -> Errors:
    return [field.required(path.child(name)) for name in ("resource", "name", "uid") if not consumer.get(name)]


def _allocation(allocation: Object, known: set[str], path: Path) -> Errors:
    devices, where = allocation.get("devices") or {}, path.child("devices")

    def result(each: Object, place: Path) -> Errors:
        return _result(each, known, place)

    def config(each: Object, place: Path) -> Errors:
        found = values.choice(each.get("source"), place.child("source"), ("FromClaim", "FromClass"))
        found += dra.references(each.get("requests") or [], known, place.child("requests"))
        return found + dra.configuration(each, place)

    found = dra.items(devices.get("results") or [], _MOST_RESULTS, result, where.child("results"))
    found += dra.items(devices.get("config") or [], _MOST_CONFIGS, config, where.child("config"))
    if allocation.get("nodeSelector") is not None:
        found += placement.node_selector(allocation["nodeSelector"], path.child("nodeSelector"))
    return found


def _result(result: Object, known: set[str], path: Path) -> Errors:
    return dra.reference(result.get("request", ""), known, path.child("request")) + _named(result, path)


def _named(device: Object, path: Path) -> Errors:
    """Driver, pool, device, and the share of it."""
    found = dra.driver_name(device.get("driver", ""), path.child("driver"))
    found += resource_slices.pool_name(device.get("pool", ""), path.child("pool"))
    name = device.get("device", "")
    found += values.all_of(path.child("device"), name, content.dns_label(name))
    share: Any = device.get("shareID")
    if share is not None and _UUID.fullmatch(share) is None:
        found.append(field.invalid(path.child("shareID"), share, _NOT_NORMAL))
    return found


def _device(device: Object, given: set[str], path: Path) -> Errors:
    found = _named(device, path)
    if _identity(device) not in given:
        found.append(field.invalid(path, _identity(device), _NOT_ITS_DEVICE))
    conditions = device.get("conditions") or []
    if len(conditions) > _MOST_DEVICES_CONDITIONS:
        found.append(field.too_many(path.child("conditions"), len(conditions), _MOST_DEVICES_CONDITIONS))
    return found + (dra.raw(device["data"], path.child("data")) if device.get("data") is not None else [])
