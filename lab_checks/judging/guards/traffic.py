"""The Service: closed to the outside, as it was, and with every Ready Pod behind it."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen, fail, wait


def selects_every_pod(ctx: Context, service: Object, deployment: Object) -> None:
    """The Service selects by labels that the Deployment's template carries, and so the Pods of its next rollout too."""
    selector, labels = service["spec"].get("selector") or {}, deployment["spec"]["template"]["metadata"].get("labels") or {}
    if selector and selector.items() <= labels.items():
        return
    passing = "pod-template-hash" in selector
    raise fail(
        "the Service finds the Pod until its next rollout, and no longer" if passing else "the Service selects no Pod of the API",
        see(service, "spec.selector", selector or "<none>"),
        see(deployment, "spec.template.metadata.labels", labels),
        expected="labels that every Pod of the API carries, those of its next rollout too: the ones in the Deployment's template",
        next=f"kubectl -n {ctx.namespace} get pods --show-labels",
    )


def listed_behind_service(ctx: Context, service: str, pods: list[Object]) -> list[str]:
    """The addresses behind the Service; not yet while one of the Pods is missing there."""
    found = ctx.get("endpoints", service) or {}
    addresses = sorted({each["ip"] for part in found.get("subsets") or [] for each in part.get("addresses") or []})
    if any(pod["status"].get("podIP") not in addresses for pod in pods):
        raise wait(
            "the Service does not list the Pod yet", Seen(f"endpoints/{service}", "addresses", ", ".join(addresses) or "<none>"),
            expected="every Ready Pod", next=f"kubectl -n {ctx.namespace} get endpoints {service}",
        )  # fmt: skip
    return addresses
