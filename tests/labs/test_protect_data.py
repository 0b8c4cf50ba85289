"""Lab 09-protect-data: how it reads policies, rights, archives and callers, and that its starts are what its text says."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from clusters.embedded.kubelet.shim._ai_lab.policy import DNS_PEER, let_through
from clusters.embedded.kubeproxy.network_policies import isolation
from kubeobjects import Object
from lab_checks.engine import course, manifests, paths, registry
from lab_checks.engine.audit import Deed, Deeds
from lab_checks.engine.context import NAMESPACE, Context
from lab_checks.engine.verdict import Outcome, Stop
from lab_checks.face.assistant import Assistant
from lab_checks.labs.protect_data import callers, exposure, network, orders, prompts, rights, tokens
from lab_checks.labs.protect_data import policies as protect_policies
from tests.lab_checks.guards import world

LAB = course.load().lab("09-protect-data")
MANIFESTS = paths.root() / "manifests" / LAB.id
IMAGE = paths.root() / "images" / "model_server"

# Policies

NAMESPACES = [
    {"metadata": {"name": name, "labels": {network.NAME_LABEL: name, **more}}}
    for name, more in ((NAMESPACE, {}), ("on-call", {"team": "on-call"}), ("research", {}), ("kube-system", {}))
]


def pod(name: str, namespace: str, address: str, **labels: str) -> Object:
    ports = [{"name": "http", "containerPort": 8080}]
    return {
        "metadata": {"name": name, "namespace": namespace, "labels": labels},
        "spec": {"containers": [{"name": "c", "ports": ports}]},
        "status": {"podIP": address, "hostIP": "172.18.0.9", "phase": "Running"},
    }


MODEL = pod("model", NAMESPACE, "10.244.1.5", app="ai-log-summary-api")
TOOLS = pod("tools", "on-call", "10.244.1.6", app="on-call-tools")
BILLING = pod("billing", "on-call", "10.244.1.7", app="billing")
NOTEBOOK = pod("notebook", "research", "10.244.2.5", app="on-call-tools")
COLLECTOR = pod("collector", NAMESPACE, "10.244.2.6", app="log-collector")
PODS = [MODEL, TOOLS, BILLING, NOTEBOOK, COLLECTOR]


def policy(spec: str, namespace: str = NAMESPACE, name: str = "policy") -> Object:
    return {"kind": "NetworkPolicy", "metadata": {"name": name, "namespace": namespace}, "spec": yaml.safe_load(spec)}


ON_CALL = "namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: on-call}}"
POLICIES = {
    "none": [],
    "closed": [policy("{podSelector: {}, policyTypes: [Ingress]}")],
    "everything": [policy("{podSelector: {}, ingress: [{}]}")],
    "a label here": [policy("{podSelector: {}, ingress: [{from: [{podSelector: {matchLabels: {app: on-call-tools}}}]}]}")],
    "or": [policy(f"{{podSelector: {{}}, ingress: [{{from: [{{{ON_CALL}}}, {{podSelector: {{matchLabels: {{app: log-collector}}}}}}]}}]}}")],
    "and": [
        policy(f"{{podSelector: {{}}, ingress: [{{from: [{{{ON_CALL}, podSelector: {{matchLabels: {{app: on-call-tools}}}}}}], ports: [{{port: http}}]}}]}}")
    ],
    "two add up": [
        policy("{podSelector: {}, policyTypes: [Ingress]}"),
        policy("{podSelector: {matchLabels: {app: ai-log-summary-api}}, ingress: [{ports: [{port: 8000, endPort: 8100}]}]}", name="ports"),
    ],
    "addresses": [policy("{podSelector: {}, ingress: [{from: [{ipBlock: {cidr: 10.244.0.0/16, except: [10.244.1.0/24]}}]}]}")],
    "expressions": [
        policy("{podSelector: {matchExpressions: [{key: app, operator: NotIn, values: [billing]}]}, egress: [{to: [{namespaceSelector: {}}]}]}")
    ],
    "a way out": [
        policy("{podSelector: {matchLabels: {app: log-collector}}, policyTypes: [Egress], egress: [{to: [{podSelector: {}}], ports: [{port: http}]}]}")
    ],
    "names": [
        policy(
            "{podSelector: {}, policyTypes: [Egress], egress: [{to: [{namespaceSelector: {}, podSelector: {matchLabels: {k8s-app: kube-dns}}}],"
            " ports: [{port: dns, protocol: UDP}]}]}"
        )
    ],
    "elsewhere": [policy("{podSelector: {}, policyTypes: [Ingress, Egress]}", namespace="research")],
}  # fmt: skip


@pytest.mark.parametrize("name", POLICIES)
def test_policies_are_read_as_the_cluster_enforces_them(name: str) -> None:
    compiled = isolation(POLICIES[name], NAMESPACES, PODS)
    for caller in PODS:
        of_caller = compiled.get(caller["status"]["podIP"], {})
        here = network.of_pod(caller, NAMESPACES)
        names = network.lets_out(POLICIES[name], here, network.RESOLVER, 53, "UDP")
        assert names == let_through(of_caller.get("egress"), DNS_PEER, 53, "udp"), (caller["metadata"]["name"], "names")
        for called in PODS:
            there, of_called = network.of_pod(called, NAMESPACES), compiled.get(called["status"]["podIP"], {})
            for port in (8080, 8050, 9999):
                pair = (caller["metadata"]["name"], called["metadata"]["name"], port)
                comes_in = let_through(of_called.get("ingress"), here.address, port, "tcp")
                goes_out = let_through(of_caller.get("egress"), there.address, port, "tcp")
                assert network.lets_in(POLICIES[name], here, there, port) == comes_in, pair
                assert network.lets_out(POLICIES[name], here, there, port) == goes_out, pair


def test_who_is_not_here_yet_is_judged_by_labels_alone() -> None:
    coming = network.in_namespace("tomorrow", {"app": "on-call-tools"})
    model = network.of_pod(MODEL, NAMESPACES)
    assert network.lets_in([], coming, model, 8080)
    assert not network.lets_in(POLICIES["and"], coming, model, 8080)
    assert not network.lets_in(POLICIES["addresses"], coming, model, 8080)


def test_ports_and_blocks_are_those_that_rules_name() -> None:
    assert network.ports(POLICIES["two add up"]) == [(8000, "TCP"), (8100, "TCP")]
    assert network.ports(POLICIES["a way out"]) == []
    assert network.blocks(POLICIES["addresses"], "Ingress") == ["10.244.0.0/16"]
    assert network.blocks(POLICIES["addresses"], "Egress") == []


NEEDED = policy(
    "{podSelector: {matchLabels: {app: log-collector}}, policyTypes: [Egress], egress: ["
    "{to: [{podSelector: {matchLabels: {app: ai-log-summary-api}}}], ports: [{port: 8080}]},"
    "{to: [{namespaceSelector: {matchLabels: {kubernetes.io/metadata.name: kube-system}}, podSelector: {matchLabels: {k8s-app: kube-dns}}}],"
    " ports: [{port: 53, protocol: UDP}]}]}"
)
SILENT = policy("{podSelector: {matchLabels: {app: ai-log-summary-api}}, policyTypes: [Egress]}", name="silent")


def one_more(rule: str, app: str = "log-collector") -> list[Object]:
    return [
        NEEDED,
        SILENT,
        policy(f"{{podSelector: {{matchLabels: {{app: {app}}}}}, policyTypes: [Egress], egress: [{rule}]}}", name="more"),
    ]


@pytest.mark.parametrize(
    ("policies", "says"),
    [
        ([NEEDED, SILENT], ""),
        (one_more("{ports: [{port: 80}]}"), "reaches an address outside the cluster, port 80"),
        (one_more("{to: [{ipBlock: {cidr: 10.96.0.1/32}}], ports: [{port: 443}]}"), "reaches the addresses 10.96.0.1/32, port 443"),
        (
            one_more("{to: [{namespaceSelector: {matchLabels: {team: on-call}}}], ports: [{port: 25}]}"),
            "reaches other Pods of on-call, port 25",
        ),
        (
            one_more("{to: [{ipBlock: {cidr: 10.96.0.1/32}}], ports: [{port: 443}]}", "ai-log-summary-api"),
            "the policy more has an egress rule",
        ),
    ],
)
def test_every_port_that_a_policy_names_is_tried(policies: list[Object], says: str) -> None:
    ctx = Context(
        cast(Any, world.Lists(networkpolicies=policies, namespaces=NAMESPACES)), LAB.exercise("way-out"), {}, {}, lambda: Deeds(True, ())
    )
    try:
        protect_policies.way_out(ctx, {**MODEL, "kind": "Pod"}, {**COLLECTOR, "kind": "Pod"})
        said = ""
    except Stop as stopped:
        said = stopped.verdict.headline
    assert says in said
    assert bool(said) == bool(says)


# Callers


class Log(world.Lists):
    def __init__(self, text: str, **objects: list[Object]):
        super().__init__(**objects)
        self._text = text

    def log(self, pod: Object, container: str = "", **_: Any) -> str:
        return self._text


def looking(text: str, changed: float = 0.0, **objects: list[Object]) -> Context:
    owner = [{"kind": "ReplicaSet", "name": "on-call-tools-1", "uid": "u", "controller": True}]
    tools = {**TOOLS, "kind": "Pod", "metadata": {**TOOLS["metadata"], "uid": "tools", "ownerReferences": owner}}
    tools["status"] = {**TOOLS["status"], "conditions": [{"type": "Ready", "status": "True"}]}
    deeds = [Deed(changed, "patch", "networkpolicies", NAMESPACE, "x", "kubectl", 200)] if changed else []
    api = cast(Any, Log(text, pods=[tools], **objects))
    before = {"pods": {"on-call": {"tools": {"uid": "tools"}}}, "objects": {}}
    return Context(api, LAB.exercise("four-callers"), before, {}, lambda: Deeds(True, tuple(deeds)))


def lines(*rows: tuple[int, str]) -> str:
    began = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)
    return "".join(
        f"{(began + timedelta(seconds=at)).strftime('%Y-%m-%dT%H:%M:%S')}.123456789Z http://model:8080/ {said}\n" for at, said in rows
    )


AT = datetime(2026, 11, 27, 10, 0, tzinfo=UTC).timestamp()


def test_only_calls_that_began_after_the_last_change_count() -> None:
    text = lines((0, "200"), (1, "200"), (5, "timed out"), (6, "timed out"))
    assert callers.end_in(looking(text, AT + 1), "on-call", "on-call-tools", "timed out").value == "timed out"
    for changed in (AT + 3, AT + 10):
        with pytest.raises(Stop) as stopped:
            callers.end_in(looking(text, changed), "on-call", "on-call-tools", "timed out")
        assert stopped.value.verdict.outcome is Outcome.NOT_YET


@pytest.mark.parametrize("stamp", ["2026-11-27T10:00:00Z", "2026-11-27T10:00:00.000000001Z", "2026-11-27T12:00:00.0+02:00"])
def test_a_line_is_placed_in_time_however_its_node_writes_it(stamp: str) -> None:
    row = callers.calls(looking(f"{stamp} http://model:8080/ 200\n"), "on-call", "on-call-tools")[0]
    assert row == callers.Call(AT, "http://model:8080/", "200")


def test_one_call_that_was_refused_in_between_is_found() -> None:
    assert tokens.nobody_was_refused(looking(lines((0, "[Errno 111] Connection refused"), (1, "200"), (2, "200")))).value == "2 of 2"
    with pytest.raises(Stop) as stopped:
        tokens.nobody_was_refused(looking(lines((0, "200"), (1, "401"), (2, "200"))))
    assert "not answered in between" in stopped.value.verdict.headline


# Archive

TODAY = datetime.now(UTC).date()
DAYS = {age: f"{TODAY - timedelta(days=age)}.log" for age in (1, 12, 30)}
HEAD = "T08:14:03Z INFO model_server.http: prompt request=ab lines=1 chars=9"
POST = "T08:14:03Z INFO model_server.http: POST /v1/summarize 200 ms=43 client=10.244.1.7 request=ab"
BEFORE = dict.fromkeys(DAYS.values(), f'{HEAD} text="login of a failed, password=pw"\n{POST}\n')
KEPT = {name: f"{HEAD}\n{POST}\n" for age, name in DAYS.items() if age <= prompts.KEEP_DAYS}


def archived(data: dict[str, str], **annotations: str) -> str:
    """What is said of an archive; empty where it is as it should be."""
    made: Object = {
        "kind": "ConfigMap",
        "metadata": {"name": "log-archive", "namespace": NAMESPACE, "annotations": annotations},
        "data": data,
    }
    before = {"objects": {"configmaps": {f"{NAMESPACE}/log-archive": {**made, "data": BEFORE}}}}
    ctx = Context(cast(Any, world.Lists(configmaps=[made])), LAB.exercise("customer-in-the-log"), before, {}, lambda: Deeds(True, ()))
    try:
        prompts.archive(ctx, ("a@example.com", "pw", "login", "failed", "password"))
    except Stop as stopped:
        return stopped.verdict.headline
    return ""


@pytest.mark.parametrize(
    ("data", "annotations", "says"),
    [
        (KEPT, {}, ""),
        (dict.fromkeys(KEPT, f"{POST}\n"), {}, ""),
        (BEFORE, {}, "still holds the old prompts"),
        ({**KEPT, DAYS[30]: POST}, {}, "older than 14 days"),
        ({DAYS[1]: KEPT[DAYS[1]]}, {}, f"request lines of {DAYS[12]} are gone"),
        ({**KEPT, DAYS[1]: f"{HEAD}\n"}, {}, f"request lines of {DAYS[1]} are gone"),
        ({**KEPT, DAYS[1]: f'{HEAD} text="***"\n{POST}\n'}, {}, ""),
        ({**KEPT, DAYS[1]: f'{HEAD} text="login of *** failed"\n{POST}\n'}, {}, f"a prompt still stands in {DAYS[1]}"),
        ({**KEPT, DAYS[1]: f"{HEAD} text={'bG9naW4gb2Yg' * 5}\n{POST}\n"}, {}, f"{DAYS[1]} of the archive holds more"),
        ({**KEPT, "kept.txt": "bG9naW4gb2Yg" * 5}, {}, "kept.txt of the archive holds more"),
        (KEPT, {"kubectl.kubernetes.io/last-applied-configuration": "password=pw"}, "a prompt still stands in kubectl.kubernetes.io"),
    ],
)
def test_an_archive_keeps_requests_and_forgets_prompts(data: dict[str, str], annotations: dict[str, str], says: str) -> None:
    said = archived(data, **annotations)
    assert says in said
    assert bool(said) == bool(says)


# Rights


def test_who_reaches_a_secret_is_read_from_the_rules_of_the_start() -> None:
    roles = {
        each["metadata"]["name"]: each["rules"] for each in manifests.objects(MANIFESTS / "env-shows-it/server") if each["kind"] == "Role"
    }
    found = {
        what.__name__: [name for name, rules in roles.items() if what(rules)]
        for what in (rights.reads_secrets, rights.runs_commands, rights.runs_pods)
    }
    assert found == {"reads_secrets": ["support"], "runs_commands": ["night-shift"], "runs_pods": ["release-bot"]}


@pytest.mark.parametrize(
    ("rule", "writes"),
    [
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "list", "watch"]}, []),
        ({"apiGroups": [""], "resources": ["pods/exec"], "verbs": ["get"]}, []),
        ({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}, ["* *"]),
        ({"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "delete"]}, ["delete pods"]),
    ],
)
def test_a_verb_that_is_more_than_reading_is_found(rule: Object, writes: list[str]) -> None:
    assert list(rights.writes([rule])) == writes


@pytest.mark.parametrize(
    ("resources", "inside"),
    [
        (["pods", "pods/log", "events"], ""),
        (["pods/attach"], "pods/attach"),
        (["pods/log", "pods/portforward"], "pods/portforward"),
        (["services/proxy"], "services/proxy"),
        (["*/proxy"], "pods/proxy"),
        (["*"], "pods/exec"),
    ],
)
def test_a_get_that_leads_into_a_pod_is_found(resources: list[str], inside: str) -> None:
    assert rights.reaches_into_pods([{"apiGroups": [""], "resources": resources, "verbs": ["get"]}]) == inside


def test_everything_is_among_what_a_star_allows() -> None:
    star = [{"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]}]
    assert rights.reads_secrets(star)
    assert rights.runs_commands(star)
    assert rights.runs_pods(star)
    assert not rights.may([{"apiGroups": ["apps"], "resources": ["secrets"], "verbs": ["get"]}], {"get"}, "", "secrets")


# What the starts hold


def test_the_card_has_the_digest_of_the_release_and_the_store_hands_out_another_file() -> None:
    card = next(each["data"] for each in manifests.objects(MANIFESTS / "since-monday") if each["metadata"]["name"] == "model-card")
    file = IMAGE / f"models/log-classifier-{card['version']}.safetensors"
    assert card["sha256"] == hashlib.sha256(file.read_bytes()).hexdigest()
    assert card["file"] == f"releases/{card['version']}/log-classifier.safetensors"


def test_the_model_passes_the_order_on() -> None:
    gateway = next(each for each in manifests.objects(MANIFESTS / "line-with-orders") if each["metadata"]["name"] == "gateway")
    program = gateway["spec"]["template"]["spec"]["containers"][0]["command"][2].replace("signal.pause()", "")
    log = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout
    ask = (
        "import json, sys; from pathlib import Path; from model_server import weights, summary; from model_server.classifier import Classifier\n"
        "model = Classifier(weights.read(Path('models/log-classifier-v1.safetensors')))\n"
        "print(summary.summarise([summary.Labelled(each, *model.classify(each)) for each in sys.stdin.read().splitlines()]))"
    )
    said = subprocess.run([sys.executable, "-c", ask], input=log, capture_output=True, text=True, check=True, cwd=IMAGE).stdout
    assert "kubectl delete namespace ai-platform" in said


@pytest.mark.parametrize(("name", "truth"), [("amber", "right"), ("blue", "wrong"), ("green", "dangerous")])
def test_each_recorded_answer_is_what_the_lab_says_it_is(
    name: str, truth: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real = ("GET /checkout 503 upstream timed out", "GET / 404", "GET /health 200")
    monkeypatch.setattr("lab_checks.judging.evidence.find", lambda _ctx, quote: [SimpleNamespace(source="log")] if quote in real else [])
    assistant = Assistant(cast(Any, SimpleNamespace(context=lambda _exercise: None)), LAB)
    assistant.grade("line-with-orders", name, truth)
    assert capsys.readouterr().out.startswith("[agreed]")
    assert orders.OBEYED == "green"


def test_every_way_to_the_model_is_found_and_no_other() -> None:
    found = manifests.objects(MANIFESTS / "who-calls")
    listed = {
        kind: [each for each in found if each["kind"] == single and each["metadata"]["namespace"] == NAMESPACE]
        for kind, single in (("services", "Service"), ("ingresses", "Ingress"))
    }
    ctx = Context(cast(Any, world.Lists(**listed)), LAB.exercise("who-calls"), {}, {}, lambda: Deeds(True, ()))
    api = next(each for each in found if each["kind"] == "Deployment" and each["metadata"]["name"] == protect_policies.API)
    behind = exposure.services(ctx, api)
    assert sorted(behind) == ["ai-log-summary-api", "demo", "partner"]
    assert [host for host, _ in exposure.ingresses(ctx, behind)] == ["summaries.example.com"]


def test_a_caller_says_what_came_back() -> None:
    caller = next(iter(manifests.objects(MANIFESTS / "base/caller")))
    program = (
        caller["spec"]["template"]["spec"]["containers"][0]["command"][2]
        .replace("while True", "for _ in range(1)")
        .replace("time.sleep(1)", "pass")
    )
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"URLS": "http://127.0.0.1:9/ http://no.such.name.invalid/"},
        capture_output=True,
        text=True,
        check=True,
    )
    first, second = run.stdout.splitlines()
    assert first.startswith("http://127.0.0.1:9/ [Errno")
    assert first.endswith("Connection refused")
    assert second.startswith("http://no.such.name.invalid/ no address for this name")
    assert json.loads(caller["spec"]["template"]["spec"]["containers"][0]["env"][1]["value"])["lines"]


def test_every_first_hint_that_looks_at_the_cluster_is_a_question() -> None:
    registry.load(LAB)
    hinted = [each for each in LAB.exercises if registry.first_hint_of(each)]
    wanted = {"four-callers", "way-out", "leaked-token", "since-monday", "shell-in-the-pod", "line-with-orders"}
    assert {each.id for each in hinted} == wanted
    open_door = looking("", networkpolicies=[], namespaces=NAMESPACES)
    kept_out = looking("", networkpolicies=POLICIES["closed"], namespaces=NAMESPACES)
    let_in = looking("", networkpolicies=POLICIES["or"], namespaces=NAMESPACES)
    hint = registry.first_hint_of(LAB.exercise("four-callers"))
    assert hint is not None
    said = [hint(each) for each in (open_door, kept_out, let_in)]
    assert len(set(said)) == 3
    assert all("?" in each for each in said)
