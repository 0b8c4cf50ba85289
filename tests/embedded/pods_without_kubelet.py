"""Pods without a kubelet: real interpreters with the shim, in a network directory of the test's own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from clusters.embedded.kubeproxy import PodNetwork


class Lab:
    """`run` executes a program in a Pod to its end and gives what it printed; `start` leaves it running until the test ends."""

    def __init__(self, folder: Path):
        self.network = PodNetwork(folder / "network")
        self._folder = folder
        self._started: list[subprocess.Popen[str]] = []

    def pod(self, name: str, node: int = 1) -> str:
        return self.network.allocate(node, name)

    def environment(self, ip: str, mounts: dict[str, Path] | None = None, **variables: str) -> dict[str, str]:
        env = {"PATH": os.environ["PATH"], "HOSTNAME": "pod-" + ip.replace(".", "-"), "PYTHONUNBUFFERED": "1", "AI_LAB_SHIM_DEBUG": "1"}
        env |= self.network.environment(ip, "default")
        if mounts is not None:
            env["AI_LAB_MOUNTS"] = json.dumps({inside: str(outside) for inside, outside in mounts.items()})
        return env | variables

    def run(self, ip: str, code: str, *arguments: str, mounts: dict[str, Path] | None = None, cwd: Path | None = None, **env: str) -> str:
        done = self.attempt(ip, code, *arguments, mounts=mounts, cwd=cwd, **env)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def attempt(
        self, ip: str, code: str, *arguments: str, mounts: dict[str, Path] | None = None, cwd: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", textwrap.dedent(code), *arguments],
            env=self.environment(ip, mounts, **env),
            cwd=cwd or self._folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def start(self, ip: str, code: str, *arguments: str, mounts: dict[str, Path] | None = None) -> subprocess.Popen[str]:
        return self.start_program([sys.executable, "-c", textwrap.dedent(code), *arguments], ip, mounts)

    def start_program(self, argv: list[str], ip: str, mounts: dict[str, Path] | None = None) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            argv, env=self.environment(ip, mounts), cwd=self._folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self._started.append(process)
        return process

    def wait_for(self, ip: str, port: int, within: float = 60) -> None:
        """Until something accepts connections at the Pod's address."""

        async def dial() -> None:
            _, writer = await self.network.dial(ip, port)
            writer.close()

        eventually(lambda: asyncio.run(dial()), within)

    def stop(self) -> None:
        for process in self._started:
            process.kill()
            process.wait(10)
            if process.stdout:
                process.stdout.close()


def eventually(attempt: Callable[[], Any], within: float = 60) -> Any:
    """Repeats until no OSError or AssertionError is raised; `within` in seconds."""
    deadline = time.monotonic() + within
    while True:
        try:
            return attempt()
        except (OSError, AssertionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
