"""PodSecurity: a namespace's labels say what its Pods may ask of their node; Pods that ask for more are refused, noted or warned of.

Source: k8s.io/pod-security-admission/admission. Nobody is exempt and unlabelled namespaces ask nothing, as in a kube-apiserver with its defaults.
"""

from __future__ import annotations

from collections import defaultdict

from clusters.embedded.apiserver.admission.pod_security import checks, policy
from clusters.embedded.apiserver.admission.pod_security.policy import PRIVILEGED, Level, Policy
from clusters.embedded.apiserver.admission.request import AdmissionRequest
from clusters.embedded.errors import FieldError, invalid
from kubeobjects import Object

# Subresources that change nothing a node does for a Pod.
_HARMLESS = frozenset({"exec", "attach", "binding", "eviction", "log", "portforward", "proxy", "status"})
# Where the Pod's template stands in kinds that make Pods.
_TEMPLATES = {
    "replicationcontrollers": ("spec", "template"),
    "podtemplates": ("template",),
    "replicasets.apps": ("spec", "template"),
    "deployments.apps": ("spec", "template"),
    "statefulsets.apps": ("spec", "template"),
    "daemonsets.apps": ("spec", "template"),
    "jobs.batch": ("spec", "template"),
    "cronjobs.batch": ("spec", "jobTemplate", "spec", "template"),
}
# A namespace with more Pods than this is looked at in part when its label changes.
_MOST_PODS = 3000


def validate(request: AdmissionRequest) -> None:
    """Raises ApiError 403 (422 for a namespace's labels); adds to the request's warnings and audit annotations."""
    if request.operation not in ("CREATE", "UPDATE") or request.object is None:
        return
    if request.resource.name == "namespaces":
        if not request.subresource:
            _namespace(request, request.object)
    elif request.resource.name == "pods":
        if request.subresource not in _HARMLESS:
            _pod(request, request.object)
    elif (path := _TEMPLATES.get(request.resource.name)) and not request.subresource:
        _template(request, request.object, path)


def _namespace(request: AdmissionRequest, namespace: Object) -> None:
    asked, causes = policy.of_namespace(namespace)
    old, old_causes = policy.of_namespace(request.old) if request.old else (Policy(), [])
    if causes and causes != old_causes:
        raise invalid("Namespace", "", namespace["metadata"].get("name") or "", causes)
    if request.operation == "CREATE" or asked.enforce == old.enforce or asked.enforce.name == PRIVILEGED:
        return
    if asked.enforce.minor != old.enforce.minor or asked.enforce.strictness > old.enforce.strictness:
        request.warnings += _existing(request, namespace["metadata"]["name"], asked.enforce)


def _existing(request: AdmissionRequest, namespace: str, level: Level) -> list[str]:
    """What to say of the Pods that are there already: each finding once, with one of the Pods and how many more."""
    pods = _by_owner(request.reader.list("pods", namespace))
    broken: defaultdict[str, list[str]] = defaultdict(list)
    for pod in pods[:_MOST_PODS]:
        if found := checks.findings(level, pod["metadata"], pod["spec"]):
            broken[", ".join(each.reason for each in found)].append(pod["metadata"]["name"])
    lines = []
    if len(pods) > _MOST_PODS:
        lines.append(f"new PodSecurity enforce level only checked against the first {_MOST_PODS} of {len(pods)} existing pods")
    if broken:
        lines.append(f'existing pods in namespace "{namespace}" violate the new PodSecurity enforce level "{level}"')
    return lines + sorted(f"{min(names)}{_others(len(names) - 1)}: {reasons}" for reasons, names in broken.items())


def _by_owner(pods: list[Object]) -> list[Object]:
    """One Pod of each controller first: where not all can be looked at, every workload is."""
    first: list[Object] = []
    further: list[Object] = []
    seen: set[str] = set()
    for pod in pods:
        owner = next((each["uid"] for each in pod["metadata"].get("ownerReferences") or [] if each.get("controller")), None)
        (further if owner in seen else first).append(pod)
        if owner is not None:
            seen.add(owner)
    return first + further


def _others(count: int) -> str:
    return "" if not count else " (and 1 other pod)" if count == 1 else f" (and {count} other pods)"


def _pod(request: AdmissionRequest, pod: Object) -> None:
    asked, causes = _policy(request)
    if not causes and asked.asks_nothing:
        request.annotations[f"{policy.PREFIX}enforce-policy"] = str(Level())
        return
    if request.old is None or _is_significant(pod, request.old):
        _evaluate(request, asked, causes, pod["metadata"], pod["spec"], enforce=True)


def _template(request: AdmissionRequest, obj: Object, path: tuple[str, ...]) -> None:
    """Kinds that make Pods are never refused: the Pods that they make are."""
    asked, causes = _policy(request)
    if not causes and asked.warn.name == asked.audit.name == PRIVILEGED:
        return
    template = obj
    for step in path:
        template = template.get(step) or {}
    if template:
        _evaluate(request, asked, causes, template.get("metadata") or {}, template.get("spec") or {}, enforce=False)


def _policy(request: AdmissionRequest) -> tuple[Policy, list[FieldError]]:
    namespace = request.reader.get("namespaces", request.namespace or "")
    return policy.of_namespace(namespace) if namespace is not None else (Policy(), [])


def _evaluate(request: AdmissionRequest, asked: Policy, causes: list[FieldError], metadata: Object, spec: Object, *, enforce: bool) -> None:
    def told(level: Level) -> str:
        return ", ".join(map(str, checks.findings(level, metadata, spec)))

    if causes:
        request.annotations[f"{policy.PREFIX}error"] = f"Failed to parse policy: {', '.join(map(str, causes))}"
    if enforce:
        request.annotations[f"{policy.PREFIX}enforce-policy"] = str(asked.enforce)
    if broken := told(asked.audit):
        request.annotations[f"{policy.PREFIX}audit-violations"] = f'would violate PodSecurity "{asked.audit}": {broken}'
    if enforce and (broken := told(asked.enforce)):
        raise request.forbid(f'violates PodSecurity "{asked.enforce}": {broken}')
    if broken := told(asked.warn):
        request.warnings.append(f'would violate PodSecurity "{asked.warn}": {broken}')


def _is_significant(new: Object, old: Object) -> bool:
    """Whether an update changes what is judged: containers come, go, or run another image (isSignificantPodUpdate)."""
    for field in ("containers", "initContainers"):
        now, before = new["spec"].get(field) or [], old["spec"].get(field) or []
        if [each.get("image") for each in now] != [each.get("image") for each in before]:
            return True
    looked = {each["name"]: each.get("image") for each in old["spec"].get("ephemeralContainers") or []}
    return any(looked.get(each["name"], "") != each.get("image") for each in new["spec"].get("ephemeralContainers") or [])
