"""postStart and preStop: what a container asks to be done after its start and before its end (pkg/kubelet/lifecycle/handlers.go)."""

from __future__ import annotations

import asyncio

from clusters.embedded.kubelet import http_get, probes
from clusters.embedded.kubelet.runtime import StartError
from kubeobjects import Object

# Go's http.Client has no limit of its own here; the grace period ends a preStop hook, this a postStart hook that hangs.
_HTTP_TIMEOUT = 60.0


class HookFailed(Exception):
    """The text stands in the FailedPostStartHook or FailedPreStopHook event."""


async def run(handler: Object, target: probes.Target) -> None:
    """Does what the handler says. Raises HookFailed."""
    if action := handler.get("exec"):
        command = action.get("command") or []
        try:
            code, output = await target.exec(command)
        except StartError as error:
            raise HookFailed(str(error)) from None
        if code != 0:
            raise HookFailed(f"command '{' '.join(command)}' exited with {code}: {output}")
    elif action := handler.get("httpGet"):
        try:
            port = probes.named_port(target.container, action["port"])
            url = http_get.go_url(action.get("scheme") or "HTTP", action.get("host") or target.ip, port, action.get("path") or "/")
            headers = {header["name"]: header["value"] for header in action.get("httpHeaders") or []}
            await http_get.get(target.network, action.get("host") or target.ip, url, headers, _HTTP_TIMEOUT)
        except ValueError as error:
            raise HookFailed(str(error)) from None
        except http_get.RequestFailed as failure:
            raise HookFailed(f'Get "{url}": {failure}') from None
        except http_get.TooManyRedirects:
            raise HookFailed(f'Get "{url}": stopped after 10 redirects') from None
    elif action := handler.get("sleep"):
        await asyncio.sleep(action.get("seconds") or 0)
    elif handler.get("tcpSocket"):
        raise HookFailed("invalid handler: tcpSocket is not run as a hook")
