"""What was read of the cluster, and what of it is new since the last look. One board serves every browser window.

`replaced` and `changed` come from the watches, `measured` from the kubelets; `news` gives the difference as rows.
"""

from __future__ import annotations

import time
from collections import deque
from typing import Any

from kubeobjects import Object
from lab_checks.face.live import model
from lab_checks.face.live.reading import SHOWN

_STEPS_KEPT = 40  # of a Pod's life
_SAMPLES_KEPT = 180  # of a Pod's memory

Sample = tuple[float, int]


class Board:
    """The picture's rows, and a count of what an exercise may turn on: `stirred` rises with every change that is a reason to check again."""

    def __init__(self) -> None:
        self._objects: dict[str, dict[str, Object]] = {kind: {} for kind in SHOWN}
        self._assembler = model.Assembler()
        self._shown: model.Sections = {}
        self._lives: dict[str, list[model.Row]] = {}
        self._memory: dict[str, dict[str, deque[Sample]]] = {}
        self._measures: dict[str, Any] = {}
        self.stirred = 0

    def clear(self) -> None:
        """Forgets the cluster: it is down, or another one."""
        self._objects = {kind: {} for kind in SHOWN}
        self._lives, self._memory, self._measures = {}, {}, {}
        self.stirred += 1

    # What comes in

    def replaced(self, kind: str, objects: list[Object]) -> None:
        self._objects[kind] = {self._key(each): each for each in objects}
        self.stirred += 1

    def changed(self, kind: str, how: str, obj: Object) -> None:
        if kind in self._objects:
            if how == "DELETED":
                self._objects[kind].pop(self._key(obj), None)
            else:
                self._objects[kind][self._key(obj)] = obj
        # An Event tells of something that has happened elsewhere; a heartbeat of a node is none either.
        if kind != "events":
            self.stirred += 1

    @staticmethod
    def _key(obj: Object) -> str:
        metadata = obj["metadata"]
        return f"{metadata.get('namespace', '')}/{metadata['name']}"

    def measured(self, summary: Object, now: float | None = None) -> None:
        """What a kubelet's /stats/summary says of the memory of containers that have a limit."""
        at = time.time() if now is None else now
        limited = {row_key: row["limits"] for row_key, row in self._shown.get("pods", {}).items() if row["limits"]}
        for pod in summary.get("pods") or []:
            uid = pod["podRef"].get("uid", "")
            for each in pod.get("containers") or []:
                if each["name"] in limited.get(uid, ()):
                    used = int((each.get("memory") or {}).get("workingSetBytes") or 0)
                    samples = self._memory.setdefault(uid, {}).setdefault(each["name"], deque(maxlen=_SAMPLES_KEPT))
                    samples.append((round(at, 1), used))

    def metrics(self, found: dict[str, Any]) -> None:
        """What the cluster's monitoring says of the model servers: series by their name."""
        self._measures = found

    # What goes out

    @property
    def nodes(self) -> list[str]:
        return [each["metadata"]["name"] for each in self._objects["nodes"].values()]

    def has_service(self, namespace: str, name: str) -> bool:
        return f"{namespace}/{name}" in self._objects["services"]

    def limits_somewhere(self) -> set[str]:
        """The nodes with Pods that have a memory limit."""
        return {row["node"] for row in self._shown.get("pods", {}).values() if row["limits"] and row["node"]}

    def _assembled(self) -> model.Sections:
        rows = self._assembler.rows({kind: each.values() for kind, each in self._objects.items()})
        now = time.time()
        pods = rows["pods"]
        for key, row in pods.items():
            pods[key] = {**row, "life": self._lived(key, row, now)}
        for gone in [key for key in self._lives if key not in pods]:
            del self._lives[gone]
            self._memory.pop(gone, None)
        rows["memory"] = {key: {name: list(samples) for name, samples in each.items()} for key, each in self._memory.items()}
        rows["load"] = {"load": self._measures} if self._measures else {}
        return rows

    def _lived(self, key: str, row: model.Row, now: float) -> list[model.Row]:
        """The Pod's life as it was seen: what its fields told at first sight, then every change, with the time of this machine."""
        steps = self._lives.get(key)
        if steps is None:
            steps = list(row["life"])
        if not steps or steps[-1]["word"] != row["state"]:
            # At first sight, the state may be older than this look; the Pod's own fields know no better time.
            steps = [*steps, {"since": round(now, 1), "word": row["state"], "tone": row["tone"]}][-_STEPS_KEPT:]
        self._lives[key] = steps
        return steps

    def whole(self) -> dict[str, Any]:
        """Everything that was told so far, for a window that has just been opened; in the form of `news`."""
        return {section: {"set": rows, "gone": []} for section, rows in self._shown.items()}

    def news(self) -> dict[str, Any]:
        """What changed since `news` was asked last."""
        after = self._assembled()
        found = model.difference(self._shown, after)
        self._shown = after
        return found
