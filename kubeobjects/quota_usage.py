"""What one object uses of a quota: counts, compute resources and storage (pkg/quota/v1/evaluator)."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable
from datetime import UTC, datetime, timedelta

from kubeobjects import Object, meta, podresources, qos, quantity
from kubeobjects.resource_names import is_huge_page, is_native

Amounts = dict[str, str]

_COMPUTE = ("cpu", "memory", "ephemeral-storage")
# A quota on these makes every container say what it needs; on others it does not.
_DEMANDED = {"cpu", "memory", "requests.cpu", "requests.memory", "limits.cpu", "limits.memory"}
_POD_RESOURCES = {"pods", *_COMPUTE, *(f"{part}.{name}" for part in ("requests", "limits") for name in _COMPUTE)}
# Kinds that have been counted by their bare name since before there was count/.
_BARE = ("configmaps", "secrets", "replicationcontrollers", "resourcequotas", "services", "persistentvolumeclaims")
_CLASS_SUFFIX = ".storageclass.storage.k8s.io/"
_DEVICES_SUFFIX = ".deviceclass.resource.k8s.io/devices"
# AllocationResultsMaxSize: so many devices may a request for all get.
_MOST_DEVICES = 32
_CLASS_ANNOTATION = "volume.beta.kubernetes.io/storage-class"


def watched(resource: str, hard: Amounts) -> set[str]:
    """Which of the quota's names the objects of `resource` (`pods`, `jobs.batch`) count against."""
    return {name for name in hard if _source(name) == resource}


def _source(name: str) -> str | None:
    """The resource whose objects use `name`."""
    if name.startswith("count/"):
        return name.removeprefix("count/")
    if name in _POD_RESOURCES or is_huge_page(name) or name.startswith("requests.hugepages-"):
        return "pods"
    if name in ("services.nodeports", "services.loadbalancers"):
        return "services"
    if name == "requests.storage" or _CLASS_SUFFIX in name:
        return "persistentvolumeclaims"
    if name.endswith(_DEVICES_SUFFIX):
        return "resourceclaims.resource.k8s.io"
    if name in _BARE:
        return name
    if name.startswith("requests.") and not is_native(name):
        return "pods"
    return None


def sources(hard: Amounts, served: Container[str]) -> set[str]:
    """The resources that have to be counted for a quota: those of `served` whose objects use something that it names."""
    return {source for source in map(_source, hard) if source is not None and source in served}


def used(quota: Object, served: Container[str], objects: Callable[[str], Iterable[Object]]) -> Amounts:
    """What is in use of everything that the quota limits. `objects` gives all of one resource in the quota's namespace."""
    hard: Amounts = (quota.get("spec") or {}).get("hard") or {}
    uses = [of(source, each) for source in sources(hard, served) for each in objects(source) if in_scope(quota, source, each)]
    return {name: quantity.add(*(use[name] for use in uses if name in use)) for name in hard}


def of(resource: str, obj: Object) -> Amounts:
    """What `obj` uses, by the names that quotas have for it."""
    used: Amounts = {f"count/{resource}": "1"}
    if resource == "pods":
        if not _has_ended(obj):
            used |= _of_amounts(podresources.requests(obj), podresources.limits(obj)) | {"pods": "1"}
    elif resource == "services":
        used |= _of_service(obj.get("spec") or {})
    elif resource == "persistentvolumeclaims":
        used |= _of_claim(obj)
    elif resource == "resourceclaims.resource.k8s.io":
        used |= _of_resource_claim(obj)
    elif resource in _BARE:
        used[resource] = "1"
    return used


def _of_amounts(requests: Amounts, limits: Amounts) -> Amounts:
    used: Amounts = {}
    for name, amount in requests.items():
        if name in _COMPUTE or is_huge_page(name):
            used[name] = used[f"requests.{name}"] = amount
        elif not is_native(name) and not name.startswith("requests."):
            used[f"requests.{name}"] = amount
    return used | {f"limits.{name}": amount for name, amount in limits.items() if name in _COMPUTE}


def _of_service(spec: Object) -> Amounts:
    kind, ports = spec.get("type"), spec.get("ports") or []
    used: Amounts = {"services": "1", "services.nodeports": "0", "services.loadbalancers": "0"}
    if kind == "NodePort":
        used["services.nodeports"] = str(len(ports))
    elif kind == "LoadBalancer":
        used["services.loadbalancers"] = "1"
        if spec.get("allocateLoadBalancerNodePorts", True):
            used["services.nodeports"] = str(len(ports))
    return used


def _of_claim(obj: Object) -> Amounts:
    spec = obj.get("spec") or {}
    used: Amounts = {"persistentvolumeclaims": "1"}
    annotated = (obj["metadata"].get("annotations") or {}).get(_CLASS_ANNOTATION)
    storage_class = annotated or spec.get("storageClassName")
    if storage_class:
        used[f"{storage_class}{_CLASS_SUFFIX}persistentvolumeclaims"] = "1"
    size = ((spec.get("resources") or {}).get("requests") or {}).get("storage")
    if size is not None:
        used["requests.storage"] = size
        if storage_class:
            used[f"{storage_class}{_CLASS_SUFFIX}requests.storage"] = size
    return used


def _of_resource_claim(obj: Object) -> Amounts:
    """Devices by class; of alternatives the one counts that asks for most."""
    used: dict[str, int] = {}
    for request in ((obj.get("spec") or {}).get("devices") or {}).get("requests") or []:
        most: dict[str, int] = {}
        for each in [request["exactly"]] if request.get("exactly") else request.get("firstAvailable") or []:
            name = f"{each.get('deviceClassName', '')}{_DEVICES_SUFFIX}"
            count = _MOST_DEVICES if each.get("allocationMode") == "All" else each.get("count", 0)
            most[name] = max(most.get(name, 0), count)
        for name, count in most.items():
            used[name] = used.get(name, 0) + count
    return {name: str(count) for name, count in used.items()}


def _has_ended(pod: Object) -> bool:
    """A Pod that has run to its end, or whose time to go has passed, holds no compute resources."""
    if (pod.get("status") or {}).get("phase") in ("Succeeded", "Failed"):
        return True
    metadata = pod["metadata"]
    if not metadata.get("deletionTimestamp") or metadata.get("deletionGracePeriodSeconds") is None:
        return False
    # The deletion timestamp already lies the grace period ahead; the quota waits as long again.
    deadline = meta.parse_time(metadata["deletionTimestamp"]) + timedelta(seconds=metadata["deletionGracePeriodSeconds"])
    return datetime.now(UTC) > deadline


def unspecified(resource: str, names: set[str], obj: Object) -> dict[str, set[str]]:
    """Containers that do not say what they need of a resource that the quota demands, by the quota's name for it."""
    demanded = names & _DEMANDED
    if resource != "pods" or not demanded:
        return {}
    spec = obj["spec"]
    whole = spec.get("resources") or {}
    if whole:
        demanded -= _of_amounts(whole.get("requests") or {}, whole.get("limits") or {}).keys()
    missing: dict[str, set[str]] = {}
    for field in ("containers", "initContainers"):
        for container in spec.get(field) or []:
            given = container.get("resources") or {}
            said = _of_amounts(given.get("requests") or {}, given.get("limits") or {})
            for name in demanded - said.keys():
                missing.setdefault(name, set()).add(container.get("name", ""))
    return missing


def in_scope(quota: Object, resource: str, obj: Object) -> bool:
    """Whether every scope of the quota takes the object in."""
    spec = quota.get("spec") or {}
    wanted = [{"scopeName": scope, "operator": "Exists"} for scope in spec.get("scopes") or []]
    wanted += (spec.get("scopeSelector") or {}).get("matchExpressions") or []
    if not wanted:
        return True
    return resource == "pods" and all(_matches(selector, obj) for selector in wanted)


def _matches(selector: Object, pod: Object) -> bool:
    spec, scope = pod["spec"], selector.get("scopeName")
    if scope in ("Terminating", "NotTerminating"):
        return (spec.get("activeDeadlineSeconds") is not None) == (scope == "Terminating")
    if scope in ("BestEffort", "NotBestEffort"):
        return (qos.qos_class(spec) == "BestEffort") == (scope == "BestEffort")
    if scope == "PriorityClass":
        name, values = spec.get("priorityClassName") or "", selector.get("values") or []
        operator = selector.get("operator")
        return {
            "Exists": bool(name),
            "DoesNotExist": not name,
            "In": name in values,
            "NotIn": name not in values,
        }.get(operator or "", False)
    if scope == "CrossNamespacePodAffinity":
        return _crosses_namespaces(spec.get("affinity") or {})
    return False


def _crosses_namespaces(affinity: Object) -> bool:
    for name in ("podAffinity", "podAntiAffinity"):
        part = affinity.get(name) or {}
        terms = list(part.get("requiredDuringSchedulingIgnoredDuringExecution") or [])
        terms += [each.get("podAffinityTerm") or {} for each in part.get("preferredDuringSchedulingIgnoredDuringExecution") or []]
        if any(term.get("namespaces") or term.get("namespaceSelector") is not None for term in terms):
            return True
    return False
