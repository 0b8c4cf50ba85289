"""Decoding bodies by the schema of their kind."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded import decoding
from clusters.embedded.errors import ApiError


def pod(**spec: Any) -> dict[str, Any]:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "main", "image": "i"}], **spec}}


def decode(body: dict[str, Any], strict: bool = True) -> tuple[dict[str, Any], list[str]]:
    return decoding.decode(body, body["apiVersion"], body["kind"], strict)


def test_an_unknown_field_is_dropped_and_named_with_its_whole_path() -> None:
    body = pod(containers=[{"name": "main", "image": "i"}, {"name": "other", "imgae": "i"}], nodeSelektor={"a": "b"})
    decoded, complaints = decode(body)
    assert complaints == ['unknown field "spec.containers[1].imgae"', 'unknown field "spec.nodeSelektor"']
    assert "nodeSelektor" not in decoded["spec"]
    assert decoded["spec"]["containers"][1] == {"name": "other"}


def test_nothing_is_said_of_unknown_fields_where_nobody_asked() -> None:
    decoded, complaints = decode(pod(typo=1), strict=False)
    assert complaints == []
    assert "typo" not in decoded["spec"]


def test_nulls_are_dropped_as_go_drops_them() -> None:
    decoded, _ = decode(pod(nodeSelector=None, tolerations=[{"key": "a", "value": None}]))
    assert "nodeSelector" not in decoded["spec"]
    assert decoded["spec"]["tolerations"] == [{"key": "a"}]


def test_a_time_that_go_holds_by_value_stays_null() -> None:
    body = pod() | {"status": {"conditions": [{"type": "Ready", "status": "True", "lastProbeTime": None, "lastTransitionTime": None}]}}
    decoded, _ = decode(body)
    assert decoded["status"]["conditions"] == [{"type": "Ready", "status": "True", "lastProbeTime": None}]


@pytest.mark.parametrize(
    ("given", "stored"),
    [("500m", "500m"), (2, "2"), ("0.5", "500m"), ("1024Mi", "1Gi"), ("1500Mi", "1500Mi"), ("1e3", "1e3"), ("2000", "2k"), (1.5, "1500m")],
)
def test_quantities_are_stored_in_their_canonical_form(given: object, stored: str) -> None:
    decoded, _ = decode(pod(containers=[{"name": "main", "image": "i", "resources": {"limits": {"x": given}}}]))
    assert decoded["spec"]["containers"][0]["resources"]["limits"] == {"x": stored}


def test_a_quantity_that_is_none_is_refused_in_the_words_of_the_api_server() -> None:
    with pytest.raises(ApiError) as refused:
        decode(pod(containers=[{"name": "main", "resources": {"limits": {"memory": "lots"}}}]))
    assert refused.value.code == 400
    assert refused.value.message == (
        'Pod in version "v1" cannot be handled as a Pod: quantities must match the regular expression '
        "'^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'"
    )


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        (
            {"terminationGracePeriodSeconds": "ten"},
            "cannot unmarshal string into Go struct field PodSpec.spec.terminationGracePeriodSeconds of type int64",
        ),
        ({"hostNetwork": "yes"}, "cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool"),
        ({"nodeSelector": {"a": True}}, "cannot unmarshal bool into Go struct field PodSpec.spec.nodeSelector of type string"),
        ({"containers": {"name": "x"}}, "cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"),
        ({"containers": [{"name": 7}]}, "cannot unmarshal number into Go struct field Container.spec.containers.name of type string"),
        ({"priority": 1.5}, "cannot unmarshal number 1.5 into Go struct field PodSpec.spec.priority of type int32"),
    ],
)
def test_a_value_of_the_wrong_type_is_refused_with_the_field_and_its_go_type(spec: dict[str, Any], words: str) -> None:
    with pytest.raises(ApiError) as refused:
        decode(pod(**spec))
    assert refused.value.code == 400
    assert words in refused.value.message


def test_a_port_may_be_a_name_or_a_number() -> None:
    for port in ("http", 8080):
        probe = {"httpGet": {"path": "/", "port": port}}
        decoded, _ = decode(pod(containers=[{"name": "main", "image": "i", "readinessProbe": probe}]))
        assert decoded["spec"]["containers"][0]["readinessProbe"]["httpGet"]["port"] == port


def test_a_kind_without_a_definition_passes_as_it_is() -> None:
    body = {"apiVersion": "example.com/v1", "kind": "Model", "spec": {"anything": [1, {"a": None}]}}
    assert decode(body) == (body, [])


def test_empty_values_that_go_leaves_out_are_not_stored() -> None:
    container = {"name": "main", "image": "i", "env": [], "args": [], "stdin": False, "env_": 1}
    decoded, _ = decode(
        pod(containers=[container], nodeSelector={}, hostNetwork=False, securityContext={}, terminationGracePeriodSeconds=0)
    )
    assert decoded["spec"] == {
        "containers": [{"name": "main", "image": "i"}],
        "securityContext": {},
        "terminationGracePeriodSeconds": 0,
    }
