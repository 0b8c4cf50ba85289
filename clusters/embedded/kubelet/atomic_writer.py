"""Writes a set of files so that readers see either all old or all new contents (k8s.io/kubernetes/pkg/volume/util.AtomicWriter).

The files live in a folder with the time in its name, `..data` is a link to it, and each visible name is a link through `..data`; an update
makes a new folder and swaps the one link.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from clusters.embedded.kubelet.volume_payload import Payload


def write(folder: Path, payload: Payload) -> bool:
    """Makes `folder` hold exactly `payload`; False where it already did."""
    folder.mkdir(parents=True, exist_ok=True)
    data = folder / "..data"
    if data.is_symlink() and _content(data) == payload:
        return False
    stamp = folder / time.strftime(f"..%Y_%m_%d_%H_%M_%S.{time.time_ns() % 10**10:010d}")
    stamp.mkdir()
    for path, (content, mode) in payload.items():
        target = stamp / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        target.chmod(mode)
    old = folder / data.readlink() if data.is_symlink() else None
    swapped = folder / "..data_tmp"
    swapped.unlink(missing_ok=True)
    swapped.symlink_to(stamp.name)
    os.replace(swapped, data)
    visible = {path.partition("/")[0] for path in payload}
    for name in visible:
        link = folder / name
        if not link.is_symlink():
            link.symlink_to(f"..data/{name}")
    for entry in folder.iterdir():
        if entry.is_symlink() and not entry.name.startswith("..") and entry.name not in visible:
            entry.unlink()
    if old is not None:
        shutil.rmtree(old, ignore_errors=True)
    return True


def _content(data: Path) -> Payload:
    found: Payload = {}
    for root, _, names in os.walk(data):
        for name in names:
            path = Path(root) / name
            found[str(path.relative_to(data))] = (path.read_bytes(), path.stat().st_mode & 0o777)
    return found
