"""What is stored and has no effect is told to whoever creates it."""

from __future__ import annotations

import pytest

from clusters.embedded.apiserver import effects
from clusters.embedded.resources import by_name
from kubeobjects import Object

from .conftest import Http

ADMISSION = "/apis/admissionregistration.k8s.io/v1"
CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
HOOK = {
    "name": "a.example.com",
    "sideEffects": "None",
    "admissionReviewVersions": ["v1"],
    "clientConfig": {"url": "https://example.com/a"},
    "failurePolicy": "Fail",
}
CRD: Object = {
    "metadata": {"name": "models.example.com"},
    "spec": {
        "group": "example.com",
        "scope": "Namespaced",
        "names": {"plural": "models", "kind": "Model"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": {"type": "object"}}}],
    },
}
REFUSED = [
    (f"{ADMISSION}/validatingwebhookconfigurations", {"metadata": {"name": "w"}, "webhooks": [HOOK]}, "calls no admission webhooks"),
    (f"{ADMISSION}/mutatingwebhookconfigurations", {"metadata": {"name": "w"}, "webhooks": [HOOK]}, "calls no admission webhooks"),
    (CRDS, CRD, "serves no custom resources"),
]


@pytest.mark.parametrize(("path", "body", "words"), REFUSED)
async def test_what_would_fail_in_silence_is_refused(http: Http, path: str, body: Object, words: str) -> None:
    name = body["metadata"]["name"]
    created = await http("POST", path, body)
    assert (created.status, created.body["reason"]) == (422, "Invalid")
    assert words in created.body["message"]
    group, plural = path.split("/")[2], path.split("/")[-1]
    typed = {"apiVersion": f"{group}/v1", "kind": by_name()[f"{plural}.{group}"].kind, **body}
    applied = await http("PATCH", f"{path}/{name}?fieldManager=m", typed, Content_Type="application/apply-patch+yaml")
    assert (applied.status, words in applied.body["message"]) == (422, True)
    assert (await http("GET", f"{path}/{name}")).status == 404
    # Whether it is valid can still be asked.
    assert (await http("POST", f"{path}?dryRun=All", body)).status == 201


async def test_a_configuration_without_webhooks_has_nothing_to_call(http: Http) -> None:
    path = f"{ADMISSION}/validatingwebhookconfigurations"
    assert (await http("POST", path, {"metadata": {"name": "w"}, "webhooks": []})).status == 201


@pytest.mark.parametrize(
    ("path", "body", "words"),
    [
        (
            "/apis/networking.k8s.io/v1/namespaces/default/networkpolicies",
            {"metadata": {"name": "n"}, "spec": {"podSelector": {}}},
            "does not enforce them",
        ),
        (
            f"{ADMISSION}/validatingadmissionpolicies",
            {
                "metadata": {"name": "p"},
                "spec": {
                    "matchConstraints": {
                        "resourceRules": [{"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["pods"]}]
                    },
                    "validations": [{"expression": "true"}],
                },
            },
            "does not evaluate them",
        ),
    ],
)
async def test_what_has_no_effect_is_stored_with_a_warning(http: Http, path: str, body: Object, words: str) -> None:
    reply = await http("POST", path, body)
    assert reply.status == 201
    assert words in reply.headers["Warning"]
    assert (await http("GET", f"{path}/{body['metadata']['name']}")).status == 200


def test_every_kind_that_is_told_of_is_served() -> None:
    assert {*effects._REFUSED, *effects._WARNED} <= {*by_name()}
