"""Lab 09-protect-data: the first hint of each exercise: a question about what was not looked at or not done yet."""

from __future__ import annotations

from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.engine.registry import first_hint
from lab_checks.judging import guards
from lab_checks.labs.protect_data import network, orders, rights, tokens
from lab_checks.labs.protect_data.policies import API, TOOLS

_LAB = "09-protect-data"


@first_hint(f"{_LAB}/four-callers")
def who_gets_through(ctx: Context) -> str:
    policies = ctx.api.list("networkpolicies", NAMESPACE)
    if not policies:
        return "Each caller's log says what came back. What tells the one that is meant from the others: its own label, its namespace, or both?"
    namespaces = ctx.api.list("namespaces")
    model = network.in_namespace(NAMESPACE, {"app": API}, namespaces)
    if not network.isolating(policies, model, "Ingress"):
        return "There is a policy. Which Pods does its podSelector select, and which labels has the model's Pod?"
    if not network.lets_in(policies, network.in_namespace("on-call", {"app": TOOLS}, namespaces), model, 8080):
        return "The tools are kept out. In which namespace does a podSelector look that stands alone in from?"
    return "The tools are let in. Read each entry of from: who else fits it, in on-call, in research, or in ai-platform itself?"


@first_hint(f"{_LAB}/way-out")
def what_comes_first(ctx: Context) -> str:
    if not ctx.deeds.looked_at("pods/log"):
        return "What came back to the collector: no answer, a refusal, or no address? `kubectl -n ai-platform logs deployment/log-collector --tail=3`"
    policies = ctx.api.list("networkpolicies", NAMESPACE)
    collector = network.in_namespace(NAMESPACE, {"app": "log-collector"}, ctx.api.list("namespaces"))
    if not network.lets_out(policies, collector, network.RESOLVER, 53, "UDP"):
        return "Before it connects, a program asks for the address of a name. Which Pods answer that, on which port, and may the collector ask them?"
    return "The collector may ask for addresses. What may it reach besides, and what may the model reach: `kubectl -n ai-platform describe networkpolicy`?"


@first_hint(f"{_LAB}/leaked-token")
def which_step(ctx: Context) -> str:
    old = tokens.value(ctx, "copied-from-a-chat", "token", "research")
    own = tokens.value(ctx, "model-api-token", "token", "on-call")
    given = tokens.known(ctx)
    if own == old and len(given) < 2:
        return "Two sides have to change, and they cannot do it in the same moment. Which tokens does the server have to know in between?"
    if own == old:
        return "The server knows a second token. Has it read the file already (its log says so), and who has to change next?"
    if old in given:
        return "The tools have their new token. Does the server's log still show a request of theirs with the old one?"
    return "The Secrets are changed. Which fingerprints does the server's log name, and what did each caller get in between?"


@first_hint(f"{_LAB}/since-monday")
def who_vouches(ctx: Context) -> str:
    if not ctx.deeds.looked_at("pods/log"):
        return "Which version of the weights was read, and was it checked? `kubectl -n ai-platform logs deployment/ai-log-summary-api -c model-server`"
    if "MODEL_SHA256" not in guards.variables(guards.server_container(ctx.deployment(API))):
        return "The store hands out a file, and the model card has its digest. Which variable of the server makes it compare the two?"
    return "The digest is asked for. Which file is fetched (WEIGHTS_URL), and who may write to it afterwards?"


@first_hint(f"{_LAB}/shell-in-the-pod")
def what_is_found(ctx: Context) -> str:
    name = ctx.deployment(API)["spec"]["template"]["spec"].get("serviceAccountName") or "default"
    if rights.rules(ctx, name):
        return f"What may the account {name} do, and which binding gave it that? `kubectl -n ai-platform get rolebindings -o wide`"
    return "The account may do nothing. What is left in the container: a token, a user, a disk, capabilities? Look with kubectl exec."


@first_hint(f"{_LAB}/line-with-orders")
def who_may_act(ctx: Context) -> str:
    if not ctx.answers.get("client"):
        return "Who writes into a gateway's log: the gateway alone, or also its clients? Which part of a line is theirs?"
    if any(rights.writes(rights.rules(ctx, orders.ACCOUNT))):
        return "Suppose that an assistant believes the line. Under which account does it work, and what may that account do?"
    return "The account changes nothing. Which of the other answers is still open, and where is it read?"
