"""The kubeconfig file through which a learner's tools reach the cluster."""

from __future__ import annotations

import base64
import json
import os
import tempfile
from pathlib import Path

from clusters.embedded.pki import Certificates

NAME = "ai-lab"


def write(path: Path, server: str, certificates: Certificates, name: str = NAME) -> None:
    """Writes a kubeconfig with one context `name` to `path`, in one step and readable by its owner only. `server` is a URL.

    JSON is YAML: the file needs no YAML library to be written. Raises OSError.
    """

    def embedded(file: Path) -> str:
        return base64.b64encode(file.read_bytes()).decode()

    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": name, "cluster": {"server": server, "certificate-authority-data": embedded(certificates.ca)}}],
        "users": [
            {
                "name": name,
                "user": {
                    "client-certificate-data": embedded(certificates.admin),
                    "client-key-data": embedded(certificates.admin_key),
                },
            }
        ],
        "contexts": [{"name": name, "context": {"cluster": name, "user": name, "namespace": "default"}}],
        "current-context": name,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    # mkstemp gives the file to its owner only; the rename makes it appear whole.
    descriptor, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w") as file:
            json.dump(config, file, indent=2)
        Path(temporary).replace(path)
    except OSError:
        Path(temporary).unlink(missing_ok=True)
        raise
