"""Lab 14-sharing-a-gpu: how it reads names, logs, the plugin's configuration and claims, and that its starts are what its text says."""

from __future__ import annotations

import functools
from types import SimpleNamespace
from typing import Any

import pytest
import yaml

from kubeobjects import Object
from lab_checks.engine import course, manifests, observe, paths
from lab_checks.engine.verdict import Outcome, Stop
from lab_checks.labs.sharing import causes, claims, devices, plugin
from lab_checks.labs.sharing.devices import API, SCORING

LAB = course.load().lab("14-sharing-a-gpu")
MANIFESTS = paths.root() / "manifests" / LAB.id
FOUND = "09:00:01 INFO model_server.loader: device=cuda:0 gpu={} uuid={} memory_mib={} driver=570.86.15 cuda=12.4"


@functools.cache
def started(exercise: str) -> list[Object]:
    return list(manifests.tree(MANIFESTS / exercise))


def deployment(exercise: str, name: str = API) -> Object:
    return next(each for each in started(exercise) if each.get("kind") == "Deployment" and each["metadata"]["name"] == name)


def node(name: str, **offers: str) -> Object:
    allocatable = {"cpu": "4", **{f"nvidia.com/{key.replace('_', '.')}": value for key, value in offers.items()}}
    return {"kind": "Node", "metadata": {"name": name}, "status": {"allocatable": allocatable}}


def context(exercise: str, **more: Any) -> Any:
    return SimpleNamespace(namespace="ai-platform", exercise=LAB.exercise(exercise), **more)


# Names


def test_what_nodes_offer_is_added_up_and_names_without_a_device_are_left_out() -> None:
    ctx = context("no-such-gpu", nodes=[node("a", gpu="0", gpu_shared="4"), node("b", gpu_shared="4")])
    assert devices.offered(ctx) == {"nvidia.com/gpu.shared": 8}


@pytest.mark.parametrize(
    ("mebibytes", "name"),
    [(4000, "nvidia.com/mig-1g.5gb"), (8192, "nvidia.com/mig-2g.10gb"), (12000, "nvidia.com/mig-3g.20gb"), (30000, "")],
)
def test_the_smallest_partition_that_holds_a_model_is_found_by_its_name(mebibytes: int, name: str) -> None:
    offered = {"nvidia.com/mig-1g.5gb": 4, "nvidia.com/mig-3g.20gb": 2, "nvidia.com/mig-2g.10gb": 2, "nvidia.com/gpu.shared": 4}
    assert devices.smallest(offered, mebibytes) == name


def test_the_device_is_the_one_that_the_newest_container_found_last() -> None:
    pod = {"metadata": {"name": "x"}, "spec": {"containers": [{"name": "model-server"}]}}
    log = "\n".join([FOUND.format("Tesla T4", "GPU-1", 15360), FOUND.format("NVIDIA A100-SXM4-40GB MIG 2g.10gb", "MIG-2", 9856)])
    ctx = context("no-such-gpu", api=SimpleNamespace(log=lambda _pod, _container, previous: "" if not previous else log))
    assert devices.card(ctx, pod) == devices.Card("NVIDIA A100-SXM4-40GB MIG 2g.10gb", "MIG-2", 9856)


def test_a_server_that_has_said_nothing_is_waited_for() -> None:
    pod = {"kind": "Pod", "metadata": {"name": "x"}, "spec": {"containers": [{"name": "model-server"}]}}
    ctx = context("no-such-gpu", api=SimpleNamespace(log=lambda _pod, _container, previous: "starting"))
    with pytest.raises(Stop) as stop:
        devices.its_card(ctx, pod)
    assert stop.value.verdict.outcome is Outcome.NOT_YET


# The plugin's configuration


def configuration(exercise: str) -> str:
    return str(next(each for each in started(exercise) if each.get("kind") == "ConfigMap")["data"]["config.yaml"])


@pytest.mark.parametrize("exercise", ["no-such-gpu", "two-on-one", "greedy-neighbour"])
def test_the_starts_share_the_card_in_turns(exercise: str) -> None:
    assert plugin.read(configuration(exercise)) == plugin.Sharing("timeSlicing", 4, "mixed")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("version: v1", plugin.Sharing("", 1, "none")),
        ("version: v1\nsharing: {mps: {resources: [{name: gpu, replicas: 2}]}}", plugin.Sharing("mps", 2, "none")),
        (
            "version: v1\nsharing: {timeSlicing: {resources: [{name: nvidia.com/mig-1g.5gb, replicas: 2}]}}",
            plugin.Sharing("timeSlicing", 1, "none"),
        ),
        ("version: v1\nsharing: {mps: {resources: [{name: nvidia.com/gpu, replicas: four}]}}", None),
        ("version: v1\nsharing: {mps: {resources: [{name: nvidia.com/gpu}]}}", None),
        ("a: [", None),
        ("text", None),
    ],
)
def test_a_configuration_is_read_as_the_plugin_reads_it(text: str, wanted: plugin.Sharing | None) -> None:
    assert plugin.read(text) == wanted


@pytest.mark.parametrize(("strategy", "seen"), [("mps", ["mps"]), ("time-slicing", ["time-slicing"]), ("none", ["none"])])
def test_the_plugins_own_word_on_how_it_shares_is_found_in_its_log(strategy: str, seen: list[str]) -> None:
    from tests.images.conftest import IMAGES  # noqa: F401 - puts the images' folders on the path

    from gpu_device_plugin import sharing  # isort: skip

    config = sharing.Config("mixed", strategy, {"nvidia.com/gpu": sharing.Replicated(4, "nvidia.com/gpu.shared")})
    assert plugin._STRATEGY.findall(f"Running with config: {config}") == seen


# The starts


def test_the_model_of_the_first_exercise_needs_the_middle_partition() -> None:
    assert devices.needed(deployment("no-such-gpu")) == 8192
    assert list(devices.asked_for(deployment("no-such-gpu")["spec"]["template"]["spec"])) == ["nvidia.com/mig-1g.10gb"]


@pytest.mark.parametrize("exercise", ["two-on-one", "greedy-neighbour"])
def test_two_servers_want_more_than_a_t4_has_and_the_api_fits_its_share(exercise: str) -> None:
    memory = 15360
    api, scoring = devices.needed(deployment(exercise)), devices.needed(deployment(exercise, SCORING))
    assert api + scoring > memory > scoring > memory // 4 >= api


def test_two_servers_of_the_last_exercise_want_more_than_the_one_card_has() -> None:
    both = [devices.needed(deployment("card-twice", name)) for name in (API, "claim-trial")]
    assert sum(both) > 15360 > max(both)


# Claims


@pytest.mark.parametrize(
    ("text", "amount"),
    [
        ("device.capacity['gpu.nvidia.com'].memory.compareTo(quantity('20Gi')) >= 0", "20Gi"),
        ('device.capacity["gpu.nvidia.com"].memory.isGreaterThan(quantity("20480Mi"))', "20Gi"),
        ("device.capacity['gpu.nvidia.com']['memory'].compareTo(quantity('10Gi')) >= 0", "10Gi"),
        ("device.attributes['gpu.nvidia.com'].type == 'gpu'", None),
        ("device.capacity['gpu.nvidia.com'].multiprocessors.compareTo(quantity('20')) >= 0", None),
        ("device.capacity['gpu.nvidia.com'].memory.compareTo(quantity('much')) >= 0", None),
    ],
)
def test_the_amount_of_memory_is_read_out_of_an_expression(text: str, amount: str | None) -> None:
    assert claims.memory_asked([text]) == (None if amount is None else observe.amount(amount))


def claim(expression: str, allocated: bool = False) -> Object:
    exactly = {"deviceClassName": "gpu.nvidia.com", "selectors": [{"cel": {"expression": expression}}]}
    status = {"allocation": {"devices": {"results": []}}} if allocated else {}
    return {
        "kind": "ResourceClaim", "metadata": {"name": "c", "uid": "u"}, "status": status,
        "spec": {"devices": {"requests": [{"name": "gpu", "exactly": exactly}]}},
    }  # fmt: skip


def scene(text: str = "", **more: Any) -> causes.Scene:
    known: dict[str, Any] = {
        "claims": [claim(text)], "texts": [text], "classes": {"gpu.nvidia.com"}, "products": ["NVIDIA A100-SXM4-40GB", "Tesla T4"],
        "slices": ["s"], "others": [],
    }  # fmt: skip
    return causes.Scene(**{**known, **more})


def holding(found: causes.Scene) -> set[str]:
    return {name for name, rule in causes.ENGINE.rules.items() if rule(found).holds}


def test_the_claim_of_the_start_waits_for_a_name_that_no_device_has() -> None:
    template = next(each for each in started("claim-waits") if each.get("kind") == "ResourceClaimTemplate")
    (text,) = [each["cel"]["expression"] for each in template["spec"]["spec"]["devices"]["requests"][0]["exactly"]["selectors"]]
    assert holding(scene(text)) == {"selector-matches-no-device"}


@pytest.mark.parametrize(
    ("found", "holds"),
    [
        (scene("device.attributes['gpu.nvidia.com'].productName == 'Tesla T4'"), set()),
        (scene("device.attributes['gpu.nvidia.com'].productName == 'Tesla T4'", others=["c2"]), {"devices-taken"}),
        (scene(classes=set()), {"no-such-class"}),
        (scene(slices=[], products=[]), {"no-driver"}),
        (scene("productName == 'x'", claims=[claim("productName == 'x'", allocated=True)]), set()),
    ],
)
def test_each_cause_holds_where_the_cluster_shows_it(found: causes.Scene, holds: set[str]) -> None:
    assert holding(found) == holds


def gpu(product: str, gibibytes: int, **attributes: str) -> Object:
    named = {"type": "gpu", "uuid": f"GPU-{product}", "architecture": "some", **attributes}
    return {
        "name": "gpu-0", "capacity": {"memory": {"value": f"{gibibytes}Gi"}},
        "attributes": {"productName": {"string": product}, "index": {"int": 0}, **{key: {"string": value} for key, value in named.items()}},
    }  # fmt: skip


def cards(exercise: str) -> Any:
    there = [gpu("NVIDIA A100-SXM4-40GB", 40), gpu("Tesla T4", 15), gpu("NVIDIA A100-SXM4-40GB", 10, type="mig")]
    slices = [{"spec": {"driver": claims.DRIVER, "pool": {"name": f"n{number}"}, "devices": [each]}} for number, each in enumerate(there)]
    return context(exercise, api=SimpleNamespace(list=lambda _kind: slices), before=lambda *_: {"spec": {}})


MEMORY = "device.capacity['gpu.nvidia.com'].memory"
OF = "device.attributes['gpu.nvidia.com']"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{MEMORY}.compareTo(quantity('20Gi')) >= 0", ""),
        (f"!{MEMORY}.isLessThan(quantity('20480Mi'))", ""),
        (f"{MEMORY}.asInteger() >= 20 * 1024 * 1024 * 1024", ""),
        (f"{MEMORY}.compareTo(quantity('20Gi')) >= 0 || true", "less than 20 GiB"),
        (f"{MEMORY}.compareTo(quantity('20Gi')) != 7", "less than 20 GiB"),
        (f"{MEMORY}.isGreaterThan(quantity('20Gi'))", "a new card with 20 GiB"),
        (f"{MEMORY}.compareTo(quantity('20Gi')) >= 0 && {OF}.uuid == 'GPU-1'", "a new card with 20 GiB"),
        (f"{MEMORY}.compareTo(quantity('20Gi')) >= 0 && {OF}.architecture == 'Ampere'", "a new card with 20 GiB"),
    ],
)
def test_a_claim_by_memory_is_met_by_every_card_that_is_large_enough_and_by_no_other(text: str, says: str) -> None:
    ctx, least = cards("by-memory"), int(observe.amount("20Gi"))
    assert claims.goes_by_memory(ctx, claim(text), least) is not bool(says)
    if not says:
        claims.asks_for_memory_alone(ctx, claim(text), least)
        return
    with pytest.raises(Stop, match=says):
        claims.asks_for_memory_alone(ctx, claim(text), least)


def test_a_second_choice_counts_as_a_claim_of_its_own() -> None:
    found = claim(f"{MEMORY}.compareTo(quantity('20Gi')) >= 0")
    request = found["spec"]["devices"]["requests"][0]
    request["firstAvailable"] = [request.pop("exactly"), {"deviceClassName": "gpu.nvidia.com"}]
    with pytest.raises(Stop, match="less than 20 GiB"):
        claims.asks_for_memory_alone(cards("by-memory"), found, int(observe.amount("20Gi")))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"{OF}.productName == 'NVIDIA A100-SXM4-40GB'", ""),
        (f"{OF}.productName.contains('A100')", ""),
        (f"{MEMORY}.compareTo(quantity('40Gi')) >= 0", ""),
        ("true", "takes Tesla T4 too"),
        (f"{OF}.productName != 'Tesla T4'", "a new card with 2 GiB too"),
        (f"{OF}.uuid == 'GPU-NVIDIA A100-SXM4-40GB'", "one card and none like it"),
    ],
)
def test_a_claim_for_an_a100_takes_every_a100_and_nothing_else(text: str, says: str) -> None:
    if not says:
        claims.takes_no_other(cards("claim-waits"), claim(text), "NVIDIA A100")
        return
    with pytest.raises(Stop, match=says):
        claims.takes_no_other(cards("claim-waits"), claim(text), "NVIDIA A100")


def test_the_last_start_has_a_template_for_the_api_and_ties_the_trial_to_the_card_that_the_plugin_gives() -> None:
    templates = {
        each["metadata"]["name"]: yaml.safe_dump(each) for each in started("card-twice") if each.get("kind") == "ResourceClaimTemplate"
    }
    assert set(templates) == {"large-card", "t4"}
    assert "Tesla T4" in " ".join(templates["t4"].split())
    assert deployment("card-twice")["spec"]["template"]["spec"]["nodeSelector"] == {"nvidia.com/gpu.product": "Tesla-T4"}
