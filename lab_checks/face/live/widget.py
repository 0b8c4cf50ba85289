"""The cluster's live picture in a notebook: the panel's own drawing code, as a widget.

In JupyterLab, when `ai-lab open` started it, the widget hears the server's watches and costs the kernel nothing. Elsewhere it asks this kernel every two
seconds, while it is in view.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anywidget
import traitlets

from clusters import ClusterError
from kubeobjects import Object
from lab_checks.engine.api import Api, ApiUnreachable
from lab_checks.engine.session import Session
from lab_checks.face.live import model
from lab_checks.face.live.reading import MAY_BE_MISSING, SHOWN

_DRAWING = Path(__file__).resolve().parent.parent / "labextensions" / "ai-lab-course" / "static" / "picture.js"
_PLAIN = "[picture] the cluster, live: nodes, GPUs, Pods, Services, Events"


class ClusterPicture(anywidget.AnyWidget):  # type: ignore[misc]
    """`height` is in pixels. As text, which programs read and compare, it is always the same line."""

    _esm = _DRAWING.read_text()
    height = traitlets.Int(560).tag(sync=True)

    def __init__(self, session: Session, height: int = 560):
        super().__init__(height=height)
        self._session = session
        self._assembler = model.Assembler()
        self.on_msg(self._asked)

    def _repr_mimebundle_(self, **named: Any) -> Any:
        found = super()._repr_mimebundle_(**named)
        bundle = found[0] if isinstance(found, tuple) else found
        if bundle is not None:
            bundle["text/plain"] = _PLAIN
        return found

    def _asked(self, widget: Any, message: Any, buffers: Any) -> None:
        if message.get("verb") != "look":
            return
        try:
            api = self._session.api
            rows = self._assembler.rows({kind: _listed(api, kind) for kind in SHOWN})
        except (ClusterError, ApiUnreachable) as problem:
            told = self._session.away(problem) if isinstance(problem, ApiUnreachable) else problem
            self.send({"kind": "state", "state": "down", "what": told.what, "next": told.next})
            return
        self.send({"kind": "state", "state": "ready", "what": "The cluster is up.", "next": ""})
        self.send({"kind": "cluster", "whole": True, "sections": {name: {"set": each, "gone": []} for name, each in rows.items()}})


def _listed(api: Api, kind: str) -> list[Object]:
    """All objects of a kind; none of one that may be missing, where this account may not list it. Raises ApiUnreachable."""
    try:
        return api.list(kind)
    except ApiUnreachable as problem:
        if problem.status == 403 and kind in MAY_BE_MISSING:
            return []
        raise
