"""Containers that cannot be started: what waits, with which words."""

from __future__ import annotations

import pytest

from .conftest import Node


@pytest.fixture
def node(any_node: Node) -> Node:
    return any_node


async def test_a_command_that_is_not_there_ends_with_128(node: Node) -> None:
    await node.run("wrong", "/opt/model-server", restartPolicy="Never")
    pod = await node.until_phase("wrong", "Failed")
    ended = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    assert (ended["reason"], ended["exitCode"], ended["startedAt"]) == ("StartError", 128, "1970-01-01T00:00:00Z")
    words = 'error during container init: exec: "/opt/model-server": stat /opt/model-server: no such file or directory'
    assert ended["message"].endswith(words)
    assert (await node.until_event("wrong", "Failed")) == "Error: " + ended["message"]


async def test_a_command_that_is_not_there_is_tried_again(node: Node) -> None:
    await node.run("wrong", "/opt/model-server")
    waiting = await node.until_state("wrong", "waiting", "RunContainerError")
    ended = (await node.status("wrong"))["lastState"]["terminated"]
    assert (ended["reason"], ended["message"]) == ("StartError", waiting["message"])


async def test_a_missing_config_map_is_named(node: Node) -> None:
    await node.run("wrong", "sleep", "600", envFrom=[{"configMapRef": {"name": "model-config"}}])
    waiting = await node.until_state("wrong", "waiting", "CreateContainerConfigError")
    assert waiting["message"] == 'configmap "model-config" not found'
    assert await node.until_event("wrong", "Failed") == 'Error: configmap "model-config" not found'


async def test_a_missing_key_of_a_secret_is_named(node: Node) -> None:
    await node.client.create("secrets", {"metadata": {"name": "registry"}, "data": {"other": "eA=="}}, "default")
    source = {"secretKeyRef": {"name": "registry", "key": "token"}}
    await node.run("wrong", "sleep", "600", env=[{"name": "TOKEN", "valueFrom": source}])
    waiting = await node.until_state("wrong", "waiting", "CreateContainerConfigError")
    assert waiting["message"] == "couldn't find key token in Secret default/registry"


async def test_the_container_starts_once_the_config_map_is_there(node: Node) -> None:
    await node.run("late", "sh", "-c", "echo $MODEL; sleep 60", envFrom=[{"configMapRef": {"name": "model-config"}}])
    await node.until_state("late", "waiting", "CreateContainerConfigError")
    await node.client.create("configmaps", {"metadata": {"name": "model-config"}, "data": {"MODEL": "v2"}}, "default")
    await node.until_phase("late", "Running", seconds=25)
    await node.until(lambda: node.logs("late"))
    assert await node.logs("late") == "v2\n"


async def test_an_image_that_must_not_be_pulled(node: Node) -> None:
    await node.run("never", "sleep", "60", image="registry.example.com/ai-log-summary-api:v9", imagePullPolicy="Never")
    await node.until_state("never", "waiting", "ErrImageNeverPull")
    await node.until_event("never", "Failed")
    assert await node.messages("never") == [
        ("ErrImageNeverPull", 'Container image "registry.example.com/ai-log-summary-api:v9" is not present with pull policy of Never'),
        ("Failed", "Error: ErrImageNeverPull"),
    ]


async def test_an_image_whose_name_is_no_name(node: Node) -> None:
    await node.run("typo", "sleep", "60", image="python:3.12-SLIM::x")
    await node.until_state("typo", "waiting", "InvalidImageName")
    await node.until_event("typo", "Failed")
    named = '"python:3.12-SLIM::x"'
    words = f"Failed to apply default image tag {named}: couldn't parse image name {named}: invalid reference format"
    assert (await node.messages("typo"))[0] == ("InspectFailed", words)


async def test_an_image_that_no_registry_gives_is_tried_less_and_less_often(node: Node) -> None:
    image = "registry.example.com/nobody/has-this:v1"
    await node.run("gone", "sleep", "60", image=image)
    await node.until_state("gone", "waiting", "ErrImagePull")
    waiting = await node.until_state("gone", "waiting", "ImagePullBackOff")
    assert waiting["message"].startswith(f'Back-off pulling image "{image}": ErrImagePull: failed to pull and unpack image "{image}"')
    await node.until_event("gone", "BackOff")
    reasons = sorted((each["type"], each["reason"]) for each in await node.events("gone"))
    assert reasons == [("Normal", "BackOff"), ("Normal", "Pulling"), ("Warning", "Failed"), ("Warning", "Failed"), ("Warning", "Failed")]
    assert ("BackOff", f'Back-off pulling image "{image}"') in await node.messages("gone")


async def test_a_container_that_must_not_run_as_root_does_not(node: Node) -> None:
    await node.run("root", "sleep", "60", securityContext={"runAsNonRoot": True})
    waiting = await node.until_state("root", "waiting", "CreateContainerConfigError")
    assert waiting["message"].startswith("container has runAsNonRoot and image will run as root (pod: ")
