"""What the files of a ConfigMap, Secret, downward API or projected volume hold.

Pure: the volume's source and the objects it names go in, a mapping of relative path to content and mode comes out. Words follow the
kubelet's volume plugins.
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from clusters.embedded.kubelet import environment
from kubeobjects import Object

Payload = dict[str, tuple[bytes, int]]

_DEFAULT_MODE = 0o644


class VolumeError(Exception):
    """A volume that cannot be set up; the text stands in the FailedMount event."""


@dataclass(frozen=True)
class Sources:
    """Where contents come from. `token(path source)` is what the TokenRequest API gave for a serviceAccountToken source."""

    pod: Object
    config_map: Callable[[str], Object | None]
    secret: Callable[[str], Object | None]
    token: Callable[[Object], str]
    addresses: Mapping[str, str]
    allocatable: Mapping[str, str] = field(default_factory=dict)


def _chosen(data: dict[str, bytes], source: Object, missing: str, mode: int) -> Payload:
    """All keys, or those that `items` names at the paths it gives."""
    items = source.get("items")
    if not items:
        return {key: (value, mode) for key, value in data.items()}
    chosen: Payload = {}
    for item in items:
        if item["key"] not in data:
            if source.get("optional"):
                continue
            raise VolumeError(missing.format(item["key"]))
        chosen[item["path"]] = (data[item["key"]], item["mode"] if item.get("mode") is not None else mode)
    return chosen


def config_map(source: Object, sources: Sources, mode: int) -> Payload:
    name = source["name"]
    found = sources.config_map(name)
    if found is None:
        if source.get("optional"):
            return {}
        raise VolumeError(f'configmap "{name}" not found')
    data = {key: value.encode() for key, value in (found.get("data") or {}).items()}
    data |= {key: base64.b64decode(value) for key, value in (found.get("binaryData") or {}).items()}
    return _chosen(data, source, "configmap references non-existent config key: {}", mode)


def secret(source: Object, sources: Sources, mode: int) -> Payload:
    name = source.get("secretName") or source["name"]
    found = sources.secret(name)
    if found is None:
        if source.get("optional"):
            return {}
        raise VolumeError(f'secret "{name}" not found')
    data = {key: base64.b64decode(value) for key, value in (found.get("data") or {}).items()}
    return _chosen(data, source, "references non-existent secret key: {}", mode)


def downward_api(source: Object, sources: Sources, mode: int) -> Payload:
    payload: Payload = {}
    for item in source.get("items") or []:
        if reference := item.get("fieldRef"):
            text = environment.field_value(sources.pod, reference["fieldPath"], sources.addresses)
        else:
            reference = item["resourceFieldRef"]
            named = [each for each in sources.pod["spec"]["containers"] if each["name"] == reference.get("containerName")]
            if not named:
                raise VolumeError(f"cannot find container {reference.get('containerName')}")
            text = environment.resource_value(sources.pod, named[0], reference, sources.allocatable)
        payload[item["path"]] = (text.encode(), item["mode"] if item.get("mode") is not None else mode)
    return payload


def projected(source: Object, sources: Sources, mode: int) -> Payload:
    """All sources in one folder; every source that fails is named."""
    payload: Payload = {}
    failures: list[str] = []
    for each in source.get("sources") or []:
        try:
            if part := each.get("serviceAccountToken"):
                payload[part["path"]] = (sources.token(part).encode(), mode)
            elif part := each.get("configMap"):
                payload |= config_map(part, sources, mode)
            elif part := each.get("secret"):
                payload |= secret(part, sources, mode)
            elif (part := each.get("downwardAPI")) is not None:
                payload |= downward_api(part, sources, mode)
            else:
                raise VolumeError(f"projected source {next(iter(each), 'without kind')} is not served by this node")
        except (VolumeError, environment.ConfigError) as failure:
            failures.append(str(failure))
    if len(failures) == 1:
        raise VolumeError(failures[0])
    if failures:
        raise VolumeError("[" + ", ".join(failures) + "]")
    return payload


# The key in `pod.spec.volumes[]` → (the plugin's folder, how its content is made).
KINDS: dict[str, tuple[str, Callable[[Object, Sources, int], Payload]]] = {
    "configMap": ("kubernetes.io~configmap", config_map),
    "secret": ("kubernetes.io~secret", secret),
    "downwardAPI": ("kubernetes.io~downward-api", downward_api),
    "projected": ("kubernetes.io~projected", projected),
}


def payload(kind: str, source: Object, sources: Sources) -> Payload:
    """The files of a volume of one of KINDS. Raises VolumeError."""
    mode = source.get("defaultMode")
    try:
        return KINDS[kind][1](source, sources, mode if mode is not None else _DEFAULT_MODE)
    except environment.ConfigError as failure:
        raise VolumeError(str(failure)) from None
