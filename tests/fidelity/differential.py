#!/usr/bin/env python3
"""Holds an API server against what a real one (Kubernetes 1.36.2) answered to requests that were made by mutation.

    python -m tests.fidelity.differential compare RECORDED.jsonl.gz     the cluster that KUBECONFIG names; --show N prints N differences
    python -m tests.fidelity.differential sample RECORDED.jsonl.gz      a request of each class, for data/differential.jsonl.gz

A line of a recording is a request (method, path, params, type, body) and under `real` what came back. Every write is a dry run, so that
requests do not depend on each other. Compared are the code, a refusal's reason, message and causes, an accepted object with its defaults,
and warnings; what the server picks by itself (times, UIDs, addresses, ports) is left out.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import http.client
import json
import os
import re
import ssl
import sys
import tempfile
import urllib.parse
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

_PICKED = frozenset({
    "uid", "creationTimestamp", "resourceVersion", "time", "managedFields", "clusterIP", "clusterIPs", "healthCheckNodePort", "nodePort",
    "lastPhaseTransitionTime",
})  # fmt: skip
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ADDRESS = re.compile(r"\b10\.\d+\.\d+\.\d+\b")
_WARNING = re.compile(r'299 - "((?:[^"\\]|\\.)*)"')
# The real server walks Go maps, whose order it draws: a recording keeps one of several.
_DRAWN = "failed to create typed patch object"
# What makes two messages of one class: the values in them do not count.
_VALUES = tuple(
    (re.compile(pattern), instead)
    for pattern, instead in (
        (r'"(?:[^"\\]|\\.)*"', '""'),
        (r"\([^()]*Kind=\w+\)", "(KIND)"),
        (r"case-\d+-\d+", "NAME"),
        (r"&\{.*\}|&value.*", "&{}"),
        (r"unmarshal \w+( [\d.e+-]+)? into Go struct field \S+ of type \S+", "unmarshal into FIELD"),
        (r"[\w\[\]]*(\.[\w\[\]=\",/-]+)+(?=:)", "PATH"),
        (r"\d+", "0"),
    )
)


class Server:
    """The API server behind a kubeconfig, spoken to as its user."""

    def __init__(self, kubeconfig: Path):
        config = yaml.safe_load(kubeconfig.read_text())
        context = next(each["context"] for each in config["contexts"] if each["name"] == config["current-context"])
        cluster = next(each["cluster"] for each in config["clusters"] if each["name"] == context["cluster"])
        user = next(each["user"] for each in config["users"] if each["name"] == context["user"])
        url = urllib.parse.urlsplit(cluster["server"])
        trusted = ssl.create_default_context(cadata=_material(cluster, "certificate-authority"))
        with tempfile.TemporaryDirectory() as folder:
            certificate = Path(folder) / "client.pem"
            certificate.write_text(_material(user, "client-certificate") + _material(user, "client-key"))
            trusted.load_cert_chain(certificate)
        self._connection = http.client.HTTPSConnection(url.hostname or "", url.port, context=trusted, timeout=20)

    def answer(self, case: dict[str, Any]) -> dict[str, Any]:
        """What comes back for a request, in the form of a recording."""
        headers = {"Content-Type": case["type"], "Accept": "application/json"}
        body = None if case["body"] is None or case["method"] == "GET" else json.dumps(case["body"])
        path = f"{case['path']}?{urllib.parse.urlencode(case['params'])}"
        self._connection.request(case["method"], path, body=body, headers=headers)
        reply = self._connection.getresponse()
        found = json.loads(reply.read())
        warnings = [each for value in reply.headers.get_all("Warning") or [] for each in _WARNING.findall(value)]
        answer: dict[str, Any] = {"code": reply.status, "warnings": sorted(warnings)}
        if reply.status >= 300 or found.get("kind") == "Status":
            causes = [json.dumps({**each, "message": _tidy(each.get("message", ""))}, sort_keys=True) for each in _causes(found)]
            answer["status"] = {"reason": found.get("reason"), "message": _tidy(found.get("message", "")), "causes": sorted(causes)}
        elif case.get("list"):
            answer["list"] = {"kind": found.get("kind"), "apiVersion": found.get("apiVersion")}
        else:
            answer["object"] = _plain(found)
        return answer


def _material(holder: dict[str, str], name: str) -> str:
    if f"{name}-data" in holder:
        return base64.b64decode(holder[f"{name}-data"]).decode()
    return Path(holder[name]).read_text()


def _causes(status: dict[str, Any]) -> list[dict[str, str]]:
    return (status.get("details") or {}).get("causes") or []


def _tidy(text: str) -> str:
    return _ADDRESS.sub("<ip>", _UID.sub("<uid>", text))


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items() if name not in _PICKED and not name.endswith("controller-uid")}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return re.sub(r"kube-api-access-[a-z0-9]{5}", "kube-api-access-x", value) if isinstance(value, str) else value


def read(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt") as lines:
        return [json.loads(line) for line in lines]


def difference(real: dict[str, Any], ours: dict[str, Any]) -> str:
    """The first thing that differs, in one line; empty where the two answers are the same."""
    for name in ("code", "status", "object", "list", "warnings"):
        one, other = real.get(name), ours.get(name)
        if name == "status" and one and other:
            for part in ("reason", "message", "causes"):
                if (one[part] or None) != (other[part] or None):
                    return f"{part}: real {one[part]!r}, here {other[part]!r}"
        elif one != other:
            return f"{name}: real {json.dumps(one)}, here {json.dumps(other)}" + _said(real, ours)
    return ""


def _said(real: dict[str, Any], ours: dict[str, Any]) -> str:
    return "".join(f"\n  {who}: {each['status']['message']}" for who, each in (("real", real), ("here", ours)) if "status" in each)


def compare(server: Server, cases: list[dict[str, Any]]) -> Iterator[tuple[dict[str, Any], str]]:
    """Each case whose answer differs, with the difference."""
    for case in cases:
        if found := difference(case["real"], server.answer(case)):
            yield case, found


def class_of(case: dict[str, Any]) -> tuple[Any, ...]:
    """Cases of one class test the same rule: the same kind of request, answered in the same words but for the values in them."""
    real = case["real"]
    message = (real.get("status") or {}).get("message", "")
    for pattern, instead in _VALUES:
        message = pattern.sub(instead, message)
    how = "apply" if "apply" in case["type"] else "list" if case.get("list") else case["method"]
    # A list of errors counts by what is new in it.
    told = tuple(sorted(set(message.replace(case["kind"], "KIND").split(", PATH"))))
    return case["kind"] if real["code"] < 300 else "", how, real["code"], told, bool(real["warnings"])


def sample(cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first case of each class, without those whose order the real server draws."""
    chosen: dict[tuple[Any, ...], dict[str, Any]] = {}
    for case in cases:
        message = (case["real"].get("status") or {}).get("message", "")
        if _DRAWN not in message or "errors:" not in message:
            chosen.setdefault(class_of(case), case)
    return list(chosen.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=("compare", "sample"))
    parser.add_argument("recorded", type=Path)
    parser.add_argument("--show", type=int, default=0, metavar="N")
    asked = parser.parse_args()
    cases = read(asked.recorded)
    if asked.command == "sample":
        sys.stdout.writelines(json.dumps(case, separators=(",", ":")) + "\n" for case in sample(cases))
        return
    found = list(compare(Server(Path(os.environ["KUBECONFIG"])), cases))
    for case, what in found[: asked.show]:
        print(f"{case['id']} {case['method']} {case['path']}\n  {what}")
    print(f"same answer: {len(cases) - len(found)} of {len(cases)}")


if __name__ == "__main__":
    main()
