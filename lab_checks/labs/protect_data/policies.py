"""Lab 09-protect-data: who may reach the model by the NetworkPolicies, and whom those reach that need little."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.engine.observe import named, see, shown
from lab_checks.engine.verdict import Seen
from lab_checks.judging import words
from lab_checks.labs.protect_data import callers, network
from lab_checks.labs.protect_data.network import End

API = "ai-log-summary-api"
PORT = 8080
TOOLS = "on-call-tools"
# Any address outside the cluster (documentation range, RFC 5737).
_OUTSIDE = "203.0.113.10"


def all_of(ctx: Context) -> list[Object]:
    return ctx.api.list("networkpolicies")


def _told(policies: list[Object]) -> tuple[Seen, ...]:
    rows = [see(each, "spec", {key: value for key, value in each["spec"].items() if key != "policyTypes"}) for each in policies]
    return tuple(rows[:3]) or (Seen(f"namespace/{NAMESPACE}", "networkpolicies", "none"),)


def way_in(ctx: Context, api: Object) -> None:
    """Closed for every Pod of the namespace, and the model's port open for the tools alone."""
    policies, namespaces = all_of(ctx), ctx.api.list("namespaces")
    model = network.of_pod(api, namespaces)
    told = _told(policies)
    if not network.isolating(policies, model, "Ingress"):
        raise words.fail(ctx, "not-isolated", see(api, "metadata.labels", api["metadata"].get("labels")), *told)
    tools = network.of_pod(callers.pod_of(ctx, "on-call", TOOLS), namespaces)
    tomorrow = network.in_namespace("on-call", {"app": TOOLS}, namespaces)
    if not network.lets_in(policies, tools, model, PORT):
        raise words.fail(ctx, "tools-locked-out", Seen("namespace/on-call", "labels", shown(tools.namespace)), *told, credit=0.3)
    if not network.lets_in(policies, tomorrow, model, PORT):
        raise words.fail(ctx, "by-address", *told, credit=0.3)
    named_ports = [port for port, protocol in network.ports(network.isolating(policies, model, "Ingress")) if protocol == "TCP"]
    for who, stranger in _strangers(ctx, namespaces):
        if any(network.lets_in(policies, stranger, model, port) for port in (PORT, *named_ports)):
            raise words.fail(ctx, "stranger-let-in", Seen(who, "labels", shown(stranger.labels)), *told, credit=0.4, who=who)
    if any(network.lets_in(policies, tools, model, port) for port in (PORT + 1, *named_ports) if port != PORT):
        raise words.fail(ctx, "every-port", *told, credit=0.6)
    newcomer = network.in_namespace(NAMESPACE, {"app": "new-model"}, namespaces)
    if not network.isolating(policies, newcomer, "Ingress"):
        raise words.fail(ctx, "next-pod-open", *told, credit=0.6)
    if network.lets_in(policies, network.in_namespace("research", {}, namespaces), newcomer, PORT):
        raise words.fail(ctx, "next-pod-open", *told, credit=0.6)
    callers_of_model = [("the tools", tools), *_strangers(ctx, namespaces)]
    open_ports = {PORT, *(port for port, _ in network.ports(network.isolating(policies, newcomer, "Ingress")))}
    for who, caller in callers_of_model:
        if any(network.lets_in(policies, caller, newcomer, port) for port in open_ports):
            raise words.fail(ctx, "next-pod-reached", *told, credit=0.6, who=who)


def _strangers(ctx: Context, namespaces: list[Object]) -> list[tuple[str, End]]:
    """Those who call now and are not meant to, and some who may come."""
    here = [("research", "notebook"), ("on-call", "billing"), (NAMESPACE, "prompt-playground")]
    found = [(f"deployment {name} in {where}", network.of_pod(callers.pod_of(ctx, where, name), namespaces)) for where, name in here]
    coming = [
        ("a Pod in a new namespace that calls itself on-call-tools", network.in_namespace("tomorrow", {"app": TOOLS})),
        ("a Pod of ai-platform that calls itself on-call-tools", network.in_namespace(NAMESPACE, {"app": TOOLS}, namespaces)),
        ("a Pod of namespace default", network.in_namespace("default", {}, namespaces)),
        ("a Pod of namespace kube-system", network.in_namespace("kube-system", {}, namespaces)),
        ("an address outside the cluster", End({}, {}, _OUTSIDE)),
    ]
    return [*found, *coming]


def way_out(ctx: Context, api: Object, collector: Object) -> None:
    """The collector reaches the resolver and the model and nothing else; the model reaches nothing."""
    policies, namespaces = all_of(ctx), ctx.api.list("namespaces")
    told = _told(policies)
    model, source = network.of_pod(api, namespaces), network.of_pod(collector, namespaces)
    if not network.isolating(policies, source, "Egress"):
        raise words.fail(ctx, "collector-open", see(collector, "metadata.labels", collector["metadata"].get("labels")), *told)
    if not network.lets_out(policies, source, network.RESOLVER, 53, "UDP"):
        tcp = network.lets_out(policies, source, network.RESOLVER, 53)
        raise words.fail(ctx, "dns-by-tcp-alone" if tcp else "dns-forgotten", *told, credit=0.1)
    if not network.lets_out(policies, source, model, PORT):
        raise words.fail(ctx, "model-out-of-reach", *told, credit=0.1)
    if not network.lets_in(policies, source, model, PORT):
        raise words.fail(ctx, "model-lets-nobody-in", *told, credit=0.1)
    for who, target, port, protocol in (
        ("drop-box in research", network.in_namespace("research", {"app": "drop-box"}, namespaces, address="10.9.9.9"), 8000, "TCP"),
        ("an address outside the cluster", End({}, {}, _OUTSIDE), 443, "TCP"),
        ("port 53 of any address", End({}, {}, _OUTSIDE), 53, "UDP"),
        ("other Pods of kube-system", network.in_namespace("kube-system", {"app": "gpu-device-plugin"}, namespaces), 9400, "TCP"),
        ("other ports of the resolver", network.RESOLVER, 9153, "TCP"),
        ("other ports of the model", model, PORT + 1, "TCP"),
        ("other Pods of ai-platform", network.in_namespace(NAMESPACE, {"app": "new-model"}, namespaces), PORT, "TCP"),
    ):
        if network.lets_out(policies, source, target, port, protocol):
            raise words.fail(ctx, "collector-reaches-more", *told, credit=0.5, who=who, port=port)
    for who, target, port, protocol in _named(network.isolating(policies, source, "Egress"), model, namespaces):
        if network.lets_out(policies, source, target, port, protocol):
            raise words.fail(ctx, "collector-reaches-more", *told, credit=0.5, who=who, port=port)
    if not network.isolating(policies, model, "Egress"):
        raise words.fail(ctx, "model-not-isolated", see(api, "metadata.labels", api["metadata"].get("labels")), *told, credit=0.6)
    for who, target, port, protocol in (
        ("the resolver", network.RESOLVER, 53, "UDP"),
        ("drop-box in research", network.in_namespace("research", {"app": "drop-box"}, namespaces, address="10.9.9.9"), 8000, "TCP"),
        ("an address outside the cluster", End({}, {}, _OUTSIDE), 443, "TCP"),
        (named(collector), source, PORT, "TCP"),
    ):
        if network.lets_out(policies, model, target, port, protocol):
            raise words.fail(ctx, "model-reaches", *told, credit=0.6, who=who, port=port)
    for each in network.isolating(policies, model, "Egress"):
        if each["spec"].get("egress"):
            raise words.fail(
                ctx, "model-has-a-rule", see(each, "spec.egress", each["spec"]["egress"]), credit=0.6, name=each["metadata"]["name"]
            )


def _named(policies: list[Object], model: End, namespaces: list[Object]) -> list[tuple[str, End, int, str]]:
    """(who, where, port, protocol) of everything that the collector need not reach, at each port that its policies name."""
    anybody = [
        ("an address outside the cluster", End({}, {}, _OUTSIDE)),
        *((f"the addresses {cidr}", End({}, {}, cidr.partition("/")[0])) for cidr in network.blocks(policies, "Egress")),
        *(
            (f"other Pods of {each['metadata']['name']}", network.in_namespace(each["metadata"]["name"], {"app": "new"}, namespaces))
            for each in namespaces
        ),
        ("other ports of the resolver", network.RESOLVER),
        ("other ports of the model", model),
    ]
    needed = {
        ("other ports of the resolver", 53, "UDP"),
        ("other ports of the resolver", 53, "TCP"),
        ("other ports of the model", PORT, "TCP"),
    }
    found = [(who, target, *port) for who, target in anybody for port in network.ports(policies)]
    return [each for each in found if (each[0], each[2], each[3]) not in needed]
