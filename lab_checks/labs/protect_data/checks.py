"""Lab 09-protect-data: the checks. Who reaches a model, with what in hand, and what is written down on the way.

What may change is in lab.toml. Where callers run, the last word is theirs: a policy, a token or a Secret is judged by what comes back to them.
"""

from __future__ import annotations

from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.engine.observe import named, see
from lab_checks.engine.registry import exercise
from lab_checks.engine.verdict import Seen, Verdict, passed
from lab_checks.judging import answers, guards, sheet, unchanged, words
from lab_checks.labs.protect_data import account, callers, exposure, hints, orders, policies, prompts, rights, tokens, weights
from lab_checks.labs.protect_data.policies import API, TOOLS

LAB = "09-protect-data"
REFUSED = "timed out"
# Importing the hints registers them.
__all__ = ["hints"]


@exercise(f"{LAB}/four-callers")
def four_callers(ctx: Context) -> Verdict:
    """Nothing in but the tools."""
    unchanged.required(ctx)
    if not ctx.api.list("networkpolicies", NAMESPACE):
        raise words.idle(ctx, "no-policy", Seen(f"namespace/{NAMESPACE}", "networkpolicies", "none"))
    pod = guards.running_and_ready(ctx, ctx.deployment(API))[0]
    policies.way_in(ctx, pod)
    served = callers.end_in(ctx, "on-call", TOOLS, "200")
    strangers = [
        callers.end_in(ctx, *each, REFUSED) for each in (("research", "notebook"), ("on-call", "billing"), (NAMESPACE, "prompt-playground"))
    ]
    return passed("the tools are served, and nobody else reaches the model", served, *strangers)


@exercise(f"{LAB}/way-out")
def way_out(ctx: Context) -> Verdict:
    """A collector that finds the model and reaches nothing else, and a model that reaches nothing."""
    unchanged.required(ctx)
    if unchanged.nothing_done(ctx):
        row = callers.calls(ctx, NAMESPACE, "log-collector", tail=1)
        raise words.idle(
            ctx,
            "as-on-friday",
            Seen("log of deployment/log-collector", row[-1].url if row else "calls", row[-1].outcome if row else "none"),
        )
    pod = guards.running_and_ready(ctx, ctx.deployment(API))[0]
    policies.way_out(ctx, pod, callers.pod_of(ctx, NAMESPACE, "log-collector"))
    served = callers.end_in(ctx, NAMESPACE, "log-collector", "200", about=API)
    closed = callers.end_in(ctx, NAMESPACE, "log-collector", REFUSED, about="drop-box")
    return passed("the collector reaches the model by its name and nothing else, and the model reaches nothing", served, closed)


@exercise(f"{LAB}/leaked-token")
def leaked_token(ctx: Context) -> Verdict:
    """Another token for the tools, the old one refused, and not one of their calls refused on the way."""
    unchanged.required(ctx)
    old, own = tokens.rotated(ctx)
    pod = guards.running_and_ready(ctx, ctx.deployment(API))[0]
    answered = tokens.nobody_was_refused(ctx)
    now = tokens.valid(ctx, pod)
    seen = Seen(named(pod), "model_api_token_valid", ", ".join(sorted(now)) or "none")
    if tokens.fingerprint(old) in now or tokens.fingerprint(own) not in now:
        raise words.wait(ctx, "server-reads-later", seen)
    served = callers.end_in(ctx, "on-call", TOOLS, "200")
    refused = callers.end_in(ctx, "research", "notebook", "401")
    return passed("the old token is worth nothing, and no call of the tools was refused on the way", seen, answered, served, refused)


@exercise(f"{LAB}/since-monday")
def since_monday(ctx: Context) -> Verdict:
    """The release's weights, checked by digest at every load, from a path that does not move, read-only."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    weights.pinned(ctx, deployment)
    pod = guards.running_and_ready(ctx, deployment)[0]
    guards.made_from_template(ctx, deployment)
    seen = weights.loaded(ctx, pod)
    told = {
        weights.card(ctx)["version"]: "that is the release that was meant",
        "v1": "that is the image's version; the line on the weights has another",
        "latest": "that is where it was fetched; the file says itself which version it is",
    }
    blank = sheet.Blank(
        "version", answers.word, "v3", "the version of the weights that were loaded on Monday, as the server's log named it",
        f"ai-lab reset {ctx.exercise.key}, then kubectl -n {NAMESPACE} logs deployment/{API} | grep 'weights read'", told=told,
        form="one word is asked for",
    )  # fmt: skip
    sheet.judge(ctx, [blank], done=0.6)
    return passed(
        "the model loads the file that its card names, and no other",
        seen,
        see(deployment, "containers[model-server].volumeMounts", "readOnly"),
    )


@exercise(f"{LAB}/shell-in-the-pod")
def shell_in_the_pod(ctx: Context) -> Verdict:
    """A server in whose container there is nothing to find."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    if unchanged.nothing_done(ctx):
        raise words.idle(
            ctx,
            "demo-week-goes-on",
            see(deployment, "serviceAccountName", deployment["spec"]["template"]["spec"].get("serviceAccountName")),
        )
    account.nothing_to_ask(ctx, deployment, lambda name: rights.rules(ctx, name))
    account.hardened(ctx, deployment)
    pod = guards.running_and_ready(ctx, deployment)[0]
    guards.made_from_template(ctx, deployment)
    guards.listed_behind_service(ctx, API, [pod])
    mounted = [each["name"] for each in pod["spec"].get("volumes") or [] if "projected" in each]
    if mounted:
        raise words.wait(ctx, "pod-still-has-a-token", see(pod, "volumes", mounted))
    return passed(
        "the server runs as nobody, asks nobody, and writes nowhere",
        see(pod, "serviceAccountName", pod["spec"].get("serviceAccountName")),
        see(pod, "volumes", mounted),
    )


@exercise(f"{LAB}/who-calls")
def who_calls(ctx: Context) -> Verdict:
    """Every way to the model, found and left as it is."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    sheet.judge(ctx, exposure.blanks(ctx, deployment), begin=f"kubectl -n {NAMESPACE} get services,endpoints,ingress -o wide")
    behind = exposure.services(ctx, deployment)
    hosts = [host for host, _ in exposure.ingresses(ctx, behind)]
    return passed(
        "every way to the model is found",
        Seen("services", "with the model behind them", ", ".join(sorted(behind))),
        Seen("ingresses", "hosts", ", ".join(hosts)),
    )


@exercise(f"{LAB}/customer-in-the-log")
def customer_in_the_log(ctx: Context) -> Verdict:
    """Nothing of a prompt is written down, each request can be found again, and the archive forgets in time."""
    unchanged.required(ctx)
    secrets = prompts.planted(ctx)
    deployment = ctx.deployment(API)
    prompts.setting(ctx, deployment)
    pod = guards.running_and_ready(ctx, deployment)[0]
    guards.made_from_template(ctx, deployment)
    clean = prompts.logs_are_clean(ctx, secrets)
    kept = prompts.archive(ctx, prompts.vocabulary(ctx))
    return passed("the log finds a request again and gives no word of it away", clean, kept, see(pod, "env[LOG_PROMPTS]", "size"))


@exercise(f"{LAB}/env-shows-it")
def env_shows_it(ctx: Context) -> Verdict:
    """The token as a file; and who reaches it all the same."""
    unchanged.required(ctx)
    deployment = ctx.deployment(API)
    path = tokens.as_a_file(ctx, deployment)
    pod = guards.running_and_ready(ctx, deployment)[0]
    guards.made_from_template(ctx, deployment)
    own = tokens.fingerprint(tokens.value(ctx, "model-api-token", "token", "on-call"))
    now = tokens.valid(ctx, pod)
    if own not in now:
        raise words.fail(ctx, "file-without-token", Seen(named(pod), "model_api_token_valid", ", ".join(sorted(now)) or "none"), credit=0.4)
    known = rights.accounts(ctx)
    given = {name: rights.rules(ctx, name) for name in known}
    kinds = {"by_api": rights.reads_secrets, "by_exec": rights.runs_commands, "by_pod": rights.runs_pods}
    asks = {
        "by_api": "every account of the namespace that reads the Secret from the API server",
        "by_exec": "every account that can start a program in the running container, where the file lies",
        "by_pod": "every account that can have a Pod made, which mounts the Secret",
    }
    look = "kubectl auth can-i --list --as=system:serviceaccount:ai-platform:NAME -n ai-platform"
    blanks = [
        sheet.names(
            name,
            [each for each in known if may(given[each])],
            asks[name],
            look,
            known=known,
            kind="account",
            told="{} may not do that".format,
        )
        for name, may in kinds.items()
    ]
    sheet.judge(ctx, blanks, done=0.5)
    served = callers.end_in(ctx, "on-call", TOOLS, "200")
    return passed(
        "the token is a file of the server's, and it is known who reaches it", see(deployment, "env[API_TOKENS_FILE]", path), served
    )


@exercise(f"{LAB}/line-with-orders")
def line_with_orders(ctx: Context) -> Verdict:
    """Who wrote the order, who passed it on, who obeyed it; and an account that could not have carried it out."""
    unchanged.required(ctx)
    given = rights.rules(ctx, orders.ACCOUNT)
    sheet.judge(ctx, orders.blanks(ctx), begin=f"kubectl -n {NAMESPACE} logs deployment/gateway")
    orders.reads_and_no_more(ctx, given)
    orders.nobody_else_gained(ctx)
    return passed(
        "the line is somebody's text, and whoever reads it may change nothing", Seen("account assistant", "rules", str(len(given)))
    )
