"""Everything here is marked `kind`, and is left out by name where there is no container engine to try it on."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from clusters import images
from tests.kind.engine import Unavailable, docker, find_base_image, find_engine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if item.path.is_relative_to(here):
            item.add_marker(pytest.mark.kind)
            # The first test waits for Debian and for five builds.
            item.add_marker(pytest.mark.timeout(1200))


@pytest.fixture(scope="session")
def engine() -> Iterator[None]:
    """Docker answers, or the test is skipped with the reason."""
    folder = Path(tempfile.mkdtemp(prefix="ai-lab-docker-"))
    with ExitStack() as stack:
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        try:
            stack.enter_context(find_engine(folder))
        except Unavailable as reason:
            pytest.skip(str(reason))
        yield


@pytest.fixture(scope="session")
def built(engine: None) -> tuple[images.LabImage, ...]:
    """All images of the lab, built as `ai-lab images build` does."""
    folder = Path(tempfile.mkdtemp(prefix="ai-lab-base-"))
    with pytest.MonkeyPatch.context() as environment:
        try:
            environment.setenv("BASE_IMAGE", find_base_image(folder))
        except Unavailable as reason:
            pytest.skip(str(reason))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        environment.setenv(images.NETWORK, "host")
        environment.setenv("KIND_EXPERIMENTAL_PROVIDER", "docker")
        lines: list[str] = []
        for image in images.catalogue():
            images.build(images.engine(), image, lines.append)
        assert sum("Successfully tagged" in line for line in lines) == len(images.catalogue()), lines[-20:]
        for other in images.others():
            if not images.engine().has_image(other.reference):
                images.fetch(images.engine(), other, lines.append)
    return images.catalogue()


class Container:
    """A container on the host's network, started detached; it is removed with the test."""

    def __init__(self, *arguments: str):
        self.id = docker("run", "--detach", "--network=host", *arguments).strip()

    def logs(self) -> str:
        return docker("logs", self.id)

    def running(self) -> bool:
        return docker("inspect", "--format", "{{.State.Running}}", self.id).strip() == "true"

    def stop(self) -> int:
        """Sends SIGTERM, waits, and gives the exit status."""
        docker("stop", "--time=10", self.id)
        return int(docker("inspect", "--format", "{{.State.ExitCode}}", self.id))


@pytest.fixture
def containers() -> Iterator[list[Container]]:
    """Containers that the test started."""
    started: list[Container] = []
    yield started
    for each in started:
        docker("rm", "--force", each.id, check=False)
