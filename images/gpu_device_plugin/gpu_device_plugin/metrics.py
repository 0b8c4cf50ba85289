"""DCGM's metrics of the node's GPUs on :9400: the description and the workloads' reports in, Prometheus text out.

The text format is a dozen lines of code; a client library would cost 3 MiB in each of these processes, on every GPU node.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from gpu_device_plugin import nvidia_smi

log = logging.getLogger(__name__)

# Name, type and help as dcgm-exporter prints them, and the key in `_values`.
_METRICS = (
    ("DCGM_FI_DEV_SM_CLOCK", "gauge", "SM clock frequency (in MHz).", "sm_clock"),
    ("DCGM_FI_DEV_GPU_TEMP", "gauge", "GPU temperature (in C).", "temperature"),
    ("DCGM_FI_DEV_POWER_USAGE", "gauge", "Power draw (in W).", "power"),
    ("DCGM_FI_DEV_GPU_UTIL", "gauge", "GPU utilization (in %).", "utilization"),
    ("DCGM_FI_DEV_MEM_COPY_UTIL", "gauge", "Memory utilization (in %).", "memory_utilization"),
    ("DCGM_FI_DEV_XID_ERRORS", "gauge", "Value of the last XID error encountered.", "xid"),
    ("DCGM_FI_DEV_FB_FREE", "gauge", "Framebuffer memory free (in MiB).", "free"),
    ("DCGM_FI_DEV_FB_USED", "gauge", "Framebuffer memory used (in MiB).", "memory"),
)


def render(document: dict[str, Any], reports: Callable[[str], list[dict[str, Any]]]) -> str:
    """The metrics page for a description; `reports` answers what the programs on the device with that UUID say.

    A device that has fallen off the bus answers nothing but its last error.
    """
    rows = []
    for device in document["devices"]:
        programs = reports(device["uuid"])
        values: dict[str, Any] = dict(nvidia_smi.usage(device, programs)) if not device["lost"] else {}
        if values:
            values["free"] = device["memory"] - values["memory"]
        rows.append((_labels(document, device), values | {"xid": device["xid"]}))
    lines = []
    for name, kind, about, key in _METRICS:
        samples = [f"{name}{{{labels}}} {values[key]}" for labels, values in rows if key in values]
        if samples:
            lines += [f"# HELP {name} {about}", f"# TYPE {name} {kind}", *samples]
    return "\n".join([*lines, ""])


def _labels(document: dict[str, Any], device: dict[str, Any]) -> str:
    holder = device["holder"] or {}
    labels = {
        "gpu": device["index"],
        "UUID": device["uuid"],
        "pci_bus_id": device["bus_id"],
        "device": f"nvidia{device['index']}",
        "modelName": device["product"],
        "Hostname": document["node"],
        "DCGM_FI_DRIVER_VERSION": document["driver"]["version"],
    }
    if part := device.get("mig_device"):
        labels |= {"GPU_I_PROFILE": part["profile"], "GPU_I_ID": part["gi"]}
    labels |= {name: holder[name] for name in ("container", "namespace", "pod") if name in holder}
    return ",".join(f'{name}="{_escaped(str(value))}"' for name, value in labels.items())


def _escaped(value: str) -> str:
    return value.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


class MetricsServer:
    """Answers GET /metrics and /health. `page` makes the page at each request."""

    def __init__(self, page: Callable[[], Awaitable[str]]):
        self._page = page
        self._server: asyncio.Server | None = None

    async def start(self, port: int) -> None:
        """Raises OSError where the port is taken."""
        self._server = await asyncio.start_server(self._serve, "0.0.0.0", port)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 60)
                request = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
                keep = b"connection: close" not in head.lower() and request[-1] != "HTTP/1.0"
                status, body = await self._answer(*request[:2]) if len(request) == 3 else ("400 Bad Request", "")
                payload = body.encode()
                writer.write(
                    f"HTTP/1.1 {status}\r\nContent-Type: text/plain; version=0.0.4; charset=utf-8\r\nContent-Length: {len(payload)}\r\n"
                    f"Connection: {'keep-alive' if keep else 'close'}\r\n\r\n".encode()
                    + (b"" if request[0] == "HEAD" else payload)
                )
                await writer.drain()
                if not keep:
                    return
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError, ConnectionError):
            return
        finally:
            writer.close()

    async def _answer(self, method: str, target: str) -> tuple[str, str]:
        if method not in ("GET", "HEAD"):
            return "405 Method Not Allowed", "only GET is answered here\n"
        path = target.partition("?")[0]
        if path == "/metrics":
            return "200 OK", await self._page()
        if path in ("/health", "/healthz"):
            return "200 OK", "ok\n"
        return "404 Not Found", "metrics are at /metrics\n"

    def close(self) -> None:
        if self._server:
            self._server.close()


def reports_in(root: Path) -> Callable[[str], list[dict[str, Any]]]:
    """Reads the reports below the description's folder, and clears away those of programs that have ended."""
    return lambda uuid: nvidia_smi.reports(root / "usage" / uuid, clean=True)
