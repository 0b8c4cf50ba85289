"""Validation of ResourceSlices (resource/validation)."""

from __future__ import annotations

import re

from clusters.embedded.apiserver.validation import content, dra, field, metadata, placement, request_policies, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object
from kubeobjects.equality import same

_SPEC = Path("spec")
_MOST_DEVICES = 128
_MOST_ADVANCED_DEVICES = 64
_MOST_TAINTS = 16
_MOST_ATTRIBUTES = 32
_MOST_COUNTER_SETS = 8
_MOST_COUNTERS = 32
_MOST_CONSUMPTIONS = 2
_MOST_CONDITIONS = 4
_LONGEST_VALUE = 64
_NUMBER, _PRERELEASE = r"(0|[1-9]\d*)", r"(0|[1-9]\d*|\d*[a-zA-Z-][0-9a-zA-Z-]*)"
_VERSION = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}(-{_PRERELEASE}(\.{_PRERELEASE})*)?(\+[0-9a-zA-Z-]+(\.[0-9a-zA-Z-]+)*)?", re.ASCII)
_PLACED_BY_SLICE = (
    "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec"
)
_PLACED_BY_DEVICE = (
    "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when "
    "`perDeviceNodeSelection` is set to true in the ResourceSlice spec"
)
_PLACES = ("nodeName", "nodeSelector", "allNodes", "perDeviceNodeSelection")
_PLACE = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required"
_KINDS = ("bool", "int", "string", "version", "bools", "ints", "strings", "versions")


def resource_slice(obj: Object) -> Errors:
    spec = obj.get("spec") or {}
    found = dra.driver_name(spec.get("driver", ""), _SPEC.child("driver"))
    found += _pool(spec.get("pool") or {}, _SPEC.child("pool")) + _place(spec)
    if spec.get("sharedCounters") is not None and spec.get("devices") is not None:
        found.append(field.invalid(_SPEC, "", "only one of `sharedCounters` or `devices` is allowed"))
    devices = spec.get("devices") or []
    advanced = any(each.get("taints") or each.get("consumesCounters") for each in devices)
    most = _MOST_ADVANCED_DEVICES if advanced else _MOST_DEVICES

    def device(each: Object, where: Path) -> Errors:
        return _device(each, where, bool(spec.get("perDeviceNodeSelection")))

    found += dra.items(devices, most, device, _SPEC.child("devices"), _name)
    return found + dra.items(spec.get("sharedCounters") or [], _MOST_COUNTER_SETS, _counter_set, _SPEC.child("sharedCounters"), _name)


def _name(named: Object) -> str:
    return str(named.get("name", ""))


def _counter_set(counters: Object, path: Path) -> Errors:
    return _counter_name(_name(counters), path.child("name")) + _counters(counters, path)


def _consumption(each: Object, path: Path) -> Errors:
    return _counter_name(each.get("counterSet", ""), path.child("counterSet")) + _counters(each, path)


def _counter_name(name: str, path: Path) -> Errors:
    return values.all_of(path, name, content.dns_label(name)) if name else [field.required(path)]


def _counters(holder: Object, path: Path) -> Errors:
    counters, where = holder.get("counters") or {}, path.child("counters")
    if not counters:
        return [field.required(where)]
    if len(counters) > _MOST_COUNTERS:
        return [field.too_many(where, len(counters), _MOST_COUNTERS)]
    return [error for name in sorted(counters) for error in values.all_of(where, name, content.dns_label(name))]


def pool_name(name: str, path: Path) -> Errors:
    if not name:
        return [field.required(path)]
    found = [field.too_long(path, content.SUBDOMAIN_LENGTH)] if len(name.encode()) > content.SUBDOMAIN_LENGTH else []
    return found + [error for part in name.split("/") for error in values.all_of(path, part, content.dns_subdomain(part))]


def _pool(pool: Object, path: Path) -> Errors:
    found = pool_name(pool.get("name", ""), path.child("name"))
    found += values.positive(pool.get("resourceSliceCount", 0), path.child("resourceSliceCount"))
    return found + values.nonnegative(pool.get("generation", 0), path.child("generation"))


def _place(spec: Object) -> Errors:
    """Where the devices are: one of four ways to say it."""
    found: Errors = []
    given = [f"`{name}`" for name in _PLACES if spec.get(name)]
    node = spec.get("nodeName")
    if node is not None:
        where = _SPEC.child("nodeName")
        if node:
            found += values.all_of(where, node, content.dns_subdomain(node))
        else:
            found.append(field.invalid(where, node, "must be either unset or set to a non-empty string"))
    if spec.get("nodeSelector") is not None:
        where = _SPEC.child("nodeSelector")
        found += placement.node_selector(spec["nodeSelector"], where)
        terms = spec["nodeSelector"].get("nodeSelectorTerms") or []
        if len(terms) != 1:
            found.append(field.invalid(where.child("nodeSelectorTerms"), terms or None, "must have exactly one node selector term"))
    found += [field.invalid(_SPEC.child(name), False, "must be either unset or set to true") for name in _PLACES if spec.get(name) is False]
    if not given:
        found.append(field.required(_SPEC, _PLACE))
    elif len(given) > 1:
        found.append(field.invalid(_SPEC, f"{{{', '.join(given)}}}", f"{_PLACE}, but multiple fields are set"))
    return found


def _device(device: Object, path: Path, placed: bool) -> Errors:
    name = device.get("name", "")
    found = values.all_of(path.child("name"), name, content.dns_label(name))
    attributes, capacity = device.get("attributes") or {}, device.get("capacity") or {}
    total = len(attributes) + len(capacity)
    if total > _MOST_ATTRIBUTES:
        why = f"the total number of attributes and capacities must not exceed {_MOST_ATTRIBUTES}"
        found.append(field.invalid(path, total, why))
    for key, attribute in sorted(attributes.items()):
        where = path.child("attributes")
        found += dra.qualified_name(key, where) + _attribute(attribute or {}, where.key(key))
    for key, amount in sorted(capacity.items()):
        where = path.child("capacity")
        found += dra.qualified_name(key, where)
        if (amount or {}).get("requestPolicy") is None:
            continue
        if device.get("allowMultipleAllocations"):
            found += request_policies.policy(amount["requestPolicy"], amount.get("value", "0"), where.key(key).child("requestPolicy"))
        else:
            found.append(field.forbidden(where.key(key).child("requestPolicy"), "allowMultipleAllocations must be true"))
    found += dra.items(device.get("taints") or [], _MOST_TAINTS, _taint, path.child("taints"))
    consumed = device.get("consumesCounters") or []
    found += dra.items(
        consumed, _MOST_CONSUMPTIONS, _consumption, path.child("consumesCounters"), lambda each: str(each.get("counterSet", ""))
    )
    return found + _place_of(device, path, placed) + _binding_conditions(device, path)


def _place_of(device: Object, path: Path, placed: bool) -> Errors:
    """Where one device is, in a slice that says it for each."""
    node, selector, everywhere = (device.get(name) for name in ("nodeName", "nodeSelector", "allNodes"))
    if not placed:
        given = any(each is not None for each in (node, selector, everywhere))
        return [field.invalid(path, None, _PLACED_BY_SLICE)] if given else []
    found: Errors = []
    if node:
        found += values.all_of(path.child("nodeName"), node, content.dns_subdomain(node))
    elif node is not None:
        found.append(field.invalid(path.child("nodeName"), node, "must not be empty"))
    if selector is not None:
        found += placement.node_selector(selector, path.child("nodeSelector"))
    if everywhere is False:
        found.append(field.invalid(path.child("allNodes"), False, "must be either unset or set to true"))
    ways = [f"`{name}`" for name, given in (("nodeName", node), ("nodeSelector", selector is not None), ("allNodes", everywhere)) if given]
    if not ways:
        found.append(field.required(path, _PLACED_BY_DEVICE))
    elif len(ways) > 1:
        found.append(field.invalid(path, f"{{{', '.join(ways)}}}", _PLACED_BY_DEVICE))
    return found


def _binding_conditions(device: Object, path: Path) -> Errors:
    """What must become true of a device that is made ready late, and what says that it failed: both or neither."""
    good, bad = (device.get(name) or [] for name in ("bindingConditions", "bindingFailureConditions"))
    where, failed = path.child("bindingConditions"), path.child("bindingFailureConditions")
    found = dra.items(good, _MOST_CONDITIONS, metadata.label_name, where, str) + dra.items(
        bad, _MOST_CONDITIONS, metadata.label_name, failed, str
    )
    for index, each in enumerate(bad):
        if each in good:
            found.append(field.invalid(failed[index], each, "bindingFailureConditions must not overlap with bindingConditions"))
    if bad and not good:
        found.append(field.invalid(where, good or None, "bindingConditions are required to use bindingFailureConditions"))
    if good and not bad:
        found.append(field.invalid(failed, bad or None, "bindingFailureConditions are required to use bindingConditions"))
    return found


def _attribute(attribute: Object, path: Path) -> Errors:
    given = [name for name in _KINDS if attribute.get(name) is not None]
    found: Errors = []
    if "version" in given and _VERSION.fullmatch(attribute["version"]) is None:
        why = "must be a string compatible with semver.org spec 2.0.0"
        found.append(field.invalid(path.child("version"), attribute["version"], why))
    for name in ("string", "version"):
        if name in given and len(attribute[name].encode()) > _LONGEST_VALUE:
            found.append(field.too_long(path.child(name), _LONGEST_VALUE))
    if len(given) != 1:
        found.append(field.invalid(path, attribute if given else "", "exactly one value must be specified"))
    return found


def _taint(taint: Object, path: Path) -> Errors:
    found = metadata.label_name(taint.get("key", ""), path.child("key"))
    if taint.get("value"):
        found += values.all_of(path.child("value"), taint["value"], content.label_value(taint["value"]))
    effects = ("NoExecute", "NoSchedule", "None")
    return found + values.choice(taint.get("effect"), path.child("effect"), effects)


def resource_slice_update(new: Object, old: Object) -> Errors:
    """Driver, pool and node of a slice stay."""
    found: Errors = []
    spec, before = new.get("spec") or {}, old.get("spec") or {}
    for names in (("pool", "name"), ("driver",), ("nodeName",)):
        value, had = spec, before
        for name in names:
            value, had = (value or {}).get(name), (had or {}).get(name)
        if not same(value, had):
            found.append(field.invalid(_SPEC.child(*names), value, content.IMMUTABLE))
    return found
