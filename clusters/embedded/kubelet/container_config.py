"""From a container of a Pod to what a launcher is told: command, environment, working directory, user and mounts."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from clusters.embedded import owned_processes
from clusters.embedded.images import Image
from clusters.embedded.kubelet import beneath, capabilities, orphans, pod_files, python_programs
from clusters.embedded.kubelet.environment import ConfigError, Environment, expand
from clusters.embedded.kubelet.memory import Counted
from clusters.embedded.kubelet.node_services import DeviceOptions, NodeServices
from clusters.embedded.kubelet.runtime import ContainerConfig, Mount
from clusters.embedded.kubelet.volumes import PodVolumes, VolumeMount, keep
from kubeobjects import Object, quantity

_RESOLV_CONF = Path("/etc/resolv.conf")


def argv(container: Object, image: Image, env: Mapping[str, str]) -> list[str]:
    """`command` replaces the image's entry point and its arguments, `args` the arguments alone. Raises ConfigError."""
    command = [expand(word, env) for word in container.get("command") or []]
    args = [expand(word, env) for word in container.get("args") or []]
    whole = [*command, *args] if command else [*image.entrypoint, *(args or image.cmd)]
    if not whole:
        raise ConfigError("no command specified")
    return whole


def user(pod: Object, container: Object, image: Image) -> Object:
    """Who the container runs as, as its status shows it. Raises ConfigError where runAsNonRoot is not kept."""
    metadata = pod["metadata"]
    of_pod, own = pod["spec"].get("securityContext") or {}, container.get("securityContext") or {}
    context = of_pod | {name: value for name, value in own.items() if value is not None}
    uid = context.get("runAsUser")
    if context.get("runAsNonRoot"):
        where = f'(pod: "{metadata["name"]}_{metadata["namespace"]}({metadata["uid"]})", container: {container["name"]})'
        if uid == 0:
            raise ConfigError(f"container's runAsUser breaks non-root policy {where}")
        if uid is None and image.uid is None:
            raise ConfigError(
                f"container has runAsNonRoot and image has non-numeric user ({image.user}), cannot verify user is non-root {where}"
            )
        if uid is None and image.uid == 0:
            raise ConfigError(f"container has runAsNonRoot and image will run as root {where}")
    uid = uid if uid is not None else image.uid or 0
    gid = context.get("runAsGroup")
    gid = gid if gid is not None else 0
    groups = [gid, *(of_pod.get("supplementalGroups") or []), *([of_pod["fsGroup"]] if of_pod.get("fsGroup") is not None else [])]
    return {"linux": {"gid": gid, "supplementalGroups": sorted(set(groups)), "uid": uid}}


def prepare_pod_files(services: NodeServices, pod: Object, ip: str) -> None:
    """/etc/hosts, /etc/hostname and /etc/resolv.conf of the Pod, once for all its containers. Raises OSError."""
    folder = services.folder.make(services.folder.pod(pod["metadata"]["uid"]))
    node = services.node.name
    files = {
        "etc-hosts": pod_files.hosts(pod, ip, node),
        "hostname": pod_files.hostname(pod, node) + "\n",
        "resolv.conf": pod_files.resolv_conf(pod, _RESOLV_CONF.read_text() if _RESOLV_CONF.exists() else ""),
    }
    for name, text in files.items():
        path = services.folder.make_file(folder / name)
        path.write_text(text)


class ConfigMaker:
    """Makes the configurations of one Pod's containers; `addresses` has podIP and hostIP."""

    def __init__(self, services: NodeServices, volumes: PodVolumes, addresses: Mapping[str, str]):
        self._services = services
        self._volumes = volumes
        self._addresses = addresses

    def environment(self, pod: Object, container: Object) -> dict[str, str]:
        """The container's own variables. Raises ConfigError."""
        namespace = pod["metadata"]["namespace"]
        return Environment(
            pod,
            config_map=lambda name: self._services.config_map(namespace, name),
            secret=lambda name: self._services.secret(namespace, name),
            services=self._services.services(),
            addresses=self._addresses,
            allocatable=self._services.allocatable,
        ).of(container)

    def mounts(self, container: Object, env: Mapping[str, str]) -> list[VolumeMount]:
        """The container's mounts of volumes. Raises ConfigError."""
        return self._volumes.mounts(container, env)

    def fill(self, volume: str, image: Image) -> None:
        """The image of an image volume has come."""
        self._volumes.fill(volume, image)

    def counted(self, pod: Object, container: Object) -> Counted:
        """What the container's memory is counted with."""
        limit = ((pod["spec"].get("resources") or {}).get("limits") or {}).get("memory")
        names = self._volumes.in_memory_of(container)
        files = (lambda: sum(map(self._volumes.in_memory, names))) if names else (lambda: 0)
        return Counted(files, pod["metadata"]["uid"], quantity.whole(limit) if limit else None)

    def make(
        self,
        pod: Object,
        container: Object,
        image: Image,
        env: Mapping[str, str],
        volumes: list[VolumeMount],
        claimed: DeviceOptions,
        container_id: str,
        message_file: Path,
    ) -> ContainerConfig:
        """All of it for one instance; `volumes` are what `mounts` gave, `claimed` is what its ResourceClaims add. Raises ConfigError."""
        who = user(pod, container, image)["linux"]
        services, uid = self._services, pod["metadata"]["uid"]
        folder = services.folder.container(container_id)
        device = services.devices.options(uid, container["name"])
        own = services.folder.pod(uid)
        mounts = [
            Mount("/etc/hosts", own / "etc-hosts"),
            Mount("/etc/hostname", own / "hostname"),
            Mount("/etc/resolv.conf", own / "resolv.conf"),
            Mount(beneath.clean(container.get("terminationMessagePath") or "/dev/termination-log"), message_file),
            *python_programs.applets(image.applets),
            *device.mounts,
            *claimed.mounts,
            *(keep(each.mount, folder / "subpaths" / str(number)) if each.fixed else each.mount for number, each in enumerate(volumes)),
        ]
        security = container.get("securityContext") or {}
        hostname = pod_files.hostname(pod, services.node.name)
        hidden = {
            **services.network.environment(self._addresses.get("podIP", ""), pod["metadata"]["namespace"]),
            "AI_LAB_OWN_ETC": "1",
            owned_processes.CLUSTER: services.cluster,
            owned_processes.CONTAINER: orphans.mark(container_id),
        }
        return ContainerConfig(
            id=container_id,
            argv=argv(container, image, env),
            env={**image.env, "HOSTNAME": hostname, **device.env, **env, **claimed.env},
            cwd=beneath.clean(container.get("workingDir") or image.working_dir),
            mounts=mounts,
            image=image,
            folder=folder,
            hostname=hostname,
            user=(who["uid"], who["gid"]),
            groups=tuple(who["supplementalGroups"]),
            capabilities=capabilities.of(security),
            no_new_privileges=security.get("allowPrivilegeEscalation") is False,
            memory=self._volumes.memory,
            read_only_root=security.get("readOnlyRootFilesystem") is True,
            hidden_env=hidden,
            writable_below=(("AI_LAB_NETWORK", f"pods/{hidden['AI_LAB_POD_IP']}"),) if hidden.get("AI_LAB_NETWORK") else (),
            stdin=bool(container.get("stdin")),
            tty=bool(container.get("tty")),
        )
