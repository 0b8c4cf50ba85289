"""The image catalogue: names, Dockerfiles and what an image without a registry is."""

from __future__ import annotations

from pathlib import Path

import pytest

from clusters.embedded import dockerfile
from clusters.embedded.images import Catalogue, InvalidImageName, normalise

DOCKERFILE = """
# syntax comment
ARG BASE_IMAGE=python:3.12-slim
ARG MODEL_VERSION=v0
FROM ${BASE_IMAGE} AS build
RUN pip install \\
    --no-cache-dir -r requirements.txt
FROM ${BASE_IMAGE}
ARG MODEL_VERSION
ENV MODEL_VERSION=${MODEL_VERSION} GREETING="hello there"
WORKDIR /app
COPY --from=build /opt /opt
COPY server.py ./
COPY weights /models/
USER 1000:1000
EXPOSE 8080/tcp
STOPSIGNAL SIGINT
ENTRYPOINT ["python3", "-m", "server"]
CMD ["--port", "8080"]
"""


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("python", "docker.io/library/python:latest"),
        ("python:3.12-slim", "docker.io/library/python:3.12-slim"),
        ("curlimages/curl:8", "docker.io/curlimages/curl:8"),
        ("registry.example.com/a/b:v1", "registry.example.com/a/b:v1"),
        ("localhost:5000/a", "localhost:5000/a:latest"),
        ("docker.io/python:3", "docker.io/library/python:3"),
    ],
)
def test_a_name_is_completed_as_a_runtime_completes_it(text: str, name: str) -> None:
    assert normalise(text) == name


@pytest.mark.parametrize("text", ["python:3.12-SLIM::x", "Python:3", "library/Python", "", "a b", "registry.example.com/"])
def test_a_name_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(InvalidImageName):
        normalise(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    own = tmp_path / "api"
    (own / "weights").mkdir(parents=True)
    (own / "weights/model.bin").write_text("w")
    (own / "server.py").write_text("")
    (own / "Dockerfile").write_text(DOCKERFILE)
    (own / "image.toml").write_text(
        '[[image]]\nname = "registry.example.com/api:v1"\nargs = {MODEL_VERSION = "v1"}\n'
        '[[image]]\nname = "registry.example.com/api:v2"\nargs = {MODEL_VERSION = "v2"}\n'
    )
    return tmp_path


def test_a_dockerfile_says_what_its_image_runs(folder: Path) -> None:
    built = dockerfile.read(folder / "api/Dockerfile", {"MODEL_VERSION": "v1"})
    assert (built.base, built.entrypoint, built.cmd) == ("python:3.12-slim", ("python3", "-m", "server"), ("--port", "8080"))
    assert built.env == {"MODEL_VERSION": "v1", "GREETING": "hello there"}
    assert (built.working_dir, built.user, built.ports, built.stop_signal) == ("/app", "1000:1000", [8080], "SIGINT")
    assert built.files == [("/app/server.py", folder / "api/server.py"), ("/models/model.bin", folder / "api/weights/model.bin")]
    assert built.installs_packages


def test_one_dockerfile_gives_an_image_for_each_tag(folder: Path) -> None:
    catalogue = Catalogue(folder)
    first, second = catalogue.find("registry.example.com/api:v1"), catalogue.find("registry.example.com/api:v2")
    assert first is not None
    assert second is not None
    assert (first.env["MODEL_VERSION"], second.env["MODEL_VERSION"]) == ("v1", "v2")
    assert first.env["PATH"].startswith("/usr/local/bin")
    assert (first.python, first.uid) == ("packages", 1000)
    assert first.id != second.id
    assert catalogue.find("registry.example.com/api:v3") is None


def test_the_tags_of_python_are_there_and_those_of_others_are_not() -> None:
    catalogue = Catalogue()
    for text in ("python:3.12-slim", "python:3", "python:3.13-slim-bookworm", "docker.io/library/python:3.11", "busybox"):
        assert catalogue.find(text) is not None, text
    for text in ("python:2.7", "python:3.12-slmi", "nginx", "registry.example.com/python:3.12-slim"):
        assert catalogue.find(text) is None, text


def test_what_a_dockerfile_compiles_is_compiled(tmp_path: Path) -> None:
    (tmp_path / "server").mkdir()
    (tmp_path / "server/__pycache__").mkdir()
    (tmp_path / "server/main.py").write_text("")
    (tmp_path / "Dockerfile").write_text("FROM python:3.12-slim\nCOPY server /app/server/\n")
    built = dockerfile.read(tmp_path / "Dockerfile")
    assert (built.compiles, [inside for inside, _ in built.files]) == (False, ["/app/server/main.py"])
    with (tmp_path / "Dockerfile").open("a") as file:
        file.write("RUN python3 -m compileall -q /app\n")
    assert dockerfile.read(tmp_path / "Dockerfile").compiles
    assert not built.installs_packages
