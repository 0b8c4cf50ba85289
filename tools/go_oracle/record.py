#!/usr/bin/env python3
"""Asks the real Go libraries (main.go) for what the tests of decoding, patches and ownership hold the API server against.

    python tools/go_oracle/record.py PROGRAM

PROGRAM is main.go, built. Writes go_*.json under tests/embedded/apiserver. What is asked: `bodies` and `protobuf` of inputs.json as they
are; from `samples` random parts and changes, from a fixed seed, as applies, updates and strategic merges.
"""

from __future__ import annotations

import copy
import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from kubeobjects import Object

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from clusters.embedded import schema  # noqa: E402

TESTS = ROOT / "tests/embedded/apiserver"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
# Fields that tell items or objects apart, or that a change would make meaningless.
FIXED = {
    *("apiVersion", "kind", "metadata", "name", "namespace", "containerPort", "protocol", "port", "mountPath", "ip", "type", "key", "uid"),
    *("topologyKey", "whenUnsatisfiable", "effect", "address", "pathType", "path", "maxReplicas", "status", "lastTransitionTime"),
    *("startedAt", "data", "storage", "cpu", "memory"),
}
HISTORIES, MERGES = 45, 110


class Oracle:
    def __init__(self, program: str):
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, operation: str, **request: Any) -> Object:
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps({"op": operation, **request}) + "\n")
        self._process.stdin.flush()
        answer: Object = json.loads(self._process.stdout.readline())
        return answer


def part(chance: random.Random, value: Any, dropped: float) -> Any:
    """A value without some of its fields and items; lists of items sometimes in another order."""
    if isinstance(value, dict):
        return {key: part(chance, each, dropped) for key, each in value.items() if key in FIXED or chance.random() > dropped}
    if isinstance(value, list):
        kept = [part(chance, each, dropped) for each in value if chance.random() > dropped * 0.7]
        if kept and isinstance(kept[0], dict) and chance.random() < 0.3:
            chance.shuffle(kept)
        return kept
    return value


def changed(chance: random.Random, value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: each if key in ("metadata", "data") else changed(chance, each, key) for key, each in value.items()}
    if isinstance(value, list):
        return [changed(chance, each, name) for each in value]
    if name in FIXED or chance.random() > 0.4:
        return value
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int) else f"{value}x" if isinstance(value, str) else value


def histories(oracle: Oracle, samples: list[Object]) -> list[Object]:
    """Steps that follow each other on one object: who did what, and the object and its owners (or the refusal) afterwards."""
    found = []
    for seed in range(HISTORIES):
        chance = random.Random(seed)
        sample = chance.choice(samples)
        steps: list[Object] = []
        results: list[Object] = []
        for number in range(chance.randint(2, 4)):
            kind = chance.choice(("apply", "apply", "update")) if number else chance.choice(("apply", "update"))
            body = changed(chance, part(chance, copy.deepcopy(sample), 0.3))
            body.pop("status", None)
            if kind == "update":
                if chance.random() < 0.5:
                    last = {key: value for key, value in sample.items() if key != "status"}
                    body["metadata"].setdefault("annotations", {})[LAST_APPLIED] = json.dumps(part(chance, last, 0.1))
                body = oracle.ask("decode", text=json.dumps(body))["ok"]["object"]
            step = {"type": kind, "manager": chance.choice(("alice", "bob", "kubectl")), "force": chance.random() < 0.2, "object": body}
            answer = oracle.ask("fields", apiVersion=sample["apiVersion"], kind=sample["kind"], steps=[*steps, step])["ok"][-1]
            results.append({**step, "result": answer})
            if "error" not in answer:
                steps.append(step)
        found.append({"apiVersion": sample["apiVersion"], "kind": sample["kind"], "steps": results})
    return found


def patch_of(chance: random.Random, value: Object, wanted: schema.Type | None) -> Object:
    """A random strategic merge patch for a map."""
    found: Object = {}
    for name, each in value.items():
        field = wanted.field(name) if wanted is not None else None
        if chance.random() < 0.35:
            continue
        if chance.random() < 0.1:
            found[name] = None
        elif isinstance(each, dict):
            found[name] = patch_of(chance, each, field)
            directive = chance.random()
            if directive < 0.14:
                found[name]["$patch"] = "merge" if directive < 0.02 else "replace" if directive < 0.08 else "delete"
            elif directive < 0.28:
                found[name]["$retainKeys"] = sorted({*found[name], *(key for key in each if chance.random() < 0.8)})
        elif isinstance(each, list) and field is not None:
            _list_patch(chance, found, name, each, field)
        else:
            found[name] = changed(chance, each)
    return found


def _list_patch(chance: random.Random, found: Object, name: str, items: list[Any], field: schema.Type) -> None:
    key = field.patch_merge_key
    if "merge" not in field.patch_strategies or not (key or not isinstance(items[0], dict)):
        found[name] = [changed(chance, item) for item in items if chance.random() < 0.6]
        return
    if not key:
        found[name] = [item for item in items if chance.random() < 0.6] + ["new"] * (chance.random() < 0.4)
        if chance.random() < 0.4:
            found[f"$deleteFromPrimitiveList/{name}"] = [item for item in items if item not in found[name]]
        return
    made: list[Object] = []
    for item in items:
        if chance.random() < 0.6:
            gone = chance.random() < 0.2
            made.append({"$patch": "delete", key: item[key]} if gone else {**patch_of(chance, item, field.items), key: item[key]})
    if chance.random() < 0.3:
        made.insert(0, {key: 9 if isinstance(items[0][key], int) else "new"})
    if chance.random() < 0.3:
        chance.shuffle(made)
    found[name] = made
    if chance.random() < 0.5:
        live = [item[key] for item in made if "$patch" not in item]
        others = [item[key] for item in items if item[key] not in [each[key] for each in made] and chance.random() < 0.7]
        found[f"$setElementOrder/{name}"] = [{key: value} for value in (*others, *live)]
        if chance.random() < 0.2:
            chance.shuffle(found[f"$setElementOrder/{name}"])


def merges(oracle: Oracle, samples: list[Object]) -> list[Object]:
    found = []
    for seed in range(MERGES):
        chance = random.Random(seed)
        sample = chance.choice(samples)
        version, kind = sample["apiVersion"], sample["kind"]
        patch = patch_of(
            chance, {key: value for key, value in sample.items() if key not in ("apiVersion", "kind")}, schema.get().find(version, kind)
        )
        answer = oracle.ask("strategic", apiVersion=version, kind=kind, object=sample, patch=patch)
        # Where both a list and removals from it are in a patch, Go takes them in any order: such a case proves nothing.
        again = [oracle.ask("strategic", apiVersion=version, kind=kind, object=sample, patch=patch) for _ in range(6)]
        if all(each == answer for each in again):
            found.append({"original": sample, "patch": patch, "answer": answer})
    return found


def decoded(oracle: Oracle, bodies: list[Object]) -> list[Object]:
    return [
        {
            "body": body,
            "json": oracle.ask("decode", text=json.dumps(body), strict=True),
            "unstructured": oracle.ask("convert", apiVersion=body["apiVersion"], kind=body["kind"], object=body, strict=True),
        }
        for body in bodies
    ]


def encoded(oracle: Oracle, objects: list[Object]) -> list[Object]:
    return [oracle.ask("proto", apiVersion=each["apiVersion"], kind=each["kind"], object=each)["ok"] for each in objects]


def main() -> None:
    oracle = Oracle(sys.argv[1])
    inputs = json.loads(Path(__file__).with_name("inputs.json").read_text())
    recorded = {
        "go_decoding.json": decoded(oracle, inputs["bodies"]),
        "go_protobuf.json": encoded(oracle, inputs["protobuf"] + inputs["samples"]),
        "patch/go_ownership.json": histories(oracle, inputs["samples"]),
        "patch/go_merges.json": merges(oracle, inputs["samples"]),
    }
    for name, cases in recorded.items():
        lines = ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases)
        (TESTS / name).write_text(f"[\n{lines}\n]\n")


if __name__ == "__main__":
    main()
