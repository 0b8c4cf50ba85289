"""The cluster addresses of Services (pkg/registry/core/service/storage/alloc.go), of a cluster that has IPv4 only.

Addresses come from 10.96.0.0/16. What is taken is read off the stored Services: nothing has to be kept in step.
"""

from __future__ import annotations

import ipaddress
import random
from collections.abc import Iterable

from clusters.embedded.apiserver.validation import field, service_addresses
from clusters.embedded.apiserver.validation.field import Errors, Path
from clusters.embedded.errors import invalid
from kubeobjects import Object

SERVICE_RANGE = ipaddress.IPv4Network("10.96.0.0/16")
# Addresses that kubeadm gives to fixed Services, free for whoever asks for them by name.
_RESERVED = frozenset({"10.96.0.1", "10.96.0.10"})
# The lower band of the range is left to those who choose for themselves (ServiceIPStaticSubrange).
_STATIC = 256
_SPEC = Path("spec")


def taken_by(services: Iterable[Object]) -> set[str]:
    return {ip for each in services for ip in each["spec"].get("clusterIPs") or [] if ip != "None"}


def set_families(obj: Object) -> None:
    """initIPFamilyFields: policy and families as the addresses have it. Raises ApiError 422 where they do not fit each other."""
    spec = obj["spec"]
    if spec.get("type") == "ExternalName":
        return
    bare = spec.get("clusterIP") == "None" and not spec.get("selector")
    if spec.get("ipFamilyPolicy") is None:
        spec["ipFamilyPolicy"] = "RequireDualStack" if bare else "SingleStack"
    _refuse(obj, service_addresses.related(spec))
    policy, ips = spec["ipFamilyPolicy"], spec.get("clusterIPs") or []
    families = spec.setdefault("ipFamilies", [])
    _refuse(obj, _too_many(policy, ips, families) + _families_of(ips, families))
    if bare:
        if not families:
            families.append("IPv4")
        if len(families) < 2 and policy != "SingleStack":
            families.append("IPv6" if families[0] == "IPv4" else "IPv4")
        return
    found: Errors = []
    if policy == "RequireDualStack":
        found.append(field.invalid(_SPEC.child("ipFamilyPolicy"), policy, "this cluster is not configured for dual-stack services"))
    for index, family in enumerate(families):
        if family != "IPv4":
            found.append(field.invalid(_SPEC.child("ipFamilies")[index], family, "not configured on this cluster"))
    _refuse(obj, found)
    if not families:
        families.append("IPv4")


def _too_many(policy: str, ips: list[str], families: list[str]) -> Errors:
    if policy != "SingleStack":
        return []
    found: Errors = []
    where, either = _SPEC.child("ipFamilyPolicy"), "must be 'RequireDualStack' or 'PreferDualStack' when multiple"
    if len(ips) == 2:
        found.append(field.invalid(where, policy, f"{either} cluster IPs are specified"))
    if len(families) == 2:
        found.append(field.invalid(where, policy, f"{either} IP families are specified"))
    return found


def _families_of(ips: list[str], families: list[str]) -> Errors:
    """Adds the family of each address that has none yet."""
    found: Errors = []
    for index, ip in enumerate(ips):
        if ip == "None":
            break
        if index >= len(families):
            if ":" in ip:
                found.append(field.invalid(_SPEC.child("clusterIPs")[index], ips, "IPv6 is not configured on this cluster"))
            else:
                families.append("IPv4")
    return found


def allocate(obj: Object, taken: set[str]) -> None:
    """The address that is asked for, or a free one. Raises ApiError 422 where it cannot be had."""
    spec = obj["spec"]
    asked = next(iter(spec.get("clusterIPs") or []), "")
    if spec.get("type") == "ExternalName" or asked == "None":
        return
    if asked:
        why = _why_not(asked, taken)
        if why:
            _refuse(obj, [field.invalid(_SPEC.child("clusterIPs"), spec["clusterIPs"], why)])
    spec["clusterIP"] = asked or _free(taken)
    spec["clusterIPs"] = [spec["clusterIP"]]


def _why_not(asked: str, taken: set[str]) -> str:
    address = ipaddress.ip_address(asked)
    if address not in SERVICE_RANGE or address in (SERVICE_RANGE.network_address, SERVICE_RANGE.broadcast_address):
        if not isinstance(address, ipaddress.IPv4Address):
            return f"the provided network does not match the current range, the range of valid IPs is {SERVICE_RANGE}"
        why = f"the provided IP ({asked}) is not in the valid range. The range of valid IPs is {SERVICE_RANGE}"
        return f"failed to allocate IP {asked}: {why}"
    return f"failed to allocate IP {asked}: provided IP is already allocated" if asked in taken else ""


def _free(taken: set[str]) -> str:
    first = int(SERVICE_RANGE.network_address)
    dynamic = range(first + _STATIC + 1, first + SERVICE_RANGE.num_addresses - 1)
    for number in random.sample(dynamic, len(taken) + len(_RESERVED) + 1):
        candidate = str(ipaddress.IPv4Address(number))
        if candidate not in taken and candidate not in _RESERVED:
            return candidate
    raise AssertionError("more candidates were drawn than addresses are taken")


def _refuse(obj: Object, causes: Errors) -> None:
    if causes:
        raise invalid("Service", "", obj["metadata"].get("name", ""), causes)
