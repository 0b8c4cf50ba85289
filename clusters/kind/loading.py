"""The lab's images into the nodes: one archive, all nodes at once, and only into those that lack something of it.

The archive is streamed into each node's containerd as kind does it, but for one flag: `--all-platforms` fails on images of several platforms
of which Docker keeps one (https://github.com/kubernetes-sigs/kind/issues/3795). Where a node refuses it, kind's own command is tried.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
import tomllib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from clusters.base import ClusterError
from clusters.kind.archive import Archive, Contents, canonical, plain
from clusters.kind.engine import Engine
from clusters.kind.nodes import NODES, Kind

# Seconds.
_IMPORT = 900.0
_LIST = 60.0
# containerd tells its CRI half of an imported image by an event, a moment later.
_SEEN_WITHIN = 10.0
_BOOT = 120.0
_LOOK_EVERY = 0.5


class NodeImages:
    """What a node's containerd has: canonical name to id, without `sha256:`. None where it does not answer (yet)."""

    def __init__(self, engine: Engine):
        self._engine = engine

    def of(self, node: str) -> dict[str, str] | None:
        ran = self._engine.inside(node, "crictl", "images", "-o", "json", timeout=_LIST)
        if not ran.ok:
            return None
        try:
            return {
                tag: plain(str(entry.get("id") or "")) for entry in json.loads(ran.out)["images"] for tag in entry.get("repoTags") or ()
            }
        except (ValueError, KeyError, TypeError):
            return None

    def of_all(self, nodes: Sequence[str]) -> dict[str, dict[str, str]]:
        """The same of several nodes, asked at once; an empty table for one that does not answer."""
        with ThreadPoolExecutor(max_workers=len(nodes)) as pool:
            return {node: found or {} for node, found in zip(nodes, pool.map(self.of, nodes), strict=True)}


def lacking(inside: dict[str, str], references: Sequence[str], here: dict[str, str], known: Contents) -> list[str]:
    """Which images a node lacks, or has in another build than the engine.

    `inside` is what the node has, `here` the engine's ids, and `known` what is known of the archive. An image that the engine has lost is
    good in any build.
    """

    def current(reference: str) -> bool:
        there = inside.get(canonical(reference))
        engine_id = plain(here.get(reference, ""))
        if there is None or not engine_id:
            return there is not None
        content = known.get(reference)
        # Docker's own image store calls an image by its configuration, as containerd's CRI does; the newer store by its manifest.
        return there == engine_id or (content is not None and content.engine_id == engine_id and there == content.node_id)

    return [reference for reference in references if not current(reference)]


def snapshotter(config: str) -> str:
    """The snapshotter that the CRI half of containerd uses, from `containerd config dump`; overlayfs where it does not say."""
    try:
        plugins = tomllib.loads(config)["plugins"]
    except (tomllib.TOMLDecodeError, KeyError):
        return "overlayfs"
    # Version 3 of the configuration, then version 2.
    newer = plugins.get("io.containerd.cri.v1.images", {}).get("snapshotter")
    older = plugins.get("io.containerd.grpc.v1.cri", {}).get("containerd", {}).get("snapshotter")
    return str(newer or older or "overlayfs")


class Loading:
    """One round of bringing images in. Work goes on in threads from `save` and `begin` until `finish`; `seconds` says what took how long."""

    def __init__(
        self,
        engine: Engine,
        kind: Kind,
        archive: Archive,
        references: Sequence[str],
        *,
        clock: Callable[[], float] = time.monotonic,
        pause: Callable[[float], None] = time.sleep,
    ):
        self._engine = engine
        self._kind = kind
        self._archive = archive
        self._references = tuple(references)
        self._inside = NodeImages(engine)
        self._clock = clock
        self._pause = pause
        self._pool = ThreadPoolExecutor(max_workers=len(NODES) + 1, thread_name_prefix="images")
        self._saved: Future[Contents] | None = None
        self._begun: dict[str, Future[str]] = {}
        self._stop = threading.Event()
        self.seconds: dict[str, float] = {}

    def __enter__(self) -> Loading:
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._stop.set()
        if kind is not None:
            self._engine.commands.interrupt()
        self._pool.shutdown(wait=True, cancel_futures=True)

    @contextlib.contextmanager
    def _timed(self, what: str) -> Iterator[None]:
        began = self._clock()
        try:
            yield
        finally:
            self.seconds[what] = self._clock() - began

    def save(self) -> None:
        """Begins to bring the archive up to date."""
        if self._saved is None:
            self._saved = self._pool.submit(self._save)

    def _save(self) -> Contents:
        with self._timed("archive"):
            return self._archive.bring_up_to_date(self._engine, self._references)

    def begin(self, nodes: Sequence[str]) -> None:
        """Begins with these nodes, as soon as the archive is there and their containerd answers; a second call for a node does nothing."""
        self.save()
        for node in nodes:
            if node not in self._begun:
                self._begun[node] = self._pool.submit(self._bring_into, node)

    def finish(self, nodes: Sequence[str]) -> None:
        """Waits until these nodes have every image. Raises ClusterError."""
        self.begin(nodes)
        assert self._saved is not None
        self._saved.result()
        refused = {node: why for node in nodes if (why := self._begun[node].result())}
        if not refused:
            return
        self._kind.load_archive(self._archive.path, tuple(refused))
        for node, why in refused.items():
            if absent := self._absent(node, any_build=True):
                raise ClusterError(f"{node} did not take {', '.join(absent)}: {why}", next=f"{self._engine.name} logs {node}")
            # What a node calls them after kind's own way is what it will be asked for next time.
            self._archive.learn(self._inside.of(node) or {})

    def _bring_into(self, node: str) -> str:
        """Why a node does not have the images after all; empty where it has."""
        assert self._saved is not None
        known = self._saved.result()
        deadline = self._clock() + _BOOT
        while (inside := self._inside.of(node)) is None:
            if self._stop.is_set() or self._clock() > deadline:
                return "its containerd does not answer"
            self._pause(_LOOK_EVERY)
        if not lacking(inside, self._references, {name: known[name].engine_id for name in self._references}, known):
            return ""
        with self._timed(node):
            config = self._engine.inside(node, "containerd", "config", "dump", timeout=_LIST)
            ran = self._engine.inside(
                node, "ctr", "--namespace=k8s.io", "images", "import", "--digests", f"--snapshotter={snapshotter(config.out)}", "-",
                timeout=_IMPORT, stdin=self._archive.path,
            )  # fmt: skip
            if not ran.ok:
                return _last_words(ran.err or ran.out) or f"exit status {ran.code}"
            absent = self._absent(node)
        return f"{', '.join(absent)} did not appear in it" if absent else ""

    def _absent(self, node: str, *, any_build: bool = False) -> list[str]:
        """Which images a node does not show within a moment; `any_build` is content with the name."""
        known = self._archive.contents()
        here = {} if any_build else {name: content.engine_id for name, content in known.items() if content.node_id}
        deadline = self._clock() + _SEEN_WITHIN
        while absent := lacking(self._inside.of(node) or {}, self._references, here, known):
            if self._stop.is_set() or self._clock() > deadline:
                return absent
            self._pause(_LOOK_EVERY)
        return []


def _last_words(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return re.sub(r"^ctr: ", "", lines[-1]) if lines else ""
