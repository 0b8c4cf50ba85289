"""What the kubelet says of volumes that no node of this cluster serves: the words of the plugin that would have mounted them. Pure."""

from __future__ import annotations

from kubeobjects import Object

# Plugins that mount with mount(8), by the kind of file system; without the kernel's part of it, all of them fail alike.
_MOUNTED = {"nfs": "nfs", "cephfs": "ceph", "glusterfs": "glusterfs"}
PLUGINS = frozenset({"csi", "gitRepo", "iscsi", "fc", "rbd", "flexVolume", "portworxVolume", "azureFile", "azureDisk", *_MOUNTED})
_MOUNT_FAILED = """mount failed: exit status 32
Mounting command: mount
Mounting arguments: -t {kind} {source} /var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~{plugin}/{name}
Output: mount.{kind}: No such device

"""


def words(plugin: str, source: Object, uid: str, name: str) -> str:
    """Why the volume `name` of the Pod `uid` is not set up; `plugin` is the field that names its source."""
    if plugin == "csi":
        return (
            "kubernetes.io/csi: mounter.SetUpAt failed to get CSI client: "
            f"driver name {source['driver']} not found in the list of registered CSI drivers"
        )
    if plugin == "gitRepo":
        return "git-repo volume plugin has been disabled; if necessary, it may be re-enabled by enabling the feature-gate `GitRepoVolumeDriver`"
    if plugin in _MOUNTED:
        shown = f"{source.get('server', '')}:{source.get('path', '')}"
        return _MOUNT_FAILED.format(kind=_MOUNTED[plugin], source=shown, uid=uid, plugin=plugin, name=name)
    return f"no volume plugin matched: {plugin} volumes are not served by this node"
