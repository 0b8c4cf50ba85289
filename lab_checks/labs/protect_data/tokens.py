"""Lab 09-protect-data: the API's tokens, as they stand in Secrets, as the server says which are valid, and as the callers meet them."""

from __future__ import annotations

import base64
import hashlib
import re

from kubeobjects import Object
from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.engine.observe import named, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import guards, unchanged, words
from lab_checks.labs.protect_data import callers
from lab_checks.labs.protect_data.policies import PORT, TOOLS

# Letters and digits of a token: 20 of 64 kinds are 120 bits.
_LEAST_LENGTH = 20
_LEAST_KINDS = 8
# So many characters in a row of the old token are a part of it, and no accident.
_RUN = 8
_VALID = re.compile(r'^model_api_token_valid\{token="(\w+)"\} 1', re.M)


def fingerprint(token: str) -> str:
    """How the server's log and metrics name a token: images/model_server, access.py."""
    return hashlib.sha256(token.encode()).hexdigest()[:8]


def value(ctx: Context, secret: str, key: str, namespace: str = NAMESPACE) -> str:
    """What stands under a key of a Secret; empty where there is none."""
    found = ctx.api.get("secrets", secret, namespace) or {}
    return base64.b64decode((found.get("data") or {}).get(key, "")).decode(errors="replace").strip()


def valid(ctx: Context, pod: Object) -> set[str]:
    """The fingerprints of the tokens that the server lets in now; not yet while it says nothing."""
    text = ctx.api.through("pods", f"{pod['metadata']['name']}:{PORT}", NAMESPACE, "metrics")
    if not text:
        raise words.wait(ctx, "no-metrics", Seen(named(pod), "GET :8080/metrics", "no answer"))
    return set(_VALID.findall(text))


def known(ctx: Context) -> list[str]:
    """The tokens in the server's file, one a line, without its comments."""
    lines = [line.strip() for line in value(ctx, "model-api-tokens", "tokens").splitlines()]
    return [line for line in lines if line and not line.startswith("#")]


def rotated(ctx: Context) -> tuple[str, str]:
    """The old token and the new one, where the Secrets hold the new one alone and it is one that nobody guesses."""
    old = value(ctx, "copied-from-a-chat", "token", "research")
    given = known(ctx)
    own = value(ctx, "model-api-token", "token", "on-call")
    server = Seen("secret/model-api-tokens", "tokens", ", ".join(map(fingerprint, given)) or "none")
    tools = Seen("secret/model-api-token in on-call", "token", fingerprint(own) if own else "none")
    seen = (Seen("secret/copied-from-a-chat in research", "token", fingerprint(old)), server, tools)
    if old in given and own == old:
        told = "one-added" if len(given) > 1 else "still-the-old"
        raise words.idle(ctx, told, *seen, credit=0.2 if len(given) > 1 else 0.0)
    if own not in given:
        raise words.fail(ctx, "tools-token-unknown", *seen, credit=0.2)
    if old in given:
        raise words.idle(ctx, "old-still-valid", *seen, credit=0.6)
    if len(own) < _LEAST_LENGTH or len(set(own)) < _LEAST_KINDS or _shares_a_run(old, own):
        raise words.fail(ctx, "weak-token", *seen, Seen("token", "length", str(len(own))), length=_LEAST_LENGTH)
    if len(set(given)) > 1:
        raise words.fail(ctx, "one-too-many", *seen, credit=0.6)
    return old, own


def _shares_a_run(old: str, new: str) -> bool:
    return any(old[first : first + _RUN] in new for first in range(len(old) - _RUN + 1))


def nobody_was_refused(ctx: Context) -> Seen:
    """Every call of the tools since their first answer was answered, by the Pod that called at the start."""
    pod = callers.pod_of(ctx, "on-call", TOOLS)
    before = {row["uid"] for row in ctx.baseline["pods"]["on-call"].values()}
    if pod["metadata"]["uid"] not in before:
        raise words.fail(ctx, "tools-restarted", Seen(named(pod), "metadata.creationTimestamp", pod["metadata"]["creationTimestamp"]))
    rows = callers.calls(ctx, "on-call", TOOLS)
    first = next((number for number, row in enumerate(rows) if row.outcome == "200"), len(rows))
    failed = [row for row in rows[first:] if row.outcome != "200"]
    if failed:
        raise words.fail(
            ctx, "refused-in-between", Seen(f"log of {named(pod)}", failed[0].url, f"{failed[0].outcome}, {len(failed)} times"), credit=0.4
        )
    return Seen(f"log of {named(pod)}", "calls answered", f"{len(rows) - first} of {len(rows) - first}")


def as_a_file(ctx: Context, deployment: Object) -> str:
    """The server's tokens come out of a file of the Secret's, and out of no variable. Returns the file's path."""
    spec, server = deployment["spec"]["template"]["spec"], guards.server_container(deployment)
    variables = guards.variables(server)
    for name, row in variables.items():
        if (row.get("valueFrom") or {}).get("secretKeyRef") or name == "API_TOKENS":
            untouched = unchanged.nothing_done(ctx)
            told = words.idle if untouched else words.fail
            raise told(
                ctx,
                "still-in-the-environment",
                see(deployment, f"containers[model-server].env[{name}]", row.get("valueFrom") or "a value"),
                name=name,
            )
    if any("secretRef" in each for each in server.get("envFrom") or []):
        raise words.fail(ctx, "still-in-the-environment", see(deployment, "containers[model-server].envFrom", "secretRef"), name="envFrom")
    path = variables.get("API_TOKENS_FILE", {}).get("value", "")
    if not path:
        raise words.fail(ctx, "asks-for-no-token", see(deployment, "containers[model-server].env[API_TOKENS_FILE]", None), credit=0.2)
    mounts = {each["mountPath"].rstrip("/"): each for each in server.get("volumeMounts") or []}
    mount = next((each for folder, each in mounts.items() if path == folder or path.startswith(f"{folder}/")), None)
    seen = see(deployment, "containers[model-server].env[API_TOKENS_FILE]", path)
    if mount is None:
        raise words.fail(ctx, "no-such-file", seen, see(deployment, "volumeMounts", sorted(mounts)), credit=0.3)
    if mount.get("subPath") or mount.get("subPathExpr"):
        raise words.fail(ctx, "sub-path", see(deployment, "volumeMounts", f"{mount['mountPath']} subPath"), credit=0.4)
    volume = next(each for each in spec.get("volumes") or [] if each["name"] == mount["name"])
    sources = [volume.get("secret") or {}, *(source.get("secret") or {} for source in (volume.get("projected") or {}).get("sources") or [])]
    if not any("model-api-tokens" in (each.get("secretName"), each.get("name")) for each in sources):
        raise words.fail(ctx, "another-source", see(deployment, f"volumes[{volume['name']}]", volume), credit=0.3)
    if more := [each["name"] for each in spec.get("volumes") or [] if each["name"] != mount["name"]]:
        raise words.fail(ctx, "more-volumes", see(deployment, "volumes", more), credit=0.4, name=more[0])
    return path
