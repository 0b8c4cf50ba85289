"""Reading a cluster: plain objects, as `kubectl get -o json` shows them, through the official `kubernetes` client.

One `Api` holds one connection pool; a check makes a handful of requests.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import clusters
from kubeobjects import Object
from lab_checks.engine import paths

# Where each kind that checks look at is served.
_PATHS = {
    "pods": "/api/v1", "services": "/api/v1", "configmaps": "/api/v1", "secrets": "/api/v1", "events": "/api/v1", "nodes": "/api/v1",
    "namespaces": "/api/v1", "resourcequotas": "/api/v1", "limitranges": "/api/v1", "persistentvolumeclaims": "/api/v1",
    "serviceaccounts": "/api/v1", "endpoints": "/api/v1",
    "deployments": "/apis/apps/v1", "replicasets": "/apis/apps/v1", "daemonsets": "/apis/apps/v1", "statefulsets": "/apis/apps/v1",
    "jobs": "/apis/batch/v1", "cronjobs": "/apis/batch/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1", "ingresses": "/apis/networking.k8s.io/v1", "networkpolicies": "/apis/networking.k8s.io/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1", "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "clusterroles": "/apis/rbac.authorization.k8s.io/v1", "clusterrolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "validatingadmissionpolicies": "/apis/admissionregistration.k8s.io/v1",
    "validatingadmissionpolicybindings": "/apis/admissionregistration.k8s.io/v1",
    "resourceclaims": "/apis/resource.k8s.io/v1", "resourceclaimtemplates": "/apis/resource.k8s.io/v1",
    "resourceslices": "/apis/resource.k8s.io/v1", "deviceclasses": "/apis/resource.k8s.io/v1",
    "poddisruptionbudgets": "/apis/policy/v1", "horizontalpodautoscalers": "/apis/autoscaling/v2",
    "priorityclasses": "/apis/scheduling.k8s.io/v1", "runtimeclasses": "/apis/node.k8s.io/v1",
    "persistentvolumes": "/api/v1", "storageclasses": "/apis/storage.k8s.io/v1",
}  # fmt: skip
_CLUSTER_SCOPED = frozenset(
    {
        "nodes", "namespaces", "priorityclasses", "runtimeclasses", "clusterroles", "clusterrolebindings", "validatingadmissionpolicies",
        "validatingadmissionpolicybindings", "persistentvolumes", "storageclasses", "resourceslices", "deviceclasses",
    }
)  # fmt: skip
# What the API server says where it could not ask an admission webhook.
WEBHOOK_DOWN = "failed calling webhook"


def collection(kind: str, namespace: str | None = None) -> str:
    """The path under which the objects of a kind (`pods`) are listed and watched; without a namespace, those of all."""
    base = _PATHS[kind]
    return f"{base}/{kind}" if namespace is None or kind in _CLUSTER_SCOPED else f"{base}/namespaces/{namespace}/{kind}"


class ApiUnreachable(Exception):
    """The API server does not answer, or not with what was asked for; the message says which request.

    `status` is the HTTP status of an answer that was not what was asked for; 0 where nobody answered.
    """

    def __init__(self, what: str, status: int = 0):
        super().__init__(what)
        self.status = status


@dataclass(frozen=True)
class Answer:
    """What the API server answered: the HTTP status, the body (a Status where it refuses), and the texts of its Warning headers."""

    code: int
    body: Object
    warnings: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.code < 300

    @property
    def message(self) -> str:
        """Why it refuses, in its own words; empty where it does not."""
        return "" if self.allowed else " ".join(str(self.body.get("message") or self.code).split())


class Api:
    """Requests to the cluster that `kubeconfig` names."""

    def __init__(self, kubeconfig: Path):
        # Imported here: the client takes half a second to load, and `ai-lab up` does without it.
        import yaml
        from kubernetes import client, config

        self.kubeconfig = kubeconfig
        settings: Any = client.Configuration()
        # A server that is down is told at once: urllib3 would ask three times and print a warning each.
        settings.retries = False
        try:
            self._client: Any = config.new_client_from_config(str(kubeconfig), client_configuration=settings)
        except (config.ConfigException, OSError, ValueError, TypeError, LookupError, AttributeError, yaml.YAMLError) as error:
            # The client tells of a damaged file with whatever its parts raise.
            raise ApiUnreachable(f"{kubeconfig} is no kubeconfig that can be used ({type(error).__name__})") from None

    def raw(self, path: str, query: Sequence[tuple[str, str]] = (), *, accept: str = "application/json") -> Object | None:
        """The object at a path; None where there is none. Raises ApiUnreachable."""
        body = self._read(path, query, accept)
        try:
            return None if body is None else json.loads(body)
        except ValueError:
            raise ApiUnreachable(f"GET {path}: what answered is no API server") from None

    def log(
        self, pod: Object, container: str = "", *, tail: int = 0, first_bytes: int = 0, timestamps: bool = False, previous: bool = False
    ) -> str:
        """What a container of the Pod has printed since it was started; nothing where it has no log (yet). Raises ApiUnreachable.

        `tail` lines from its end, or `first_bytes` from its beginning, where one of them is given; with `timestamps` each line begins with when it
        was printed; `previous` is the container before its last restart.
        """
        path = f"{self._collection('pods', pod['metadata']['namespace'])}/{pod['metadata']['name']}/log"
        wanted = {"container": container, "tailLines": tail, "limitBytes": first_bytes, "timestamps": timestamps, "previous": previous}
        query = [(key, str(value).lower() if value is True else str(value)) for key, value in wanted.items() if value]
        body = self._read(path, query, "*/*", empty=(400, 404))
        return (body or b"").decode(errors="replace")

    def through(self, kind: str, name: str, namespace: str, path: str) -> str | None:
        """What a Pod or a Service (`name:port`) answers to a GET through the API server's proxy; None where nobody answers it."""
        try:
            body = self._read(f"{self._collection(kind, namespace)}/{name}/proxy/{path}", (), "*/*", empty=(400, 404, 500, 502, 503, 504))
        except ApiUnreachable:
            return None
        return None if body is None else body.decode(errors="replace")

    def answer(self, kind: str, name: str, namespace: str, path: str, query: Sequence[tuple[str, str]] = ()) -> tuple[int, bytes]:
        """Status and body of what a Pod or a Service (`name:port`) answers through the API server's proxy, errors too. Raises ApiUnreachable.

        Where nobody is behind it the API server itself answers, with 503 and a Status.
        """
        reply = self._send("GET", f"{self._collection(kind, namespace)}/{name}/proxy/{path}", query, {"Accept": "*/*"})
        return reply.status, reply.data

    def _read(self, path: str, query: Sequence[tuple[str, str]], accept: str, empty: tuple[int, ...] = (404,)) -> bytes | None:
        """What stands at a path; None where the answer is one of `empty`. Raises ApiUnreachable."""
        reply = self._send("GET", path, query, {"Accept": accept})
        if reply.status in empty:
            return None
        if reply.status != 200:
            raise ApiUnreachable(f"GET {path}: {reply.status} {reply.reason}", reply.status)
        found: bytes = reply.data
        return found

    def _send(
        self, method: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], body: Object | None = None
    ) -> Any:
        """What came back, whatever its status: the client's RESTResponse, read. Raises ApiUnreachable where nobody answers."""
        import http.client

        import urllib3
        from kubernetes.client import ApiException

        request = self._client.param_serialize(
            method, path, query_params=list(query), header_params=dict(headers), body=body, auth_settings=["BearerToken"]
        )
        try:
            reply = self._client.call_api(*request, _request_timeout=10)
            reply.read()
        except (ApiException, urllib3.exceptions.HTTPError, OSError, http.client.HTTPException) as problem:
            raise ApiUnreachable(f"{method} {path}: the API server does not answer ({type(problem).__name__})") from None
        return reply

    def get(self, kind: str, name: str, namespace: str | None = None) -> Object | None:
        """One object, for example `get("deployments", "api", "ai-platform")`; None where it does not exist."""
        return self.raw(f"{self._collection(kind, namespace)}/{name}")

    def list(self, kind: str, namespace: str | None = None, *, labels: str = "", fields: str = "") -> list[Object]:
        query = [(key, value) for key, value in (("labelSelector", labels), ("fieldSelector", fields)) if value]
        found = self.raw(self._collection(kind, namespace), query)
        if not found:
            return []
        # A list says once what its items are; each item is told here, so that it can be named when it stands alone.
        type_meta = {"apiVersion": found["apiVersion"], "kind": found["kind"].removesuffix("List")}
        return [{**type_meta, **each} for each in found["items"]]

    def _collection(self, kind: str, namespace: str | None) -> str:
        return collection(kind, namespace)

    def cluster_id(self) -> str:
        """What tells this cluster from another one: the UID of kube-system."""
        found = self.get("namespaces", "kube-system")
        return str(found["metadata"]["uid"]) if found else ""

    def attempt(
        self, method: str, path: str, body: Object | None = None, *, user: str = "", group: str = "", query: Sequence[tuple[str, str]] = ()
    ) -> Answer:
        """What the API server answers to a request, a refusal among it. Raises ApiUnreachable where nothing answers.

        `user` and `group` are whom the request is made as (Impersonate-User, Impersonate-Group). A PATCH is a JSON merge patch.
        """
        headers = {"Accept": "application/json"}
        if body is not None:
            headers["Content-Type"] = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers |= {name: value for name, value in (("Impersonate-User", user), ("Impersonate-Group", group)) if value}
        reply = self._send(method, path, query, headers, body)
        try:
            found = json.loads(reply.data or b"{}")
        except ValueError:
            raise ApiUnreachable(f"{method} {path}: what answered is no API server", reply.status) from None
        # A webhook that does not answer is a refusal too, and the API server's own words say so.
        if reply.status in (429, 500, 502, 503, 504) and WEBHOOK_DOWN not in str(found.get("message")):
            raise ApiUnreachable(f"{method} {path}: {reply.status} {reply.reason}", reply.status)
        # A Warning header is `299 - "the text"` (RFC 7234, 5.5).
        warnings = [each.partition('"')[2].rpartition('"')[0].replace('\\"', '"') for each in reply.response.headers.getlist("Warning")]
        return Answer(reply.status, found, tuple(warnings))


class NoApi(Api):
    """Where there is no cluster to ask: what an exercise that is about words is given."""

    def __init__(self) -> None:
        pass

    def _send(
        self, method: str, path: str, query: Sequence[tuple[str, str]], headers: Mapping[str, str], body: Object | None = None
    ) -> Any:
        raise ApiUnreachable(f"{method} {path}: this exercise works without a cluster")


def search_path() -> str:
    """PATH with this installation's programs first: kubectl, ai-lab and python."""
    beside = str(Path(sys.executable).parent)
    others = os.environ.get("PATH", os.defpath).split(os.pathsep)
    return os.pathsep.join([beside, *(each for each in others if each and each != beside)])


def environment(kubeconfig: Path) -> dict[str, str]:
    """The environment in which the learner's commands work: this kubeconfig, `search_path`, AI_LAB_HOME and AI_LAB_COURSE.

    AI_LAB_HOME is the state folder; AI_LAB_COURSE is the folder that holds the course's manifests/: notebooks are copied to where the learner wants
    them.
    """
    return {
        "KUBECONFIG": str(kubeconfig),
        "PATH": search_path(),
        "AI_LAB_HOME": str(clusters.state_folder()),
        "AI_LAB_COURSE": str(paths.root()),
    }


class CommandFailed(Exception):
    """A command of the course itself that failed; the message is the command and its last words."""


def shell(line: str, kubeconfig: Path, *, stdin: str = "", folder: Path | None = None, timeout: float = 120) -> str:
    """What a command line prints. Raises CommandFailed where it fails or takes longer than `timeout` seconds."""
    try:
        done = subprocess.run(
            ["bash", "-c", line], input=stdin, capture_output=True, text=True, timeout=timeout, check=False, cwd=folder,
            env={**os.environ, **environment(kubeconfig)},
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"{line.splitlines()[0]}: not done after {timeout:.0f} s") from None
    if done.returncode:
        raise CommandFailed(f"{line.splitlines()[0]}: {(done.stderr or done.stdout).strip()}")
    return done.stdout
