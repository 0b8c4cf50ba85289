"""How the addresses of a Service fit each other (core/validation ValidateServiceClusterIPsRelatedFields)."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import field, values
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_SPEC = Path("spec")
_IPS = _SPEC.child("clusterIPs")
_FAMILIES = ("IPv4", "IPv6")
_POLICIES = ("PreferDualStack", "RequireDualStack", "SingleStack")


def headless(spec: Object) -> bool:
    return spec.get("clusterIPs") == ["None"]


def related(spec: Object) -> Errors:
    if spec.get("type") == "ExternalName":
        return []
    ips, families = spec.get("clusterIPs") or [], spec.get("ipFamilies") or []
    found = _singular(spec.get("clusterIP") or "", ips)
    for index, family in enumerate(families):
        where = _SPEC.child("ipFamilies")[index]
        if family not in _FAMILIES:
            found.append(field.not_supported(where, family, _FAMILIES))
        if family in families[:index]:
            found.append(field.duplicate(where, family))
    policy = spec.get("ipFamilyPolicy")
    if policy is not None and policy not in _POLICIES:
        found.append(field.not_supported(_SPEC.child("ipFamilyPolicy"), policy, _POLICIES))
    return found + _addresses(ips, families, bare=headless(spec))


def _singular(ip: str, ips: list[str]) -> Errors:
    if ip and not ips:
        return [field.required(_IPS)]
    if ip and ips[0] != ip:
        return [field.invalid(_IPS, ips, "first value must match `clusterIP`")]
    return [field.invalid(_IPS, ips, "must be empty when `clusterIP` is not specified")] if ips and not ip else []


def _addresses(ips: list[str], families: list[str], *, bare: bool) -> Errors:
    found: Errors = []
    unreadable = False
    for index, ip in enumerate(ips):
        if index == 0 and ip == "None":
            if len(ips) > 1:
                unreadable = True
                found.append(field.invalid(_IPS, ips, "'None' must be the first and only value"))
            continue
        refused = values.ip(ip, _IPS[index])
        unreadable = unreadable or bool(refused)
        found += refused
    if len(ips) > 2:
        found.append(field.invalid(_IPS, ips, "may only hold up to 2 values"))
    if unreadable:
        return found
    if len(ips) > 1 and len({":" in ip for ip in ips}) == 1:
        found.append(field.invalid(_IPS, ips, "may specify no more than one IP for each IP family"))
    for index, (ip, family) in enumerate(zip(ips, families, strict=False) if not bare else ()):
        if family in _FAMILIES and (":" in ip) != (family == "IPv6"):
            found.append(field.invalid(_IPS[index], ip, f"expected an {family} value as indicated by `ipFamilies[{index}]`"))
    return found
