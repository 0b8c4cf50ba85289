"""What another user of this machine reaches of a running cluster: nothing, whatever the umask of who started it."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from clusters.base import Progress
from clusters.embedded.provider import EmbeddedCluster
from tests.conftest import LiveCluster

pytestmark = pytest.mark.cluster

_POD = """
apiVersion: v1
kind: Pod
metadata: {name: shares}
spec:
  containers:
  - name: main
    image: python:3.12-slim
    command: [sh, -c, "umask 000; echo 1 > /e/plug.py; sleep 600"]
    readinessProbe: {exec: {command: [cat, /e/plug.py]}, periodSeconds: 1}
    volumeMounts: [{name: e, mountPath: /e}]
  volumes: [{name: e, emptyDir: {}}]
"""
# What a user asks of a folder that is somebody else's; run as that user.
_LOOK = """
import os, sys
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for path in sys.argv[1:]:
    for use in (os.listdir, open):
        try: use(path); print("reached", path)
        except PermissionError: pass
"""


def _reached(folder: Path, others: int = 0o007) -> list[Path]:
    """What of `folder` other users can see or change: what all folders above, itself among them, let them through to."""
    found, waiting = [], [folder]
    while waiting:
        each = waiting.pop()
        mode = each.lstat().st_mode
        if each.is_symlink() or not mode & others:
            continue
        found.append(each)
        if each.is_dir() and mode & others & 0o111:
            waiting += each.iterdir()
    return found


@pytest.fixture(params=[0o000, 0o022], ids=["umask 000", "umask 022"])
def home(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A state folder with a running cluster, over one that an earlier version had made, in a place that everybody can enter."""
    with tempfile.TemporaryDirectory(prefix="ai-lab-test-") as made:
        home = Path(made).resolve()
        (home / "my-labs").mkdir()
        (home / "embedded").mkdir()
        for each in (home, home / "my-labs", home / "embedded"):
            each.chmod(0o755)
        before = os.umask(request.param)
        cluster = EmbeddedCluster(home)
        try:
            cluster.up(Progress())
            yield home
        finally:
            cluster.down(Progress())
            os.umask(before)


def test_no_other_user_reaches_a_volume_a_token_or_a_key(home: Path) -> None:
    state = home / "embedded"
    cluster = LiveCluster(state, None)  # type: ignore[arg-type]  # `down` ends it
    cluster.eventually("default", "get", "serviceaccount", "default", "--ignore-not-found")
    cluster.kubectl("apply", "-f", "-", stdin=_POD)
    cluster.kubectl("wait", "--for=condition=Ready", "pod/shares", "--timeout=60s")
    volume = next(state.glob("nodes/*/var/lib/kubelet/pods/*/volumes/kubernetes.io~empty-dir/e"))
    token = next(state.glob("nodes/*/var/lib/kubelet/pods/*/volumes/kubernetes.io~projected/*/token"))
    # The cluster is a real one: the volume itself is open to every user of the Pod.
    assert volume.stat().st_mode & 0o777 == 0o777
    assert _reached(state, 0o077) == []
    # Even where somebody opened the state folder again, what the server made in it is closed.
    own = [each for each in state.iterdir() if each.name not in ("server.log", "server.pid", "lock")]
    assert {each.name for each in own} >= {"nodes", "store", "pki", "network", "kubeconfig", "port"}
    assert [found for each in own for found in _reached(each, 0o077)] == []
    # What else is in the folder is left as it was.
    assert home.stat().st_mode & 0o777 == (home / "my-labs").stat().st_mode & 0o777 == 0o755
    if os.getuid() == 0:
        looked = subprocess.run(
            [sys.executable, "-c", _LOOK, *map(str, (volume, volume / "plug.py", token, state / "kubeconfig", state))],
            capture_output=True,
            text=True,
            check=True,
        )
        assert looked.stdout == ""
