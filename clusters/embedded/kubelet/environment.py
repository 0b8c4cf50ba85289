"""The environment of a container: `env`, `envFrom`, the downward API, service links and `$(VAR)`.

Pure: a Pod, a container and the objects it names go in, a dictionary comes out. Rules and words follow the kubelet's
makeEnvironmentVariables and k8s.io/kubernetes/third_party/forked/golang/expansion.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping

from kubeobjects import Object, podresources, quantity

# Finds a ConfigMap or Secret of the Pod's namespace by its name; None where there is none.
Finder = Callable[[str], Object | None]

_VARIABLE = re.compile(r"\$(?:\$|\(([^()]*)\))")
_SUBSCRIPT = re.compile(r"^metadata\.(labels|annotations)\['([^']*)'\]$")


class ConfigError(Exception):
    """A container that cannot be configured: CreateContainerConfigError with this text."""


def expand(text: str, values: Mapping[str, str]) -> str:
    """`$(NAME)` replaced where NAME is known and left alone where it is not; `$$` is a dollar sign."""

    def value(found: re.Match[str]) -> str:
        if found.group() == "$$":
            return "$"
        return values.get(found[1], found.group())

    return _VARIABLE.sub(value, text)


def expand_all(text: str, values: Mapping[str, str]) -> str:
    """The same for `subPathExpr`, where every NAME must be known and not empty. Raises ConfigError."""
    names = {found[1] for found in _VARIABLE.finditer(text) if found.group() != "$$"}
    if missing := sorted(name for name in names if not values.get(name)):
        raise ConfigError(f"missing value for {', '.join(missing)}")
    return expand(text, values)


def service_links(services: Iterable[Object], namespace: str, enabled: bool) -> dict[str, str]:
    """`REDIS_SERVICE_HOST` and its like for the Services of the namespace, and always for the API server's."""
    links: dict[str, str] = {}
    for service in sorted(services, key=lambda each: each["metadata"]["name"]):
        metadata, spec = service["metadata"], service["spec"]
        master = metadata["namespace"] == "default" and metadata["name"] == "kubernetes"
        if not master and not (enabled and metadata["namespace"] == namespace):
            continue
        address = spec.get("clusterIP") or ""
        ports = spec.get("ports") or []
        if address in ("", "None") or not ports:
            continue
        prefix = metadata["name"].upper().replace("-", "_")
        links[f"{prefix}_SERVICE_HOST"] = address
        links[f"{prefix}_SERVICE_PORT"] = str(ports[0]["port"])
        for port in ports:
            if port.get("name"):
                links[f"{prefix}_SERVICE_PORT_{port['name'].upper().replace('-', '_')}"] = str(port["port"])
        first = ports[0]
        links[f"{prefix}_PORT"] = f"{first.get('protocol', 'TCP').lower()}://{address}:{first['port']}"
        for port in ports:
            protocol = port.get("protocol", "TCP")
            name = f"{prefix}_PORT_{port['port']}_{protocol}"
            links[name] = f"{protocol.lower()}://{address}:{port['port']}"
            links[f"{name}_PROTO"] = protocol.lower()
            links[f"{name}_PORT"] = str(port["port"])
            links[f"{name}_ADDR"] = address
    return links


def field_value(pod: Object, path: str, addresses: Mapping[str, str]) -> str:
    """The text of a `fieldRef`; `addresses` has podIP and hostIP. Raises ConfigError for a path that there is not."""
    metadata, spec = pod["metadata"], pod["spec"]
    if found := _SUBSCRIPT.match(path):
        return (metadata.get(found[1]) or {}).get(found[2], "")
    if path in ("metadata.labels", "metadata.annotations"):
        values = metadata.get(path.partition(".")[2]) or {}
        return "\n".join(f"{name}={_quoted(value)}" for name, value in sorted(values.items()))
    simple = {
        "metadata.name": metadata["name"],
        "metadata.namespace": metadata["namespace"],
        "metadata.uid": metadata["uid"],
        "spec.nodeName": spec.get("nodeName", ""),
        "spec.serviceAccountName": spec.get("serviceAccountName", ""),
        "status.podIP": addresses.get("podIP", ""),
        "status.podIPs": addresses.get("podIP", ""),
        "status.hostIP": addresses.get("hostIP", ""),
        "status.hostIPs": addresses.get("hostIP", ""),
    }
    if path not in simple:
        raise ConfigError(f"unsupported fieldPath: {path}")
    return simple[path]


def _quoted(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def resource_value(pod: Object, container: Object, selector: Object, allocatable: Mapping[str, str]) -> str:
    """The number of a `resourceFieldRef`, in units of its divisor, rounded up; without a limit the node's allocatable counts."""
    kind, _, resource = selector["resource"].partition(".")
    own = container.get("resources") or {}
    amount = (own.get(kind) or {}).get(resource)
    if amount is None and kind == "limits":
        amount = allocatable.get(resource)
    if amount is None and kind == "requests":
        amount = (
            podresources.requests(pod).get(resource) if resource in ((pod["spec"].get("resources") or {}).get("requests") or {}) else "0"
        )
    divisor = quantity.parse(selector.get("divisor") or "0") or (quantity.parse("1"))
    value = quantity.parse(amount or "0") / divisor
    return str(int(value.to_integral_value("ROUND_CEILING")))


def _decoded(obj: Object, name: str) -> str | None:
    """The value of a Secret's key as text."""
    value = (obj.get("data") or {}).get(name)
    return None if value is None else base64.b64decode(value).decode("utf-8", "surrogateescape")


class Environment:
    """Makes the environment of a Pod's containers."""

    def __init__(
        self,
        pod: Object,
        *,
        config_map: Finder,
        secret: Finder,
        services: Iterable[Object],
        addresses: Mapping[str, str],
        allocatable: Mapping[str, str],
    ):
        self._pod = pod
        self._config_map = config_map
        self._secret = secret
        self._services = services
        self._addresses = addresses
        self._allocatable = allocatable

    def of(self, container: Object) -> dict[str, str]:
        """Variables in the order in which later ones may use earlier ones. Raises ConfigError."""
        spec = self._pod["spec"]
        namespace = self._pod["metadata"]["namespace"]
        links = service_links(self._services, namespace, spec.get("enableServiceLinks", True) is not False)
        values: dict[str, str] = {}
        for source in container.get("envFrom") or []:
            values |= self._from(source)
        # References see the service links too, but a variable of the container's own name wins.
        for variable in container.get("env") or []:
            value = self._value(variable, container, links | values)
            if value is not None:
                values[variable["name"]] = value
        return links | values

    def _from(self, source: Object) -> dict[str, str]:
        prefix = source.get("prefix") or ""
        if reference := source.get("configMapRef"):
            found = self._config_map(reference["name"])
            data: dict[str, str] = (found or {}).get("data") or {}
            kind = "configmap"
        else:
            reference = source["secretRef"]
            found = self._secret(reference["name"])
            data = {key: _decoded(found, key) or "" for key in found.get("data") or {}} if found else {}
            kind = "secret"
        if found is None:
            if reference.get("optional"):
                return {}
            raise ConfigError(f'{kind} "{reference["name"]}" not found')
        return {prefix + key: value for key, value in data.items() if "=" not in prefix + key and prefix + key}

    def _value(self, variable: Object, container: Object, known: Mapping[str, str]) -> str | None:
        source = variable.get("valueFrom")
        if not source:
            return expand(variable.get("value") or "", known)
        namespace = self._pod["metadata"]["namespace"]
        if reference := source.get("fieldRef"):
            return field_value(self._pod, reference["fieldPath"], self._addresses)
        if reference := source.get("resourceFieldRef"):
            return resource_value(self._pod, self._named(reference.get("containerName"), container), reference, self._allocatable)
        if reference := source.get("configMapKeyRef"):
            found = self._config_map(reference["name"])
            if found is None:
                self._missing(reference, f'configmap "{reference["name"]}" not found')
                return None
            value = (found.get("data") or {}).get(reference["key"])
            if value is None:
                self._missing(reference, f"couldn't find key {reference['key']} in ConfigMap {namespace}/{reference['name']}")
                return None
            return value
        reference = source["secretKeyRef"]
        found = self._secret(reference["name"])
        if found is None:
            self._missing(reference, f'secret "{reference["name"]}" not found')
            return None
        value = _decoded(found, reference["key"])
        if value is None:
            self._missing(reference, f"couldn't find key {reference['key']} in Secret {namespace}/{reference['name']}")
            return None
        return value

    def _missing(self, reference: Object, message: str) -> None:
        if not reference.get("optional"):
            raise ConfigError(message)

    def _named(self, name: str | None, default: Object) -> Object:
        everyone = [*(self._pod["spec"].get("containers") or []), *(self._pod["spec"].get("initContainers") or [])]
        return next((each for each in everyone if each["name"] == name), default)
