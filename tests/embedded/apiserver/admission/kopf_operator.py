"""An operator for kopf: it refuses what has no team, and completes what has no size. Run by `kopf run`."""

import os
from typing import Any

import kopf


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: Any) -> None:
    chain, authority = os.environ["WEBHOOK_CERTIFICATE"], os.environ["WEBHOOK_AUTHORITY"]
    settings.admission.server = kopf.WebhookServer(addr="127.0.0.1", host="127.0.0.1", certfile=chain, pkeyfile=chain, cafile=authority)
    settings.admission.managed = "operators.example.com"


@kopf.on.mutate("configmaps", operations=["CREATE"])
def complete(body: kopf.Body, patch: kopf.Patch, warnings: list[str], **_: Any) -> None:
    if "size" not in body.get("data", {}):
        patch.setdefault("data", {})["size"] = "small"
        warnings.append("no size was given: small it is")


@kopf.on.validate("configmaps", operations=["CREATE", "UPDATE"])
def check(body: kopf.Body, **_: Any) -> None:
    if "team" not in body.get("data", {}):
        raise kopf.AdmissionError("name a team", code=403)
