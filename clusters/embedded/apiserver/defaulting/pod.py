"""Defaults of Pod specs, as they are in every workload's template (core/v1 SetDefaults_PodSpec, _Container, _Probe, _Volume…).

Defaults that only a Pod gets and no template (requests from limits, service links) are in `core.py`.
"""

from __future__ import annotations

import re

from clusters.embedded.apiserver.defaulting.common import (
    Object,
    canonical,
    default,
    default_empty,
    drop_empty,
    metadata,
    quantity_field,
    resource_list,
    struct,
)

_IMAGE = re.compile(r"(?P<name>[^@\s]+?)(?::(?P<tag>\w[\w.-]{0,127}))?(?:@(?P<digest>[A-Za-z][A-Za-z0-9+.-]*:[0-9a-fA-F]{32,}))?", re.ASCII)
_IMAGE_PATH = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_IMAGE_LABEL = "[a-zA-Z0-9]([a-zA-Z0-9-]*[a-zA-Z0-9])?"
_IMAGE_DOMAIN = re.compile(rf"{_IMAGE_LABEL}(\.{_IMAGE_LABEL})*(:[0-9]+)?")
_LONGEST_PATH = 255
_PROBES = ("livenessProbe", "readinessProbe", "startupProbe")
# DefaultMode of volumes whose files come from the API: 0644.
_FILE_MODE = 0o644
_TEMPLATE_VOLUME = "volumeClaimTemplate"


def pull_policy(image: str) -> str:
    """Always for the tag latest, written or meant; IfNotPresent for any other tag, for a digest, and for what is no image's name.

    The name is read as container registries read it (github.com/distribution/reference): a domain, parts in lower case, tag, digest.
    """
    found = _IMAGE.fullmatch(image)
    if found is None:
        return "IfNotPresent"
    name, tag, digest = found.group("name", "tag", "digest")
    domain, slash, rest = name.partition("/")
    if not slash or ("." not in domain and ":" not in domain and domain != "localhost" and domain == domain.lower()):
        domain, rest = "", name if slash else f"library/{name}"
    if not _IMAGE_PATH.fullmatch(rest) or (domain and not _IMAGE_DOMAIN.fullmatch(domain)) or len(rest) > _LONGEST_PATH:
        return "IfNotPresent"
    return "Always" if tag == "latest" or not (tag or digest) else "IfNotPresent"


def http_get(action: Object) -> None:
    default_empty(action, "path", "/")
    default_empty(action, "scheme", "HTTP")
    for header in action.get("httpHeaders") or []:
        default(header, "value", "")


def probe(each: Object) -> None:
    default_empty(each, "timeoutSeconds", 1)
    default_empty(each, "periodSeconds", 10)
    default_empty(each, "successThreshold", 1)
    default_empty(each, "failureThreshold", 3)
    drop_empty(each, "initialDelaySeconds")
    if each.get("httpGet") is not None:
        http_get(each["httpGet"])
    if each.get("grpc") is not None:
        default(each["grpc"], "service", "")


def container(each: Object) -> None:
    default_empty(each, "imagePullPolicy", pull_policy(each.get("image") or ""))
    default_empty(each, "terminationMessagePath", "/dev/termination-log")
    default_empty(each, "terminationMessagePolicy", "File")
    resources = struct(each, "resources")
    resource_list(resources, "limits")
    resource_list(resources, "requests")
    drop_empty(resources, "limits", "requests")
    for port in each.get("ports") or []:
        default_empty(port, "protocol", "TCP")
        drop_empty(port, "hostPort", "name", "hostIP")
    for name in _PROBES:
        if each.get(name) is not None:
            probe(each[name])
    for hook in (each.get("lifecycle") or {}).values():
        if isinstance(hook, dict) and hook.get("httpGet") is not None:
            http_get(hook["httpGet"])
    for variable in each.get("env") or []:
        drop_empty(variable, "value")
        source = variable.get("valueFrom") or {}
        if source.get("fieldRef") is not None:
            default_empty(source["fieldRef"], "apiVersion", "v1")
        if source.get("resourceFieldRef") is not None:
            default(source["resourceFieldRef"], "divisor", "0")
            quantity_field(source["resourceFieldRef"], "divisor")
    for mount in each.get("volumeMounts") or []:
        drop_empty(mount, "readOnly", "subPath", "subPathExpr")
    drop_empty(
        each, "args", "command", "env", "envFrom", "ports", "volumeMounts", "volumeDevices", "stdin", "stdinOnce", "tty", "workingDir"
    )


def _downward_items(source: Object) -> None:
    for item in source.get("items") or []:
        if item.get("fieldRef") is not None:
            default_empty(item["fieldRef"], "apiVersion", "v1")
        if item.get("resourceFieldRef") is not None:
            default(item["resourceFieldRef"], "divisor", "0")


def claim_spec(spec: Object) -> None:
    """The spec of a PersistentVolumeClaim, also inside StatefulSets and ephemeral volumes."""
    default(spec, "volumeMode", "Filesystem")
    for name in ("dataSource", "dataSourceRef"):
        if spec.get(name) is not None:
            spec[name].setdefault("apiGroup", None)
    resources = struct(spec, "resources")
    resource_list(resources, "requests")
    resource_list(resources, "limits")


def volume(each: Object) -> None:
    if all(value is None for name, value in each.items() if name != "name"):
        each["emptyDir"] = {}
    if isinstance(each.get("emptyDir"), dict):
        quantity_field(each["emptyDir"], "sizeLimit")
        drop_empty(each["emptyDir"], "medium")
    for name in ("configMap", "secret", "downwardAPI", "projected"):
        if each.get(name) is not None:
            default(each[name], "defaultMode", _FILE_MODE)
    if each.get("downwardAPI"):
        _downward_items(each["downwardAPI"])
    if each.get("projected") is not None:
        each["projected"].setdefault("sources", None)
    for source in (each.get("projected") or {}).get("sources") or []:
        if source.get("serviceAccountToken") is not None:
            default(source["serviceAccountToken"], "expirationSeconds", 3600)
        if source.get("downwardAPI"):
            _downward_items(source["downwardAPI"])
    if each.get("hostPath") is not None:
        default(each["hostPath"], "type", "")
    if each.get("image") is not None:
        default_empty(each["image"], "pullPolicy", pull_policy(each["image"].get("reference") or ""))
    template = (each.get("ephemeral") or {}).get(_TEMPLATE_VOLUME)
    if template is not None:
        metadata(template)
        claim_spec(struct(template, "spec"))


def pod_spec(spec: Object) -> None:
    """Fills a Pod's spec or a template's."""
    default_empty(spec, "dnsPolicy", "ClusterFirst")
    default_empty(spec, "restartPolicy", "Always")
    default(spec, "securityContext", {})
    default(spec, "terminationGracePeriodSeconds", 30)
    default_empty(spec, "schedulerName", "default-scheduler")
    # The deprecated alias is written in both directions by the conversion between the versions.
    account = spec.get("serviceAccountName") or spec.get("serviceAccount")
    if account:
        spec["serviceAccountName"] = spec["serviceAccount"] = account
    for each in all_containers(spec):
        container(each)
    for each in spec.get("volumes") or []:
        volume(each)
    if spec.get("overhead"):
        spec["overhead"] = {name: canonical(value) for name, value in spec["overhead"].items()}
    if spec.get("resources"):
        resource_list(spec["resources"], "limits")
        resource_list(spec["resources"], "requests")
    for each in (spec.get("securityContext") or {}).get("sysctls") or []:
        default(each, "value", "")
    drop_empty(
        spec, "hostNetwork", "hostPID", "hostIPC", "nodeName", "nodeSelector", "tolerations", "volumes", "initContainers",
        "imagePullSecrets", "hostAliases", "topologySpreadConstraints", "ephemeralContainers", "priorityClassName", "hostname",
        "subdomain", "readinessGates", "schedulingGates",
    )  # fmt: skip


def all_containers(spec: Object) -> list[Object]:
    return [each for name in ("initContainers", "containers", "ephemeralContainers") for each in spec.get(name) or []]


def template(owner: Object, name: str = "template") -> None:
    """The Pod template in a workload's spec."""
    each = struct(owner, name)
    metadata(each)
    pod_spec(struct(each, "spec"))
