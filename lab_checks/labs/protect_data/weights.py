"""Lab 09-protect-data: where the model's weights come from, who checked that they are the ones, and whether they can be written to."""

from __future__ import annotations

import re

from kubeobjects import Object
from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.engine.observe import named, see
from lab_checks.engine.verdict import Seen
from lab_checks.judging import guards, words
from lab_checks.labs.protect_data.policies import PORT

_LOADED = re.compile(r'^model_weights_info\{sha256="(\w+)"\} 1', re.M)
_VOLUME = "weights"


def card(ctx: Context) -> dict[str, str]:
    data: dict[str, str] = ctx.need("configmaps", "model-card")["data"]
    return data


def _resolved(ctx: Context, container: Object, name: str) -> str:
    """The value of a variable, out of the ConfigMap that it refers to where it does."""
    found = guards.variables(container).get(name) or {}
    reference = (found.get("valueFrom") or {}).get("configMapKeyRef")
    if reference:
        return str(((ctx.get("configmaps", reference["name"]) or {}).get("data") or {}).get(reference["key"], ""))
    return str(found.get("value", ""))


def pinned(ctx: Context, deployment: Object) -> None:
    """The template names the release's digest and its own path in the store, and mounts the weights read-only for the server."""
    spec = deployment["spec"]["template"]["spec"]
    server, wanted = guards.server_container(deployment), card(ctx)["sha256"]
    fetch: Object = next((each for each in spec.get("initContainers") or [] if each["name"] == "fetch-weights"), {})
    url, digest = _resolved(ctx, fetch, "WEIGHTS_URL"), _resolved(ctx, server, "MODEL_SHA256").lower().removeprefix("sha256:")
    seen_url = see(deployment, "initContainers[fetch-weights].env[WEIGHTS_URL]", url)
    seen_digest = see(deployment, "containers[model-server].env[MODEL_SHA256]", digest or "<none>")
    if not digest and "/latest/" in url:
        raise words.idle(ctx, "nothing-pinned", seen_url, seen_digest)
    if not digest:
        raise words.fail(ctx, "not-checked", seen_digest, credit=0.3)
    reference = ((guards.variables(server)["MODEL_SHA256"].get("valueFrom") or {}).get("configMapKeyRef")) or {}
    if reference.get("optional"):
        raise words.fail(ctx, "checked-if-there", see(deployment, "containers[model-server].env[MODEL_SHA256]", reference), credit=0.3)
    if digest != wanted:
        raise words.fail(ctx, "another-digest", seen_digest, Seen("configmap/model-card", "sha256", wanted), credit=0.2)
    if not url.endswith(f"/{card(ctx)['file']}"):
        raise words.fail(ctx, "moving-path", seen_url, Seen("configmap/model-card", "file", card(ctx)["file"]), credit=0.4)
    mounts = server.get("volumeMounts") or []
    # The folder could be mounted a second time, at another path.
    if not all(each.get("readOnly") for each in mounts if each["name"] == _VOLUME) or not any(each["name"] == _VOLUME for each in mounts):
        raise words.fail(ctx, "weights-writable", see(deployment, "containers[model-server].volumeMounts", mounts), credit=0.6)


def loaded(ctx: Context, pod: Object) -> Seen:
    """The running server says that it loaded the release's file."""
    text = ctx.api.through("pods", f"{pod['metadata']['name']}:{PORT}", NAMESPACE, "metrics")
    if not text:
        raise words.wait(ctx, "no-metrics", Seen(named(pod), "GET :8080/metrics", "no answer"))
    found = _LOADED.search(text)
    seen = Seen(named(pod), "model_weights_info sha256", found[1] if found else "none")
    if not found or found[1] != card(ctx)["sha256"]:
        raise words.wait(ctx, "another-file-loaded", seen)
    return seen
