"""The volumes of one Pod: set up before its containers start, kept up to date while they run, removed with the Pod.

`PodVolumes.mount` makes each volume a folder (or a file) of this machine and raises `MountFailure` with the words of the kubelet's
FailedMount event; `PodVolumes.mounts` says what a container sees where.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from clusters.embedded.client import Client
from clusters.embedded.errors import ApiError, told
from clusters.embedded.images import Image
from clusters.embedded.kubelet import atomic_writer, beneath, rootfs, unserved, volume_payload
from clusters.embedded.kubelet.environment import ConfigError, expand_all
from clusters.embedded.kubelet.folder_size import folder_size
from clusters.embedded.kubelet.layout import NodeFolder
from clusters.embedded.kubelet.runtime import Launcher, MemoryVolumes, Mount, StartError
from clusters.embedded.kubelet.volume_payload import VolumeError
from kubeobjects import Object, quantity

# A token is replaced when this part of its life is over (pkg/kubelet/token).
_TOKEN_RENEWAL = 0.8
_PVC_NOT_FOUND = (
    "Unable to attach or mount volumes: unmounted volumes=[{name}], unattached volumes=[], failed to process volumes=[{name}]: "
    "error processing PVC {namespace}/{claim}: failed to fetch PVC from API server: {error}"
)


_EMPTY_DIR = "kubernetes.io~empty-dir"
# Where folders stand in for memory, they are measured this often at most, in seconds.
_MEASURE_SECONDS = 0.5


class ObjectReader(Protocol):
    """ConfigMaps and Secrets as the kubelet last saw them."""

    def config_map(self, namespace: str, name: str) -> Object | None: ...

    def secret(self, namespace: str, name: str) -> Object | None: ...


class MountFailure(Exception):
    """The message of the FailedMount event."""


@dataclass(frozen=True)
class VolumeMount:
    """A mount of a volume; `fixed` where the container is to keep what is there now (a `subPath` of a ConfigMap)."""

    mount: Mount
    fixed: bool = False


class PodVolumes:
    """Holds what is mounted for one Pod. `addresses` (podIP, hostIP) may be filled later: it is read at each use."""

    def __init__(
        self,
        pod: Object,
        *,
        client: Client,
        reader: ObjectReader,
        folder: NodeFolder,
        addresses: Mapping[str, str],
        allocatable: Mapping[str, str],
        launcher: Launcher,
    ):
        self._client = client
        self._launcher = launcher
        self._reader = reader
        self._folder = folder
        self._addresses = addresses
        self._allocatable = allocatable
        self._uid: str = pod["metadata"]["uid"]
        self._pod = pod
        self._hosts: dict[str, Path] = {}
        self._tokens: dict[str, tuple[str, float]] = {}
        self.memory: MemoryVolumes | None = None
        self._measured: dict[str, tuple[float, int]] = {}

    def update(self, pod: Object) -> None:
        """The Pod as it is now: labels and annotations may be shown by downward API volumes."""
        self._pod = pod

    # Setting up

    async def mount(self) -> None:
        """Sets up every volume that is not yet. Raises MountFailure for the first that cannot be."""
        if self.memory is None and (sizes := memory_sizes(self._pod, self._allocatable)):
            try:
                folders = {self._make(_EMPTY_DIR, name, 0o777): size for name, size in sizes.items()}
                self.memory = self._launcher.memory_volumes(folders, self._owner())
            except (OSError, StartError) as error:
                reason = told(error) if isinstance(error, OSError) else str(error)
                raise MountFailure(f'MountVolume.SetUp failed for volume "{next(iter(sizes))}" : mount failed: {reason}') from None
        for volume in self._pod["spec"].get("volumes") or []:
            if volume["name"] in self._hosts:
                continue
            try:
                self._hosts[volume["name"]] = await self._set_up(volume)
            except (VolumeError, OSError) as failure:
                why = told(failure) if isinstance(failure, OSError) else failure
                raise MountFailure(f'MountVolume.SetUp failed for volume "{volume["name"]}" : {why}') from None

    async def refresh(self) -> None:
        """Writes what has changed in ConfigMaps, Secrets, tokens and labels; what has gone missing keeps its old content."""
        for volume in self._pod["spec"].get("volumes") or []:
            kind = next((kind for kind in volume_payload.KINDS if kind in volume), None)
            if kind is None or volume["name"] not in self._hosts:
                continue
            try:
                await self._set_up(volume)
            except (VolumeError, OSError):
                continue

    async def _set_up(self, volume: Object) -> Path:
        name = volume["name"]
        for kind, (plugin, _) in volume_payload.KINDS.items():
            if (source := volume.get(kind)) is not None:
                await self._fetch_tokens(source)
                payload = volume_payload.payload(kind, source, self._sources())
                target = self._make(plugin, name, 0o755)
                atomic_writer.write(target, payload)
                return target
        if (source := volume.get("emptyDir")) is not None or not set(volume) - {"name"}:
            # For every user of every container of the Pod; the folders above it are closed to the users of this machine.
            made = self._make(_EMPTY_DIR, name, 0o777)
            if (owner := self._owner()) is not None:
                os.chown(made, *owner)
                made.chmod(0o2777)
            return made
        if source := volume.get("hostPath"):
            return self._host_path(source["path"], source.get("type") or "")
        if source := volume.get("persistentVolumeClaim"):
            return await self._claimed(name, source["claimName"])
        if "ephemeral" in volume:
            return await self._claimed(name, f"{self._pod['metadata']['name']}-{name}")
        if "image" in volume:
            # Filled when the image is there: the containers' start sees to it.
            return self._make("kubernetes.io~image", name, 0o755)
        kind = next(iter(set(volume) - {"name"}))
        raise VolumeError(unserved.words(kind, volume[kind], self._uid, name))

    def _owner(self) -> tuple[int, int] | None:
        """Who owns volumes of a Pod with an fsGroup, where the launcher can show containers a group."""
        spec = self._pod["spec"]
        group = (spec.get("securityContext") or {}).get("fsGroup")
        users = [(each.get("securityContext") or {}).get("runAsUser") for each in (spec, *spec["containers"])]
        return self._launcher.owner(group, of_root=not any(users)) if group is not None else None

    def _make(self, plugin: str, name: str, mode: int) -> Path:
        target = self._folder.volume(self._uid, plugin, name)
        self._folder.make(target.parent)
        return self._folder.make(target, mode)

    def _sources(self) -> volume_payload.Sources:
        namespace = self._pod["metadata"]["namespace"]
        return volume_payload.Sources(
            pod=self._pod,
            config_map=lambda name: self._reader.config_map(namespace, name),
            secret=lambda name: self._reader.secret(namespace, name),
            token=lambda source: self._tokens[_token_key(source)][0],
            addresses=self._addresses,
            allocatable=self._allocatable,
        )

    async def _fetch_tokens(self, source: Object) -> None:
        for each in source.get("sources") or []:
            wanted = each.get("serviceAccountToken")
            if not wanted:
                continue
            known = self._tokens.get(_token_key(wanted))
            if known is None or time.time() >= known[1]:
                self._tokens[_token_key(wanted)] = await self._request_token(wanted)

    async def _request_token(self, wanted: Object) -> tuple[str, float]:
        metadata = self._pod["metadata"]
        account = self._pod["spec"].get("serviceAccountName") or "default"
        seconds = wanted.get("expirationSeconds") or 3600
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {
                "audiences": [wanted["audience"]] if wanted.get("audience") else [],
                "expirationSeconds": seconds,
                "boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": metadata["name"], "uid": metadata["uid"]},
            },
        }
        try:
            answer = await self._client.create("serviceaccounts", body, metadata["namespace"], subresource="token", name=account)
        except ApiError as error:
            raise VolumeError(f"failed to fetch token: {error.message}") from None
        return answer["status"]["token"], time.time() + seconds * _TOKEN_RENEWAL

    def _host_path(self, path: str, kind: str, mode: int = 0o755) -> Path:
        """The file or folder of the node, checked or made as the type says; without a type a missing folder is made by the runtime."""
        target = self._folder.host_path(path)
        if kind in ("", "DirectoryOrCreate") and not target.exists():
            self._folder.make(target, mode)
        elif kind == "FileOrCreate" and not target.exists():
            self._folder.make_file(target)
        checks = {
            "Directory": (stat.S_ISDIR, "a directory"),
            "DirectoryOrCreate": (stat.S_ISDIR, "a directory"),
            "File": (stat.S_ISREG, "a file"),
            "FileOrCreate": (stat.S_ISREG, "a file"),
            "Socket": (stat.S_ISSOCK, "a socket file"),
            "CharDevice": (stat.S_ISCHR, "a character device"),
            "BlockDevice": (stat.S_ISBLK, "a block device"),
        }
        if kind in checks:
            check, noun = checks[kind]
            if not target.exists() or not check(target.stat().st_mode):
                raise VolumeError(f"hostPath type check failed: {path} is not {noun}")
        return target

    def _local_path(self, path: str) -> Path:
        target = self._folder.host_path(path)
        if not target.exists():
            raise VolumeError(f'MapVolume.MapPodDevice failed: path "{path}" does not exist')
        return target

    async def _claimed(self, volume: str, claim: str) -> Path:
        namespace = self._pod["metadata"]["namespace"]
        try:
            found = await self._client.get("persistentvolumeclaims", claim, namespace)
            bound = found["spec"].get("volumeName")
            if not bound or (found.get("status") or {}).get("phase") != "Bound":
                raise MountFailure(
                    _PVC_NOT_FOUND.format(name=volume, namespace=namespace, claim=claim, error="PVC is not bound").replace(
                        "failed to fetch PVC from API server: ", ""
                    )
                )
            spec = (await self._client.get("persistentvolumes", bound))["spec"]
        except ApiError as error:
            raise MountFailure(_PVC_NOT_FOUND.format(name=volume, namespace=namespace, claim=claim, error=error.message)) from None
        if source := spec.get("hostPath"):
            # As the setup script of the local-path provisioner makes it: for every user.
            return self._host_path(source["path"], source.get("type") or "DirectoryOrCreate", 0o777)
        if source := spec.get("local"):
            return self._local_path(source["path"])
        kind = next((each for each in spec if each in unserved.PLUGINS), "")
        if not kind:
            raise VolumeError(f"volume {bound} has no source that this node serves")
        raise VolumeError(unserved.words(kind, spec[kind], self._uid, bound))

    # Using

    def mounts(self, container: Object, env: Mapping[str, str]) -> list[VolumeMount]:
        """What `container` sees. Raises ConfigError for a `subPath` that cannot be mounted."""
        kinds = {volume["name"]: volume for volume in self._pod["spec"].get("volumes") or []}
        found = []
        for mount in container.get("volumeMounts") or []:
            host = self._hosts[mount["name"]]
            written_by_kubelet = any(kind in kinds[mount["name"]] for kind in volume_payload.KINDS)
            below = expand_all(mount["subPathExpr"], env) if mount.get("subPathExpr") else mount.get("subPath")
            if below:
                if self.memory is not None and mount["name"] in memory_sizes(self._pod, self._allocatable):
                    self._make_in_memory(host, below)
                host = _sub_path(host, below, mount["name"], container["name"])
            claimed = kinds[mount["name"]].get("persistentVolumeClaim") or {}
            read_only = bool(mount.get("readOnly") or claimed.get("readOnly")) or written_by_kubelet or "image" in kinds[mount["name"]]
            found.append(VolumeMount(Mount(beneath.clean(mount["mountPath"]), host, read_only), fixed=bool(below) and written_by_kubelet))
        return found

    def _make_in_memory(self, volume: Path, below: str) -> None:
        """The place of a subPath in a volume that the kubelet itself does not see."""
        assert self.memory is not None
        if not below.startswith("/") and ".." not in below.split("/"):
            with contextlib.suppress(OSError):
                self.memory.make_folder(volume, Path(below), 0o777)

    def in_memory_of(self, container: Object) -> list[str]:
        """The memory-backed volumes that count to this container: those that it is the first of the Pod to mount for writing."""
        everyone = [*(self._pod["spec"].get("initContainers") or []), *(self._pod["spec"].get("containers") or [])]
        writers: dict[str, str] = {}
        for each in everyone:
            for mount in each.get("volumeMounts") or []:
                if not mount.get("readOnly"):
                    writers.setdefault(mount["name"], each["name"])
        return [name for name in memory_sizes(self._pod, self._allocatable) if writers.get(name) == container["name"]]

    def in_memory(self, name: str) -> int:
        """Bytes in a memory-backed volume."""
        folder = self._hosts[name]
        if self.memory is not None:
            return self.memory.used(folder)
        measured, size = self._measured.get(name, (0.0, 0))
        if time.monotonic() - measured > _MEASURE_SECONDS:
            size = folder_size(folder)
            self._measured[name] = time.monotonic(), size
        return size

    def fill(self, name: str, image: Image) -> None:
        """Lays what the image brought into the volume that shows it."""
        folder = self._hosts[name]
        if not any(folder.iterdir()):
            with beneath.container_modes():
                rootfs.lay(folder, image, rootfs.TOP_FOLDERS)

    def host(self, name: str) -> Path | None:
        return self._hosts.get(name)

    def release_memory(self) -> None:
        """Gives up what lies in memory: the Pod is over, or its node goes down."""
        if self.memory is not None:
            self.memory.release()
            self.memory = None

    def unmount(self) -> None:
        """Removes what the Pod had for itself; what hostPath and claims point to stays."""
        self._hosts.clear()
        self.release_memory()
        beneath.remove_tree(self._folder.pod(self._uid))


def _sub_path(volume: Path, below: str, name: str, container: str) -> Path:
    """The file or folder `below` in the volume, made where it is missing; links are followed only as far as they stay in the volume.

    Raises ConfigError in the words of makeMounts (pkg/kubelet/kubelet_pods.go), which tell nothing of the machine.
    """
    if below.startswith("/"):
        raise ConfigError(f"error SubPath `{below}` must not be an absolute path")
    if ".." in below.split("/"):
        raise ConfigError(f"unable to provision SubPath `{below}`: must not contain '..'")
    base = Path(os.path.realpath(volume))
    # Only what is mounted is asked for, not whether something else of this machine is there: a link that leads out is not followed.
    target = Path(os.path.realpath(base / below))
    if not target.is_relative_to(base):
        raise ConfigError(f'failed to prepare subPath for volumeMount "{name}" of container "{container}"')
    if not target.exists():
        try:
            if os.path.lexists(base / below):
                raise FileExistsError("a link that leads nowhere")
            beneath.make_folder(base, target.relative_to(base), stat.S_IMODE(base.stat().st_mode))
        except OSError:
            raise ConfigError(f'failed to create subPath directory for volumeMount "{name}" of container "{container}"') from None
    return target


def keep(mount: Mount, copy: Path) -> Mount:
    """The mount of a copy, `copy`, of what it shows now: it does not change any more, as on a real node."""
    copy.parent.mkdir(parents=True, exist_ok=True)
    with beneath.container_modes():
        if mount.host_path.is_dir():
            shutil.copytree(mount.host_path, copy, symlinks=True)
        else:
            with open(beneath.open_file(mount.host_path.parent, mount.host_path.name, os.O_RDONLY), "rb") as file:
                copy.write_bytes(file.read())
                copy.chmod(stat.S_IMODE(os.fstat(file.fileno()).st_mode))
    return replace(mount, host_path=copy)


def _token_key(source: Object) -> str:
    return f"{source.get('audience', '')}/{source['path']}"


def memory_sizes(pod: Object, allocatable: Mapping[str, str]) -> dict[str, int]:
    """Volume name → bytes that a memory-backed emptyDir may hold: its sizeLimit, what the Pod may use, or what the node has.

    As calculateEmptyDirMemorySize (pkg/volume/emptydir) takes the least of them.
    """
    found: dict[str, int] = {}
    spec = pod["spec"]
    whole = [((part.get("resources") or {}).get("limits") or {}).get("memory") for part in (spec, *(spec.get("containers") or []))]
    limits = [whole[0]] if whole[0] else whole[1:]
    for volume in spec.get("volumes") or []:
        source = volume.get("emptyDir") or {}
        if source.get("medium") != "Memory":
            continue
        sizes = [quantity.whole(text) for text in (source.get("sizeLimit"), allocatable.get("memory")) if text]
        if all(limits):
            sizes.append(sum(quantity.whole(text) for text in limits if text))
        found[volume["name"]] = min((size for size in sizes if size), default=0)
    return found
