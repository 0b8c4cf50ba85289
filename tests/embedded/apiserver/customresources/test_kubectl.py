"""Real kubectl with custom resources."""

from __future__ import annotations

from kubeobjects import Object

from ..test_kubectl import Kubectl, kubectl  # noqa: F401 (a fixture)
from .conftest import definition

SCHEMA: Object = {
    "type": "object",
    "required": ["model"],
    "properties": {
        "model": {"type": "string", "description": "What it serves."},
        "gpus": {"type": "integer", "default": 1, "maximum": 8},
        "env": {"type": "array", "items": {"type": "object", "properties": {"name": {"type": "string"}}}},
    },
}


def widget(spec: Object) -> Object:
    return {"apiVersion": "example.com/v1", "kind": "Widget", "metadata": {"name": "a", "namespace": "default"}, "spec": spec}


async def test_the_life_of_a_custom_resource(kubectl: Kubectl) -> None:  # noqa: F811
    body = definition(SCHEMA, subresources={"scale": {"specReplicasPath": ".spec.gpus", "statusReplicasPath": ".status.gpus"}})
    body["spec"]["names"] |= {"shortNames": ["wd"], "categories": ["toys"]}
    assert (await kubectl("apply", "-f", "-", stdin=body)).code == 0
    waited = await kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=10s")
    assert waited.out == "customresourcedefinition.apiextensions.k8s.io/widgets.example.com condition met\n"
    explained = await kubectl("explain", "widget.spec.env")
    assert "FIELD: env <[]Object>" in explained.out
    listed = (await kubectl("api-resources", "--api-group=example.com", "--no-headers")).out.split()
    assert listed == ["widgets", "wd", "example.com/v1", "true", "Widget"]
    assert (await kubectl("apply", "-f", "-", stdin=widget({"model": "x"}))).out == "widget.example.com/a created\n"
    changed = await kubectl("diff", "-f", "-", stdin=widget({"model": "second"}))
    assert (changed.code, "+  model: second" in changed.out) == (1, True)
    assert (await kubectl("apply", "-f", "-", stdin=widget({"model": "second"}))).out == "widget.example.com/a configured\n"
    assert (await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=widget({"model": "z"}))).code == 0
    assert (await kubectl("scale", "wd", "a", "--replicas=3")).out == "widget.example.com/a scaled\n"
    shown = await kubectl("get", "toys", "-o", "jsonpath={.items[0].spec}")
    assert shown.out == '{"gpus":3,"model":"z"}'
    assert (await kubectl("label", "wd", "a", "x=y")).out == "widget.example.com/a labeled\n"
    refused = await kubectl("patch", "wd", "a", "--type=merge", "-p", '{"spec":{"gpus":9}}')
    assert "spec.gpus in body should be less than or equal to 8" in refused.err
    missing = await kubectl("apply", "-f", "-", stdin={**widget({}), "metadata": {"name": "b", "namespace": "default"}})
    assert 'The Widget "b" is invalid: spec.model: Required value' in missing.err
    assert (await kubectl("delete", "wd", "a")).out == 'widget.example.com "a" deleted from default namespace\n'
    assert (await kubectl("delete", "crd", "widgets.example.com")).code == 0
    assert (await kubectl("get", "crd")).err == "No resources found\n"


async def test_roles_name_custom_resources(kubectl: Kubectl) -> None:  # noqa: F811
    assert (await kubectl("apply", "-f", "-", stdin=definition(SCHEMA))).code == 0
    await kubectl("wait", "--for=condition=Established", "crd/widgets.example.com", "--timeout=10s")
    who = ("--as=mira", "-n", "default")
    assert (await kubectl("get", "widgets", *who)).code == 1
    await kubectl("create", "role", "reader", "--verb=get,list", "--resource=widgets.example.com")
    await kubectl("create", "rolebinding", "reader", "--role=reader", "--user=mira")
    assert (await kubectl("get", "widgets", *who)).err == "No resources found in default namespace.\n"
    assert (await kubectl("auth", "can-i", "delete", "widgets.example.com", *who)).out == "no\n"
