"""The lab's images as real containers: they build, run without rights or network, answer, and the plugin registers with a kubelet."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clusters import images
from clusters.images import LabImage
from clusters.kind.archive import Archive
from tests.conftest import BIN, LiveCluster, start_cluster, stop_cluster
from tests.kind.conftest import Container
from tests.kind.engine import docker

# As the labs' manifests have it: nothing to gain, nothing to write outside what is mounted.
HARDENED = ("--cap-drop=ALL", "--security-opt=no-new-privileges", "--read-only")
SERVER = "registry.example.com/ai-log-summary-api:v1"
LOGS = "02:10:02 kernel: Out of memory: Killed process 4242 (python3)\n02:10:03 gateway: 503 no healthy upstream for checkout"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def ask(port: int, path: str, body: Any = None) -> tuple[int, str]:
    """(status, text) of an answer; status 0 where nobody answers."""
    data = None if body is None else json.dumps(body).encode()
    try:
        with urllib.request.urlopen(urllib.request.Request(f"http://127.0.0.1:{port}{path}", data), timeout=10) as response:
            return response.status, response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
    except OSError:
        return 0, ""


def until_ready(container: Container, port: int) -> None:
    deadline = time.monotonic() + 60
    while ask(port, "/ready")[0] != 200:
        assert container.running(), container.logs()
        assert time.monotonic() < deadline, container.logs()
        time.sleep(0.1)


def test_each_image_says_who_it_runs_as_and_leaves_probes_to_kubernetes(built: tuple[LabImage, ...]) -> None:
    for image in built:
        config = json.loads(docker("image", "inspect", image.reference))[0]["Config"]
        assert config["Entrypoint"][:2] == ["python3", "-m"]
        assert not config.get("Healthcheck")
        # The plugin and the driver make their sockets in folders of root's; nothing else needs to be root.
        as_root = any(each in image.reference for each in ("gpu-device-plugin", "gpu-dra-driver"))
        assert config["User"] == ("0" if as_root else "65532:65532")


def test_the_model_server_becomes_ready_summarises_and_ends_on_sigterm(built: tuple[LabImage, ...], containers: list[Container]) -> None:
    port = free_port()
    server = Container(*HARDENED, "--memory=256m", f"--env=PORT={port}", SERVER)
    containers.append(server)
    until_ready(server, port)
    status, text = ask(port, "/v1/summarize", {"logs": LOGS})
    assert status == 200
    assert "memory" in json.loads(text)["summary"].lower()
    assert server.stop() == 0


def test_the_load_generator_gets_answers_from_the_model_server(built: tuple[LabImage, ...], containers: list[Container]) -> None:
    port = free_port()
    server = Container(*HARDENED, f"--env=PORT={port}", SERVER)
    containers.append(server)
    until_ready(server, port)
    load = Container(
        *HARDENED, "registry.example.com/load-generator:v1", f"http://127.0.0.1:{port}/v1/summarize", "--requests=20", "--fail-on-error"
    )
    containers.append(load)
    assert docker("wait", load.id, timeout=60).strip() == "0", load.logs()
    summary = json.loads(load.logs().strip().splitlines()[-1])["summary"]
    assert (summary["ok"], summary["models"]) == (20, {"v1": 20})


def test_the_metrics_scraper_answers_for_the_model_server(built: tuple[LabImage, ...], containers: list[Container], tmp_path: Path) -> None:
    port, own = free_port(), free_port()
    server = Container(*HARDENED, f"--env=PORT={port}", SERVER)
    containers.append(server)
    job = {"job_name": "api", "static_configs": [{"targets": [f"127.0.0.1:{port}"]}]}
    config = tmp_path / "prometheus.yml"
    config.write_text(json.dumps({"global": {"scrape_interval": "1s"}, "scrape_configs": [job]}))
    config.chmod(0o644)
    scraper = Container(
        *HARDENED, "--memory=256m", f"--volume={config}:/config/prometheus.yml:ro", "registry.example.com/metrics-scraper:v1",
        "--config.file=/config/prometheus.yml", f"--web.listen-address=127.0.0.1:{own}",
    )  # fmt: skip
    containers.append(scraper)
    until_ready(server, port)
    deadline = time.monotonic() + 60
    while '"1"]' not in (said := ask(own, "/api/v1/query?query=model_ready")[1]):
        assert scraper.running(), scraper.logs()
        assert time.monotonic() < deadline, f"{said}\n{scraper.logs()}"
        time.sleep(0.1)
    assert scraper.stop() == 0


def ai_lab(*arguments: str) -> str:
    """What `ai-lab` prints; the test fails with its words where it fails."""
    done = subprocess.run(
        [str(BIN / "ai-lab"), *arguments],
        env={**os.environ, "KIND_EXPERIMENTAL_PROVIDER": "docker"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_an_archive_brings_the_images_where_they_are_not(built: tuple[LabImage, ...], tmp_path: Path) -> None:
    archive = tmp_path / "lab-images.tar"
    assert SERVER in ai_lab("images", "save", str(archive))
    docker("rmi", SERVER)
    assert f"✘ {SERVER}" in ai_lab("images", "list")
    ai_lab("images", "load", str(archive))
    assert ai_lab("images", "list").count("✔") == len(images.needed())


def test_the_archive_tells_the_id_by_which_a_node_will_know_each_image(built: tuple[LabImage, ...], tmp_path: Path) -> None:
    archive = Archive(tmp_path / "images")
    references = images.needed()
    contents = archive.bring_up_to_date(images.engine(), references)
    assert set(contents) == set(references)
    assert all(re.fullmatch("[0-9a-f]{64}", content.node_id) for content in contents.values())
    if json.loads(docker("info", "--format", "{{json .Driver}}")) != "overlayfs":
        # Docker's own store; containerd's calls an image by its manifest.
        assert all(content.node_id == content.engine_id for content in contents.values())
    written = archive.path.stat().st_mtime_ns
    assert archive.bring_up_to_date(images.engine(), references) == contents
    assert archive.path.stat().st_mtime_ns == written, "nothing has changed, so nothing is written"


@pytest.fixture
def own_cluster(engine: None) -> Iterator[LiveCluster]:
    """An embedded cluster of the test's own, whose GPU plugin has been taken away."""
    state = Path(tempfile.mkdtemp(prefix="ai-lab-plugin-"))
    process = start_cluster(state)
    cluster = LiveCluster(state, process)
    try:
        cluster.kubectl("-n", "kube-system", "delete", "daemonset", "nvidia-device-plugin-daemonset", "--timeout=60s")
        cluster.eventually(r"^0$", "get", "node", "ai-lab-worker2", "-o", r"jsonpath={.status.allocatable.nvidia\.com/gpu}")
        yield cluster
    finally:
        stop_cluster(process)
        shutil.rmtree(state, ignore_errors=True)


def test_the_plugin_in_a_container_registers_with_the_kubelet_whose_socket_it_has(
    built: tuple[LabImage, ...], own_cluster: LiveCluster, containers: list[Container], tmp_path: Path
) -> None:
    node = own_cluster.state / "nodes" / "ai-lab-worker2"
    account = tmp_path / "serviceaccount"
    account.mkdir()
    (account / "token").write_text(own_cluster.kubectl("-n", "kube-system", "create", "token", "gpu-device-plugin"))
    shutil.copyfile(own_cluster.state / "pki" / "ca.crt", account / "ca.crt")
    for folder in ("var/lib/kubelet/device-plugins", "var/lib/kubelet/pod-resources", "var/lib/ai-lab-gpu"):
        (node / folder).mkdir(parents=True, exist_ok=True)
    # The rights and the mounts of manifests/base/gpu-device-plugin.yaml.
    plugin = Container(
        "--cap-drop=ALL",
        "--security-opt=no-new-privileges",
        "--memory=128m",
        "--env=NODE_NAME=ai-lab-worker2",
        f"--env=METRICS_PORT={free_port()}",
        "--env=KUBERNETES_SERVICE_HOST=127.0.0.1",
        f"--env=KUBERNETES_SERVICE_PORT={(own_cluster.state / 'port').read_text().strip()}",
        f"--volume={account}:/var/run/secrets/kubernetes.io/serviceaccount:ro",
        f"--volume={node}/var/lib/kubelet/device-plugins:/var/lib/kubelet/device-plugins",
        f"--volume={node}/var/lib/kubelet/pod-resources:/var/lib/kubelet/pod-resources:ro",
        f"--volume={node}/var/lib/ai-lab-gpu:/var/lib/ai-lab-gpu",
        "registry.example.com/gpu-device-plugin:v1",
    )
    containers.append(plugin)
    try:
        own_cluster.eventually(r"^2$", "get", "node", "ai-lab-worker2", "-o", r"jsonpath={.status.allocatable.nvidia\.com/gpu}")
    except AssertionError as failed:
        raise AssertionError(f"{failed}\n{plugin.logs()}") from None
    # A Pod gets its device from the container by Allocate, with nvidia-smi, which reads what the plugin wrote.
    own_cluster.kubectl("run", "smi", "--image=python:3.12-slim", "--restart=Never", "--overrides", json.dumps(SMI))
    seen = own_cluster.eventually("NVIDIA A100-SXM4-40GB", "logs", "smi")
    assert seen.count("NVIDIA A100-SXM4-40GB") == 1
    assert plugin.stop() == 0


SMI = {
    "spec": {
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
        "containers": [
            {
                "name": "smi",
                "image": "python:3.12-slim",
                "command": ["nvidia-smi", "-L"],
                "resources": {"limits": {"nvidia.com/gpu": "1"}},
            }
        ],
    }
}
