"""Whole values in messages are shown as the API server's own types write them."""

from __future__ import annotations

from clusters.embedded.apiserver.validation.field import Path
from clusters.embedded.apiserver.validation.internal_types import difference, internal, invalid

# Recorded: a Job on a real cluster, with the image of its template changed to "x".
_JOB_TEMPLATE = (
    '{"labels":{"batch.kubernetes.io/controller-uid":"u1","batch.kubernetes.io/job-name":"train","controller-uid":"u1",'
    '"job-name":"train"},"Spec":{"Volumes":null,"InitContainers":null,"Containers":[{"Name":"c","Image":"x",'
    '"Command":["sleep","300"],"Args":null,"WorkingDir":"","Ports":null,"EnvFrom":null,"Env":null,"Resources":{"Limits":null,'
    '"Requests":null,"Claims":null},"ResizePolicy":null,"RestartPolicy":null,"RestartPolicyRules":null,"VolumeMounts":null,'
    '"VolumeDevices":null,"LivenessProbe":null,"ReadinessProbe":null,"StartupProbe":null,"Lifecycle":null,'
    '"TerminationMessagePath":"/dev/termination-log","TerminationMessagePolicy":"File","ImagePullPolicy":"IfNotPresent",'
    '"SecurityContext":null,"Stdin":false,"StdinOnce":false,"TTY":false}],"EphemeralContainers":null,"RestartPolicy":"Never",'
    '"TerminationGracePeriodSeconds":30,"ActiveDeadlineSeconds":null,"DNSPolicy":"ClusterFirst","NodeSelector":null,'
    '"ServiceAccountName":"","AutomountServiceAccountToken":null,"NodeName":"","SecurityContext":{"HostNetwork":false,'
    '"HostPID":false,"HostIPC":false,"ShareProcessNamespace":null,"HostUsers":null,"SELinuxOptions":null,'
    '"WindowsOptions":null,"RunAsUser":null,"RunAsGroup":null,"RunAsNonRoot":null,"SupplementalGroups":null,'
    '"SupplementalGroupsPolicy":null,"FSGroup":null,"FSGroupChangePolicy":null,"Sysctls":null,"SeccompProfile":null,'
    '"AppArmorProfile":null,"SELinuxChangePolicy":null},"ImagePullSecrets":null,"Hostname":"","Subdomain":"",'
    '"SetHostnameAsFQDN":null,"Affinity":null,"SchedulerName":"default-scheduler","Tolerations":null,"HostAliases":null,'
    '"PriorityClassName":"","Priority":null,"PreemptionPolicy":null,"DNSConfig":null,"ReadinessGates":null,'
    '"RuntimeClassName":null,"Overhead":null,"EnableServiceLinks":null,"TopologySpreadConstraints":null,"OS":null,'
    '"SchedulingGates":null,"ResourceClaims":null,"Resources":null,"HostnameOverride":null,"SchedulingGroup":null}}'
)


def test_a_template_is_shown_with_all_that_is_unset() -> None:
    container = {
        "name": "c", "image": "x", "command": ["sleep", "300"], "resources": {}, "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File", "imagePullPolicy": "IfNotPresent",
    }  # fmt: skip
    labels = {
        "job-name": "train",
        "controller-uid": "u1",
        "batch.kubernetes.io/job-name": "train",
        "batch.kubernetes.io/controller-uid": "u1",
    }
    spec = {
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 30, "dnsPolicy": "ClusterFirst", "securityContext": {},
        "schedulerName": "default-scheduler", "containers": [container],
    }  # fmt: skip

    error = invalid(Path("spec", "template"), "core.PodTemplateSpec", {"metadata": {"labels": labels}, "spec": spec}, "field is immutable")

    assert error.field == "spec.template"
    assert error.message == f"Invalid value: {_JOB_TEMPLATE}: field is immutable"


def test_a_changed_debug_container_is_shown_as_a_unified_diff() -> None:
    old = {"name": "look", "image": "python:3.12-slim", "command": ["sleep", "600"]}

    shown = difference("core.EphemeralContainer", old, {**old, "image": "other"})

    assert shown == (
        '@@ -1,6 +1,6 @@\n {\n  "Name": "look",\n- "Image": "python:3.12-slim",\n+ "Image": "other",\n  "Command": [\n   "sleep",\n   "600"\n'
    )


def test_what_a_pod_shares_with_its_host_is_in_its_security_context() -> None:
    context = internal("core.PodSpec", {"hostNetwork": True, "containers": []})["SecurityContext"]

    assert (context["HostNetwork"], context["HostPID"], context["HostUsers"]) == (True, False, None)


def test_embedded_structs_are_flat_and_types_of_metav1_keep_their_names() -> None:
    volume = internal("core.Volume", {"name": "v", "configMap": {"name": "c", "optional": True}})
    term = internal("core.PodAffinityTerm", {"topologyKey": "t", "labelSelector": {"matchLabels": {"b": "1", "a": "2"}}})

    assert (volume["Name"], volume["EmptyDir"]) == ("v", None)
    assert volume["ConfigMap"] == {"Name": "c", "Items": None, "DefaultMode": None, "Optional": True}
    assert term["LabelSelector"] == {"matchLabels": {"a": "2", "b": "1"}}
