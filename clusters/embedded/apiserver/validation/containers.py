"""Containers of a Pod spec: ordinary ones, init containers (sidecars among them) and ephemeral ones."""

from __future__ import annotations

from clusters.embedded.apiserver.validation import content, field, mounts, probes, resources, security, values
from clusters.embedded.apiserver.validation.env import env, env_from
from clusters.embedded.apiserver.validation.field import Errors, Path
from kubeobjects import Object

_PROTOCOLS = ("SCTP", "TCP", "UDP")
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
_RESTARTS = ("Always", "OnFailure", "Never")
_RESIZED = ("cpu", "memory")
_RESIZE_POLICIES = ("NotRequired", "RestartContainer")
# In the order of the Go struct, which is the order of the messages.
_NOT_FOR_EPHEMERAL = ("ports", "resources", "resizePolicy", "livenessProbe", "readinessProbe", "startupProbe", "lifecycle")


class PodContext:
    """What the rules for one container need to know about its Pod."""

    def __init__(self, spec: Object, known_volumes: dict[str, Object], *, is_pod: bool):
        self.volumes = known_volumes
        self.restart_policy = spec.get("restartPolicy", "")
        self.grace = spec.get("terminationGracePeriodSeconds")
        self.claims = {claim.get("name", "") for claim in spec.get("resourceClaims") or []} - {""}
        self.is_pod = is_pod


def _ports(ports: list[Object], path: Path) -> Errors:
    found: Errors = []
    names: set[str] = set()
    for index, port in enumerate(ports):
        where, name = path[index], port.get("name")
        if name:
            reasons = content.port_name(name)
            if reasons:
                found += values.all_of(where.child("name"), name, reasons)
            elif name in names:
                found.append(field.duplicate(where.child("name"), name))
            else:
                names.add(name)
        if not port.get("containerPort"):
            found.append(field.required(where.child("containerPort")))
        else:
            found += values.port_number(port["containerPort"], where.child("containerPort"))
        if port.get("hostPort"):
            found += values.port_number(port["hostPort"], where.child("hostPort"))
        found += values.choice(port.get("protocol"), where.child("protocol"), _PROTOCOLS)
    return found


def _host_port_conflicts(containers: list[Object], path: Path, seen: set[str] | None = None) -> Errors:
    found: Errors = []
    seen = set() if seen is None else seen
    for number, container in enumerate(containers):
        for index, port in enumerate(container.get("ports") or []):
            if not port.get("hostPort"):
                continue
            taken = f"{port.get('protocol', '')}/{port.get('hostIP', '')}/{port['hostPort']}"
            if taken in seen:
                found.append(field.duplicate(path[number].child("ports")[index].child("hostPort"), taken))
            seen.add(taken)
    return found


def _resize_policy(policies: list[Object], restart_policy: str, path: Path) -> Errors:
    found: Errors = []
    seen: set[str] = set()
    for index, policy in enumerate(policies):
        resource = policy.get("resourceName", "")
        if resource in seen:
            found.append(field.duplicate(path[index], resource))
        seen.add(resource)
        found += values.choice(resource, path, _RESIZED)
        found += values.choice(policy.get("restartPolicy"), path, _RESIZE_POLICIES)
        if restart_policy == "Never" and policy.get("restartPolicy") != "NotRequired":
            found.append(field.invalid(path, policy.get("restartPolicy"), "must be 'NotRequired' when `restartPolicy` is 'Never'"))
    return found


def _claims(container: Object, context: PodContext, path: Path) -> Errors:
    found: Errors = []
    for index, claim in enumerate((container.get("resources") or {}).get("claims") or []):
        where, name = path.child("resources", "claims")[index], claim.get("name", "")
        if not name:
            found.append(field.required(where))
        elif name not in context.claims:
            known = f": {', '.join(sorted(context.claims))}" if context.claims else " which is empty"
            found.append(field.not_found(where, name, f"must be one of the names in pod.spec.resourceClaims{known}"))
    return found


def _common(container: Object, context: PodContext, path: Path) -> Errors:
    found: Errors = []
    name = container.get("name", "")
    if not name:
        found.append(field.required(path.child("name")))
    else:
        found += values.all_of(path.child("name"), name, content.dns_label(name))
    if not container.get("image"):
        found.append(field.required(path.child("image")))
    policies = ("File", "FallbackToLogsOnError")
    found += values.choice(container.get("terminationMessagePolicy"), path.child("terminationMessagePolicy"), policies)
    found += _ports(container.get("ports") or [], path.child("ports"))
    found += env(container.get("env") or [], path.child("env"))
    found += env_from(container.get("envFrom") or [], path.child("envFrom"))
    found += mounts.mounts(container, context.volumes, path)
    found += values.choice(container.get("imagePullPolicy"), path.child("imagePullPolicy"), ("Always", "IfNotPresent", "Never"))
    found += resources.requirements(container.get("resources") or {}, path.child("resources"))
    found += _claims(container, context, path)
    found += _resize_policy(container.get("resizePolicy") or [], context.restart_policy, path.child("resizePolicy"))
    return found + security.container(container.get("securityContext"), path.child("securityContext"))


def _with_handlers(container: Object, context: PodContext, path: Path) -> Errors:
    found = probes.lifecycle(container.get("lifecycle"), context.grace, path.child("lifecycle"))
    for kind in _PROBES:
        found += probes.probe(kind, container.get(kind), context.grace, path.child(kind))
    return found


def _padded_image(containers: list[Object], path: Path) -> Errors:
    found: Errors = []
    for index, container in enumerate(containers):
        image = container.get("image", "")
        if image != image.strip():
            found.append(field.invalid(path[index].child("image"), image, "must not have leading or trailing whitespace"))
    return found


def containers(items: list[Object], context: PodContext, path: Path) -> Errors:
    if not items:
        return [field.required(path)]
    found: Errors = []
    names: set[str] = set()
    for index, container in enumerate(items):
        where = path[index]
        found += _common(container, context, where)
        name = container.get("name", "")
        if name in names:
            found.append(field.duplicate(where.child("name"), name))
        names.add(name)
        found += _with_handlers(container, context, where)
        if container.get("restartPolicy") is not None and container["restartPolicy"] not in _RESTARTS:
            found.append(field.not_supported(where.child("restartPolicy"), container["restartPolicy"], _RESTARTS))
    return found + _host_port_conflicts(items, path)


def init_containers(items: list[Object], ordinary: list[Object], context: PodContext, path: Path) -> Errors:
    found: Errors = []
    names = {each.get("name") for each in ordinary}
    for index, container in enumerate(items):
        where, name = path[index], container.get("name", "")
        found += _common(container, context, where)
        policy = container.get("restartPolicy")
        if policy is not None and policy not in _RESTARTS:
            found.append(field.not_supported(where.child("restartPolicy"), policy, _RESTARTS))
        if name in names:
            found.append(field.duplicate(where.child("name"), name))
        elif name:
            names.add(name)
        # Init containers run one after the other, so only the ports of one can collide.
        found += _host_port_conflicts([container], path)
        if policy == "Always":
            found += _with_handlers(container, context, where)
            continue
        for kind in ("lifecycle", *_PROBES):
            if container.get(kind) is not None:
                found.append(field.forbidden(where.child(kind), "may not be set for init containers without restartPolicy=Always"))
    return found


def ephemeral_containers(items: list[Object], spec: Object, context: PodContext, path: Path) -> Errors:
    found: Errors = []
    others = {each.get("name") for name in ("containers", "initContainers") for each in spec.get(name) or []}
    names = set(others)
    refused = "cannot be set for an Ephemeral Container"
    for index, container in enumerate(items):
        where, name = path[index], container.get("name", "")
        found += _common(container, context, where) + _padded_image([container], path)
        if name in names:
            found.append(field.duplicate(where.child("name"), name))
        names.add(name)
        target = container.get("targetContainerName")
        if target and target not in others:
            found.append(field.not_found(where.child("targetContainerName"), target))
        found += [field.forbidden(where.child(each), refused) for each in _NOT_FOR_EPHEMERAL if container.get(each)]
        for number, mount in enumerate(container.get("volumeMounts") or []):
            for each in ("subPath", "subPathExpr"):
                if mount.get(each):
                    found.append(field.forbidden(where.child("volumeMounts")[number].child(each), refused))
    return found


def only_for_pods(spec: Object, path: Path) -> Errors:
    """What is refused in a Pod and let through in a template."""
    found: Errors = []
    for name in ("containers", "initContainers"):
        found += _padded_image(spec.get(name) or [], path.child(name))
    return found
