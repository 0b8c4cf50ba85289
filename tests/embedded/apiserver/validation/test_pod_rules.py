"""Rules for Pods, each with a mistake that learners make."""

from __future__ import annotations

from typing import Any

import pytest

from clusters.embedded.errors import ApiError
from tests.embedded.apiserver.semantics import Object, container, lab, pod

SUBDOMAIN = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
    "alphanumeric character (e.g. 'example.com', regex used for validation is "
    r"'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
)


async def causes(obj: Object) -> list[str]:
    with pytest.raises(ApiError) as refused:
        await lab().create(obj)
    assert refused.value.code == 422
    return [f"{cause['field']}: {cause['message']}" for cause in refused.value.details["causes"]]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"image": ""}, "image: Required value"),
        (
            {"resources": {"limits": {"gpu": "1"}}},
            'resources.limits[gpu]: Invalid value: "gpu": must be a standard resource for containers',
        ),
        (
            {"resources": {"limits": {"memory": "-1Gi"}}},
            'resources.limits[memory]: Invalid value: "-1Gi": must be greater than or equal to 0',
        ),
        (
            {"resources": {"limits": {"hugepages-2Mi": "3Mi", "memory": "1Gi"}}},
            'resources.limits[hugepages-2Mi]: Invalid value: "3Mi": 3Mi is not positive integer multiple of hugepages-2Mi',
        ),
        (
            {"resources": {"claims": [{"name": "gpu"}]}},
            'resources.claims[0]: Not found: "gpu": must be one of the names in pod.spec.resourceClaims which is empty',
        ),
        ({"env": [{"name": "A=B"}]}, 'env[0].name: Invalid value: "A=B": a valid environment variable name must consist only of printable'),
        ({"env": [{"name": "A", "valueFrom": {}}]}, 'env[0].valueFrom: Invalid value: "": must specify one of'),
        ({"volumeMounts": [{"name": "weights", "mountPath": "/w"}]}, 'volumeMounts[0].name: Not found: "weights"'),
        ({"imagePullPolicy": "Sometimes"}, 'Unsupported value: "Sometimes": supported values: "Always", "IfNotPresent", "Never"'),
        ({"ports": [{"containerPort": 0}]}, "ports[0].containerPort: Required value"),
        ({"ports": [{"containerPort": 80, "protocol": "HTTP"}]}, 'Unsupported value: "HTTP": supported values: "SCTP", "TCP", "UDP"'),
        ({"livenessProbe": {"periodSeconds": 5}}, "livenessProbe: Required value: must specify a handler type"),
        ({"livenessProbe": {"exec": {"command": ["true"]}, "successThreshold": 2}}, "successThreshold: Invalid value: 2: must be 1"),
        (
            {"readinessProbe": {"exec": {"command": ["true"]}, "tcpSocket": {"port": 80}}},
            "readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
        ),
        ({"readinessProbe": {"httpGet": {"path": "/", "port": "a_name"}}}, "must contain only alpha-numeric characters (a-z, 0-9)"),
        ({"lifecycle": {"preStop": {"sleep": {"seconds": 60}}}}, "must be non-negative and less than terminationGracePeriodSeconds (30)"),
    ],
)
async def test_a_mistake_in_a_container_is_named_with_its_field(fields: Object, expected: str) -> None:
    found = await causes(container(**fields))

    assert any(expected in cause and cause.startswith("spec.containers[0].") for cause in found), found


@pytest.mark.parametrize(
    ("spec", "expected"),
    [
        (
            {"restartPolicy": "Sometimes"},
            'spec.restartPolicy: Unsupported value: "Sometimes": supported values: "Always", "OnFailure", "Never"',
        ),
        ({"volumes": [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]}, 'spec.volumes[1].name: Duplicate value: "a"'),
        (
            {"volumes": [{"name": "a", "emptyDir": {}, "hostPath": {"path": "/x"}}]},
            "spec.volumes[0].hostPath: Forbidden: may not specify more than 1 volume type",
        ),
        ({"volumes": [{"name": "a", "configMap": {}}]}, "spec.volumes[0].configMap.name: Required value"),
        (
            {"tolerations": [{"key": "gpu", "operator": "Exists", "value": "yes"}]},
            "spec.tolerations[0].operator: Invalid value: \"yes\": value must be empty when `operator` is 'Exists'",
        ),
        (
            {"tolerations": [{"operator": "Equal", "value": "x"}]},
            'spec.tolerations[0].operator: Invalid value: "Equal": operator must be Exists when `key` is empty, which means "match all '
            'values and all keys"',
        ),
        (
            {"tolerations": [{"key": "a", "operator": "Exists", "effect": "NoRun"}]},
            'spec.tolerations[0].effect: Unsupported value: "NoRun": supported values: "NoSchedule", "PreferNoSchedule", "NoExecute"',
        ),
        (
            {"affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": []}}}},
            "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms: Required value: must have at "
            "least one node selector term",
        ),
        ({"serviceAccountName": "default", "priorityClassName": ""}, None),
        ({"nodeSelector": {"gpu product": "x"}}, 'spec.nodeSelector: Invalid value: "gpu product": name part must consist of'),
        (
            {"topologySpreadConstraints": [{"maxSkew": 0, "topologyKey": "zone", "whenUnsatisfiable": "Maybe"}]},
            'whenUnsatisfiable: Unsupported value: "Maybe": supported values: "DoNotSchedule", "ScheduleAnyway"',
        ),
    ],
)
async def test_a_mistake_in_a_pod_spec_is_named_with_its_field(spec: Object, expected: str | None) -> None:
    if expected is None:
        await lab().create(pod(**spec))
        return
    found = await causes(pod(**spec))

    assert any(expected in cause for cause in found), found


async def test_two_containers_of_one_name_and_a_sidecar_with_a_probe() -> None:
    main: dict[str, Any] = {"name": "main", "image": "a"}
    probe = {"exec": {"command": ["true"]}}
    spec = pod(
        containers=[main, main],
        initContainers=[
            {"name": "proxy", "image": "b", "restartPolicy": "Always", "readinessProbe": probe},
            {"name": "fetch", "image": "b", "readinessProbe": probe},
        ],
    )

    assert await causes(spec) == [
        'spec.containers[1].name: Duplicate value: "main"',
        "spec.initContainers[1].readinessProbe: Forbidden: may not be set for init containers without restartPolicy=Always",
    ]


async def test_a_name_that_is_no_dns_name_is_refused_with_the_rule() -> None:
    named = pod()
    named["metadata"]["name"] = "My_Pod"

    assert await causes(named) == [f'metadata.name: Invalid value: "My_Pod": {SUBDOMAIN}']


async def test_only_the_image_and_a_few_other_fields_of_a_pod_can_change() -> None:
    cluster = lab()
    stored = await cluster.create(container(command=["sleep", "600"]))
    image = [{**stored["spec"]["containers"][0], "image": "python:3.13-slim"}]
    command = [{**stored["spec"]["containers"][0], "command": ["sleep", "1"]}]

    changed = cluster.update(stored, {"spec": {"containers": image}})
    with pytest.raises(ApiError) as refused:
        cluster.update(stored, {"spec": {"containers": command}})

    assert changed["metadata"]["generation"] == 2
    assert changed["spec"]["containers"][0]["image"] == "python:3.13-slim"
    [cause] = refused.value.details["causes"]
    first, *shown = cause["message"].splitlines()
    assert cause["field"] == "spec"
    assert first == (
        "Forbidden: pod updates may not change fields other than `spec.containers[*].image`,`spec.initContainers[*].image`,"
        "`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"
        "`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)"
    )
    assert [line for line in shown if line[:1] in "+-"] == ['-    "600"', '+    "1"']


async def test_tolerations_may_be_added_and_not_taken_away() -> None:
    cluster = lab()
    stored = await cluster.create(pod(tolerations=[{"key": "a", "operator": "Exists"}]))
    added = {"key": "b", "operator": "Exists"}

    cluster.update(stored, {"spec": {"tolerations": [*stored["spec"]["tolerations"], added]}})
    with pytest.raises(ApiError, match="existing toleration can not be modified except its tolerationSeconds"):
        cluster.update(stored, {"spec": {"tolerations": [added]}})


async def test_a_debug_container_can_be_added_and_then_stays() -> None:
    cluster = lab()
    stored = await cluster.create(pod())
    debugger = {"name": "debugger", "image": "busybox", "targetContainerName": "main"}

    debugged = cluster.update(stored, {"spec": {"ephemeralContainers": [debugger]}}, "ephemeralcontainers")
    with pytest.raises(ApiError, match='existing ephemeral containers "debugger" may not be removed'):
        cluster.update(debugged, {"spec": {"ephemeralContainers": []}}, "ephemeralcontainers")

    assert debugged["spec"]["ephemeralContainers"][0]["terminationMessagePolicy"] == "File"
