"""Loading the model: settings in, a `Model` that can answer out, or the error and exit code that a real server would end with.

It runs beside the HTTP server, so that probes are answered meanwhile; every step is logged with what it has cost so far.
"""

from __future__ import annotations

import asyncio
import logging
import mmap
import os
import time
from dataclasses import dataclass, field

from model_server import gpu, memory, weights
from model_server.classifier import Classifier
from model_server.settings import Settings

log = logging.getLogger("model_server.loader")

_STEP_MIB = 16
# A load that takes time says how far it is this often.
_LEAST_STEPS = 10


@dataclass
class Model:
    """A model in memory. `held` is what keeps the memory that loading took."""

    classifier: Classifier
    device: str
    gpu: gpu.Gpu | None
    seconds: float
    held: list[bytearray | mmap.mmap] = field(default_factory=list)


class LoadError(Exception):
    """Loading failed; the message is what the last line of the log says."""


async def load(settings: Settings) -> Model:
    """Raises LoadError."""
    began = time.monotonic()
    try:
        device, card = _device(settings)
        log.info("loading model weights path=%s device=%s", settings.model_path, device)
        found = weights.read(settings.model_path, settings.model_sha256)
        log.info(
            "weights read version=%s kinds=%d parameters=%d sha256=%s checked=%s",
            found.version,
            len(found.kinds),
            len(found.kinds) * (found.dimension + 1),
            found.sha256,
            "yes" if settings.model_sha256 else "no",
        )
        held: list[bytearray | mmap.mmap] = []
        await _fill(settings, held, began)
        if settings.shm_mib:
            log.info("sharing memory with workers path=/dev/shm mib=%d", settings.shm_mib)
            held.append(memory.share(settings.shm_mib))
        if card:
            card.allocate(settings.gpu_memory_mib)
            log.info("weights on GPU gpu_memory_mib=%d of %d", card.memory_used, card.memory)
    except OSError as error:
        raise LoadError(f"{type(error).__name__}: {error}") from error
    except (weights.SafetensorError, gpu.OutOfMemoryError) as error:
        module = "torch" if isinstance(error, gpu.OutOfMemoryError) else "safetensors"
        raise LoadError(f"{module}.{type(error).__name__}: {error}") from error
    except weights.DigestError as error:
        raise LoadError(f"digest mismatch: {error}") from error
    except gpu.CudaError as error:
        raise LoadError(f"RuntimeError: {error}") from error
    except MemoryError as error:
        raise LoadError("MemoryError: the system has no more memory to give") from error
    seconds = time.monotonic() - began
    now, peak = memory.resident()
    log.info("model loaded seconds=%.2f resident_mib=%d peak_mib=%d device=%s", seconds, now, peak, device)
    return Model(Classifier(found), device, card, seconds, held)


def _device(settings: Settings) -> tuple[str, gpu.Gpu | None]:
    """The device to run on, logged with how it was found. Raises CudaError."""
    visible = os.environ.get("NVIDIA_VISIBLE_DEVICES", "")
    if not gpu.wanted(settings.device, visible):
        log.info("device=cpu (DEVICE=%s, NVIDIA_VISIBLE_DEVICES=%s)", settings.device, visible or "not set")
        return "cpu", None
    log.info("looking for a GPU NVIDIA_VISIBLE_DEVICES=%s", visible or "not set")
    card = gpu.Gpu(settings.gpu_root, visible, settings.cuda_version)
    log.info(
        "device=cuda:0 gpu=%s uuid=%s memory_mib=%d driver=%s cuda=%s",
        card.name,
        card.uuid,
        card.memory,
        card.driver,
        settings.cuda_version,
    )
    return "cuda:0", card


async def _fill(settings: Settings, held: list[bytearray | mmap.mmap], began: float) -> None:
    """Takes MODEL_MEMORY_MIB in steps spread over MODEL_LOAD_SECONDS."""
    steps = max(-(-settings.model_memory_mib // _STEP_MIB), _LEAST_STEPS if settings.model_load_seconds else 1)
    taken, told = 0, 0
    for step in range(1, steps + 1):
        share = settings.model_memory_mib * step // steps - taken
        if share:
            held.append(memory.take(share))
            taken += share
        # Each step gives way once, however little time there is: probes must be answered in between.
        await asyncio.sleep(max(0.0, began + settings.model_load_seconds * step / steps - time.monotonic()))
        percent = 100 * step // steps
        if percent // 10 > told and (settings.model_memory_mib or settings.model_load_seconds):
            told = percent // 10
            now, _ = memory.resident()
            log.info(
                "loading %d%% taken_mib=%d of %d resident_mib=%d seconds=%.1f",
                percent,
                taken,
                settings.model_memory_mib,
                now,
                time.monotonic() - began,
            )
