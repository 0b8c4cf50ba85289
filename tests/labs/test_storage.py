"""Lab 10-storage: how it reads claims, start-ups, digests, histories and a cache, and that its starts are what its text says."""

from __future__ import annotations

import copy
import functools
import hashlib
import io
import json
import os
import re
import subprocess
import sys
import threading
from contextlib import redirect_stdout
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from kubeobjects import Object
from lab_checks.engine import course, manifests, paths
from lab_checks.engine.api import Api
from lab_checks.engine.verdict import Outcome, Stop
from lab_checks.labs.storage import cache, causes, claims, startup, versions, view

LAB = course.load().lab("10-storage")
MANIFESTS = paths.root() / "manifests" / LAB.id
MODELS = paths.root() / "images" / "model_server" / "models"
API = "ai-log-summary-api"


@functools.cache
def started(exercise: str) -> list[Object]:
    return list(manifests.objects(MANIFESTS / exercise))


def laid(exercise: str, kind: str = "Deployment", name: str = API) -> Object:
    return copy.deepcopy(next(each for each in started(exercise) if each["kind"] == kind and each["metadata"]["name"] == name))


def context(exercise: str, **more: Any) -> Any:
    return SimpleNamespace(namespace="ai-platform", exercise=LAB.exercise(exercise), events=[], **more)


def said(stop: pytest.ExceptionInfo[Stop]) -> str:
    return stop.value.verdict.headline


# Start-ups


def pod(created: str, ready: str | None, app: str = API) -> Object:
    times = {"PodScheduled": created, "Initialized": ready or created, "Ready": ready or created}
    conditions = [
        {"type": step, "status": "True" if ready or step == "PodScheduled" else "False", "lastTransitionTime": at}
        for step, at in times.items()
    ]
    metadata = {"name": f"{app}-{created[17:19]}", "namespace": "ai-platform", "creationTimestamp": created, "labels": {"app": app}}
    return {"kind": "Pod", "metadata": metadata, "status": {"conditions": conditions}}


FIRST, SECOND = pod("2026-11-02T10:00:00Z", "2026-11-02T10:00:13Z"), pod("2026-11-02T10:01:00Z", "2026-11-02T10:01:04Z")


def test_a_start_up_is_read_from_the_pods_own_times() -> None:
    assert (startup.seconds(FIRST), startup.seconds(SECOND), startup.seconds(pod("2026-11-02T10:00:00Z", None))) == (13, 4, 0)


@pytest.mark.parametrize(("first", "second", "half"), [(13, 4, True), (13, 6.5, True), (13, 7, True), (13, 8, False), (0, 4, False)])
def test_half_is_half(first: float, second: float, half: bool) -> None:
    assert startup.half_at_most(first, second) is half


def test_the_table_shows_each_ready_pod_with_its_steps() -> None:
    pods = [SECOND, pod("2026-11-02T10:02:00Z", None), FIRST]
    printed = io.StringIO()
    with redirect_stdout(printed):
        view.show_starts(cast(Api, SimpleNamespace(list=lambda _kind, _namespace: pods)))
    rows = [line.split() for line in printed.getvalue().splitlines()[1:]]
    assert [(row[0], row[1], row[-2]) for row in rows] == [(API, "10:00:00", "13"), (API, "10:01:00", "4")]


def test_a_pod_that_found_its_file_did_not_fetch() -> None:
    logs = {"a": "/weights/x is there already, checked=no\n", "b": "/weights/x fetched in 10 s, checked=no\n"}
    ctx = context("each-time-anew", api=SimpleNamespace(log=lambda each, _container: logs[each["metadata"]["name"]]))
    assert [startup.fetched(ctx, {"metadata": {"name": name}}) for name in ("a", "b")] == [False, True]


# The program that fetches, as it is laid


class _Store(BaseHTTPRequestHandler):
    content, cut = b"weights " * 2000, 0

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.content)))
        self.end_headers()
        self.wfile.write(self.content[: len(self.content) // 2] if type(self).cut else self.content)
        type(self).cut = max(0, type(self).cut - 1)

    def log_message(self, *_: object) -> None:
        pass


RIGHT = hashlib.sha256(_Store.content).hexdigest()


@pytest.fixture
def fetch(tmp_path: Path) -> Any:
    """Runs fetch.py against a store in this process: answers (exit code, what it printed)."""
    program = laid("each-time-anew/after", "ConfigMap", "fetch-weights")["data"]["fetch.py"]
    server = HTTPServer(("127.0.0.1", 0), _Store)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def run(cut: int = 0, **variables: str) -> tuple[int, str]:
        _Store.cut = cut
        environment = {"WEIGHTS_URL": f"http://127.0.0.1:{server.server_port}/x", "TARGET": str(tmp_path / "w" / "file"), **variables}
        done = subprocess.run(
            [sys.executable, "-c", program], env={**os.environ, "no_proxy": "*", **environment}, capture_output=True, text=True, check=False
        )
        return done.returncode, done.stdout + done.stderr

    yield run
    server.shutdown()
    server.server_close()


def test_a_file_is_fetched_once(fetch: Any, tmp_path: Path) -> None:
    assert "fetched in 0 s, checked=no" in fetch()[1]
    assert (tmp_path / "w" / "file").read_bytes() == _Store.content
    assert "is there already, checked=no" in fetch()[1]


def test_half_a_file_in_place_is_used_by_the_next_start_and_found_by_its_digest(fetch: Any, tmp_path: Path) -> None:
    code, told = fetch(cut=1)
    assert (code, "the connection ended after 8000 of 16000 bytes" in told) == (1, True)
    code, told = fetch()
    assert (code, "is there already" in told) == (0, True)
    assert (tmp_path / "w" / "file").stat().st_size == 8000
    code, told = fetch(WEIGHTS_SHA256=RIGHT)
    assert (code, "fetched anew" in told) == (0, True)
    assert (tmp_path / "w" / "file").read_bytes() == _Store.content


def test_a_download_that_is_written_aside_never_stands_at_its_target(fetch: Any, tmp_path: Path) -> None:
    part = str(tmp_path / "w" / ".part")
    assert fetch(cut=1, DOWNLOAD_TO=part)[0] == 1
    assert not (tmp_path / "w" / "file").exists()
    assert fetch(DOWNLOAD_TO=part, WEIGHTS_SHA256="0" * 64)[0] == 1
    assert not (tmp_path / "w" / "file").exists()
    assert fetch(DOWNLOAD_TO=part, WEIGHTS_SHA256=RIGHT)[0] == 0
    assert [each.name for each in (tmp_path / "w").iterdir()] == ["file"]


def test_the_model_cards_name_the_files_of_the_images() -> None:
    cards = {
        each["metadata"]["name"]: each["data"]["sha256"]
        for each in started("each-time-anew/after")
        if each["kind"] == "ConfigMap" and "sha256" in each["data"]
    }
    files = {name: hashlib.sha256((MODELS / f"log-classifier-{name}.safetensors").read_bytes()).hexdigest() for name in ("v1", "v2")}
    assert cards == {"model-card-v1": files["v1"], "model-card-v2": files["v2"]}


def test_each_training_leaves_a_file_of_its_own_that_a_server_loads(tmp_path: Path) -> None:
    job = laid("no-node-takes-it", "Job", "tune-weights")
    program = job["spec"]["template"]["spec"]["containers"][0]["command"][-1]
    (tmp_path / "log-classifier.safetensors").write_bytes((MODELS / "log-classifier-v2.safetensors").read_bytes())
    found = []
    for run in ("one", "two"):
        (tmp_path / run).mkdir()
        here = program.replace("/models", str(tmp_path)).replace("/weights", str(tmp_path / run))
        subprocess.run([sys.executable, "-c", here], check=True)
        found.append((tmp_path / run / "log-classifier.safetensors").read_bytes())
    assert found[0] != found[1]
    lengths = [int.from_bytes(content[:8], "little") for content in found]
    header, other = (json.loads(content[8 : 8 + length]) for content, length in zip(found, lengths, strict=True))
    assert header.keys() == other.keys()
    assert hashlib.sha256(found[0][8 + lengths[0] :]).hexdigest() == header["__metadata__"]["sha256"]


# Claims


def with_volume(source: Object) -> Object:
    found = laid("each-time-anew/after")
    volumes = found["spec"]["template"]["spec"]["volumes"]
    volumes[:] = [each for each in volumes if each["name"] != "weights"] + [{"name": "weights", **source}]
    return found


@pytest.mark.parametrize(
    ("source", "outcome", "words"),
    [
        ({"emptyDir": {}}, Outcome.NOT_YET, "in an emptyDir"),
        ({"emptyDir": {"medium": "Memory"}}, Outcome.FAILED, "in an emptyDir"),
        ({"hostPath": {"path": "/x"}}, Outcome.FAILED, "in a folder of whichever node"),
        ({"ephemeral": {"volumeClaimTemplate": {}}}, Outcome.FAILED, "belongs to one Pod"),
        ({"persistentVolumeClaim": {"claimName": "weights"}}, Outcome.NOT_YET, "which does not exist"),
    ],
)
def test_weights_that_are_not_kept_are_told_why(source: Object, outcome: Outcome, words: str) -> None:
    with pytest.raises(Stop) as stop:
        claims.kept(context("each-time-anew", get=lambda _kind, _name: None), with_volume(source))
    assert stop.value.verdict.outcome is outcome
    assert words in said(stop)


def test_a_claim_that_is_deleted_already_keeps_nothing() -> None:
    going = claim("Bound")
    going["metadata"]["deletionTimestamp"] = "2026-11-02T10:00:00Z"
    with pytest.raises(Stop, match="claim weights is deleted already"):
        claims.kept(
            context("each-time-anew", get=lambda _kind, _name: going), with_volume({"persistentVolumeClaim": {"claimName": "weights"}})
        )


def test_the_servers_file_lies_on_the_claim_and_not_on_what_is_mounted_over_it() -> None:
    ctx, found = (
        context("no-node-takes-it", get=lambda _kind, _name: claim("Bound")),
        with_volume({"persistentVolumeClaim": {"claimName": "weights"}}),
    )
    assert claims.kept(ctx, found)["metadata"]["name"] == "weights"
    server = next(each for each in found["spec"]["template"]["spec"]["containers"] if each["name"] == "model-server")
    for mounts in (
        [{"name": "scratch", "mountPath": "/weights"}],
        [{"name": "weights", "mountPath": "/weights"}, {"name": "scratch", "mountPath": "/weights/log-classifier.safetensors"}],
        [{"name": "weights", "mountPath": "/elsewhere"}],
    ):
        server["volumeMounts"] = mounts
        with pytest.raises(Stop, match="the weights' claim is not mounted there"):
            claims.kept(ctx, found)


def claim(phase: str = "Pending", modes: tuple[str, ...] = ("ReadWriteOnce",), storage_class: str = "standard") -> Object:
    return {
        "kind": "PersistentVolumeClaim", "metadata": {"name": "weights", "namespace": "ai-platform", "uid": "uid-1"},
        "spec": {"accessModes": list(modes), "storageClassName": storage_class}, "status": {"phase": phase},
    }  # fmt: skip


def refusal(message: str, uid: str = "uid-1") -> Object:
    return {"reason": "ProvisioningFailed", "message": message, "involvedObject": {"name": "weights", "uid": uid}}


def test_a_refused_claim_is_told_by_its_event_and_an_older_one_of_its_name_is_not() -> None:
    ctx = context("three-readers")
    ctx.events = [refusal("failed to provision volume", uid="uid-0")]
    claims.not_refused(ctx, claim())
    ctx.events = [refusal('storageclass.storage.k8s.io "fast-nvme" not found')]
    claims.not_refused(ctx, claim())
    ctx.events = [refusal("failed to provision volume: NodePath only supports one access modes")]
    claims.not_refused(ctx, claim("Bound"))
    with pytest.raises(Stop) as stop:
        claims.not_refused(ctx, claim())
    assert said(stop) == "the provisioner refuses claim weights"


@pytest.mark.parametrize(
    ("mounts", "source", "only"),
    [
        ([{"mountPath": "/weights", "readOnly": True}], {}, True),
        ([{"mountPath": "/weights"}], {}, False),
        ([{"mountPath": "/weights"}], {"readOnly": True}, True),
        ([{"mountPath": "/weights", "readOnly": True}, {"mountPath": "/again"}], {}, False),
        ([], {}, False),
    ],
)
def test_who_may_only_read_is_read_from_every_mount(mounts: list[Object], source: Object, only: bool) -> None:
    found = with_volume({"persistentVolumeClaim": {"claimName": "weights", **source}})
    server = next(each for each in found["spec"]["template"]["spec"]["containers"] if each["name"] == "model-server")
    server["volumeMounts"] = [{"name": "weights", **each} for each in mounts]
    assert claims.read_only(found) is only


def test_a_variable_is_read_out_of_a_card_and_with_others_filled_in() -> None:
    rows = [
        {"name": "VERSION", "value": "v2"}, {"name": "TARGET", "value": "/weights/$(VERSION)/file"},
        {"name": "WEIGHTS_SHA256", "valueFrom": {"configMapKeyRef": {"name": "card", "key": "sha256"}}},
    ]  # fmt: skip
    ctx = context("asked-for-v2", get=lambda _kind, name: {"data": {"sha256": "sha256:ABC"}} if name == "card" else None)
    container = {"name": "fetch-weights", "env": rows}
    assert claims.value(ctx, container, "TARGET") == "/weights/v2/file"
    assert claims.digest(ctx, container, "WEIGHTS_SHA256") == "abc"
    assert claims.digest(ctx, container, "MODEL_SHA256") == ""


# Causes


def node(name: str, gpus: int) -> Object:
    status = {"allocatable": {"cpu": "4", "memory": "8Gi", "nvidia.com/gpu": str(gpus)}}
    return {"kind": "Node", "metadata": {"name": name, "labels": {"kubernetes.io/hostname": name}}, "spec": {}, "status": status}


def scene(found: Object | None = None, volume_on: str = "", logs: str = "", events: list[Object] | None = None) -> causes.Scene:
    terms = [{"matchExpressions": [{"key": "kubernetes.io/hostname", "operator": "In", "values": [volume_on]}]}]
    volume = {"kind": "PersistentVolume", "metadata": {"name": "pv"}, "spec": {"nodeAffinity": {"required": {"nodeSelectorTerms": terms}}}}
    owner = with_volume({"persistentVolumeClaim": {"claimName": "weights"}})
    return causes.Scene(
        owner, found, volume if volume_on else None, ["standard"], [node("cpu", 0), node("gpu", 1)], events or [], {"api-1": logs}
    )


@pytest.mark.parametrize(
    ("seen", "cause"),
    [
        (scene(claim(storage_class="fast-nvme")), "class-not-there"),
        (scene(claim("Bound"), volume_on="cpu"), "volume-of-another-node"),
        (scene(claim(modes=("ReadWriteMany",)), events=[refusal("only supports this and that access modes")]), "access-mode-not-served"),
        (scene(None), "no-such-claim"),
        (scene(claim("Bound"), "gpu", "ERROR: incomplete metadata, file not fully covered"), "file-cut-short"),
        (scene(claim("Bound"), "gpu", "ERROR: digest mismatch: …"), "digest-of-another-file"),
        (scene(claim("Bound"), "gpu", "FileNotFoundError: [Errno 2] No such file or directory"), "no-file-at-the-path"),
        (scene(claim("Bound"), "gpu", "ready"), ""),
    ],
)
def test_each_scene_has_one_cause_and_every_other_one_says_what_speaks_against_it(seen: causes.Scene, cause: str) -> None:
    found = {name: rule(seen) for name, rule in causes.ENGINE.rules.items()}
    assert [name for name, finding in found.items() if finding.holds] == [cause] * bool(cause)
    assert all(finding.why for finding in found.values())


def test_the_lab_has_a_rule_for_each_of_its_causes() -> None:
    assert set(causes.ENGINE.rules) == {each.id for each in LAB.causes}


# Digests, and names aside


def fetching(**variables: str) -> Object:
    found = laid("ends-at-load/after")
    claims.fetcher(found)["env"] += [{"name": name, "value": value} for name, value in variables.items()]
    return found


@pytest.mark.parametrize(
    ("part", "words"),
    [
        ("/weights/.part", ""),
        ("/weights/incoming/v2", ""),
        ("", "to the path from which servers read"),
        ("/weights/log-classifier.safetensors", "to the path from which servers read"),
        ("/weights//log-classifier.safetensors", "to the path from which servers read"),
        ("/tmp/part", "to another volume"),
        ("/weights/../tmp/part", "to another volume"),
        ("/weights2/part", "to another volume"),
        ("/weights", "is a folder, or lies below the file itself"),
        ("/weights/log-classifier.safetensors/part", "is a folder, or lies below the file itself"),
    ],
)
def test_a_download_is_written_aside_on_the_same_volume(part: str, words: str) -> None:
    ctx, found = context("ends-at-load", get=lambda _kind, _name: None), fetching(DOWNLOAD_TO=part)
    if not words:
        versions.written_aside(ctx, found)
        return
    with pytest.raises(Stop) as stop:
        versions.written_aside(ctx, found)
    assert words in said(stop)


@pytest.mark.parametrize(("digest", "words"), [("", "used unchecked"), ("abc", "is not the digest of the release"), ("right", "")])
def test_a_digest_is_the_cards(digest: str, words: str) -> None:
    ctx = context("ends-at-load", need=lambda _kind, _name: {"data": {"sha256": "right"}})
    if not words:
        versions.checked(ctx, fetching(), digest, "WEIGHTS_SHA256", "fetch-not-checked", "model-card-v2")
        return
    with pytest.raises(Stop) as stop:
        versions.checked(ctx, fetching(), digest, "WEIGHTS_SHA256", "fetch-not-checked", "model-card-v2")
    assert words in said(stop)


# The way back


def revision(number: int, version: str, path: str, before: str = "") -> Object:
    template = copy.deepcopy(laid("asked-for-v2")["spec"]["template"])
    owner = {"spec": {"template": template}}
    for row in claims.fetcher(owner)["env"]:
        row["value"] = f"http://model-store:8000/releases/{version}/file" if row["name"] == "WEIGHTS_URL" else path
    for container in template["spec"]["containers"]:
        for row in container["env"]:
            row["value"] = path if row["name"] == "MODEL_PATH" else row["value"]
    notes = {"deployment.kubernetes.io/revision": str(number), **({"deployment.kubernetes.io/revision-history": before} if before else {})}
    metadata = {"name": f"api-{number}", "namespace": "ai-platform", "annotations": notes, "ownerReferences": [{"uid": "uid-api"}]}
    return {"kind": "ReplicaSet", "metadata": metadata, "spec": {"template": template}}


MORNING = revision(2, "v2", "/weights/file")


def returning(sets: list[Object], events: list[Object]) -> Any:
    digests = {"model-card-v1": "one", "model-card-v2": "two"}
    start = laid("asked-for-v2")
    for row in claims.fetcher(start)["env"]:
        row["value"] = "/weights/file" if row["name"] == "TARGET" else row["value"]
    return context(
        "asked-for-v2",
        api=SimpleNamespace(list=lambda _kind, _namespace: list(reversed(sets))),
        get=lambda _kind, _name: None,
        need=lambda _kind, name: {"data": {"sha256": digests[name]}},
        before=lambda _kind, _name: start,
        told=lambda reason: [each for each in events if each["reason"] == reason],
    )


def gave_way_to_v1(replicaset: Object) -> Object:
    return {"reason": "ScalingReplicaSet", "message": f"Scaled down replica set {replicaset['metadata']['name']} from 1 to 0"}


def scaled_up(replicaset: Object, second: int) -> Object:
    message = f"Scaled up replica set {replicaset['metadata']['name']} from 0 to 1"
    return {"reason": "ScalingReplicaSet", "message": message, "firstTimestamp": f"2026-01-01T00:00:{second:02}Z"}


def server_started(replicaset: Object, second: int, field: str = "spec.containers{model-server}") -> Object:
    about = {"kind": "Pod", "name": f"{replicaset['metadata']['name']}-x7k2p", "fieldPath": field}
    return {
        "reason": "Started",
        "message": "Container started",
        "involvedObject": about,
        "firstTimestamp": f"2026-01-01T00:00:{second:02}Z",
    }


def checking(each: Object, digest: str) -> Object:
    claims.fetcher(each)["env"].append({"name": "WEIGHTS_SHA256", "value": digest})
    return each


def test_v1_that_was_overwritten_is_not_beside_v2_until_it_is_fetched_again() -> None:
    owner = {**laid("asked-for-v2"), "metadata": {"name": API, "namespace": "ai-platform", "uid": "uid-api"}}
    thrown = checking(revision(3, "v2", "/weights/file"), "two")
    newest = revision(7, "v2", "/weights/v2", "4")
    for back, words in (
        (revision(6, "v1", "/weights/file"), "v1 is not beside v2"),
        (checking(revision(6, "v1", "/weights/file"), "one"), ""),
    ):
        ctx = returning([MORNING, thrown, back, newest], [gave_way_to_v1(newest), server_started(back, 1)])
        if not words:
            versions.came_back(ctx, owner)
            continue
        with pytest.raises(Stop, match=words):
            versions.came_back(ctx, owner)


@pytest.mark.parametrize(
    ("sets", "came_back"),
    [
        ([MORNING, revision(4, "v1", "/weights/file", "1"), revision(5, "v2", "/weights/v2", "3")], True),
        ([MORNING, revision(3, "v2", "/weights/v2"), revision(4, "v1", "/weights/v1"), revision(5, "v2", "/weights/v2")], True),
        ([revision(1, "v1", "/weights/file"), MORNING, revision(3, "v2", "/weights/v2")], False),
        ([MORNING, revision(3, "v1", "/weights/file", "1"), revision(4, "v2", "/weights/v2")], False),
        ([revision(1, "v1", "/weights/file"), MORNING, revision(5, "v2", "/weights/v2", "3")], False),
    ],
)
def test_a_way_back_is_v1_between_v2_and_v2(sets: list[Object], came_back: bool) -> None:
    owner = {**laid("asked-for-v2"), "metadata": {"name": API, "namespace": "ai-platform", "uid": "uid-api"}}
    if came_back:
        v1, v2 = sets[-2:]
        told = [gave_way_to_v1(v2), scaled_up(v2, 10)]
        versions.came_back(returning(sets, [*told, server_started(v1, 20)]), owner)
        for never in (
            [gave_way_to_v1(v1), server_started(v1, 20)],
            [*told, server_started(v1, 5)],
            [*told, server_started(v1, 20, "spec.initContainers{fetch-weights}")],
            [*told, server_started(v2, 20)],
        ):
            with pytest.raises(Stop, match="never became Ready"):
                versions.came_back(returning(sets, never), owner)
        return
    ctx = returning(sets, [])
    with pytest.raises(Stop) as stop:
        versions.came_back(ctx, owner)
    assert "nobody has gone back to v1" in said(stop)


# The cache


@pytest.mark.parametrize(
    ("source", "keeps", "words"),
    [
        ({"sizeLimit": "8Mi"}, "4", ""),
        ({"sizeLimit": "16Mi"}, "15", ""),
        ({"sizeLimit": "16777216"}, "2", ""),
        ({"sizeLimit": "8Mi"}, "64", "will be evicted again"),
        ({"sizeLimit": "16Mi"}, "16", "will be evicted again"),
        ({}, "4", "nothing keeps the cache"),
        ({"sizeLimit": "0"}, "4", "nothing keeps the cache"),
        ({"sizeLimit": "17Mi"}, "4", "more of its node than was agreed"),
        ({"sizeLimit": "8Mi", "medium": "Memory"}, "4", "the cache is in memory"),
        ({"sizeLimit": "8Mi"}, "1", "keeps nothing any more"),
        ({"sizeLimit": "8Mi"}, "lots", "keeps nothing any more"),
    ],
)
def test_a_cache_keeps_less_than_its_volume_may_hold(source: Object, keeps: str, words: str) -> None:
    found = laid("evicted-again")
    spec = found["spec"]["template"]["spec"]
    spec["volumes"] = [{"name": "cache", "emptyDir": source}]
    next(each for each in spec["containers"] if each["name"] == cache.PROGRAM)["env"] = [{"name": "CACHE_MIB", "value": keeps}]
    ctx = context("evicted-again", before=lambda _kind, _name: laid("evicted-again"))
    if not words:
        cache.bounded(ctx, found)
        return
    with pytest.raises(Stop) as stop:
        cache.bounded(ctx, found)
    assert words in said(stop)


def test_the_start_of_the_cache_is_not_yet_and_no_failure_of_the_learners() -> None:
    ctx = context("evicted-again", before=lambda _kind, _name: laid("evicted-again"))
    with pytest.raises(Stop) as stop:
        cache.bounded(ctx, laid("evicted-again"))
    assert stop.value.verdict.idle


# The starts


def test_only_the_exercises_that_measure_have_a_slow_store() -> None:
    def rate(exercise: str) -> str:
        store = laid(exercise, name="model-store")
        return next(each["value"] for each in store["spec"]["template"]["spec"]["containers"][0]["env"] if each["name"] == "KIB_PER_SECOND")

    assert {name: rate(name) for name in ("four-starts", "each-time-anew", "claim-waits", "ends-at-load")} == {
        "four-starts": "16", "each-time-anew": "16", "claim-waits": "512", "ends-at-load": "512",
    }  # fmt: skip


def test_the_four_ways_differ_in_where_the_file_is_and_in_nothing_else() -> None:
    ways = {way: laid("four-starts", name=f"weights-{way}")["spec"]["template"]["spec"] for way in ("image", "init", "claim", "cache")}
    kinds = {
        way: [key for each in spec.get("volumes") or [] if each["name"] == "weights" for key in each if key != "name"]
        for way, spec in ways.items()
    }
    assert kinds == {"image": [], "init": ["emptyDir"], "claim": ["persistentVolumeClaim"], "cache": ["hostPath"]}
    assert ways["init"]["initContainers"] == ways["claim"]["initContainers"] == ways["cache"]["initContainers"]
    assert ways["init"]["containers"] == ways["claim"]["containers"] == ways["cache"]["containers"]


def test_no_step_of_a_start_takes_images_that_the_course_does_not_have() -> None:
    text = "\n".join(path.read_text() for path in MANIFESTS.rglob("*.yaml"))
    assert set(re.findall(r"image: (\S+)", text)) == {
        "python:3.12-slim", "registry.example.com/ai-log-summary-api:v1", "registry.example.com/ai-log-summary-api:v2",
    }  # fmt: skip
