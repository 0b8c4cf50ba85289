"""The hub at JupyterLab's address, behind its own token: `ai-lab/live` (WebSocket) and `ai-lab/state` (the same as JSON, once)."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from jupyter_server.auth.decorator import authorized, ws_authenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import url_path_join
from tornado import web, websocket

from lab_checks.face.live.hub import Hub

_HUB = "ai_lab_hub"
_RESOURCE = "ai-lab"


class StateHandler(APIHandler):
    """GET: everything that a window is told when it opens."""

    auth_resource = _RESOURCE

    @web.authenticated
    @authorized
    async def get(self) -> None:
        heard: list[str] = []
        hub: Hub = self.settings[_HUB]
        hub.join(heard.append)
        hub.leave(heard.append)
        told = {each["kind"]: each for each in map(json.loads, heard)}
        self.finish(json.dumps(told))


class LiveHandler(WebSocketMixin, websocket.WebSocketHandler, JupyterHandler):
    """Tells a window what is new, and does what its buttons ask for."""

    auth_resource = _RESOURCE

    @ws_authenticated
    async def get(self, *arguments: Any, **named: Any) -> None:
        await super().get(*arguments, **named)

    def set_default_headers(self) -> None:
        """A WebSocket has none."""

    def get_compression_options(self) -> None:
        return None

    @property
    def _hub(self) -> Hub:
        found: Hub = self.settings[_HUB]
        return found

    def open(self, *arguments: str, **named: str) -> None:
        super().open(*arguments, **named)
        self._asked: set[asyncio.Task[None]] = set()
        self._hub.join(self._send)

    def on_close(self) -> None:
        self._hub.leave(self._send)

    def _send(self, text: str) -> None:
        if self.ws_connection is not None and not self.ws_connection.is_closing():
            task = asyncio.ensure_future(self._written(text))
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)

    async def _written(self, text: str) -> None:
        try:
            await self.write_message(text)
        except websocket.WebSocketClosedError:
            self._hub.leave(self._send)

    def on_message(self, message: str | bytes) -> None:
        try:
            request = json.loads(message)
        except ValueError:
            return
        if isinstance(request, dict):
            task = asyncio.ensure_future(self._answer(request))
            self._asked.add(task)
            task.add_done_callback(self._asked.discard)

    async def _answer(self, request: dict[str, Any]) -> None:
        try:
            found = await self._hub.ask(request)
        except Exception as problem:
            self.log.exception("the course's panel: %s", request.get("verb"))
            found = {
                "problem": f"This is a fault of the course and not yours: {type(problem).__name__}: {problem}",
                "next": "please report it",
            }
        await self._written(json.dumps({"kind": "answer", "id": request.get("id"), **found}))


def attach(server: Any) -> None:
    """Puts the hub behind the address of a Jupyter server that listens already."""
    app = server.web_app
    app.settings[_HUB] = Hub()
    base = app.settings["base_url"]
    app.add_handlers(".*$", [(url_path_join(base, "ai-lab/live"), LiveHandler), (url_path_join(base, "ai-lab/state"), StateHandler)])
