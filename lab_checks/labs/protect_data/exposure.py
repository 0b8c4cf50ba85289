"""Lab 09-protect-data: every way that leads to the model, read from Services, Ingresses and namespaces."""

from __future__ import annotations

from collections.abc import Iterable

from kubeobjects import Object
from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.judging import answers
from lab_checks.judging.sheet import Blank, names, number

_NAMESPACES = (NAMESPACE, "on-call", "research")


def services(ctx: Context, deployment: Object) -> dict[str, Object]:
    """The Services of the namespace that lead to the Deployment's Pods."""
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    found = ctx.api.list("services", NAMESPACE)
    return {
        each["metadata"]["name"]: each
        for each in found
        if each["spec"].get("selector") and each["spec"]["selector"].items() <= labels.items()
    }


def ingresses(ctx: Context, behind: dict[str, Object]) -> list[tuple[str, Object]]:
    """(host, Ingress) of each rule whose backend is one of these Services."""
    return [
        (rule.get("host", ""), each)
        for each in ctx.api.list("ingresses", NAMESPACE)
        for rule in each["spec"].get("rules") or []
        if any(path["backend"].get("service", {}).get("name") in behind for path in (rule.get("http") or {}).get("paths") or [])
    ]


def _node_ports(found: Iterable[Object]) -> set[int]:
    return {port["nodePort"] for each in found for port in each["spec"].get("ports") or [] if port.get("nodePort")}


def blanks(ctx: Context, deployment: Object) -> list[Blank]:
    known = [each["metadata"]["name"] for each in ctx.api.list("services", NAMESPACE)]
    behind = services(ctx, deployment)
    ports = _node_ports(behind.values())
    others = _node_ports(ctx.api.list("services", NAMESPACE)) - ports
    rules = ingresses(ctx, behind)
    hosts = {host for host, _ in rules}
    open_now = any((each.get("status", {}).get("loadBalancer") or {}).get("ingress") for _, each in rules)
    return [
        names(
            "namespaces", _NAMESPACES, "every namespace of the three from which a Pod gets an answer of the model, if it asks by the right name",
            f"kubectl -n research exec deployment/notebook -- python3 -c …, with http://ai-log-summary-api.{NAMESPACE}:8080/ready",
            known=_NAMESPACES, kind="namespace", missing="one more: a name that is not found keeps out nobody who knows the whole name",
        ),
        names(
            "services", behind, "every Service that has the model's Pod behind it", f"kubectl -n {NAMESPACE} get services -o wide; get endpoints",
            known=known, kind="service", told="{} selects other Pods".format,
        ),
        number(
            "node_port", lambda given: given in ports, "the port of every node that leads to the model", f"kubectl -n {NAMESPACE} get services",
            told=lambda given: "that port leads to other Pods" if given in others else "a port of the Service or of the Pod; the nodes' port is another",
        ),
        Blank(
            "host", answers.word, lambda given: given.rstrip("/").removeprefix("http://").removeprefix("https://") in hosts,
            "the host name under which an Ingress would offer the model", f"kubectl -n {NAMESPACE} get ingress, and describe ingress: Backends",
            told=lambda _given: "that host leads elsewhere", form="one host name is asked for",
        ),
        Blank(
            "answers_now", lambda said: answers.choice(said, ("yes", "no")), "yes" if open_now else "no",
            "yes or no: does anything serve that Ingress today?", f"kubectl -n {NAMESPACE} get ingress: CLASS and ADDRESS; kubectl get ingressclasses",
            told={"yes": "no controller acts on it here: it is an object without an ADDRESS", "no": "it has an ADDRESS: a controller acts on it"},
            form="yes or no is asked for",
        ),
    ]  # fmt: skip
