"""What the images' Dockerfiles promise, read as the embedded cluster's catalogue reads them."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from clusters import images
from clusters.embedded import dockerfile
from clusters.embedded.images import Catalogue
from tests.images.conftest import IMAGES

FOLDERS = sorted(path.parent for path in IMAGES.glob("*/image.toml"))
CATALOGUE = Catalogue(IMAGES)
NAMES = [row["name"] for folder in FOLDERS for row in tomllib.loads((folder / "image.toml").read_text())["image"]]


def test_there_are_the_images_that_the_labs_name() -> None:
    assert NAMES == [
        "registry.example.com/gpu-device-plugin:v1",
        "registry.example.com/gpu-dra-driver:v1",
        "registry.example.com/job-queue-operator:v1",
        "registry.example.com/load-generator:v1",
        "registry.example.com/metrics-adapter:v1",
        "registry.example.com/metrics-scraper:v1",
        "registry.example.com/ai-log-summary-api:v1",
        "registry.example.com/ai-log-summary-api:v1-cuda11.4",
        "registry.example.com/ai-log-summary-api:v2",
        "registry.example.com/ai-log-summary-api:v3",
        "registry.example.com/training-job:v1",
    ]


@pytest.mark.parametrize("name", NAMES)
def test_an_image_starts_its_module_from_its_own_files(name: str) -> None:
    image = CATALOGUE.find(name)
    assert image
    python, flag, module = image.entrypoint
    assert (python, flag) == ("python3", "-m")
    assert (f"/app/{module}/__main__.py" in {inside for inside, _ in image.files}) is True
    assert all(source.exists() for _, source in image.files)
    # Whoever pins packages has them, and whoever does not has the standard library.
    assert image.python == ("packages" if any(inside == "/app/requirements.lock" for inside, _ in image.files) else "bare")
    assert image.env["PYTHONUNBUFFERED"] == "1"


def test_the_versions_of_the_model_differ_in_their_weights_and_manners() -> None:
    images = {tag: CATALOGUE.find(f"registry.example.com/ai-log-summary-api:{tag}") for tag in ("v1", "v2", "v3")}
    weights = {
        tag: next(source.name for inside, source in image.files if inside == image.env["MODEL_PATH"])
        for tag, image in images.items()
        if image
    }
    assert weights == {tag: f"log-classifier-{tag}.safetensors" for tag in images}
    assert {tag: image.env["ERROR_RATE"] for tag, image in images.items() if image} == {"v1": "0", "v2": "0", "v3": "0.2"}


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_dockerfile_takes_base_and_package_index_from_outside(folder: Path) -> None:
    words = dockerfile.instructions((folder / "Dockerfile").read_text())
    arguments = {rest.partition("=")[0] for word, rest in words if word == "ARG"}
    assert {"BASE_IMAGE", "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_TRUSTED_HOST"} <= arguments
    assert dockerfile.read(folder / "Dockerfile", {"BASE_IMAGE": "base:1"}).base == "base:1"
    assert "HEALTHCHECK" not in {word for word, _ in words}
    user = dockerfile.read(folder / "Dockerfile").user
    assert user == ("0" if folder.name in ("gpu_device_plugin", "gpu_dra_driver") else "65532:65532")


def test_the_dra_driver_takes_the_device_plugins_code_and_packages_along() -> None:
    image = CATALOGUE.find("registry.example.com/gpu-dra-driver:v1")
    assert image
    files = dict(image.files)
    assert files["/app/gpu_device_plugin/inventory.py"] == IMAGES / "gpu_dra_driver/../gpu_device_plugin/gpu_device_plugin/inventory.py"
    assert files["/app/requirements.lock"].read_text() == (IMAGES / "gpu_device_plugin/requirements.lock").read_text()
    build = next(each for each in images.catalogue() if each.reference == "registry.example.com/gpu-dra-driver:v1")
    assert (build.context, build.dockerfile) == (IMAGES, "gpu_dra_driver/Dockerfile")


@pytest.mark.parametrize("lock", sorted(IMAGES.glob("*/requirements.lock")), ids=lambda lock: lock.parent.name)
def test_every_dependency_is_pinned_with_hashes(lock: Path) -> None:
    text = lock.read_text()
    pins = re.findall(r"^(\S+)==(\S+)", text, re.M)
    assert pins
    assert all(re.search(rf"^{re.escape(name)}=={re.escape(version)}.*\\\n\s+--hash=sha256:", text, re.M) for name, version in pins)
    assert not re.search(r"^[a-z][\w.-]*\s*(>=|~=|$)", text, re.M)
