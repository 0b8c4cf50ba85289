"""The level of Pod Security that a namespace enforces, and whether the model server's Pod is created under it."""

from __future__ import annotations

from kubeobjects import Object
from lab_checks.engine.context import Context
from lab_checks.engine.observe import see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import requests, words
from lab_checks.judging.requests import ALLOWED, Request
from lab_checks.labs.guardrails import access
from lab_checks.labs.guardrails.access import AI_PLATFORM

ENFORCE = "pod-security.kubernetes.io/enforce"


def enforced(ctx: Context) -> None:
    """The namespace enforces some level; which one it is the requests show."""
    namespace = ctx.api.get("namespaces", AI_PLATFORM) or {}
    labels = namespace.get("metadata", {}).get("labels") or {}
    if ENFORCE not in labels:
        raise words.idle(ctx, "only-warns", Seen(f"namespace/{AI_PLATFORM}", "labels", ", ".join(sorted(labels))))


def server_passes(ctx: Context, deployment: Object) -> None:
    """A Pod of the Deployment's template is let in now: one that runs since before the label proves nothing."""
    template = deployment["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "try", "labels": template["metadata"]["labels"]},
        "spec": template["spec"],
    }
    mira = access.table().people["mira"]
    answer = requests.send(ctx.api, Request(mira, "a Pod of the template", f"create pods in {AI_PLATFORM}", ALLOWED, pod))
    if not answer.allowed:
        end = words.wait if requests.is_new(ctx) else words.fail
        raise end(ctx, "server-refused", see(deployment, "spec.template, created now", answer.message))
