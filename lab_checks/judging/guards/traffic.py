"""The Service: closed to the outside, as it was, and with every Ready Pod behind it."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen, fail, wait
from lab_checks.judging.guards.workloads import same_object


def service_kept(ctx: Context, name: str, *, keep_selector: bool = True) -> Object:
    """The Service that the exercise laid, of type ClusterIP, with its ports and, unless it is the exercise, its selector."""
    service = same_object(ctx, "services", name)
    before = ctx.baseline["namespaces"][ctx.namespace]["services"][name]["spec"]
    now = service["spec"]
    if now.get("type") != "ClusterIP":
        raise fail(
            f"the Service became a {now.get('type')}",
            see(service, "spec.type", now.get("type")),
            expected="ClusterIP: opening it to the outside changes nothing about who stands behind it",
            next="set the type back to ClusterIP",
        )
    for key in ("ports", "publishNotReadyAddresses", *(("selector",) if keep_selector else ())):
        if now.get(key) != before.get(key):
            raise fail(
                f"the {key} of the Service changed", see(service, f"spec.{key}", now.get(key)), expected="the Service as it was",
                next=f"ai-lab reset {ctx.exercise.key}",
            )  # fmt: skip
    return service


def listed(ctx: Context, service: str, pods: list[Object]) -> list[str]:
    """The addresses behind the Service; not yet while one of the Pods is missing there."""
    found = ctx.get("endpoints", service) or {}
    addresses = sorted({each["ip"] for part in found.get("subsets") or [] for each in part.get("addresses") or []})
    if any(pod["status"].get("podIP") not in addresses for pod in pods):
        raise wait(
            "the Service does not list the Pod yet", Seen(f"endpoints/{service}", "addresses", ", ".join(addresses) or "<none>"),
            expected="every Ready Pod", next=f"kubectl -n {ctx.namespace} get endpoints {service}",
        )  # fmt: skip
    return addresses
