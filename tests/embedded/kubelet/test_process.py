"""Child processes: output, ends and what they leave behind, with each way of noticing that they are over."""

from __future__ import annotations

import asyncio
import os
import signal

import psutil
import pytest

from clusters.embedded.kubelet.process import ChildProcess


@pytest.fixture(params=["signal", "waitid", "poll"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """A loop outside the main thread hears no signals; older macOS has no waitid either."""

    def refuse(*arguments: object) -> None:
        raise RuntimeError("not in the main thread")

    if request.param != "signal":
        monkeypatch.setattr(asyncio.SelectorEventLoop, "add_signal_handler", refuse)
    if request.param == "poll":
        monkeypatch.delattr(os, "waitid", raising=False)
    return request.param


class Written(list[tuple[int, bytes]]):
    """What a program wrote; `some` is set with the first of it."""

    def __init__(self) -> None:
        super().__init__()
        self.some = asyncio.Event()

    def take(self, stream: int, data: bytes) -> None:
        self.append((stream, data))
        self.some.set()


def _start(script: str, written: Written, **options: bool) -> ChildProcess:
    return ChildProcess(["sh", "-c", script], env={"PATH": os.environ["PATH"]}, cwd="/", output=written.take, **options)


async def test_output_and_exit_code_arrive(way: str) -> None:
    written = Written()
    process = _start("echo out; echo err >&2; exit 7", written)
    assert await asyncio.wait_for(process.wait(), 60) == 7
    assert sorted(written) == [(1, b"out\n"), (2, b"err\n")]


async def test_what_the_first_process_leaves_behind_ends_with_it(way: str) -> None:
    written = Written()
    process = _start("sleep 600 & echo $!", written)
    assert await asyncio.wait_for(process.wait(), 60) == 0
    left = int(written[0][1])
    for _ in range(100):
        if not psutil.pid_exists(left) or psutil.Process(left).status() == psutil.STATUS_ZOMBIE:
            break
        await asyncio.sleep(0.02)
    else:
        raise AssertionError("the child of the first process still runs")


async def test_killing_takes_the_whole_tree(way: str) -> None:
    written = Written()
    process = _start("setsid sleep 600 & echo $!; wait", written)
    await asyncio.wait_for(written.some.wait(), 60)
    process.kill()
    assert await asyncio.wait_for(process.wait(), 60) == 128 + signal.SIGKILL


async def test_sigterm_is_for_those_who_handle_it() -> None:
    written = Written()
    deaf = _start("sleep 600", written)
    polite = _start("trap 'exit 5' TERM; echo up; while :; do sleep 0.05; done", written)
    await asyncio.wait_for(written.some.wait(), 60)
    deaf.terminate()
    polite.terminate()
    assert await asyncio.wait_for(polite.wait(), 60) == 5
    assert deaf.running
    deaf.kill()
    assert await asyncio.wait_for(deaf.wait(), 60) == 137


async def test_input_that_is_larger_than_a_pipe_gets_through() -> None:
    written = Written()
    process = _start("cat | wc -c", written, stdin=True)
    await process.write_stdin(b"x" * 1_000_000)
    process.close_stdin()
    assert await asyncio.wait_for(process.wait(), 60) == 0
    assert written[0][1].strip() == b"1000000"
